//! Ends of a membership that are dropped anywhere.

use std::time::Duration;

use kohort::consumer::{LeaveGroup, PollError};
use tokio::time::Instant;

use super::diary::{Commits, Diary, sharing};
use super::{Read, Reader, STRATEGIES, everywhere, filled, has};
use crate::support::SOON;

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
        let is_done = cut.run(second.close(SOON)).await.is_some();
        assert!(revocations(&of_second) <= 1, "{cut:?}");
        let start = Instant::now();
        while first.assignment().len() < 4 || !read.has_all(40) {
            assert!(start.elapsed() < Duration::from_secs(30), "{:?}", read.sorted());
            let records = first.poll(Duration::from_millis(10)).await.expect("no error");
            read.add(records);
        }
        let kept = kept.iter().map(|it| it.partition).collect::<Vec<_>>();
        let comes_again = |value: i32| !is_done && !kept.contains(&(value % 4));
        let mut values = read.sorted();
        values.dedup_by(|next, before| next == before && comes_again(*next));
        assert_eq!(
            values,
            (0..40).collect::<Vec<_>>(),
            "{cut:?}: only what the leaver had may come again"
        );
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
