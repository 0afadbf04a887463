//! Questions: topics and their partitions, the ends of a log, offsets by time.

use std::time::Duration;

use kohort::consumer::{CommandError, OffsetError};
use kohort::{ErrorCode, TopicPartition};
use kohort_conformance::unique;

use crate::consumer_growing::grow;
use crate::consumer_setup::{
    A_MOMENT, built, delete_records, new_topic, partitions, read, settings, soon, standalone, write,
};
use crate::setup::{metadata, wire};

// Kafka: PlaintextConsumerTest.testClassicConsumerPartitionsFor
#[tokio::test]
async fn partitions_for_lists_the_partitions_with_leader_and_replicas() {
    let topic = new_topic(2).await;
    let described = built(settings())
        .partitions_for(&*topic)
        .await
        .expect("an answer");
    assert_eq!(described.iter().map(|d| d.partition).collect::<Vec<_>>(), [0, 1]);
    for partition in described {
        let leader = partition.leader.expect("it is led");
        assert!(leader.port > 0 && !leader.host.is_empty());
        assert_eq!(partition.replicas, std::slice::from_ref(&leader));
        assert_eq!(partition.in_sync_replicas, [leader]);
        assert!(partition.offline_replicas.is_empty());
    }
}

// Kafka: PlaintextConsumerTest.testClassicConsumerPartitionsForAutoCreate
#[tokio::test]
async fn asking_for_an_unknown_topic_creates_it_where_that_is_allowed() {
    let topic = unique("made");
    let mut asking = built(settings());
    let waiting = async {
        while asking
            .partitions_for(&*topic)
            .await
            .expect("an answer")
            .is_empty()
        {
            tokio::time::sleep(A_MOMENT).await;
        }
    };
    soon("the topic", waiting).await;
}

// Kafka: ConsumerTopicCreationTest.testClassicConsumerTopicCreationIfConsumerDisallowToCreateTopic
#[tokio::test]
async fn asking_for_an_unknown_topic_creates_nothing_where_that_is_not_allowed() {
    let topic = unique("unmade");
    let mut asking = built(settings().allow_auto_create_topics(false));
    assert_eq!(asking.partitions_for(&*topic).await, Ok(Vec::new()));
    let mut reader = built(crate::consumer_setup::of_group(&unique("group")).allow_auto_create_topics(false));
    reader.subscribe([&*topic]).expect("a topic");
    for _ in 0..10 {
        assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
    }
    let seen = metadata(&mut wire().await, &topic).await;
    assert_eq!(seen.topics[0].error_code, 3, "UNKNOWN_TOPIC_OR_PARTITION");
}

// Kafka: PlaintextConsumerTest.testClassicConsumerPartitionsForInvalidTopic
#[tokio::test]
async fn partitions_for_an_illegal_name_is_a_typed_error() {
    let asked = built(settings()).partitions_for(";3# ads,{234").await;
    assert!(
        matches!(
            asked,
            Err(OffsetError::Command(CommandError::TopicRefused {
                code: ErrorCode::InvalidTopicException,
                ..
            }))
        ),
        "{asked:?}"
    );
}

// Kafka: PlaintextConsumerTest.testClassicConsumerListTopics
#[tokio::test]
async fn list_topics_has_every_topic_with_its_partitions() {
    let (one, two) = (new_topic(1).await, new_topic(5).await);
    let topics = built(settings()).list_topics().await.expect("an answer");
    assert_eq!(topics.get(&*one).map(Vec::len), Some(1));
    assert_eq!(topics.get(&*two).map(Vec::len), Some(5));
}

// Kafka: PlaintextConsumerTest.testClassicConsumerEndOffsets
#[tokio::test]
async fn beginning_and_end_offsets_are_the_ends_of_the_log() {
    let topic = new_topic(2).await;
    write(&topic, 0, 0..10).await;
    delete_records(&topic, 0, 4).await;
    let mut asking = built(settings());
    let [zero, one]: [TopicPartition; 2] = partitions(&topic, 0..2).try_into().expect("two");
    let beginning = asking
        .beginning_offsets([zero.clone(), one.clone()])
        .await
        .expect("an answer");
    assert_eq!((beginning[&zero], beginning[&one]), (4, 0));
    let end = asking
        .end_offsets([zero.clone(), one.clone()])
        .await
        .expect("an answer");
    assert_eq!((end[&zero], end[&one]), (10, 0));
}

// Kafka: PlaintextConsumerTest.testClassicConsumerFetchOffsetsForTime
#[tokio::test]
async fn offsets_for_times_finds_the_first_record_that_is_not_older() {
    let topic = new_topic(2).await;
    write(&topic, 0, 100..110).await;
    let mut asking = built(settings());
    let [zero, one]: [TopicPartition; 2] = partitions(&topic, 0..2).try_into().expect("two");
    for (time, expected) in [(0, Some((0, 100))), (105, Some((5, 105))), (110, None)] {
        let found = asking
            .offsets_for_times([(zero.clone(), time), (one.clone(), time)])
            .await
            .expect("an answer");
        let found_of = |partition| found[partition].map(|f| (f.offset, f.timestamp.expect("of a record")));
        assert_eq!(found_of(&zero), expected, "at {time}");
        assert_eq!(found_of(&one), None, "an empty log");
        if let Some(first) = found[&zero] {
            assert_eq!(first.leader_epoch, Some(0));
        }
    }
}

// Kafka: KafkaConsumer.offsetsForTimes: IllegalArgumentException for a negative time
#[tokio::test]
async fn offsets_for_times_refuses_a_negative_time() {
    let topic = new_topic(1).await;
    let asked = built(settings())
        .offsets_for_times([(TopicPartition::new(&*topic, 0), -1)])
        .await;
    assert!(
        matches!(asked, Err(OffsetError::NegativeTimestamp { timestamp: -1, .. })),
        "{asked:?}"
    );
}

// Kafka: OffsetFetcher.fetchOffsetsByTimes: TimeoutException
#[tokio::test]
async fn offsets_of_a_topic_that_is_not_there_take_default_api_timeout_ms() {
    let impatient = settings()
        .default_api_timeout_ms(500)
        .request_timeout_ms(400)
        .allow_auto_create_topics(false);
    let missing = TopicPartition::new(unique("missing"), 0);
    let asked = built(impatient).end_offsets([missing]).await;
    assert!(
        matches!(&asked, Err(OffsetError::Command(CommandError::TimedOut { timeout, .. })) if *timeout == Duration::from_millis(500)),
        "{asked:?}"
    );
}

// Kafka: KafkaConsumer.assign, partitionsFor: new partitions are noticed by asking
#[tokio::test]
async fn a_standalone_consumer_notices_new_partitions_by_asking_and_keeps_its_positions() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    let mut reader = standalone(&topic, 0..1);
    read(&mut reader, 3).await;
    grow(&topic, 2).await;
    let waiting = async {
        while reader.partitions_for(&*topic).await.expect("an answer").len() < 2 {
            tokio::time::sleep(A_MOMENT).await;
        }
    };
    soon("the new partition", waiting).await;
    reader.assign(partitions(&topic, 0..2)).expect("partitions");
    write(&topic, 1, 0..2).await;
    let records = read(&mut reader, 2).await;
    assert!(
        records.iter().all(|record| record.partition() == 1),
        "{records:?}"
    );
    assert_eq!(reader.position(&TopicPartition::new(&*topic, 0)).await, Ok(3));
}
