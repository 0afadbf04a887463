//! Wakeups of calls other than `poll`.

use std::time::Duration;

use kohort::Consumer;
use kohort::consumer::{CommitError, OffsetError};
use kohort_broker::{ApiKey, Broker, Fault, FaultRule};
use tokio::time::Instant;

use crate::support::{SOON, broker, consumer, fill, next_values, partition};

type Reader = Consumer<Option<String>, String>;

/// A member that has read something.
async fn member(broker: &Broker) -> Reader {
    fill(broker, "t", 1, 0, 1).await;
    let settings = consumer(broker).group_id("g").enable_auto_commit(false);
    let mut member = settings.build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    assert_eq!(next_values(&mut member).await, ["0"]);
    member
}

/// The broker never answers requests of this API.
async fn silence(broker: &Broker, api: ApiKey) {
    let never = FaultRule {
        times: 1_000,
        ..FaultRule::next(api, Fault::Drop)
    };
    broker.inject(never).await.expect("it runs");
}

/// Wakes the reader up in three seconds.
fn wake(reader: &Reader) -> Instant {
    let wakeup = reader.wakeup_handle();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        wakeup.wakeup();
    });
    Instant::now()
}

// Kafka: ConsumerCoordinator.commitOffsetsSync polls with wakeups on
#[tokio::test(start_paused = true)]
async fn a_wakeup_ends_a_synchronous_commit() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker).await;
    silence(&broker, ApiKey::OffsetCommit).await;
    let start = wake(&member);
    assert_eq!(member.commit_sync().await, Err(CommitError::Wakeup));
    assert_eq!(start.elapsed().as_secs(), 3);
    broker.clear_faults().await.expect("it runs");
    member.commit_sync().await.expect("it was woken once");
    member.close(SOON).await.expect("it closes");
}

#[tokio::test(start_paused = true)]
async fn a_wakeup_ends_a_question_for_committed_offsets() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker).await;
    silence(&broker, ApiKey::OffsetFetch).await;
    let start = wake(&member);
    let answer = member.committed([partition(0)]).await;
    assert_eq!(answer, Err(OffsetError::Wakeup));
    assert_eq!(start.elapsed().as_secs(), 3);
    broker.clear_faults().await.expect("it runs");
    // The connection to the coordinator stays silent, so that the group is not told.
    let closed = member.close(SOON).await;
    assert!(
        matches!(closed, Err(kohort::consumer::CloseError::Unfinished(_))),
        "{closed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wakeup_ends_a_question_for_a_position() {
    let broker = broker("t", 1).await;
    silence(&broker, ApiKey::ListOffsets).await;
    let mut reader = consumer(&broker).build().expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    let start = wake(&reader);
    assert_eq!(reader.position(&partition(0)).await, Err(OffsetError::Wakeup));
    assert_eq!(start.elapsed().as_secs(), 3);
}

// Kafka: ConsumerNetworkClient.maybeTriggerWakeup
#[tokio::test(start_paused = true)]
async fn a_wakeup_from_before_ends_the_next_call_and_not_a_close() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker).await;
    member.wakeup_handle().wakeup();
    assert_eq!(member.commit_sync().await, Err(CommitError::Wakeup));
    member.wakeup_handle().wakeup();
    member.close(SOON).await.expect("it closes");
}

// Kafka: PlaintextConsumerTest.testClassicConsumerPositionWithErrorConnectionRespectsWakeup
#[tokio::test(start_paused = true)]
async fn a_wakeup_ends_a_question_for_a_position_without_a_broker() {
    let broker = broker("t", 1).await;
    let mut reader = consumer(&broker).build().expect("valid settings");
    broker.shutdown().await;
    reader.assign([partition(0)]).expect("a partition");
    let start = wake(&reader);
    assert_eq!(reader.position(&partition(0)).await, Err(OffsetError::Wakeup));
    assert_eq!(start.elapsed().as_secs(), 3);
}
