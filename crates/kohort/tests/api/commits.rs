//! Committing: by hand, in the background, automatically; what a following member goes on with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kohort::consumer::{CloseError, CommitError};
use kohort::{Consumer, ErrorCode, OffsetAndMetadata};
use kohort_broker::{ApiKey, Broker, Fault, FaultRule};

use crate::support::{Cable, SOON, broker, consumer, fill, next_values, partition, reader};

type Reader = Consumer<Option<String>, String>;

fn member(broker: &Broker, auto_commit: bool) -> Reader {
    let builder = consumer(broker)
        .group_id("g")
        .enable_auto_commit(auto_commit)
        .max_poll_records(2);
    let mut member = builder.build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    member
}

async fn committed(member: &mut Reader) -> Option<i64> {
    let committed = member.committed([partition(0)]).await.expect("an answer");
    committed
        .get(&partition(0))
        .cloned()
        .flatten()
        .map(|committed| committed.offset)
}

#[tokio::test(start_paused = true)]
async fn the_next_member_goes_on_after_what_was_committed() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 6).await;
    let mut first = member(&broker, false);
    assert_eq!(next_values(&mut first).await, ["0", "1"]);
    first.commit_sync().await.expect("it is written");
    assert_eq!(next_values(&mut first).await, ["2", "3"]);
    first.close(SOON).await.expect("it closes");
    let mut second = member(&broker, false);
    assert_eq!(next_values(&mut second).await, ["2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_single_record_is_committed_by_its_next_offset() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let mut member = member(&broker, false);
    let records = loop {
        let records = member.poll(SOON).await.expect("no error");
        if !records.is_empty() {
            break records;
        }
    };
    let first = records.iter().next().expect("a record");
    member
        .commit_sync_offsets([first.next_offset()])
        .await
        .expect("it is written");
    assert_eq!(committed(&mut member).await, Some(1));
    assert_eq!(
        records.next_offsets().first().map(|(_, next)| next.offset),
        Some(2)
    );
}

#[tokio::test(start_paused = true)]
async fn closing_commits_what_was_returned_when_that_is_automatic() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let mut first = member(&broker, true);
    assert_eq!(next_values(&mut first).await, ["0", "1"]);
    first.close(SOON).await.expect("it closes");
    let mut second = member(&broker, true);
    assert_eq!(next_values(&mut second).await, ["2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn dropping_commits_nothing() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let mut first = member(&broker, true);
    assert_eq!(next_values(&mut first).await, ["0", "1"]);
    drop(first);
    let mut second = member(&broker, true);
    assert_eq!(next_values(&mut second).await, ["0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn polling_commits_at_intervals_when_that_is_automatic() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 2).await;
    let mut member = member(&broker, true);
    assert_eq!(next_values(&mut member).await, ["0", "1"]);
    for _ in 0..20 {
        member.poll(Duration::from_millis(500)).await.expect("no error");
    }
    assert_eq!(committed(&mut member).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn callbacks_of_asynchronous_commits_run_in_order_inside_of_poll() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let mut member = member(&broker, false);
    assert_eq!(next_values(&mut member).await.len(), 2);
    let told = Arc::new(Mutex::new(Vec::new()));
    for offset in [1, 2] {
        let told = Arc::clone(&told);
        let offsets = [(partition(0), OffsetAndMetadata::new(offset))];
        member.commit_async_offsets(offsets, move |offsets, result| {
            let offset = offsets.first().map(|(_, committed)| committed.offset);
            told.lock().expect("no panic").push((offset, result));
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        told.lock().expect("no panic").is_empty(),
        "callbacks run inside of poll only"
    );
    while told.lock().expect("no panic").len() < 2 {
        member.poll(Duration::from_millis(10)).await.expect("no error");
    }
    assert_eq!(
        *told.lock().expect("no panic"),
        [(Some(1), Ok(())), (Some(2), Ok(()))]
    );
    assert_eq!(committed(&mut member).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn committing_without_a_group_is_a_typed_error() {
    let broker = broker("t", 1).await;
    let mut reader = reader(&broker);
    let offsets = [(partition(0), OffsetAndMetadata::new(1))];
    assert_eq!(
        reader.commit_sync_offsets(offsets).await,
        Err(CommitError::NoGroup)
    );
}

#[tokio::test(start_paused = true)]
async fn a_standalone_consumer_commits_under_its_group_id() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 2).await;
    let mut alone = consumer(&broker)
        .group_id("alone")
        .build()
        .expect("valid settings");
    alone.assign([partition(0)]).expect("a partition");
    assert_eq!(next_values(&mut alone).await, ["0", "1"]);
    alone.commit_sync().await.expect("it is written");
    assert_eq!(committed(&mut alone).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_close_without_a_broker_says_what_is_not_committed_and_that_the_group_does_not_know() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let cable = Cable::new(&broker);
    let builder = consumer(&broker)
        .group_id("g")
        .enable_auto_commit(true)
        .transport(cable.transport());
    let mut member = builder.build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    assert_eq!(next_values(&mut member).await.len(), 4);
    cable.cut();
    let start = tokio::time::Instant::now();
    let error = member.close(Duration::from_secs(7)).await.expect_err("no broker");
    assert_eq!(start.elapsed().as_secs(), 7);
    let CloseError::Unfinished(unfinished) = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(unfinished.commit, Some(CommitError::TimedOut { .. })),
        "{unfinished:?}"
    );
    assert!(unfinished.is_in_group);
    assert!(
        error
            .to_string()
            .starts_with("closed without committing what was consumed"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_close_with_nothing_to_commit_and_no_group_to_leave_needs_no_broker() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let cable = Cable::new(&broker);
    let mut reader = consumer(&broker)
        .transport(cable.transport())
        .build()
        .expect("valid settings");
    reader.assign([partition(0)]).expect("a partition");
    assert_eq!(next_values(&mut reader).await.len(), 4);
    cable.cut();
    reader
        .close(Duration::from_secs(7))
        .await
        .expect("there is nothing to do");
}

/// Commits without waiting; what fails is tried again only while nothing newer was committed: the number of a commit decides.
struct InOrder {
    newest: Arc<AtomicU64>,
    again: Arc<Mutex<Vec<i64>>>,
}

impl InOrder {
    fn new() -> Self {
        Self {
            newest: Arc::new(AtomicU64::new(0)),
            again: Arc::new(Mutex::new(Vec::new())),
        }
    }

    fn commit(&self, member: &mut Reader, offset: i64) {
        let number = self.newest.fetch_add(1, Ordering::Relaxed) + 1;
        let (newest, again) = (Arc::clone(&self.newest), Arc::clone(&self.again));
        let offsets = [(partition(0), OffsetAndMetadata::new(offset))];
        member.commit_async_offsets(offsets, move |_, result| {
            let is_newest = newest.load(Ordering::Relaxed) == number;
            if result.is_err_and(|error| error.is_retriable()) && is_newest {
                again.lock().expect("no panic").push(offset);
            }
        });
    }

    /// Gives again what its callback asked for.
    fn commit_again(&self, member: &mut Reader) -> usize {
        let again = std::mem::take(&mut *self.again.lock().expect("no panic"));
        for offset in &again {
            self.commit(member, *offset);
        }
        again.len()
    }
}

/// The next commit fails in a way that is worth another try.
async fn fail_one_commit(broker: &Broker) {
    let rule = FaultRule {
        api: Some(ApiKey::OffsetCommit),
        skip: 0,
        times: 1,
        fault: Fault::Fail(ErrorCode::CoordinatorLoadInProgress),
    };
    broker.inject(rule).await.expect("it runs");
}

// The book's case (M40): 2000 fails, 3000 succeeds, and a retry of 2000 must not win.
#[tokio::test(start_paused = true)]
async fn a_commit_that_failed_is_not_tried_again_once_a_newer_one_was_given() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker, false);
    while member.assignment().is_empty() {
        member.poll(Duration::from_millis(10)).await.expect("no error");
    }
    fail_one_commit(&broker).await;
    let commits = InOrder::new();
    commits.commit(&mut member, 2000);
    commits.commit(&mut member, 3000);
    for _ in 0..10 {
        member.poll(Duration::from_millis(100)).await.expect("no error");
        assert_eq!(commits.commit_again(&mut member), 0, "3000 is newer");
    }
    assert_eq!(committed(&mut member).await, Some(3000));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_failed_is_tried_again_while_it_is_the_newest() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker, false);
    while member.assignment().is_empty() {
        member.poll(Duration::from_millis(10)).await.expect("no error");
    }
    fail_one_commit(&broker).await;
    let commits = InOrder::new();
    commits.commit(&mut member, 2000);
    let mut tried_again = 0;
    for _ in 0..10 {
        member.poll(Duration::from_millis(100)).await.expect("no error");
        tried_again += commits.commit_again(&mut member);
    }
    assert_eq!(tried_again, 1);
    assert_eq!(committed(&mut member).await, Some(2000));
}

// The other way to lose it: the client itself tries again. It never does for asynchronous commits.
#[tokio::test(start_paused = true)]
async fn an_asynchronous_commit_that_failed_stays_failed_and_the_newer_one_stays() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker, false);
    while member.assignment().is_empty() {
        member.poll(Duration::from_millis(10)).await.expect("no error");
    }
    fail_one_commit(&broker).await;
    let results = Arc::new(Mutex::new(Vec::new()));
    for offset in [2000, 3000] {
        let results = Arc::clone(&results);
        let offsets = [(partition(0), OffsetAndMetadata::new(offset))];
        member.commit_async_offsets(offsets, move |_, result| {
            results.lock().expect("no panic").push((offset, result.is_ok()));
        });
    }
    for _ in 0..100 {
        member.poll(Duration::from_millis(100)).await.expect("no error");
    }
    assert_eq!(*results.lock().expect("no panic"), [(2000, false), (3000, true)]);
    assert_eq!(committed(&mut member).await, Some(3000));
}

// M41: without waiting in the loop, with waiting at the end.
#[tokio::test(start_paused = true)]
async fn a_synchronous_commit_at_the_end_makes_good_what_an_asynchronous_one_failed_to_do() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 4).await;
    let mut first = member(&broker, false);
    assert_eq!(next_values(&mut first).await, ["0", "1"]);
    first.commit_async();
    assert_eq!(next_values(&mut first).await, ["2", "3"]);
    fail_one_commit(&broker).await;
    first.commit_async();
    first.commit_sync().await.expect("it is written");
    first.close(SOON).await.expect("it closes");
    let mut second = member(&broker, false);
    assert_eq!(committed(&mut second).await, Some(4));
}

// Kafka: PlaintextConsumerCommitTest.testCommitAsyncFailsWhenCoordinatorUnavailableDuringClose
#[tokio::test(start_paused = true)]
async fn a_close_without_a_broker_calls_the_callbacks_of_pending_commits_once_and_in_order() {
    let broker = broker("t", 1).await;
    let cable = Cable::new(&broker);
    let builder = consumer(&broker).group_id("g").enable_auto_commit(false);
    let mut member = builder
        .transport(cable.transport())
        .build()
        .expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    while member.assignment().is_empty() {
        member.poll(Duration::from_millis(10)).await.expect("no error");
    }
    cable.cut();
    let told = Arc::new(Mutex::new(Vec::new()));
    for offset in [1, 2] {
        let told = Arc::clone(&told);
        let offsets = [(partition(0), OffsetAndMetadata::new(offset))];
        member.commit_async_offsets(offsets, move |_, result| {
            told.lock().expect("no panic").push((offset, result.is_ok()));
        });
    }
    let start = tokio::time::Instant::now();
    let closed = member.close(Duration::from_millis(500)).await;
    assert!(matches!(closed, Err(CloseError::Unfinished(_))), "{closed:?}");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(*told.lock().expect("no panic"), [(1, false), (2, false)]);
}
