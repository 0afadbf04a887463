//! Reading without a group's coordination: `assign`.

use kohort::TopicPartition;
use kohort::consumer::{CommitError, PollError, SubscribeError};
use kohort_conformance::unique;

use crate::broker_groups::describe;
use crate::consumer_setup::{
    A_MOMENT, SOON, assigned, built, new_topic, of_group, offsets, partitions, read, soon, standalone,
    values, write,
};

// Kafka: PlaintextConsumerAssignTest.testClassicAssignAndConsume
#[tokio::test]
async fn assigned_partitions_are_read_with_offsets_and_timestamps() {
    let topic = new_topic(2).await;
    write(&topic, 1, 1_000..1_005).await;
    let records = read(&mut standalone(&topic, 1..2), 5).await;
    for (record, (offset, timestamp)) in records.iter().zip((0..).zip(1_000..)) {
        assert_eq!((record.topic(), record.partition()), (&*topic, 1));
        assert_eq!((record.offset, record.timestamp), (offset, timestamp));
        assert_eq!(record.leader_epoch, Some(0));
    }
}

// Kafka: PlaintextConsumerAssignTest.testClassicAssignAndConsumeSkippingPosition
#[tokio::test]
async fn a_seek_before_the_first_poll_decides_where_reading_begins() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..10).await;
    let mut reader = standalone(&topic, 0..1);
    reader
        .seek(&TopicPartition::new(&*topic, 0), 4)
        .expect("assigned");
    assert_eq!(offsets(&read(&mut reader, 6).await), [4, 5, 6, 7, 8, 9]);
}

// Kafka: PlaintextConsumerTest.testClassicConsumingWithNullGroupId
#[tokio::test]
async fn without_a_group_reading_works_and_what_needs_a_group_is_a_typed_error() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    let mut reader = standalone(&topic, 0..1);
    assert_eq!(reader.group_id(), None);
    assert_eq!(values(&read(&mut reader, 3).await), ["0", "1", "2"]);
    assert_eq!(reader.commit_sync().await, Err(CommitError::NoGroup));
    assert!(reader.committed(partitions(&topic, 0..1)).await.is_err());
    reader.unsubscribe().await.expect("nothing to leave");
    assert_eq!(reader.subscribe([&*topic]), Err(SubscribeError::NoGroup));
    assert!(matches!(
        reader.poll(A_MOMENT).await,
        Err(PollError::NotSubscribed)
    ));
    soon("closing", reader.close(SOON)).await.expect("it closes");
}

// Kafka: PlaintextConsumerAssignTest.testClassicAssignAndConsumeFromCommittedOffsets
#[tokio::test]
async fn with_a_group_id_assign_begins_at_the_committed_offset_and_joins_nothing() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..10).await;
    let mut first = assigned(of_group(&group).max_poll_records(6), &topic, 0..1);
    assert_eq!(read(&mut first, 6).await.len(), 6);
    first.commit_sync().await.expect("a commit");
    assert!(describe(&group, 5).await.members.is_empty());
    soon("closing", first.close(SOON)).await.expect("it closes");
    let mut second = assigned(of_group(&group), &topic, 0..1);
    assert_eq!(offsets(&read(&mut second, 4).await), [6, 7, 8, 9]);
}

// Kafka: KafkaConsumer.assign: no group coordination
#[tokio::test]
async fn two_standalone_consumers_of_one_group_read_the_same_partition() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    for _ in 0..2 {
        let mut reader = assigned(of_group(&group), &topic, 0..1);
        assert_eq!(offsets(&read(&mut reader, 3).await), [0, 1, 2]);
    }
}

// Kafka: SubscriptionState.setSubscriptionType: subscriptions are mutually exclusive
#[tokio::test]
async fn subscribe_and_assign_exclude_each_other_until_unsubscribe() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..2).await;
    let mut reader = built(of_group(&group));
    reader.subscribe([&*topic]).expect("a topic");
    assert_eq!(
        reader.assign(partitions(&topic, 0..1)),
        Err(SubscribeError::Exclusive)
    );
    reader.unsubscribe().await.expect("nothing to leave");
    reader.assign(partitions(&topic, 0..1)).expect("a partition");
    assert_eq!(reader.subscribe([&*topic]), Err(SubscribeError::Exclusive));
    assert_eq!(offsets(&read(&mut reader, 2).await), [0, 1]);
    reader.unsubscribe().await.expect("nothing to leave");
    reader.subscribe([&*topic]).expect("a topic");
    assert_eq!(offsets(&read(&mut reader, 2).await), [0, 1]);
}

// Kafka: SubscriptionState.assignFromUser: partitions that stay keep their state
#[tokio::test]
async fn a_new_assignment_replaces_the_old_one_and_keeps_the_positions_of_what_stays() {
    let topic = new_topic(3).await;
    for partition in 0..3 {
        write(&topic, partition, 0..3).await;
    }
    let mut reader = standalone(&topic, 0..2);
    assert_eq!(read(&mut reader, 6).await.len(), 6);
    reader.assign(partitions(&topic, 1..3)).expect("partitions");
    assert_eq!(reader.assignment(), partitions(&topic, 1..3));
    let records = read(&mut reader, 3).await;
    assert!(
        records.iter().all(|record| record.partition() == 2),
        "{records:?}"
    );
    reader.assign(partitions(&topic, 0..1)).expect("a partition");
    let again = read(&mut reader, 3).await;
    assert!(
        again.iter().all(|record| record.partition() == 0),
        "its position went with it"
    );
}
