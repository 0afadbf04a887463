//! Polls that are dropped anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::diary::{Commits, sharing};
use super::{Read, Reader, STRATEGIES, everywhere, filled, member};
use crate::support::{SOON, partition};

/// A first poll that reads its records in one way.
async fn a_first_poll(strategy: &str, poll: impl AsyncFn(&mut Reader, &mut Read)) {
    let poll = &poll;
    everywhere(|cut| async move {
        let broker = filled(2, 10).await;
        let (mut member, diary) = sharing(&broker, strategy, Commits::InRevoked);
        let mut read = Read::default();
        let is_done = cut.run(poll(&mut member, &mut read)).await.is_some();
        let start = Instant::now();
        while read.0.len() < 10 {
            assert!(
                start.elapsed() < Duration::from_secs(300),
                "no more than {:?}",
                read.0
            );
            poll(&mut member, &mut read).await;
        }
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

async fn poll(member: &mut Reader, read: &mut Read) {
    let records = member.poll(SOON).await.expect("no error");
    read.add(records);
}

async fn poll_raw(member: &mut Reader, read: &mut Read) {
    let records = member.poll_raw(SOON).await.expect("no error");
    read.add_raw(&records);
}

#[tokio::test(start_paused = true)]
async fn a_first_poll_dropped_anywhere_loses_and_doubles_no_record_assignment_or_callback() {
    for strategy in STRATEGIES {
        a_first_poll(strategy, poll).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_raw_poll_dropped_anywhere_loses_and_doubles_no_record_assignment_or_callback() {
    for strategy in STRATEGIES {
        a_first_poll(strategy, poll_raw).await;
    }
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
