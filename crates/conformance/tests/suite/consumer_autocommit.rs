//! Commits that nobody asks for: by poll, before a rebalance, by close; and what is read twice without them.

use std::time::Duration;

use kohort::TopicPartition;
use kohort_conformance::unique;

use crate::consumer_setup::{
    A_MOMENT, SOON, assigned, built, committed, member, new_topic, of_group, read, settle, soon, write,
};

/// Longer than any test: no commit by time.
const NEVER: i32 = 3_600_000;

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerAutoCommitOnClose
#[tokio::test]
async fn close_commits_the_positions_of_all_assigned_partitions() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    write(&topic, 0, 0..10).await;
    write(&topic, 1, 0..10).await;
    let settings = of_group(&group)
        .enable_auto_commit(true)
        .auto_commit_interval_ms(NEVER);
    let mut members = [built(settings)];
    members[0].subscribe([&*topic]).expect("a topic");
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
    let [mut reader] = members;
    reader
        .seek(&TopicPartition::new(&*topic, 0), 3)
        .expect("assigned");
    reader
        .seek(&TopicPartition::new(&*topic, 1), 5)
        .expect("assigned");
    soon("closing", reader.close(SOON)).await.expect("it closes");
    assert_eq!(committed(&group, &topic, 0).await, Some(3));
    assert_eq!(committed(&group, &topic, 1).await, Some(5));
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerAutoCommitOnCloseAfterWakeup
#[tokio::test]
async fn a_wakeup_does_not_keep_close_from_committing() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..4).await;
    let settings = of_group(&group)
        .enable_auto_commit(true)
        .auto_commit_interval_ms(NEVER);
    let mut reader = built(settings);
    reader.subscribe([&*topic]).expect("a topic");
    read(&mut reader, 4).await;
    reader.wakeup_handle().wakeup();
    soon("closing", reader.close(SOON)).await.expect("it closes");
    assert_eq!(committed(&group, &topic, 0).await, Some(4));
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerAutoCommitOnRebalance
#[tokio::test]
async fn a_changed_subscription_commits_before_the_rebalance() {
    let (one, two, group) = (new_topic(1).await, new_topic(1).await, unique("group"));
    write(&one, 0, 0..8).await;
    let settings = of_group(&group)
        .enable_auto_commit(true)
        .auto_commit_interval_ms(NEVER);
    let mut members = [built(settings)];
    members[0].subscribe([&*one]).expect("a topic");
    assert_eq!(read(&mut members[0], 8).await.len(), 8);
    assert_eq!(committed(&group, &one, 0).await, None);
    members[0].subscribe([&*one, &*two]).expect("topics");
    let again = settle(&mut members, |shares| shares[0].len() == 2).await;
    assert_eq!(committed(&group, &one, 0).await, Some(8));
    assert!(again.is_empty());
}

// Kafka: ConsumerCoordinator.maybeAutoCommitOffsetsAsync, called by poll
#[tokio::test]
async fn poll_commits_what_was_returned_before_once_the_interval_is_over() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..6).await;
    let settings = of_group(&group)
        .enable_auto_commit(true)
        .auto_commit_interval_ms(100);
    let mut reader = assigned(settings, &topic, 0..1);
    read(&mut reader, 6).await;
    let polling = async {
        while committed(&group, &topic, 0).await != Some(6) {
            assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
        }
    };
    soon("the commit", polling).await;
}

// Kafka: ConsumerCoordinator.poll: positions as of the poll before; the notes' case of "5 is read twice"
#[tokio::test]
async fn the_record_in_hand_is_not_committed_and_is_read_again_by_the_next_owner() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..500).await;
    let settings = of_group(&group)
        .enable_auto_commit(true)
        .auto_commit_interval_ms(1)
        .max_poll_records(1);
    let mut reader = built(settings);
    reader.subscribe([&*topic]).expect("a topic");
    let polling = async {
        loop {
            let in_hand = read(&mut reader, 1).await[0].offset;
            let committed = committed(&group, &topic, 0).await.unwrap_or(0);
            assert!(
                committed <= in_hand,
                "{committed} is committed while {in_hand} is in hand"
            );
            if in_hand >= 4 && committed == in_hand {
                return in_hand;
            }
        }
    };
    let in_hand = soon("a commit by poll", polling).await;
    // Without another poll it stays in hand, however long one waits.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(committed(&group, &topic, 0).await, Some(in_hand));
    drop(reader);
    let mut next = member(&group, &topic);
    assert_eq!(read(&mut next, 1).await[0].offset, in_hand);
}

// Kafka: ConsumerConfig: enable.auto.commit=false
#[tokio::test]
async fn without_auto_commit_neither_poll_nor_close_commits() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    let mut reader = built(of_group(&group).auto_commit_interval_ms(1));
    reader.subscribe([&*topic]).expect("a topic");
    read(&mut reader, 3).await;
    assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
    soon("closing", reader.close(SOON)).await.expect("it closes");
    assert_eq!(committed(&group, &topic, 0).await, None);
}

// Kafka: ClassicKafkaConsumer.unsubscribe
#[tokio::test]
async fn unsubscribing_commits_nothing() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    let settings = of_group(&group)
        .enable_auto_commit(true)
        .auto_commit_interval_ms(NEVER);
    let mut reader = built(settings);
    reader.subscribe([&*topic]).expect("a topic");
    read(&mut reader, 3).await;
    soon("unsubscribing", reader.unsubscribe())
        .await
        .expect("it leaves");
    assert_eq!(committed(&group, &topic, 0).await, None);
}
