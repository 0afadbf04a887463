//! Commits that are dropped anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kohort::OffsetAndMetadata;
use kohort::consumer::CommitError;

use super::{Read, Reader, everywhere, filled, member};
use crate::support::{SOON, partition};

/// A commit of what was returned, given in one way.
async fn a_commit(commit: impl AsyncFn(&mut Reader) -> Result<(), CommitError>) {
    let commit = &commit;
    everywhere(|cut| async move {
        let broker = filled(1, 6).await;
        let mut member = member(&broker);
        let mut read = Read::default();
        read.until(2, &mut member).await;
        let is_done = match cut.run(commit(&mut member)).await {
            Some(committed) => committed.is_ok(),
            None => false,
        };
        let at = committed(&mut member).await;
        match is_done {
            true => assert_eq!(at, Some(2)),
            false => assert!(at.is_none() || at == Some(2), "{cut:?}: {at:?}"),
        }
        read.until(4, &mut member).await;
        commit(&mut member).await.expect("it is written");
        assert_eq!(committed(&mut member).await, Some(4), "{cut:?}");
        read.until(6, &mut member).await;
        assert_eq!(read.0, [0, 1, 2, 3, 4, 5]);
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_dropped_anywhere_is_written_or_not_and_the_next_one_is() {
    a_commit(async |member: &mut Reader| member.commit_sync().await).await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_with_a_time_dropped_anywhere_is_written_or_not_and_the_next_one_is() {
    a_commit(async |member: &mut Reader| member.commit_sync_timeout(SOON).await).await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_offsets_dropped_anywhere_is_written_or_not_and_the_next_one_is() {
    a_commit(async |member: &mut Reader| {
        let position = member.position(&partition(0)).await.expect("it is known");
        let next = OffsetAndMetadata::new(position);
        member.commit_sync_offsets([(partition(0), next)]).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_offsets_with_a_time_dropped_anywhere_is_written_or_not_and_the_next_one_is() {
    a_commit(async |member: &mut Reader| {
        let position = member.position(&partition(0)).await.expect("it is known");
        let next = OffsetAndMetadata::new(position);
        member
            .commit_sync_offsets_timeout([(partition(0), next)], SOON)
            .await
    })
    .await;
}

/// Something that is dropped anywhere while the callback of an asynchronous commit is due.
async fn while_a_callback_is_due(call: impl AsyncFn(&mut Reader)) {
    let call = &call;
    everywhere(|cut| async move {
        let broker = filled(1, 6).await;
        let mut member = member(&broker);
        let mut read = Read::default();
        read.until(2, &mut member).await;
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        member.commit_async_with(move |_, result| {
            result.expect("it is written");
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let is_done = cut.run(call(&mut member)).await.is_some();
        member.subscribe(["t"]).expect("a group and a topic");
        read.until(6, &mut member).await;
        assert_eq!(read.0, [0, 1, 2, 3, 4, 5], "{cut:?}");
        member.commit_sync().await.expect("it is written");
        member.poll(Duration::ZERO).await.expect("nothing comes");
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_is_due_runs_once_whatever_commit_is_dropped() {
    while_a_callback_is_due(async |member: &mut Reader| {
        member.commit_sync().await.expect("it is written");
    })
    .await;
    while_a_callback_is_due(async |member: &mut Reader| {
        let next = OffsetAndMetadata::new(2);
        let committed = member.commit_sync_offsets([(partition(0), next)]).await;
        committed.expect("it is written");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_is_due_runs_once_whatever_question_is_dropped() {
    while_a_callback_is_due(async |member: &mut Reader| {
        member.committed([partition(0)]).await.expect("an answer");
    })
    .await;
    while_a_callback_is_due(async |member: &mut Reader| {
        member.end_offsets([partition(0)]).await.expect("an answer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_is_due_runs_once_though_an_unsubscribe_is_dropped() {
    while_a_callback_is_due(async |member: &mut Reader| {
        member.unsubscribe().await.expect("it leaves");
    })
    .await;
}

async fn committed(member: &mut Reader) -> Option<i64> {
    let mut answer = member.committed([partition(0)]).await.expect("an answer");
    let committed = answer.remove(&partition(0)).flatten();
    committed.map(|committed| committed.offset)
}
