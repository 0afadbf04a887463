//! Polls that are dropped anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::diary::with_diary;
use super::{Cut, Read, everywhere, filled, member};
use crate::support::{SOON, partition};

#[tokio::test(start_paused = true)]
async fn a_first_poll_dropped_anywhere_loses_and_doubles_no_record_assignment_or_callback() {
    everywhere(|cut| async move {
        let broker = filled(2, 10).await;
        let (mut member, diary) = with_diary(&broker);
        let mut read = Read::default();
        let polled = cut.run(member.poll(SOON)).await;
        let is_done = polled.is_some();
        if let Some(records) = polled {
            read.add(records.expect("no error"));
        }
        read.until(10, &mut member).await;
        let more = member.poll(Duration::from_secs(1)).await.expect("no error");
        assert!(more.is_empty());
        assert_eq!(read.sorted(), (0..10).collect::<Vec<_>>(), "{cut:?}");
        assert_eq!(member.assignment(), [partition(0), partition(1)]);
        assert_eq!(diary.lines(), ["assigned [0, 1]"], "{cut:?}");
        member.close(SOON).await.expect("it leaves");
        assert_eq!(diary.lines(), ["assigned [0, 1]", "revoked [0, 1]"], "{cut:?}");
        is_done
    })
    .await;
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

#[tokio::test(start_paused = true)]
async fn the_callback_of_a_commit_runs_once_wherever_polls_are_dropped() {
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let mut member = member(&broker);
        let mut read = Read::default();
        read.until(2, &mut member).await;
        let calls = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&calls);
        member.commit_async_with(move |_, result| {
            result.expect("it is written");
            count.fetch_add(1, Ordering::Relaxed);
        });
        let polled = cut.run(member.poll(SOON)).await;
        let is_done = polled.is_some();
        if let Some(records) = polled {
            read.add(records.expect("no error"));
        }
        read.until(4, &mut member).await;
        member.poll(Duration::from_secs(1)).await.expect("no error");
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{cut:?}");
        assert_eq!(read.sorted(), [0, 1, 2, 3]);
        is_done
    })
    .await;
}
