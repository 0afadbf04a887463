//! The producer: acknowledgements, keys, order, flushing, closing.

use std::time::Duration;

use kohort::ProducerRecord;
use kohort::config::{Acks, CompressionType};
use kohort::producer::{ProduceError, SendError};
use kohort_broker::{ApiKey, Fault, FaultRule};

use crate::support::{SOON, broker, next_values, producer, reader};

fn record(value: &str) -> ProducerRecord<Option<String>, String> {
    ProducerRecord::new("t", None, value.to_owned()).partition(0)
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_record_says_where_it_is() {
    let broker = broker("t", 1).await;
    let producer = producer(&broker).build().expect("valid settings");
    for expected in 0..3 {
        let written = producer.send(record("x")).await.expect("it is written");
        assert_eq!(
            (&*written.topic, written.partition, written.offset),
            ("t", 0, Some(expected))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn keys_go_to_the_partition_that_java_chooses() {
    let broker = broker("t", 10).await;
    let producer = producer(&broker).build().expect("valid settings");
    // Kafka: Utils.toPositive(Utils.murmur2(key)) % 10, printed by Kafka's own classes for "21" and "foobar".
    for (key, partition) in [("21", positive(-973_932_308)), ("foobar", positive(-790_332_482))] {
        let record = ProducerRecord::new("t", Some(key.to_owned()), String::new());
        assert_eq!(
            producer.send(record).await.expect("it is written").partition,
            partition,
            "{key}"
        );
    }
}

fn positive(murmur2: i32) -> i32 {
    (murmur2 & i32::MAX) % 10
}

#[tokio::test(start_paused = true)]
async fn every_compression_is_read_back() {
    let broker = broker("t", 1).await;
    let types = [
        CompressionType::None,
        CompressionType::Gzip,
        CompressionType::Snappy,
        CompressionType::Lz4,
        CompressionType::Zstd,
    ];
    for compression in types {
        let producer = producer(&broker)
            .compression_type(compression)
            .build()
            .expect("valid settings");
        producer
            .send(record(&compression.to_string()))
            .await
            .expect("it is written");
    }
    let mut reader = reader(&broker);
    let mut read = Vec::new();
    while read.len() < types.len() {
        read.extend(next_values(&mut reader).await);
    }
    assert_eq!(read, types.map(|compression| compression.to_string()));
}

#[tokio::test(start_paused = true)]
async fn without_acks_there_is_no_offset() {
    let broker = broker("t", 1).await;
    let producer = producer(&broker)
        .acks(Acks::None)
        .build()
        .expect("valid settings");
    assert_eq!(producer.send(record("x")).await.expect("it is sent").offset, None);
    let mut reader = reader(&broker);
    assert_eq!(next_values(&mut reader).await, ["x"]);
}

#[tokio::test(start_paused = true)]
async fn without_acks_close_still_writes_what_waits() {
    let broker = broker("t", 1).await;
    let producer = producer(&broker)
        .acks(Acks::None)
        .linger_ms(60_000)
        .build()
        .expect("valid settings");
    let sending = producer.send_soon(record("x")).await.expect("there is room");
    producer.close(SOON).await.expect("it closes");
    assert_eq!(sending.await.expect("it is sent").offset, None);
    assert_eq!(next_values(&mut reader(&broker)).await, ["x"]);
}

#[tokio::test(start_paused = true)]
async fn flush_does_not_wait_for_linger() {
    let broker = broker("t", 1).await;
    let producer = producer(&broker)
        .linger_ms(60_000)
        .build()
        .expect("valid settings");
    let sending = producer.send_soon(record("x")).await.expect("there is room");
    let start = tokio::time::Instant::now();
    producer.flush().await.expect("the task runs");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(sending.await.expect("it is written").offset, Some(0));
}

#[tokio::test(start_paused = true)]
async fn close_sends_what_waits_and_then_nothing_is_taken() {
    let broker = broker("t", 1).await;
    let producer = producer(&broker)
        .linger_ms(60_000)
        .build()
        .expect("valid settings");
    let sending = producer.send_soon(record("x")).await.expect("there is room");
    producer.clone().close(SOON).await.expect("it closes");
    assert_eq!(sending.await.expect("it is written").offset, Some(0));
    let error = producer.send(record("y")).await.expect_err("closed");
    assert!(
        matches!(
            error,
            ProduceError::TaskGone | ProduceError::Send(SendError::Closed)
        ),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_sent_when_the_producer_is_dropped() {
    let broker = broker("t", 1).await;
    let producer = producer(&broker)
        .linger_ms(1_000)
        .build()
        .expect("valid settings");
    let sending = producer.send_soon(record("x")).await.expect("there is room");
    drop(producer);
    assert_eq!(sending.await.expect("it is written").offset, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_acknowledgement_is_lost_is_written_once() {
    let broker = broker("t", 1).await;
    let producer = producer(&broker).build().expect("valid settings");
    for cut in [0, 10] {
        let lost = Fault::Cut { after: cut };
        broker
            .inject(FaultRule::next(ApiKey::Produce, lost))
            .await
            .expect("it runs");
        let mut sending = Vec::new();
        for number in 0..3 {
            let record = record(&format!("{cut}-{number}"));
            sending.push(producer.send_soon(record).await.expect("there is room"));
        }
        for each in sending {
            each.await.expect("it is written");
        }
    }
    let after = producer.send(record("end")).await.expect("it is written");
    assert_eq!(after.offset, Some(6));
    let mut reader = reader(&broker);
    let mut values = Vec::new();
    while values.len() < 7 {
        values.extend(next_values(&mut reader).await);
    }
    assert_eq!(values, ["0-0", "0-1", "0-2", "10-0", "10-1", "10-2", "end"]);
}
