//! Polls that are dropped while members come, go and are lost. What a listener hears of that is in `docs/rebalancing.md`.

use std::time::Duration;

use kohort::TopicPartition;
use tokio::time::Instant;

use super::diary::{Commits, sharing, with_diary};
use super::{Cut, Read, Reader, Row, STRATEGIES, everywhere, filled, has};
use crate::support::SOON;

const A_MOMENT: Duration = Duration::from_millis(10);

/// Who gave a poll up does something else for so long.
const A_WHILE: Duration = Duration::from_millis(300);

/// One poll of the row.
async fn poll(row: &mut Row, member: &mut Reader, read: &mut Read) {
    match row.run(member.poll(A_MOMENT)).await {
        Some(records) => read.add(records.expect("no error")),
        None => tokio::time::sleep(A_WHILE).await,
    }
}

/// As [`poll`], raw.
async fn poll_raw(row: &mut Row, member: &mut Reader, read: &mut Read) {
    match row.run(member.poll_raw(A_MOMENT)).await {
        Some(records) => read.add_raw(&records.expect("no error")),
        None => tokio::time::sleep(A_WHILE).await,
    }
}

/// Polls two members until they have so many partitions.
async fn settle(row: &mut Row, members: [&mut Reader; 2], wanted: [usize; 2], read: &mut Read) {
    let start = Instant::now();
    let [first, second] = members;
    while !has(first, wanted[0]) || !has(second, wanted[1]) {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{:?}, {:?}",
            first.assignment(),
            second.assignment()
        );
        poll_raw(row, first, read).await;
        poll(row, second, read).await;
    }
}

/// No poll is dropped.
fn whole() -> Row {
    let cut = Cut {
        polls: u32::MAX,
        is_woken: false,
    };
    cut.of_a_row()
}

/// Reads what is left of so many records, and looks for more.
async fn read_all(members: &mut [&mut Reader], count: i32, read: &mut Read) {
    let start = Instant::now();
    while read.0.len() < count as usize {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", read.sorted());
        for member in members.iter_mut() {
            read.add(member.poll(A_MOMENT).await.expect("no error"));
        }
    }
    for member in members {
        let more = member.poll(Duration::from_secs(1)).await.expect("no error");
        assert!(more.is_empty(), "{more:?}");
    }
    assert_eq!(read.sorted(), (0..count).collect::<Vec<_>>());
}

fn numbers(partitions: &[TopicPartition]) -> Vec<i32> {
    partitions.iter().map(|it| it.partition).collect()
}

/// The partitions of four that are not these.
fn others(numbers: &[i32]) -> Vec<i32> {
    (0..4).filter(|number| !numbers.contains(number)).collect()
}

/// One member has four partitions and reads; a second one comes, and their polls are dropped.
async fn when_a_second_comes(strategy: &'static str, commits: Commits) {
    everywhere(|cut| async move {
        let broker = filled(4, 40).await;
        let (mut first, of_first) = sharing(&broker, strategy, commits);
        let mut read = Read::default();
        read.until(4, &mut first).await;
        let (mut second, of_second) = sharing(&broker, strategy, commits);
        let mut row = cut.of_a_row();
        settle(&mut row, [&mut first, &mut second], [2, 2], &mut read).await;
        read_all(&mut [&mut first, &mut second], 40, &mut read).await;
        let (stays, moves) = (numbers(&first.assignment()), numbers(&second.assignment()));
        assert_eq!(others(&stays), moves);
        let (of_first, of_second) = (of_first.lines(), of_second.lines());
        let taken = format!("assigned {moves:?}");
        match strategy {
            "cooperative-sticky" => {
                let given_up = format!("revoked {moves:?}");
                let expected = ["assigned [0, 1, 2, 3]", &given_up, "assigned []", "assigned []"];
                assert_eq!(of_first, expected, "{cut:?}");
                assert_eq!(of_second, ["assigned []", &taken], "{cut:?}");
            }
            _ => {
                let kept = format!("assigned {stays:?}");
                let expected = ["assigned [0, 1, 2, 3]", "revoked [0, 1, 2, 3]", &kept];
                assert_eq!(of_first, expected, "{cut:?}");
                assert_eq!(of_second, [taken], "{cut:?}");
            }
        }
        row.is_done()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn when_a_second_member_comes_dropped_polls_of_a_cooperative_group_lose_and_double_nothing() {
    when_a_second_comes("cooperative-sticky", Commits::InRevoked).await;
}

#[tokio::test(start_paused = true)]
async fn when_a_second_member_comes_dropped_polls_of_an_eager_group_lose_and_double_nothing() {
    when_a_second_comes("range", Commits::InRevoked).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_automatically_when_polls_of_a_cooperative_group_are_dropped_is_what_was_returned()
{
    when_a_second_comes("cooperative-sticky", Commits::Automatically).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_automatically_when_polls_of_an_eager_group_are_dropped_is_what_was_returned() {
    when_a_second_comes("range", Commits::Automatically).await;
}

#[tokio::test(start_paused = true)]
async fn questions_of_a_listener_dropped_with_the_poll_of_a_cooperative_group_are_asked_again() {
    when_a_second_comes("cooperative-sticky", Commits::AfterQuestions(10)).await;
}

#[tokio::test(start_paused = true)]
async fn questions_of_a_listener_dropped_with_the_poll_of_an_eager_group_are_asked_again() {
    when_a_second_comes("range", Commits::AfterQuestions(10)).await;
}

/// Two members share four partitions; one leaves, and the polls of the other are dropped.
async fn when_one_goes(strategy: &'static str, commits: Commits) {
    everywhere(|cut| async move {
        let broker = filled(4, 40).await;
        let (mut first, diary) = sharing(&broker, strategy, commits);
        let (mut second, _) = sharing(&broker, strategy, commits);
        let mut read = Read::default();
        settle(&mut whole(), [&mut first, &mut second], [2, 2], &mut read).await;
        let (before, stays) = (diary.lines().len(), first.assignment());
        // What is paused is not read before the end, if it stays.
        first.pause(&stays[..1]).expect("it is assigned");
        second.close(SOON).await.expect("it leaves");
        let (start, mut row) = (Instant::now(), cut.of_a_row());
        while !has(&first, 4) {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{:?}",
                first.assignment()
            );
            poll(&mut row, &mut first, &mut read).await;
        }
        let lines = diary.lines().split_off(before);
        match strategy {
            "cooperative-sticky" => {
                let added = format!("assigned {:?}", others(&numbers(&stays)));
                assert_eq!(lines, [added], "{cut:?}");
                assert_eq!(first.paused(), stays[..1], "{cut:?}");
                first.resume(&stays[..1]).expect("it is assigned");
            }
            _ => {
                let given_up = format!("revoked {:?}", numbers(&stays));
                assert_eq!(lines, [&*given_up, "assigned [0, 1, 2, 3]"], "{cut:?}");
            }
        }
        read_all(&mut [&mut first], 40, &mut read).await;
        row.is_done()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn when_a_member_goes_dropped_polls_of_a_cooperative_group_lose_and_double_nothing() {
    when_one_goes("cooperative-sticky", Commits::InRevoked).await;
    when_one_goes("cooperative-sticky", Commits::Automatically).await;
}

#[tokio::test(start_paused = true)]
async fn when_a_member_goes_dropped_polls_of_an_eager_group_lose_and_double_nothing() {
    when_one_goes("range", Commits::InRevoked).await;
    when_one_goes("range", Commits::Automatically).await;
}

/// A member is out of its group because it did not poll, and the polls that bring it back are dropped.
async fn when_what_it_had_is_lost(strategy: &'static str) {
    everywhere(|cut| async move {
        let broker = filled(2, 20).await;
        let (mut member, diary) = sharing(&broker, strategy, Commits::InRevoked);
        let mut read = Read::default();
        read.until(4, &mut member).await;
        member.commit_sync().await.expect("it is written");
        tokio::time::sleep(Duration::from_secs(70)).await;
        let (start, mut row) = (Instant::now(), cut.of_a_row());
        while diary.lines().len() < 3 || !has(&member, 2) {
            assert!(start.elapsed() < Duration::from_secs(30), "{:?}", diary.lines());
            poll(&mut row, &mut member, &mut read).await;
        }
        read_all(&mut [&mut member], 20, &mut read).await;
        assert_eq!(
            diary.lines(),
            ["assigned [0, 1]", "lost [0, 1]", "assigned [0, 1]"],
            "{cut:?}"
        );
        row.is_done()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_told_once_wherever_polls_are_dropped() {
    for strategy in STRATEGIES {
        when_what_it_had_is_lost(strategy).await;
    }
}

#[tokio::test(start_paused = true)]
async fn polls_of_a_rebalance_dropped_anywhere_lose_and_double_nothing() {
    everywhere(|cut| async move {
        let broker = filled(2, 20).await;
        let (mut first, diary) = with_diary(&broker);
        let mut read = Read::default();
        read.until(4, &mut first).await;
        let (mut second, _) = with_diary(&broker);
        // The second joins, so that the first hears of it in its next polls; each is dropped in the same place, but if it were
        // dropped at once for ever nothing would happen.
        let mut is_done = true;
        for turn in 0..200 {
            let polled = second.poll(Duration::from_millis(10)).await.expect("no error");
            read.add(polled);
            let cut = if turn < 50 {
                cut
            } else {
                Cut { polls: 1_000, ..cut }
            };
            match cut.run(first.poll(Duration::from_millis(10))).await {
                Some(records) => read.add(records.expect("no error")),
                None => {
                    is_done = false;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        assert_eq!(read.sorted(), (0..20).collect::<Vec<_>>(), "{cut:?}");
        assert_eq!((first.assignment().len(), second.assignment().len()), (1, 1));
        let lines = diary.lines();
        assert_eq!(
            (lines[0].as_str(), lines[1].as_str(), lines.len()),
            ("assigned [0, 1]", "revoked [0, 1]", 3),
            "{cut:?}: {lines:?}"
        );
        is_done
    })
    .await;
}
