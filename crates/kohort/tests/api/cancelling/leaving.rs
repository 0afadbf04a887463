//! Ends of a membership that are dropped anywhere.

use std::time::Duration;

use tokio::time::Instant;

use super::diary::{Diary, with_diary};
use super::{Read, everywhere, filled, member};
use crate::support::{SOON, consumer};

#[tokio::test(start_paused = true)]
async fn unsubscribing_dropped_anywhere_can_be_done_again_and_the_next_subscription_reads_everything() {
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let (mut member, diary) = with_diary(&broker);
        let mut read = Read::default();
        read.until(2, &mut member).await;
        let is_done = cut.run(member.unsubscribe()).await.is_some();
        member.unsubscribe().await.expect("it leaves");
        assert!(member.assignment().is_empty() && member.subscription().is_empty());
        let revoked = diary
            .lines()
            .iter()
            .filter(|line| line.starts_with("revoked"))
            .count();
        assert_eq!(revoked, 1, "{cut:?}");
        member.subscribe(["t"]).expect("a group and a topic");
        // The listener committed the first two.
        read.until(4, &mut member).await;
        assert_eq!(read.0, [0, 1, 2, 3], "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_dropped_anywhere_leaves_the_group_and_no_record_is_lost() {
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let builder = consumer(&broker).group_id("g").max_poll_records(2);
        let mut first = builder.build().expect("valid settings");
        let diary = Diary::default();
        first
            .subscribe_with(["t"], diary.clone())
            .expect("a group and a topic");
        let mut read = Read::default();
        read.until(2, &mut first).await;
        let closed = cut.run(first.close(SOON)).await;
        let is_done = closed.is_some();
        if let Some(closed) = closed {
            closed.expect("it commits and leaves");
        }
        let revoked = diary
            .lines()
            .iter()
            .filter(|line| line.starts_with("revoked"))
            .count();
        assert!(revoked <= 1, "{cut:?}");
        let start = Instant::now();
        let mut second = member(&broker);
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
        // What was not committed comes again.
        let all = [0, 1, 2, 3];
        assert!(
            rest.0 == all[2..] || (!is_done && rest.0 == all),
            "{cut:?}: {:?}",
            rest.0
        );
        is_done
    })
    .await;
}
