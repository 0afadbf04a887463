//! What a consumer is told of the positions that `auto.offset.reset` decides.

use std::time::Duration;

use kohort::TopicPartition;
use kohort::config::AutoOffsetReset;
use kohort::consumer::{ConsumerBuilder, PollError, PositionReset, PositionResets, ReadError, ResetCause};
use kohort_conformance::unique;

use crate::consumer_setup::{
    A_MOMENT, Reader, assigned, built, delete_records, failure, new_topic, of_group, offsets, read, settings,
    soon, write,
};

/// Polls until a reset is told.
async fn next_resets(reader: &mut Reader) -> PositionResets {
    let polling = async {
        loop {
            reader.poll(A_MOMENT).await.expect("no error");
            let resets = reader.take_position_resets();
            if !resets.is_empty() {
                return resets;
            }
        }
    };
    soon("a reset", polling).await
}

fn reset(topic: &str, cause: ResetCause, from: Option<i64>, to: i64) -> PositionReset {
    PositionReset {
        partition: TopicPartition::new(topic, 0),
        cause,
        from,
        to,
    }
}

fn policies() -> [(AutoOffsetReset, i64); 3] {
    [
        (AutoOffsetReset::Earliest, 6),
        (AutoOffsetReset::Latest, 10),
        // All records are of 1970.
        (AutoOffsetReset::ByDuration(Duration::from_secs(60)), 10),
    ]
}

/// A topic whose only partition has the offsets from 6 up to 10.
async fn cut_topic() -> String {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..10).await;
    delete_records(&topic, 0, 6).await;
    topic
}

fn with(policy: AutoOffsetReset) -> ConsumerBuilder<Option<String>, String> {
    settings().auto_offset_reset(policy)
}

#[tokio::test]
async fn a_member_without_a_committed_offset_is_told_where_it_begins_and_what_that_passes_over() {
    let topic = cut_topic().await;
    for (policy, to) in policies() {
        let mut member = built(of_group(&unique("group")).auto_offset_reset(policy));
        member.subscribe([&*topic]).expect("a topic");
        let told = next_resets(&mut member).await;
        // The log begins at 6.
        let expected = reset(&topic, ResetCause::NoCommittedOffset, Some(6), to);
        assert_eq!(*told, [expected]);
        let skipped = u64::try_from(to - 6).expect("it is not before 6");
        assert_eq!((told[0].skipped(), told[0].replayed()), (Some(skipped), 0));
        assert!(member.take_position_resets().is_empty(), "once");
    }
}

#[tokio::test]
async fn a_member_with_a_committed_offset_is_told_of_no_reset() {
    let topic = cut_topic().await;
    let group = unique("group");
    let mut first = assigned(of_group(&group), &topic, 0..1);
    let committed = (TopicPartition::new(&*topic, 0), kohort::OffsetAndMetadata::new(8));
    soon("a commit", first.commit_sync_offsets([committed]))
        .await
        .expect("it is written");
    let mut member = built(of_group(&group));
    member.subscribe([&*topic]).expect("a topic");
    assert_eq!(offsets(&read(&mut member, 2).await), [8, 9]);
    assert!(member.take_position_resets().is_empty());
}

#[tokio::test]
async fn a_committed_offset_whose_records_were_removed_is_told_with_what_is_skipped() {
    let topic = cut_topic().await;
    for (policy, to) in policies() {
        let group = unique("group");
        let mut first = assigned(of_group(&group), &topic, 0..1);
        let committed = (TopicPartition::new(&*topic, 0), kohort::OffsetAndMetadata::new(2));
        soon("a commit", first.commit_sync_offsets([committed]))
            .await
            .expect("it is written");
        let mut member = built(of_group(&group).auto_offset_reset(policy));
        member.subscribe([&*topic]).expect("a topic");
        let told = next_resets(&mut member).await;
        assert_eq!(*told, [reset(&topic, ResetCause::OutOfRange, Some(2), to)]);
        let skipped = u64::try_from(to - 2).expect("it is after 2");
        assert_eq!((told[0].skipped(), told[0].replayed()), (Some(skipped), 0));
    }
}

#[tokio::test]
async fn a_position_after_the_end_is_told_with_what_comes_again() {
    let topic = cut_topic().await;
    for (policy, to) in policies() {
        let mut reader = assigned(with(policy), &topic, 0..1);
        reader
            .seek(&TopicPartition::new(&*topic, 0), 50)
            .expect("assigned");
        let told = next_resets(&mut reader).await;
        assert_eq!(*told, [reset(&topic, ResetCause::OutOfRange, Some(50), to)]);
        let replayed = u64::try_from(50 - to).expect("it is before 50");
        assert_eq!((told[0].skipped(), told[0].replayed()), (Some(0), replayed));
    }
}

#[tokio::test]
async fn without_a_policy_poll_fails_and_there_is_no_reset() {
    let topic = cut_topic().await;
    let mut reader = assigned(with(AutoOffsetReset::None), &topic, 0..1);
    reader
        .seek(&TopicPartition::new(&*topic, 0), 50)
        .expect("assigned");
    let error = failure(&mut reader).await;
    assert!(
        matches!(
            error,
            PollError::Read(ReadError::OffsetOutOfRange { offset: 50, .. })
        ),
        "{error:?}"
    );
    assert!(reader.take_position_resets().is_empty());
}
