//! A listener that tells what it was called for.

use std::sync::{Arc, Mutex};

use kohort::TopicPartition;
use kohort::consumer::{CallbackResult, RebalanceContext, RebalanceListener};
use kohort_broker::Broker;

use super::Reader;
use crate::support::consumer;

/// Writes down what it was called for, when it is through with it. It commits what is revoked.
#[derive(Debug, Clone, Default)]
pub(super) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }

    fn note(&self, what: &str, partitions: &[TopicPartition]) -> CallbackResult {
        let numbers: Vec<_> = partitions.iter().map(|it| it.partition).collect();
        self.0
            .lock()
            .expect("no panic")
            .push(format!("{what} {numbers:?}"));
        Ok(())
    }
}

impl RebalanceListener for Diary {
    async fn assigned(&mut self, _: &mut RebalanceContext<'_>, new: &[TopicPartition]) -> CallbackResult {
        tokio::task::yield_now().await;
        self.note("assigned", new)
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        gone: &[TopicPartition],
    ) -> CallbackResult {
        context.commit_sync().await?;
        self.note("revoked", gone)
    }
}

/// A member that reads two records a poll, and its diary.
pub(super) fn with_diary(broker: &Broker) -> (Reader, Diary) {
    let builder = consumer(broker)
        .group_id("g")
        .enable_auto_commit(false)
        .heartbeat_interval_ms(100)
        .max_poll_records(2);
    let mut member = builder.build().expect("valid settings");
    let diary = Diary::default();
    member
        .subscribe_with(["t"], diary.clone())
        .expect("a group and a topic");
    (member, diary)
}
