//! Wakeups of calls other than `poll`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kohort::Consumer;
use kohort::consumer::{Callbacks, CommitError, OffsetError, PollError};
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

/// A member that has read one record, whose listener commits what is revoked; and how often it was called for that.
async fn committing_member(broker: &Broker) -> (Reader, Arc<AtomicUsize>) {
    fill(broker, "t", 1, 0, 1).await;
    let settings = consumer(broker).group_id("g").enable_auto_commit(false);
    let mut member: Reader = settings.build().expect("valid settings");
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&calls);
    let listener = Callbacks::new().on_revoked(move |context, _| {
        counting.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(context.commit_sync().await?) })
    });
    member.subscribe_with(["t"], listener).expect("a topic");
    assert_eq!(next_values(&mut member).await, ["0"]);
    (member, calls)
}

async fn committed(broker: &Broker) -> Option<i64> {
    let mut reader: Reader = consumer(broker).group_id("g").build().expect("valid settings");
    let answer = reader.committed([partition(0)]).await.expect("an answer");
    answer[&partition(0)].as_ref().map(|it| it.offset)
}

/// Polls until the listener's commit was ended by a wakeup.
async fn wake_its_commit(broker: &Broker, member: &mut Reader, calls: &AtomicUsize) {
    silence(broker, ApiKey::OffsetCommit).await;
    let other = consumer(broker).group_id("g").build();
    let mut other: Reader = other.expect("valid settings");
    other.subscribe(["t"]).expect("a topic");
    let joining = tokio::spawn(async move {
        // It never gets anything: the first member does not give up its partition in time.
        let _ = other.poll(SOON).await;
    });
    while calls.load(Ordering::Relaxed) == 0 {
        tokio::select! {
            polled = member.poll(Duration::from_millis(100)) => drop(polled.expect("it reads")),
            () = wait_for_call(calls) => {}
        }
    }
    wake(member);
    let polled = member.poll(SOON).await;
    assert!(matches!(polled, Err(PollError::Wakeup)), "{polled:?}");
    broker.clear_faults().await.expect("it runs");
    joining.abort();
}

async fn wait_for_call(calls: &AtomicUsize) {
    while calls.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

// Kafka: ConsumerRebalanceListenerInvoker rethrows a WakeupException
#[tokio::test(start_paused = true)]
async fn a_wakeup_while_the_listener_commits_ends_the_poll_and_the_listener_is_called_again() {
    let broker = broker("t", 1).await;
    let (mut member, calls) = committing_member(&broker).await;
    wake_its_commit(&broker, &mut member, &calls).await;
    assert_eq!(committed(&broker).await, None);
    let before = calls.load(Ordering::Relaxed);
    while calls.load(Ordering::Relaxed) == before {
        member
            .poll(Duration::from_millis(100))
            .await
            .expect("it was woken once");
    }
    assert_eq!(committed(&broker).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_close_after_a_wakeup_in_the_listener_calls_it_again_and_commits() {
    let broker = broker("t", 1).await;
    let (mut member, calls) = committing_member(&broker).await;
    wake_its_commit(&broker, &mut member, &calls).await;
    let before = calls.load(Ordering::Relaxed);
    // The connection to the coordinator may have to be made anew.
    member.close(6 * SOON).await.expect("it closes");
    assert_eq!(calls.load(Ordering::Relaxed), before + 1);
    assert_eq!(committed(&broker).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_wakeup_while_unsubscribing_is_for_the_next_call() {
    let broker = broker("t", 1).await;
    let (mut member, calls) = committing_member(&broker).await;
    member.wakeup_handle().wakeup();
    member.unsubscribe().await.expect("it leaves");
    assert_eq!(calls.load(Ordering::Relaxed), 2, "the first commit was woken");
    assert_eq!(committed(&broker).await, Some(1));
    assert_eq!(
        member.committed([partition(0)]).await,
        Err(OffsetError::Wakeup),
        "the wakeup is not lost"
    );
}

/// A consumer whose listener, when something is assigned, wakes its own poll up, has a commit ended by that, and
/// then hangs, or commits.
fn waking_itself(broker: &Broker, hangs: bool) -> Reader {
    let settings = consumer(broker).group_id("g").enable_auto_commit(false);
    let mut member: Reader = settings.build().expect("valid settings");
    let wakeup = member.wakeup_handle();
    let listener = Callbacks::new().on_assigned(move |context, _| {
        let wakeup = wakeup.clone();
        Box::pin(async move {
            wakeup.wakeup();
            assert_eq!(context.commit_sync().await, Err(CommitError::Wakeup));
            if hangs {
                std::future::pending::<()>().await;
            }
            context.commit_sync().await.expect("one call is enough");
            Ok(())
        })
    });
    member.subscribe_with(["t"], listener).expect("a topic");
    member
}

/// What the polls of ten seconds come to, up to the first error.
async fn until_an_error(member: &mut Reader) -> Option<PollError> {
    for _ in 0..10 {
        if let Err(error) = member.poll(Duration::from_secs(1)).await {
            return Some(error);
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_wakeup_that_a_listener_makes_nothing_of_is_for_the_poll() {
    let broker = broker("t", 1).await;
    let mut member = waking_itself(&broker, false);
    let error = until_an_error(&mut member).await;
    assert!(matches!(error, Some(PollError::Wakeup)), "{error:?}");
    assert!(until_an_error(&mut member).await.is_none(), "once");
}

#[tokio::test(start_paused = true)]
async fn a_wakeup_in_the_listener_of_a_poll_that_is_dropped_is_for_the_next_call() {
    let broker = broker("t", 1).await;
    let mut member = waking_itself(&broker, true);
    let dropped = tokio::time::timeout(SOON, member.poll(2 * SOON)).await;
    assert!(dropped.is_err(), "the listener hangs");
    assert_eq!(member.commit_sync().await, Err(CommitError::Wakeup));
    member.commit_sync().await.expect("once");
}
