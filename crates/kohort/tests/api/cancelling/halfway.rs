//! What is dropped after a while, or goes unanswered.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use kohort::TopicPartition;
use kohort::consumer::{CallbackResult, CommitError, RebalanceContext, RebalanceListener};
use kohort_broker::{ApiKey, Fault, FaultRule};
use tokio::time::Instant;

use super::member;
use crate::support::{SOON, broker, consumer, fill, next_values, partition};

/// Polls a future once and drops it.
fn begin(future: impl Future) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut cx).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_commit_dropped_halfway_can_be_given_again() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let mut member = member(&broker);
    assert_eq!(next_values(&mut member).await, ["0", "1"]);
    begin(member.commit_sync());
    assert_eq!(next_values(&mut member).await, ["2", "3"]);
    member.commit_sync().await.expect("it is written");
    let committed = member.committed([partition(0)]).await.expect("an answer");
    assert_eq!(
        committed[&partition(0)]
            .as_ref()
            .map(|committed| committed.offset),
        Some(4)
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_never_answered_ends_in_time() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 2).await;
    let mut member = member(&broker);
    assert_eq!(next_values(&mut member).await, ["0", "1"]);
    let never = FaultRule {
        api: Some(ApiKey::OffsetCommit),
        skip: 0,
        times: 1_000,
        fault: Fault::Drop,
    };
    broker.inject(never).await.expect("it runs");
    let start = Instant::now();
    let error = member
        .commit_sync_timeout(Duration::from_secs(7))
        .await
        .expect_err("nobody answers");
    assert!(
        matches!(error, CommitError::TimedOut { .. }) && error.is_retriable(),
        "{error:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_close_dropped_halfway_goes_on_in_the_background() {
    let broker = broker("t", 2).await;
    let (mut first, mut second) = (member(&broker), member(&broker));
    while first.assignment().len() != 1 || second.assignment().len() != 1 {
        first.poll(Duration::from_millis(20)).await.expect("no error");
        second.poll(Duration::from_millis(20)).await.expect("no error");
    }
    let start = Instant::now();
    begin(second.close(SOON));
    while first.assignment().len() != 2 {
        first.poll(Duration::from_millis(20)).await.expect("no error");
    }
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

/// Takes its time, and counts how often it began and ended.
struct Slow {
    began: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
}

impl RebalanceListener for Slow {
    async fn assigned(&mut self, _: &mut RebalanceContext<'_>, _: &[TopicPartition]) -> CallbackResult {
        self.began.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        self.ended.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_dropped_halfway_runs_again_before_anything_is_read() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 2).await;
    let (began, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    let slow = Slow {
        began: Arc::clone(&began),
        ended: Arc::clone(&ended),
    };
    member.subscribe_with(["t"], slow).expect("a group and a topic");
    let dropped = tokio::time::timeout(Duration::from_secs(3), member.poll(SOON)).await;
    assert!(dropped.is_err());
    assert_eq!(
        (began.load(Ordering::Relaxed), ended.load(Ordering::Relaxed)),
        (1, 0)
    );
    assert_eq!(next_values(&mut member).await, ["0", "1"]);
    assert_eq!(
        (began.load(Ordering::Relaxed), ended.load(Ordering::Relaxed)),
        (2, 1)
    );
}
