//! What a consumer remembers of its rebalances.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use super::*;

/// A directory of a test's own, which goes with it.
pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kohort-journal-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join("journal.jsonl")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What is left is the system's to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The wall time at the start; not in whole milliseconds, as it is not anywhere.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(1_000_000_250)
}

pub(super) fn rebalance(number: u64) -> Rebalance {
    let second = Duration::from_secs(1);
    Rebalance::new(
        member::Rebalance {
            number,
            cause: Cause::FirstJoin,
            retries: Vec::new(),
            began: Instant::ZERO + second,
            prepared: Some(Instant::ZERO + second),
            joined: Some(Instant::ZERO + 3 * second),
            synced: Some(Instant::ZERO + 4 * second),
            ended: Some(Instant::ZERO + 6 * second),
            generation: Some(7),
            member_id: Some("m".into()),
            leader: Some("m".into()),
            assignor: Some("range".into()),
            gave_up: vec![TopicPartition::new("t", 0)],
            lost: Vec::new(),
            stopped: vec![(TopicPartition::new("t", 0), Duration::ZERO)],
            got: vec![TopicPartition::new("t", 0), TopicPartition::new("t", 1)],
            kept: 3,
            pauses: vec![(TopicPartition::new("t", 0), 5 * second)],
            outcome: Outcome::Assigned,
        },
        start(),
    )
}

#[test]
fn a_line_says_whether_who_ended_is_a_member_still() {
    let mut ended = rebalance(2);
    let text = |ended: &Rebalance| ended.to_string().split(" (").next().map(str::to_owned);
    ended.outcome = Outcome::Left;
    assert_eq!(text(&ended).as_deref(), Some("left the group after 5s"));
    ended.outcome = Outcome::Stayed;
    assert_eq!(
        text(&ended).as_deref(),
        Some("ended after 5s and stays a member until its session ends")
    );
}

#[test]
fn times_are_wall_time_and_phases_follow_each_other() {
    let rebalance = rebalance(1);
    assert_eq!(rebalance.began, start() + Duration::from_secs(1));
    assert_eq!(rebalance.duration, Duration::from_secs(5));
    let seconds = |phase: Option<Duration>| phase.map(|phase| phase.as_secs());
    let phases = rebalance.phases;
    assert_eq!(
        [
            seconds(phases.giving_up),
            seconds(phases.joining),
            seconds(phases.syncing),
            seconds(phases.taking)
        ],
        [Some(0), Some(2), Some(1), Some(2)]
    );
}

#[test]
fn a_line_says_why_how_long_and_what_moved() {
    assert_eq!(
        rebalance(2).to_string(),
        "rebalance 2 took 5s (subscribed): generation 7, led it, gave up 1, kept 3, got 2, longest pause 5s"
    );
}

#[test]
fn the_last_hundred_are_kept_and_a_reader_gets_what_is_new() {
    let (writer, journal) = journal(None);
    for number in 1..=120 {
        writer.ended(rebalance(number));
    }
    let ended = journal.ended();
    assert_eq!((ended.len(), ended[0].number), (100, 21));
    let new: Vec<u64> = journal.after(118).iter().map(|each| each.number).collect();
    assert_eq!(new, [119, 120]);
}

#[tokio::test]
async fn who_waits_for_news_gets_them_as_they_come_and_hears_of_the_end() {
    let (writer, journal) = journal(None);
    writer.ended(rebalance(1));
    assert_eq!(journal.next(0).await, Some(vec![rebalance(1)]));
    let waiting = tokio::spawn(async move { (journal.next(1).await, journal.next(2).await) });
    tokio::task::yield_now().await;
    writer.ended(rebalance(2));
    drop(writer);
    let heard = waiting.await.expect("no panic");
    assert_eq!(heard, (Some(vec![rebalance(2)]), None));
}

#[test]
fn one_that_is_under_way_is_there_until_it_ends() {
    let (writer, journal) = journal(None);
    assert_eq!(journal.under_way(), None);
    let began = RebalanceBegan {
        number: 1,
        cause: Cause::FirstJoin,
        at: Instant::ZERO + Duration::from_secs(1),
    };
    writer.began(began, start());
    let under_way = journal.under_way().expect("it began");
    assert_eq!(
        (under_way.number, under_way.began),
        (1, start() + Duration::from_secs(1))
    );
    writer.ended(rebalance(1));
    assert_eq!(journal.under_way(), None);
}
