//! Questions that are dropped anywhere.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use kohort::consumer::{CommitError, OffsetError};
use tokio::time::Instant;

use super::diary::{Commits, sharing};
use super::{Read, Reader, Row, STRATEGIES, everywhere, filled, has, member};
use crate::support::{SOON, broker, consumer, partition};

#[tokio::test(start_paused = true)]
async fn the_group_metadata_name_the_member_once_it_has_joined() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker);
    assert_eq!(member.group_metadata().await.expect("an answer"), None);
    while member.assignment().is_empty() {
        member.poll(Duration::from_millis(20)).await.expect("no error");
    }
    let identity = member
        .group_metadata()
        .await
        .expect("an answer")
        .expect("it has joined");
    assert!(
        identity.generation > 0 && identity.member_id.starts_with("consumer-g-"),
        "{identity:?}"
    );
}

/// A question dropped anywhere is answered when it is asked again, and reading goes on.
macro_rules! question {
    ($name:ident, |$member:ident| $ask:expr, $expected:expr) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            everywhere(|cut| async move {
                let broker = filled(1, 4).await;
                let mut $member = consumer(&broker)
                    .group_id("g")
                    .max_poll_records(2)
                    .build()
                    .expect("valid settings");
                $member.assign([partition(0)]).expect("a partition");
                let is_done = cut.run($ask).await.is_some();
                assert_eq!($ask.await.expect("an answer"), $expected, "{cut:?}");
                let mut read = Read::default();
                read.until(4, &mut $member).await;
                assert_eq!(read.0, [0, 1, 2, 3], "{cut:?}");
                is_done
            })
            .await;
        }
    };
}

question!(
    a_question_for_a_position_can_be_dropped_anywhere,
    |member| member.position(&partition(0)),
    0
);
question!(
    a_question_for_a_position_within_a_time_can_be_dropped_anywhere,
    |member| member.position_timeout(&partition(0), SOON),
    0
);
question!(
    a_question_for_committed_offsets_can_be_dropped_anywhere,
    |member| member.committed([partition(0)]),
    BTreeMap::from([(partition(0), None)])
);
question!(
    a_question_for_the_ends_can_be_dropped_anywhere,
    |member| member.end_offsets([partition(0)]),
    BTreeMap::from([(partition(0), 4)])
);
question!(
    a_question_for_the_beginnings_can_be_dropped_anywhere,
    |member| member.beginning_offsets([partition(0)]),
    BTreeMap::from([(partition(0), 0)])
);
question!(
    a_question_for_offsets_by_time_can_be_dropped_anywhere,
    |member| async {
        let found = member.offsets_for_times([(partition(0), 0)]).await;
        found.map(|found| found[&partition(0)].map(|found| found.offset))
    },
    Some(0)
);
question!(
    a_question_for_partitions_can_be_dropped_anywhere,
    |member| async {
        let found = member.partitions_for("t").await;
        found.map(|found| found.len())
    },
    1
);
question!(
    a_question_for_all_topics_can_be_dropped_anywhere,
    |member| async {
        let found = member.list_topics().await;
        found.map(|found| found.keys().filter(|topic| &***topic == "t").count())
    },
    1
);
question!(
    a_question_for_committed_offsets_within_a_time_can_be_dropped_anywhere,
    |member| member.committed_timeout([partition(0)], SOON),
    BTreeMap::from([(partition(0), None)])
);
question!(
    a_question_for_the_ends_within_a_time_can_be_dropped_anywhere,
    |member| member.end_offsets_timeout([partition(0)], SOON),
    BTreeMap::from([(partition(0), 4)])
);
question!(
    a_question_for_the_beginnings_within_a_time_can_be_dropped_anywhere,
    |member| member.beginning_offsets_timeout([partition(0)], SOON),
    BTreeMap::from([(partition(0), 0)])
);
question!(
    a_question_for_offsets_by_time_within_a_time_can_be_dropped_anywhere,
    |member| async {
        let found = member.offsets_for_times_timeout([(partition(0), 0)], SOON).await;
        found.map(|found| found[&partition(0)].map(|found| found.offset))
    },
    Some(0)
);
question!(
    a_question_for_partitions_within_a_time_can_be_dropped_anywhere,
    |member| async {
        let found = member.partitions_for_timeout("t", SOON).await;
        found.map(|found| found.len())
    },
    1
);
question!(
    a_question_for_all_topics_within_a_time_can_be_dropped_anywhere,
    |member| async {
        let found = member.list_topics_timeout(SOON).await;
        found.map(|found| found.keys().filter(|topic| &***topic == "t").count())
    },
    1
);
question!(
    a_question_for_the_group_metadata_can_be_dropped_anywhere,
    |member| member.group_metadata(),
    None
);

/// What a member may ask at any time, and a commit, which a rebalance may refuse.
async fn ask(row: &mut Row, member: &mut Reader) {
    for of in member.assignment() {
        match row.run(member.position(&of)).await {
            None | Some(Ok(_) | Err(OffsetError::NotAssigned(_))) => {}
            Some(Err(error)) => panic!("{error}"),
        }
    }
    match row.run(member.commit_sync()).await {
        None | Some(Ok(()) | Err(CommitError::RebalanceInProgress)) => {}
        Some(Err(error)) => panic!("{error}"),
    }
    if let Some(committed) = row.run(member.committed([partition(0), partition(1)])).await {
        assert_eq!(committed.expect("an answer").len(), 2);
    }
}

async fn poll(member: &mut Reader, read: &mut Read) {
    read.add(member.poll(Duration::from_millis(50)).await.expect("no error"));
}

/// Polls the other member while something is asked. The coordinator answers one request of a connection after the other, so that
/// a question may wait until all have joined.
async fn beside(asking: impl Future<Output = ()>, other: &mut Reader, read: &mut Read) {
    let mut asking = pin!(asking);
    loop {
        tokio::select! {
            biased;
            () = &mut asking => return,
            () = poll(other, read) => {}
        }
    }
}

/// A second member comes, and one of the two asks and commits between its polls.
async fn questions_in_a_rebalance(strategy: &'static str, is_newcomer: bool) {
    everywhere(|cut| async move {
        let broker = filled(2, 12).await;
        let (mut first, of_first) = sharing(&broker, strategy, Commits::InRevoked);
        let mut read = Read::default();
        read.until(2, &mut first).await;
        let (mut second, of_second) = sharing(&broker, strategy, Commits::InRevoked);
        let (start, mut row) = (Instant::now(), cut.of_a_row());
        while !has(&first, 1) || !has(&second, 1) || read.0.len() < 12 {
            assert!(start.elapsed() < Duration::from_secs(30), "{cut:?}: {:?}", read.0);
            let (asks, other) = match is_newcomer {
                true => (&mut second, &mut first),
                false => (&mut first, &mut second),
            };
            poll(asks, &mut read).await;
            beside(ask(&mut row, asks), other, &mut read).await;
            poll(other, &mut read).await;
        }
        assert_eq!(read.sorted(), (0..12).collect::<Vec<_>>(), "{cut:?}");
        let (of_first, of_second) = (of_first.lines(), of_second.lines());
        let expected = match strategy {
            // Assigned both, revoked one, and assigned nothing in each round; nothing, then one.
            "cooperative-sticky" => [4, 2],
            // Assigned both, revoked both, assigned one; one.
            _ => [3, 1],
        };
        assert_eq!(
            [of_first.len(), of_second.len()],
            expected,
            "{cut:?}: {of_first:?}, {of_second:?}"
        );
        row.is_done()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn questions_and_commits_dropped_anywhere_in_a_rebalance_lose_no_record_and_no_callback() {
    for strategy in STRATEGIES {
        questions_in_a_rebalance(strategy, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn questions_and_commits_of_a_newcomer_dropped_anywhere_lose_no_record_and_no_callback() {
    for strategy in STRATEGIES {
        questions_in_a_rebalance(strategy, true).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_journal_dropped_anywhere_misses_no_rebalance() {
    everywhere(|cut| async move {
        let broker = broker("t", 1).await;
        let mut member = member(&broker);
        let journal = member.rebalance_journal();
        let polling = tokio::spawn(async move {
            loop {
                member.poll(Duration::from_millis(10)).await.expect("no error");
            }
        });
        let is_done = cut.run(journal.next(0)).await.is_some();
        let ended = journal.next(0).await.expect("the consumer is there");
        let numbers: Vec<_> = ended.iter().map(|each| each.number).collect();
        assert_eq!(numbers, [1], "{cut:?}");
        polling.abort();
        // The consumer is dropped and leaves; then nothing more will come.
        let left = journal.next(1).await.expect("it leaves");
        assert_eq!(left.iter().map(|each| each.number).collect::<Vec<_>>(), [2]);
        assert_eq!(journal.next(2).await, None);
        is_done
    })
    .await;
}
