//! Fetching: how much comes at once, when it comes, and what is in a record.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kohort::config::CompressionType;
use kohort::{Header, Producer, ProducerRecord, TimestampType};
use kohort_conformance::unique;

use crate::consumer_setup::{
    A_MOMENT, assigned, new_topic, offsets, producer, read, settings, soon, standalone, values, write,
    write_by,
};
use crate::setup::{create_topic, topic_ready, wire};

// Kafka: PlaintextConsumerPollTest.testClassicConsumerMaxPollRecords
#[tokio::test]
async fn no_poll_returns_more_than_max_poll_records_and_none_is_missing() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..250).await;
    let mut reader = assigned(settings().max_poll_records(100), &topic, 0..1);
    let mut records = Vec::new();
    while records.len() < 250 {
        let polled = reader.poll(Duration::from_secs(5)).await.expect("no error");
        assert!(polled.count() <= 100);
        records.extend(polled);
    }
    assert_eq!(offsets(&records), (0..250).collect::<Vec<_>>());
}

// Kafka: ConsumerConfig: fetch.min.bytes and fetch.max.wait.ms, whichever comes first
#[tokio::test]
async fn too_little_data_for_fetch_min_bytes_comes_when_fetch_max_wait_ms_is_over() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..1).await;
    let waiting = settings().fetch_min_bytes(1_000_000).fetch_max_wait_ms(400);
    let mut reader = assigned(waiting, &topic, 0..1);
    reader
        .position(&kohort::TopicPartition::new(&*topic, 0))
        .await
        .expect("known");
    let began = Instant::now();
    assert_eq!(offsets(&read(&mut reader, 1).await), [0]);
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(350) && took < Duration::from_secs(5),
        "{took:?}"
    );
}

// Kafka: DelayedFetch.tryComplete
#[tokio::test]
async fn enough_data_for_fetch_min_bytes_comes_before_fetch_max_wait_ms_is_over() {
    let topic = new_topic(1).await;
    let patient = settings().fetch_min_bytes(5_000).fetch_max_wait_ms(25_000);
    let mut reader = assigned(patient, &topic, 0..1);
    write(&topic, 0, 0..1).await;
    let polled = reader.poll(Duration::from_millis(300)).await.expect("no error");
    assert!(polled.is_empty(), "a small record alone is waited upon");
    let large = ProducerRecord::new(&*topic, None, "x".repeat(5_000)).partition(0);
    producer()
        .build()
        .expect("valid settings")
        .send(large)
        .await
        .expect("it is written");
    let began = Instant::now();
    assert_eq!(offsets(&read(&mut reader, 2).await), [0, 1]);
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Writes a value of `small` bytes and one of `large` bytes, each a batch of its own.
async fn small_then_large(topic: &str, small: usize, large: usize) {
    let writer = producer()
        .max_request_size(10_000_000)
        .build()
        .expect("valid settings");
    for size in [small, large] {
        let record = ProducerRecord::new(topic, None, "x".repeat(size)).partition(0);
        writer.send(record).await.expect("it is written");
    }
}

// Kafka: PlaintextConsumerFetchTest.testClassicConsumerFetchRecordLargerThanFetchMaxBytes
// and testClassicConsumerFetchRecordLargerThanMaxPartitionFetchBytes
#[tokio::test]
async fn a_first_batch_larger_than_the_limits_is_returned_all_the_same() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..1).await;
    small_then_large(&topic, 20_000, 30_000).await;
    for limited in [
        settings().fetch_max_bytes(1_000),
        settings().max_partition_fetch_bytes(1_000),
    ] {
        let records = read(&mut assigned(limited, &topic, 0..1), 3).await;
        let sizes: Vec<_> = records.iter().map(|record| record.value.len()).collect();
        assert_eq!(sizes, [1, 20_000, 30_000]);
    }
}

// Kafka: PlaintextConsumerFetchTest.testClassicConsumerFetchHonoursFetchSizeIfLargeRecordNotFirst
// and testClassicConsumerFetchHonoursMaxPartitionFetchBytesIfLargeRecordNotFirst
#[tokio::test]
async fn a_large_batch_that_is_not_first_comes_with_a_later_fetch() {
    let topic = new_topic(1).await;
    small_then_large(&topic, 100, 20_000).await;
    for limited in [
        settings().fetch_max_bytes(10_000),
        settings().max_partition_fetch_bytes(10_000),
    ] {
        let mut reader = assigned(limited, &topic, 0..1);
        let first = read(&mut reader, 1).await;
        assert_eq!(offsets(&first), [0]);
        assert_eq!(offsets(&read(&mut reader, 1).await), [1]);
    }
}

// Kafka: PlaintextConsumerFetchTest.testClassicConsumerLowMaxFetchSizeForRequestAndPartition
#[tokio::test]
async fn tiny_limits_over_many_partitions_still_get_everything_in_order() {
    let topic = new_topic(30).await;
    let writer = producer().batch_size(200).build().expect("valid settings");
    for partition in 0..30 {
        write_by(&writer, &topic, partition, 0..12).await;
    }
    let limited = settings().fetch_max_bytes(500).max_partition_fetch_bytes(100);
    let mut reader = assigned(limited, &topic, 0..30);
    let records = read(&mut reader, 30 * 12).await;
    for partition in 0..30 {
        let of_one: Vec<_> = records
            .iter()
            .filter(|r| r.partition() == partition)
            .map(|r| r.offset)
            .collect();
        assert_eq!(of_one, (0..12).collect::<Vec<_>>(), "partition {partition}");
    }
}

// Kafka: PlaintextConsumerTest.testClassicConsumerConsumeMessagesWithCreateTime
#[tokio::test]
async fn every_codec_gives_back_values_and_the_producers_timestamps() {
    for compression in [
        CompressionType::None,
        CompressionType::Gzip,
        CompressionType::Snappy,
        CompressionType::Lz4,
        CompressionType::Zstd,
    ] {
        let topic = new_topic(1).await;
        let writer = producer()
            .compression_type(compression)
            .linger_ms(20)
            .build()
            .expect("valid settings");
        write_by(&writer, &topic, 0, 0..100).await;
        let records = read(&mut standalone(&topic, 0..1), 100).await;
        for (number, record) in (0..100).zip(&records) {
            assert_eq!(
                (record.offset, record.timestamp),
                (number, number),
                "{compression}"
            );
            assert_eq!(record.timestamp_type, TimestampType::CreateTime);
            assert_eq!(record.value, number.to_string());
        }
    }
}

// Kafka: PlaintextConsumerTest.testClassicConsumerConsumeMessagesWithLogAppendTime
#[tokio::test]
async fn a_topic_with_log_append_time_has_the_brokers_timestamps() {
    let (topic, mut wire) = (unique("topic"), wire().await);
    let mut request = create_topic(&topic, 1);
    request.topics[0].configs = vec![kohort_protocol::messages::create_topics::CreatableTopicConfig {
        name: "message.timestamp.type".to_owned(),
        value: Some("LogAppendTime".to_owned()),
    }];
    assert_eq!(wire.call(5, request).await.topics[0].error_code, 0);
    topic_ready(&mut wire, &topic, 1).await;
    let now = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        i64::try_from(now.as_millis()).expect("small")
    };
    let before = now();
    let gzip = producer()
        .compression_type(CompressionType::Gzip)
        .build()
        .expect("valid settings");
    write_by(&gzip, &topic, 0, 0..3).await;
    write(&topic, 0, 3..6).await;
    let after = now();
    for record in read(&mut standalone(&topic, 0..1), 6).await {
        assert_eq!(record.timestamp_type, TimestampType::LogAppendTime);
        assert!(
            (before..=after).contains(&record.timestamp),
            "{}",
            record.timestamp
        );
    }
}

// Kafka: PlaintextConsumerTest.testClassicConsumerHeaders
#[tokio::test]
async fn headers_come_back_in_order_with_doubles_and_nulls() {
    let topic = new_topic(1).await;
    let mut record = ProducerRecord::new(&*topic, None, "v".to_owned()).partition(0);
    record.headers = vec![
        Header::new("trace", "1"),
        Header::new("other", ""),
        Header::new("trace", "2"),
        Header::null("nothing"),
    ];
    let sent = record.headers.clone();
    producer()
        .build()
        .expect("valid settings")
        .send(record)
        .await
        .expect("it is written");
    let records = read(&mut standalone(&topic, 0..1), 1).await;
    assert_eq!(records[0].headers, sent);
}

// Kafka: ConsumerRecord.key, value: null and empty are told apart
#[tokio::test]
async fn null_keys_and_values_are_told_from_empty_ones() {
    let topic = new_topic(1).await;
    let writer: Producer<Option<String>, Option<String>> = Producer::builder()
        .bootstrap_servers(&*kohort_conformance::cluster().bootstrap)
        .build()
        .expect("valid settings");
    let sent = [
        (None, None),
        (Some(""), Some("")),
        (Some("k"), None),
        (None, Some("v")),
    ];
    for (key, value) in sent {
        let record = ProducerRecord::new(&*topic, key.map(str::to_owned), value.map(str::to_owned));
        writer.send(record.partition(0)).await.expect("it is written");
    }
    let mut reader: kohort::Consumer<Option<String>, Option<String>> = kohort::Consumer::builder()
        .bootstrap_servers(&*kohort_conformance::cluster().bootstrap)
        .set("auto.offset.reset", "earliest")
        .build()
        .expect("valid settings");
    reader
        .assign(crate::consumer_setup::partitions(&topic, 0..1))
        .expect("a partition");
    let reading = async {
        let mut records = Vec::new();
        while records.len() < 4 {
            records.extend(reader.poll(Duration::from_secs(5)).await.expect("no error"));
        }
        records
    };
    let records = soon("the records", reading).await;
    let got: Vec<_> = records
        .iter()
        .map(|r| (r.key.as_deref(), r.value.as_deref()))
        .collect();
    assert_eq!(got, sent);
    let sizes: Vec<_> = records
        .iter()
        .map(|r| (r.serialized_key_size, r.serialized_value_size))
        .collect();
    assert_eq!(
        sizes,
        [(None, None), (Some(0), Some(0)), (Some(1), None), (None, Some(1))]
    );
}

// Kafka: PlaintextConsumerTest.testClassicConsumerStallBetweenPoll
#[tokio::test]
async fn a_waiting_poll_returns_as_soon_as_a_record_is_written() {
    let topic = new_topic(1).await;
    let mut reader = standalone(&topic, 0..1);
    assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
    let writer = producer().build().expect("valid settings");
    for number in 0..3 {
        let began = Instant::now();
        let (written, records) = tokio::join!(
            write_by(&writer, &topic, 0, number..number + 1),
            read(&mut reader, 1)
        );
        let () = written;
        assert_eq!(values(&records), [number.to_string()]);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

// Kafka: PlaintextConsumerAssignTest.testClassicPollAfterTopicDeleted
#[tokio::test]
async fn polling_goes_on_when_an_assigned_topic_is_deleted() {
    let (gone, stays) = (new_topic(1).await, new_topic(1).await);
    let mut reader = crate::consumer_setup::built(settings().metadata_max_age_ms(200));
    let both = [&gone, &stays].map(|topic| kohort::TopicPartition::new(&**topic, 0));
    reader.assign(both).expect("partitions");
    write(&gone, 0, 0..1).await;
    read(&mut reader, 1).await;
    let delete = kohort_protocol::messages::DeleteTopicsRequest {
        topic_names: vec![gone.clone()],
        timeout_ms: 10_000,
        ..Default::default()
    };
    assert_eq!(wire().await.call(5, delete).await.responses[0].error_code, 0);
    for _ in 0..10 {
        assert!(reader.poll(A_MOMENT).await.expect("no error").is_empty());
    }
    write(&stays, 0, 0..3).await;
    let records = read(&mut reader, 3).await;
    assert!(records.iter().all(|record| record.topic() == stays));
}
