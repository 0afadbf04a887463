//! Ends of a membership that are dropped anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kohort::TopicPartition;
use kohort::consumer::{CallbackResult, LeaveGroup, PollError, RebalanceContext, RebalanceListener};
use kohort_broker::Broker;
use tokio::time::Instant;

use super::diary::{Commits, Diary, sharing};
use super::{Read, Reader, STRATEGIES, everywhere, filled, has};
use crate::support::SOON;

const SECOND: Duration = Duration::from_secs(1);

fn revocations(diary: &Diary) -> usize {
    let lines = diary.lines();
    lines.iter().filter(|line| line.starts_with("revoked")).count()
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_dropped_anywhere_can_be_done_again_and_the_next_subscription_reads_everything() {
    for strategy in STRATEGIES {
        everywhere(|cut| async move {
            let broker = filled(1, 4).await;
            let (mut member, diary) = sharing(&broker, strategy, Commits::InRevoked);
            let mut read = Read::default();
            read.until(2, &mut member).await;
            let is_done = cut.run(member.unsubscribe()).await.is_some();
            member.unsubscribe().await.expect("it leaves");
            assert!(member.assignment().is_empty() && member.subscription().is_empty());
            assert_eq!(revocations(&diary), 1, "{cut:?}");
            member.subscribe(["t"]).expect("a group and a topic");
            // The listener committed the first two.
            read.until(4, &mut member).await;
            assert_eq!(read.0, [0, 1, 2, 3], "{cut:?}");
            is_done
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_after_an_unsubscribe_dropped_anywhere_says_that_nothing_is_subscribed_to() {
    for strategy in STRATEGIES {
        everywhere(|cut| async move {
            let broker = filled(1, 4).await;
            let (mut member, _) = sharing(&broker, strategy, Commits::InRevoked);
            let mut read = Read::default();
            read.until(2, &mut member).await;
            let is_done = cut.run(member.unsubscribe()).await.is_some();
            let polled = member.poll(SOON).await;
            match cut.polls {
                0 => assert_eq!(polled.expect("it did not begin").count(), 2),
                _ => assert!(
                    matches!(polled, Err(PollError::NotSubscribed)),
                    "{cut:?}: {polled:?}"
                ),
            }
            is_done
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_only_polls_after_an_unsubscribe_dropped_anywhere_gives_up_what_it_had() {
    for strategy in STRATEGIES {
        everywhere(|cut| async move {
            let broker = filled(4, 40).await;
            let (mut first, diary) = sharing(&broker, strategy, Commits::InRevoked);
            let (mut second, _) = sharing(&broker, strategy, Commits::InRevoked);
            while !has(&first, 2) || !has(&second, 2) {
                for member in [&mut first, &mut second] {
                    member.poll(Duration::from_millis(10)).await.expect("no error");
                }
            }
            let before = revocations(&diary);
            let is_done = cut.run(first.unsubscribe()).await.is_some();
            let start = Instant::now();
            while cut.polls > 0 && !has(&second, 4) {
                assert!(start.elapsed() < Duration::from_secs(10), "{cut:?}");
                let polled = first.poll(Duration::from_millis(10)).await;
                assert!(
                    matches!(polled, Err(PollError::NotSubscribed)),
                    "{cut:?}: {polled:?}"
                );
                second.poll(Duration::from_millis(10)).await.expect("no error");
            }
            assert!(revocations(&diary) - before <= 1, "{cut:?}");
            is_done
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_anew_after_an_unsubscribe_dropped_anywhere_reads_everything() {
    for strategy in STRATEGIES {
        everywhere(|cut| async move {
            let broker = filled(1, 4).await;
            let (mut member, diary) = sharing(&broker, strategy, Commits::InRevoked);
            let mut read = Read::default();
            read.until(2, &mut member).await;
            let is_done = cut.run(member.unsubscribe()).await.is_some();
            member
                .subscribe_with(["t"], diary.clone())
                .expect("a group and a topic");
            read.until(4, &mut member).await;
            assert_eq!(read.0, [0, 1, 2, 3], "{cut:?}");
            member.close(SOON).await.expect("it leaves");
            is_done
        })
        .await;
    }
}

/// A close of a member whose commits are automatic, given in one way.
async fn a_close(strategy: &str, close: impl AsyncFn(Reader)) {
    let close = &close;
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let (mut first, diary) = sharing(&broker, strategy, Commits::Automatically);
        let mut read = Read::default();
        read.until(2, &mut first).await;
        let is_done = cut.run(close(first)).await.is_some();
        assert!(revocations(&diary) <= 1, "{cut:?}");
        let start = Instant::now();
        let (mut second, _) = sharing(&broker, strategy, Commits::InRevoked);
        let mut rest = Read::default();
        while rest.0.last() != Some(&3) {
            let records = second.poll(SOON).await.expect("no error");
            rest.add(records);
        }
        // Not after the session's 45 s.
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{cut:?}: {:?}",
            start.elapsed()
        );
        // One that did not begin is a consumer that is dropped; its records come again.
        let all = [0, 1, 2, 3];
        let from = if cut.polls == 0 { 0 } else { 2 };
        assert_eq!(rest.0, all[from..], "{cut:?}");
        assert_eq!(revocations(&diary), usize::from(cut.polls > 0), "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_dropped_anywhere_leaves_the_group_and_no_record_is_lost() {
    for strategy in STRATEGIES {
        a_close(strategy, async |member: Reader| {
            member.close(SOON).await.expect("it commits and leaves");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_dropped_anywhere_takes_no_commit_back() {
    for strategy in STRATEGIES {
        everywhere(|cut| async move {
            let broker = filled(1, 4).await;
            let (mut member, _) = sharing(&broker, strategy, Commits::Automatically);
            let mut read = Read::default();
            read.until(2, &mut member).await;
            member.commit_sync().await.expect("it is committed");
            let is_done = cut.run(member.close(SOON)).await.is_some();
            let mut after = super::member(&broker);
            let mut rest = Read::default();
            while rest.0.last() != Some(&3) {
                rest.add(after.poll(SOON).await.expect("no error"));
            }
            assert_eq!(rest.0, [2, 3], "{cut:?}");
            is_done
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_says_whether_to_leave_dropped_anywhere_does_so_and_no_record_is_lost() {
    for strategy in STRATEGIES {
        a_close(strategy, async |member: Reader| {
            let closed = member.close_with(SOON, LeaveGroup::Leave).await;
            closed.expect("it commits and leaves");
        })
        .await;
    }
}

/// Takes its time for what is revoked, and commits it; counts how often it began and ended.
struct Slow {
    began: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
    takes: Duration,
}

impl RebalanceListener for Slow {
    async fn revoked(&mut self, context: &mut RebalanceContext<'_>, _: &[TopicPartition]) -> CallbackResult {
        self.began.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        context.commit_sync().await?;
        self.ended.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A member that read two records of four, with a listener that takes so long; how often that began and ended.
async fn slow(broker: &Broker, takes: Duration) -> (Reader, [Arc<AtomicU32>; 2]) {
    let [began, ended] = [0, 0].map(|zero| Arc::new(AtomicU32::new(zero)));
    let listener = Slow {
        began: Arc::clone(&began),
        ended: Arc::clone(&ended),
        takes,
    };
    let mut member = super::member(broker);
    member.subscribe_with(["t"], listener).expect("a topic");
    Read::default().until(2, &mut member).await;
    (member, [began, ended])
}

fn counts(of: &[Arc<AtomicU32>; 2]) -> [u32; 2] {
    of.each_ref().map(|count| count.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn the_listener_of_a_close_dropped_while_it_ran_runs_again_in_the_background_and_commits() {
    let broker = filled(1, 4).await;
    let (member, calls) = slow(&broker, 5 * SECOND).await;
    let dropped = tokio::time::timeout(3 * SECOND, member.close(60 * SECOND)).await;
    assert!(dropped.is_err());
    assert_eq!(counts(&calls), [1, 0]);
    let mut next = super::member(&broker);
    let mut read = Read::default();
    read.until(2, &mut next).await;
    assert_eq!(read.0, [2, 3], "what was read is committed");
    assert_eq!(counts(&calls), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_close_that_was_dropped_has_what_is_left_of_its_time() {
    let broker = filled(1, 4).await;
    let (member, calls) = slow(&broker, 60 * SECOND).await;
    let start = Instant::now();
    let dropped = tokio::time::timeout(3 * SECOND, member.close(8 * SECOND)).await;
    assert!(dropped.is_err());
    let mut next = super::member(&broker);
    Read::default().until(2, &mut next).await;
    // Its time is over, and the group does not wait for the listener.
    assert_eq!(start.elapsed().as_secs(), 8);
    assert_eq!(counts(&calls), [2, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_callback_of_a_commit_runs_once_wherever_a_close_is_dropped() {
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let mut member = super::member(&broker);
        Read::default().until(2, &mut member).await;
        let ran = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&ran);
        member.commit_async_with(move |_, result| {
            assert_eq!(result, Ok(()));
            told.fetch_add(1, Ordering::Relaxed);
        });
        let is_done = cut.run(member.close(SOON)).await.is_some();
        tokio::time::sleep(SECOND).await;
        assert_eq!(ran.load(Ordering::Relaxed), u32::from(cut.polls > 0), "{cut:?}");
        is_done
    })
    .await;
}

/// Two members share four partitions. One is closed, which is dropped; the other reads on.
async fn a_close_of_one_of_two(strategy: &'static str, commits: Commits) {
    everywhere(|cut| async move {
        let broker = filled(4, 40).await;
        let (mut first, diary) = sharing(&broker, strategy, commits);
        let (mut second, of_second) = sharing(&broker, strategy, commits);
        let mut read = Read::default();
        while !has(&first, 2) || !has(&second, 2) || read.0.len() < 20 {
            for member in [&mut first, &mut second] {
                let records = member.poll(Duration::from_millis(10)).await.expect("no error");
                read.add(records);
            }
        }
        let (before, kept) = (revocations(&diary), first.assignment());
        let of_its_joining = revocations(&of_second);
        let is_done = cut.run(second.close(SOON)).await.is_some();
        let start = Instant::now();
        while first.assignment().len() < 4 || !read.has_all(40) {
            assert!(start.elapsed() < Duration::from_secs(30), "{:?}", read.sorted());
            let records = first.poll(Duration::from_millis(10)).await.expect("no error");
            read.add(records);
        }
        let kept = kept.iter().map(|it| it.partition).collect::<Vec<_>>();
        // One that did not begin is a consumer that is dropped: it commits nothing, and its listener does not either.
        let comes_again = |value: i32| cut.polls == 0 && !kept.contains(&(value % 4));
        let mut values = read.sorted();
        values.dedup_by(|next, before| next == before && comes_again(*next));
        assert_eq!(
            values,
            (0..40).collect::<Vec<_>>(),
            "{cut:?}: only what one had that was dropped may come again"
        );
        let revoked_since = revocations(&of_second) - of_its_joining;
        assert_eq!(revoked_since, usize::from(cut.polls > 0), "{cut:?}");
        let given_up = revocations(&diary) - before;
        assert_eq!(given_up, usize::from(strategy == "range"), "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_dropped_anywhere_in_a_cooperative_group_does_not_touch_what_the_others_have() {
    a_close_of_one_of_two("cooperative-sticky", Commits::InRevoked).await;
    a_close_of_one_of_two("cooperative-sticky", Commits::Automatically).await;
}

#[tokio::test(start_paused = true)]
async fn a_close_dropped_anywhere_in_an_eager_group_loses_nothing_of_what_the_others_have() {
    a_close_of_one_of_two("range", Commits::InRevoked).await;
    a_close_of_one_of_two("range", Commits::Automatically).await;
}
