//! A consumer as a stream: waits for its next record that are dropped anywhere, and what the consumer is like that comes back.

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream;
use kohort::consumer::RecordStream;
use tokio::time::Instant;

use super::diary::{Commits, sharing};
use super::{Read, STRATEGIES, everywhere, filled, member};
use crate::support::SOON;

type Records = RecordStream<Option<String>, String>;

async fn next(stream: &mut Records) -> i32 {
    let next = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await;
    let record = next.expect("no end").expect("no error");
    record.value.parse().expect("a number")
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_next_record_of_a_stream_dropped_anywhere_loses_and_doubles_none() {
    everywhere(|cut| async move {
        let broker = filled(1, 6).await;
        let mut stream = member(&broker).into_stream();
        let mut row = cut.of_a_row();
        let mut read = Vec::new();
        while read.len() < 6 {
            read.extend(row.run(next(&mut stream)).await);
        }
        assert_eq!(read, [0, 1, 2, 3, 4, 5], "{cut:?}");
        row.is_done()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_comes_back_from_its_stream_anywhere_commits_and_goes_on_behind_what_that_gave_out() {
    for strategy in STRATEGIES {
        everywhere(|cut| async move {
            let broker = filled(1, 6).await;
            let (first, diary) = sharing(&broker, strategy, Commits::InRevoked);
            let mut stream = first.into_stream();
            let mut row = cut.of_a_row();
            let mut read = Read::default();
            while row.is_done() && read.0.len() < 5 {
                read.0.extend(row.run(next(&mut stream)).await);
            }
            let given_out = read.0.len();
            let first = stream.into_consumer();
            first.close(SOON).await.expect("its listener commits");
            let lines = diary.lines();
            assert!(
                lines.is_empty() || lines == ["assigned [0]", "revoked [0]"],
                "{cut:?}: {lines:?}"
            );
            let (mut second, _) = sharing(&broker, strategy, Commits::InRevoked);
            read.until(6, &mut second).await;
            assert_eq!(read.0, [0, 1, 2, 3, 4, 5], "{cut:?}: {given_out} were given out");
            row.is_done()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_anywhere_leaves_its_group_and_commits_nothing() {
    everywhere(|cut| async move {
        let broker = filled(1, 6).await;
        let (first, _) = sharing(&broker, "cooperative-sticky", Commits::Automatically);
        let mut stream = first.into_stream();
        let mut row = cut.of_a_row();
        let mut given_out = 0;
        while row.is_done() && given_out < 3 {
            given_out += row.run(next(&mut stream)).await.iter().count();
        }
        drop(stream);
        let start = Instant::now();
        let (mut second, _) = sharing(&broker, "cooperative-sticky", Commits::InRevoked);
        let mut read = Read::default();
        read.until(6, &mut second).await;
        assert_eq!(read.0, [0, 1, 2, 3, 4, 5], "{cut:?}");
        assert!(start.elapsed() < SOON, "{cut:?}: {:?}", start.elapsed());
        row.is_done()
    })
    .await;
}
