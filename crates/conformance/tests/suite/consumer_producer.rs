//! The lean producer as far as readers see it: where keys go, what acknowledgements tell.

use std::collections::BTreeMap;

use kohort::config::Acks;
use kohort::producer::{ProduceError, SendError};
use kohort::{ProducerRecord, TopicPartition};
use kohort_conformance::unique;

use crate::consumer_setup::{SOON, new_topic, offsets, producer, read, standalone};

// Kafka: UtilsTest.testMurmur2 (its vectors), BuiltInPartitioner.partitionForKey
#[tokio::test]
async fn keys_land_in_the_partitions_that_javas_murmur2_says() {
    const PARTITIONS: i32 = 7;
    let vectors = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    let topic = new_topic(PARTITIONS).await;
    let writer = producer().build().expect("valid settings");
    for (key, _) in vectors {
        let record = ProducerRecord::new(&*topic, Some(key.to_owned()), "v".to_owned());
        writer.send(record).await.expect("it is written");
    }
    let records = read(&mut standalone(&topic, 0..PARTITIONS), vectors.len()).await;
    let landed: BTreeMap<_, _> = records
        .iter()
        .map(|record| (record.key.clone().expect("a key"), record.partition()))
        .collect();
    for (key, hash) in vectors {
        assert_eq!(landed[key], (hash & i32::MAX) % PARTITIONS, "{key}");
    }
}

// Kafka: BuiltInPartitioner (KIP-794): without a key, one partition at a time, any of them
#[tokio::test]
async fn records_without_a_key_are_written_somewhere_and_none_is_lost() {
    let topic = new_topic(3).await;
    let writer = producer().batch_size(100).build().expect("valid settings");
    let mut sending = Vec::new();
    for number in 0..60 {
        let record = ProducerRecord::new(&*topic, None, number.to_string());
        sending.push(writer.send_soon(record).await.expect("there is room"));
    }
    let mut told = Vec::new();
    for each in sending {
        let written = each.await.expect("it is written");
        told.push((written.partition, written.offset.expect("acknowledged")));
    }
    let records = read(&mut standalone(&topic, 0..3), 60).await;
    let found: BTreeMap<_, _> = records
        .iter()
        .map(|r| ((r.partition(), r.offset), &*r.value))
        .collect();
    for (number, at) in told.iter().enumerate() {
        assert_eq!(found[at], number.to_string(), "the acknowledgement told where");
    }
}

// Kafka: ProducerConfig: acks
#[tokio::test]
async fn every_kind_of_acknowledgement_writes_in_order() {
    for acks in [Acks::None, Acks::Leader, Acks::All] {
        let topic = new_topic(1).await;
        let writer = producer().acks(acks).build().expect("valid settings");
        for number in 0..5 {
            let record = ProducerRecord::new(&*topic, None, number.to_string()).partition(0);
            let written = writer.send(record).await.expect("it is written");
            let expected = (acks != Acks::None).then_some(number);
            assert_eq!(written.offset, expected, "{acks}");
        }
        writer.close(SOON).await.expect("it closes");
        assert_eq!(
            offsets(&read(&mut standalone(&topic, 0..1), 5).await),
            [0, 1, 2, 3, 4]
        );
    }
}

// Kafka: KafkaProducer.waitOnMetadata: TimeoutException after max.block.ms
#[tokio::test]
async fn a_partition_that_is_not_there_is_a_typed_error_after_max_block_ms() {
    let topic = new_topic(1).await;
    let writer = producer().max_block_ms(500).build().expect("valid settings");
    let record = ProducerRecord::new(&*topic, None, "v".to_owned()).partition(9);
    let failed = writer.send(record).await;
    assert!(
        matches!(
            failed,
            Err(ProduceError::Send(SendError::UnknownPartition {
                partition: 9,
                count: 1,
                ..
            }))
        ),
        "{failed:?}"
    );
}

// Kafka: KafkaProducer.ensureValidRecordSize: RecordTooLargeException by max.request.size
#[tokio::test]
async fn a_record_larger_than_max_request_size_is_refused_and_the_next_one_is_written() {
    let topic = new_topic(1).await;
    let writer = producer().build().expect("valid settings");
    let large = ProducerRecord::new(&*topic, None, "x".repeat(1_100_000)).partition(0);
    let failed = writer.send(large).await;
    assert!(
        matches!(failed, Err(ProduceError::Send(SendError::TooLarge { .. }))),
        "{failed:?}"
    );
    let small = ProducerRecord::new(&*topic, None, "x".to_owned()).partition(0);
    assert_eq!(writer.send(small).await.expect("it is written").offset, Some(0));
}

// Kafka: LogValidator: RecordTooLargeException by the topic's max.message.bytes
#[tokio::test]
async fn a_record_that_the_topic_refuses_is_an_error_of_the_broker() {
    let topic = new_topic(1).await;
    let writer = producer()
        .max_request_size(4_000_000)
        .build()
        .expect("valid settings");
    let large = ProducerRecord::new(&*topic, None, "x".repeat(1_100_000)).partition(0);
    let failed = writer.send(large).await.expect_err("refused");
    assert!(failed.to_string().contains("MESSAGE_TOO_LARGE"), "{failed}");
    let mut reader = standalone(&topic, 0..1);
    let end = reader
        .end_offsets([TopicPartition::new(&*topic, 0)])
        .await
        .expect("an answer");
    assert_eq!(end.values().copied().collect::<Vec<_>>(), [0]);
}

// Kafka: broker's auto.create.topics.enable
#[tokio::test]
async fn writing_to_an_unknown_topic_creates_it() {
    let topic = unique("written");
    let writer = producer().build().expect("valid settings");
    let record = ProducerRecord::new(&*topic, None, "v".to_owned());
    assert_eq!(writer.send(record).await.expect("it is written").partition, 0);
    assert_eq!(read(&mut standalone(&topic, 0..1), 1).await.len(), 1);
}
