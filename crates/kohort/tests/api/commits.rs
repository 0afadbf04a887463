//! Committing: by hand, in the background, automatically; what a following member goes on with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kohort::consumer::{CloseError, CommitError};
use kohort::{Consumer, OffsetAndMetadata};
use kohort_broker::Broker;

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
