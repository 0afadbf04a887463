//! Positions: where reading begins, seeking, pausing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kohort::config::{AutoOffsetReset, CompressionType};
use kohort::consumer::{CommandError, OffsetError, PollError, ReadError, SeekError};
use kohort::{ProducerRecord, TopicPartition};
use kohort_conformance::unique;

use crate::consumer_setup::{
    A_MOMENT, assigned, delete_records, failure, member, new_topic, offsets, partitions, producer, read,
    settings, soon, standalone, write, write_by,
};

// Kafka: PlaintextConsumerTest.testClassicConsumerAutoOffsetReset
#[tokio::test]
async fn earliest_begins_with_the_first_record_of_the_log() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..6).await;
    assert_eq!(
        offsets(&read(&mut standalone(&topic, 0..1), 6).await),
        [0, 1, 2, 3, 4, 5]
    );
    delete_records(&topic, 0, 4).await;
    assert_eq!(offsets(&read(&mut standalone(&topic, 0..1), 2).await), [4, 5]);
}

// Kafka: AutoOffsetResetStrategy.LATEST
#[tokio::test]
async fn latest_begins_with_the_record_that_is_written_next() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..5).await;
    let mut reader = assigned(
        settings().auto_offset_reset(AutoOffsetReset::Latest),
        &topic,
        0..1,
    );
    assert_eq!(reader.position(&TopicPartition::new(&*topic, 0)).await, Ok(5));
    write(&topic, 0, 5..6).await;
    assert_eq!(offsets(&read(&mut reader, 1).await), [5]);
}

// Kafka: PlaintextConsumerFetchTest.testClassicConsumerFetchInvalidOffset
#[tokio::test]
async fn without_a_reset_policy_poll_says_what_is_missing_and_a_seek_goes_on() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..2).await;
    let partition = TopicPartition::new(&*topic, 0);
    let mut reader = assigned(settings().auto_offset_reset(AutoOffsetReset::None), &topic, 0..1);
    for _ in 0..2 {
        let error = failure(&mut reader).await;
        assert!(
            matches!(&error, PollError::Read(ReadError::NoOffsetForPartition { partitions }) if *partitions == [partition.clone()]),
            "{error:?}"
        );
        assert!(!error.is_fatal());
    }
    reader.seek(&partition, 20).expect("assigned");
    let error = failure(&mut reader).await;
    assert!(
        matches!(&error, PollError::Read(ReadError::OffsetOutOfRange { partition: at, offset: 20 }) if *at == partition),
        "{error:?}"
    );
    reader.seek(&partition, 1).expect("assigned");
    assert_eq!(offsets(&read(&mut reader, 1).await), [1]);
}

// Kafka: PlaintextConsumerPollTest.testClassicConsumerNoOffsetForPartitionExceptionOnPollZero
#[tokio::test]
async fn polls_without_time_report_a_missing_position_too() {
    let topic = new_topic(1).await;
    let mut reader = assigned(settings().auto_offset_reset(AutoOffsetReset::None), &topic, 0..1);
    let polling = async {
        loop {
            if let Err(error) = reader.poll(Duration::ZERO).await {
                return error;
            }
        }
    };
    let error = soon("an error", polling).await;
    assert!(
        matches!(error, PollError::Read(ReadError::NoOffsetForPartition { .. })),
        "{error:?}"
    );
}

// Kafka: PlaintextConsumerPollTest.testClassicConsumerPollEventuallyReturnsRecordsWithZeroTimeout
#[tokio::test]
async fn polls_without_time_join_fetch_and_return_records() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    let mut reader = member(&unique("group"), &topic);
    let polling = async {
        let mut count = 0;
        while count < 3 {
            count += reader.poll(Duration::ZERO).await.expect("no error").count();
        }
    };
    soon("the records", polling).await;
}

// Kafka: PlaintextConsumerFetchTest.testClassicConsumerFetchOutOfRangeOffsetResetConfigEarliest
#[tokio::test]
async fn an_offset_out_of_range_begins_again_at_the_first_record_with_earliest() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    let mut reader = standalone(&topic, 0..1);
    reader
        .seek(&TopicPartition::new(&*topic, 0), 100)
        .expect("assigned");
    assert_eq!(offsets(&read(&mut reader, 3).await), [0, 1, 2]);
}

// Kafka: PlaintextConsumerFetchTest.testClassicConsumerFetchOutOfRangeOffsetResetConfigLatest
#[tokio::test]
async fn an_offset_out_of_range_goes_to_the_end_with_latest() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..3).await;
    let partition = TopicPartition::new(&*topic, 0);
    let mut reader = assigned(
        settings().auto_offset_reset(AutoOffsetReset::Latest),
        &topic,
        0..1,
    );
    reader.seek(&partition, 1).expect("assigned");
    assert_eq!(offsets(&read(&mut reader, 2).await), [1, 2]);
    reader.seek(&partition, 17).expect("assigned");
    let polling = async {
        // The position moves to the end once the broker has refused the offset.
        while reader.position(&partition).await != Ok(3) {
            assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
        }
    };
    soon("the reset", polling).await;
    write(&topic, 0, 3..5).await;
    assert_eq!(offsets(&read(&mut reader, 2).await), [3, 4]);
}

// Kafka: PlaintextConsumerFetchTest.testClassicConsumerFetchOutOfRangeOffsetResetConfigByDuration
#[tokio::test]
async fn by_duration_begins_with_the_first_record_that_is_young_enough() {
    let topic = new_topic(1).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now = i64::try_from(now.as_millis()).expect("small");
    let producer = producer().build().expect("valid settings");
    for age_s in [7_200, 5_400, 1_800, 60] {
        let record = ProducerRecord::new(&*topic, None, age_s.to_string())
            .partition(0)
            .timestamp(now - age_s * 1_000);
        producer.send(record).await.expect("it is written");
    }
    let policy = AutoOffsetReset::ByDuration(Duration::from_secs(3_600));
    let mut reader = assigned(settings().auto_offset_reset(policy), &topic, 0..1);
    assert_eq!(offsets(&read(&mut reader, 2).await), [2, 3]);
    reader
        .seek(&TopicPartition::new(&*topic, 0), 1_000)
        .expect("assigned");
    assert_eq!(offsets(&read(&mut reader, 2).await), [2, 3]);
}

// Kafka: PlaintextConsumerTest.testClassicConsumerSeek
#[tokio::test]
async fn seeking_moves_to_the_beginning_the_end_and_into_the_middle_of_a_compressed_batch() {
    for compression in [CompressionType::None, CompressionType::Gzip] {
        let topic = new_topic(1).await;
        let writer = producer()
            .compression_type(compression)
            .linger_ms(50)
            .build()
            .expect("valid settings");
        write_by(&writer, &topic, 0, 0..50).await;
        let partition = TopicPartition::new(&*topic, 0);
        let mut reader = standalone(&topic, 0..1);
        reader.seek_to_end([&partition]).expect("assigned");
        assert_eq!(reader.position(&partition).await, Ok(50));
        assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
        reader.seek_to_beginning([&partition]).expect("assigned");
        assert_eq!(reader.position(&partition).await, Ok(0));
        assert_eq!(offsets(&read(&mut reader, 50).await), (0..50).collect::<Vec<_>>());
        reader.seek(&partition, 25).expect("assigned");
        assert_eq!(reader.position(&partition).await, Ok(25));
        assert_eq!(
            offsets(&read(&mut reader, 25).await),
            (25..50).collect::<Vec<_>>()
        );
    }
}

// Kafka: FetchCollector.fetchRecords: buffered data whose offset is not the position is dropped
#[tokio::test]
async fn after_a_seek_nothing_that_was_buffered_before_is_returned() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..20).await;
    let partition = TopicPartition::new(&*topic, 0);
    let mut reader = assigned(settings().max_poll_records(2), &topic, 0..1);
    assert_eq!(offsets(&read(&mut reader, 2).await), [0, 1]);
    for to in [10, 4, 18, 0] {
        reader.seek(&partition, to).expect("assigned");
        assert_eq!(reader.position(&partition).await, Ok(to));
        assert_eq!(offsets(&read(&mut reader, 2).await), [to, to + 1]);
    }
}

// Kafka: PlaintextConsumerTest.testClassicConsumerPartitionPauseAndResume; KAFKA-7548: the buffer is kept
#[tokio::test]
async fn a_paused_partition_returns_nothing_and_keeps_what_is_buffered() {
    let topic = new_topic(2).await;
    // One batch, so that one fetch brings everything.
    let writer = producer().linger_ms(50).build().expect("valid settings");
    write_by(&writer, &topic, 0, 0..6).await;
    let mut reader = assigned(settings().max_poll_records(2), &topic, 0..2);
    let partition = TopicPartition::new(&*topic, 0);
    assert_eq!(offsets(&read(&mut reader, 2).await), [0, 1]);
    reader.pause([&partition]).expect("assigned");
    assert_eq!(reader.paused(), std::slice::from_ref(&partition));
    // Gone at the broker, and beside it there is something to read: only what is buffered can come back.
    delete_records(&topic, 0, 6).await;
    write(&topic, 1, 0..2).await;
    let other = read(&mut reader, 2).await;
    assert!(other.iter().all(|record| record.partition() == 1), "{other:?}");
    assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
    reader.resume([&partition]).expect("assigned");
    assert_eq!(offsets(&read(&mut reader, 4).await), [2, 3, 4, 5]);
    assert!(reader.paused().is_empty());
}

// Kafka: PlaintextConsumerTest.testClassicConsumerSeekThrowsIllegalStateIfPartitionsNotAssigned
#[tokio::test]
async fn seeking_what_is_not_assigned_is_a_typed_error() {
    let topic = new_topic(2).await;
    let mut reader = standalone(&topic, 0..1);
    let [mine, other]: [TopicPartition; 2] = partitions(&topic, 0..2).try_into().expect("two");
    assert!(matches!(reader.seek(&other, 0), Err(SeekError::NotAssigned(_))));
    assert!(matches!(
        reader.seek_to_beginning([&mine, &other]),
        Err(SeekError::NotAssigned(_))
    ));
    assert!(matches!(
        reader.seek_to_end([&other]),
        Err(SeekError::NotAssigned(_))
    ));
    assert!(matches!(
        reader.pause([&mine, &other]),
        Err(SeekError::NotAssigned(_))
    ));
    assert!(matches!(
        reader.position(&other).await,
        Err(OffsetError::NotAssigned(_))
    ));
    assert!(matches!(
        reader.seek(&mine, -1),
        Err(SeekError::NegativeOffset { offset: -1, .. })
    ));
    assert!(reader.paused().is_empty(), "all or nothing");
}

// Kafka: PlaintextConsumerTest.testClassicConsumerPositionRespectsTimeout
#[tokio::test]
async fn the_position_of_a_partition_that_is_not_there_takes_its_timeout_and_no_longer() {
    let topic = new_topic(1).await;
    let mut reader = standalone(&topic, 15..16);
    let began = Instant::now();
    let asked = reader
        .position_timeout(&TopicPartition::new(&*topic, 15), Duration::from_millis(500))
        .await;
    assert!(
        matches!(asked, Err(OffsetError::Command(CommandError::TimedOut { .. }))),
        "{asked:?}"
    );
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(500) && took < Duration::from_secs(5),
        "{took:?}"
    );
}
