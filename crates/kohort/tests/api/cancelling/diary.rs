//! A listener that tells what it was called for.

use std::sync::{Arc, Mutex};

use kohort::consumer::{CallbackResult, RebalanceContext, RebalanceListener};
use kohort::{OffsetAndMetadata, TopicPartition};
use kohort_broker::Broker;

use super::Reader;
use crate::support::{SOON, consumer};

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

    async fn lost(&mut self, _: &mut RebalanceContext<'_>, gone: &[TopicPartition]) -> CallbackResult {
        tokio::task::yield_now().await;
        self.note("lost", gone)
    }
}

/// A diary that commits nothing.
struct Idle(Diary);

impl RebalanceListener for Idle {
    async fn assigned(&mut self, _: &mut RebalanceContext<'_>, new: &[TopicPartition]) -> CallbackResult {
        tokio::task::yield_now().await;
        self.0.note("assigned", new)
    }

    async fn revoked(&mut self, _: &mut RebalanceContext<'_>, gone: &[TopicPartition]) -> CallbackResult {
        tokio::task::yield_now().await;
        self.0.note("revoked", gone)
    }
}

/// A diary that asks all that a listener may ask, of partitions of so many records each, and commits what is revoked by its
/// positions.
struct Asking {
    diary: Diary,
    records: i64,
}

impl Asking {
    /// Whether what the cluster says of these partitions is so.
    async fn look(&self, context: &mut RebalanceContext<'_>, of: &[TopicPartition]) -> CallbackResult {
        let firsts = context.beginning_offsets(of).await?;
        assert_eq!(firsts.into_values().collect::<Vec<_>>(), vec![0; of.len()]);
        let ends = context.end_offsets(of).await?;
        assert_eq!(
            ends.into_values().collect::<Vec<_>>(),
            vec![self.records; of.len()]
        );
        let times = of.iter().map(|partition| (partition.clone(), 0));
        for found in context.offsets_for_times(times).await?.into_values() {
            assert_eq!(found.map(|found| found.offset), Some(0), "all are younger");
        }
        Ok(())
    }
}

impl RebalanceListener for Asking {
    async fn assigned(
        &mut self,
        context: &mut RebalanceContext<'_>,
        new: &[TopicPartition],
    ) -> CallbackResult {
        self.look(context, new).await?;
        for (partition, committed) in context.committed(new).await? {
            let expected = committed.map_or(0, |committed| committed.offset);
            assert_eq!(context.position(&partition).await?, expected, "{partition}");
        }
        self.diary.note("assigned", new)
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        gone: &[TopicPartition],
    ) -> CallbackResult {
        self.look(context, gone).await?;
        let mut positions = Vec::new();
        for partition in gone {
            let position = context.position(partition).await?;
            positions.push((partition.clone(), OffsetAndMetadata::new(position)));
        }
        context.commit_sync_offsets(positions.clone(), SOON).await?;
        for ((partition, committed), (_, position)) in
            context.committed(gone).await?.into_iter().zip(positions)
        {
            let committed = committed.map(|committed| committed.offset);
            assert_eq!(committed, Some(position.offset), "{partition}");
        }
        self.diary.note("revoked", gone)
    }
}

/// Who commits what is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commits {
    /// The consumer itself.
    Automatically,
    /// The listener.
    InRevoked,
    /// The listener, when it has asked all that it may, of partitions of so many records each.
    AfterQuestions(i64),
}

/// A member that reads two records a poll by this assignor, and its diary.
pub(super) fn sharing(broker: &Broker, strategy: &str, commits: Commits) -> (Reader, Diary) {
    let builder = consumer(broker)
        .group_id("g")
        .enable_auto_commit(commits == Commits::Automatically)
        .heartbeat_interval_ms(100)
        .max_poll_interval_ms(60_000)
        .max_poll_records(2)
        .partition_assignment_strategy([strategy]);
    let mut member = builder.build().expect("valid settings");
    let diary = Diary::default();
    let subscribed = match commits {
        Commits::Automatically => member.subscribe_with(["t"], Idle(diary.clone())),
        Commits::InRevoked => member.subscribe_with(["t"], diary.clone()),
        Commits::AfterQuestions(records) => {
            let diary = diary.clone();
            member.subscribe_with(["t"], Asking { diary, records })
        }
    };
    subscribed.expect("a group and a topic");
    (member, diary)
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
