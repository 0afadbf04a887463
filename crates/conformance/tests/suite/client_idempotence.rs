//! The idempotent producer: what is sent again after its acknowledgement was lost is in the log once, and in order (KIP-98).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kohort::ProducerRecord;
use kohort::config::{Acks, CompressionType};
use kohort::transport::Transport;
use kohort_protocol::ApiKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

use crate::consumer_setup::{SOON, new_topic, producer, read, soon, standalone, values};

/// A way to the broker that loses the answer to every third Produce request, and the connection with it: the broker has the
/// records, and the producer does not know.
fn losing_answers(lost: &Arc<AtomicU32>) -> Transport {
    let (lost, seen) = (Arc::clone(lost), Arc::new(AtomicU32::new(0)));
    Transport::new(move |host: String, port| {
        let (lost, seen) = (Arc::clone(&lost), Arc::clone(&seen));
        async move {
            let broker = TcpStream::connect((host.as_str(), port)).await?;
            let (near, far) = tokio::io::duplex(1 << 20);
            tokio::spawn(async move {
                // The connection ends either way.
                let _ended = relay(far, broker, &lost, &seen).await;
            });
            Ok::<DuplexStream, io::Error>(near)
        }
    })
}

async fn frame(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.resize(4 + length as usize, 0);
    from.read_exact(frame.get_mut(4..).unwrap_or_default()).await?;
    Ok(frame)
}

/// Hands requests on without waiting for answers, and answers in order until one is to be lost.
async fn relay(
    client: DuplexStream,
    broker: TcpStream,
    lost: &AtomicU32,
    seen: &AtomicU32,
) -> io::Result<()> {
    let (mut requests, mut to_client) = tokio::io::split(client);
    let (mut answers, mut to_broker) = broker.into_split();
    let (note, mut noted) = tokio::sync::mpsc::unbounded_channel();
    let forth = async {
        loop {
            let request = frame(&mut requests).await?;
            let is_produce = request.get(4..6) == Some(&(ApiKey::Produce as i16).to_be_bytes());
            let is_lost = is_produce && seen.fetch_add(1, Ordering::Relaxed) % 3 == 1;
            to_broker.write_all(&request).await?;
            // The other half ends with this one.
            let _open = note.send(is_lost);
        }
    };
    let back = async {
        loop {
            let answer = frame(&mut answers).await?;
            if noted.recv().await.unwrap_or(true) {
                lost.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            to_client.write_all(&answer).await?;
        }
    };
    tokio::select! {
        ended = forth => ended,
        ended = back => ended,
    }
}

// Kafka: ProducerStateManager, TransactionManager; KIP-98
#[tokio::test]
async fn records_whose_acknowledgements_are_lost_are_in_the_log_once_and_in_order() {
    let topic = new_topic(1).await;
    let lost = Arc::new(AtomicU32::new(0));
    let writer = producer()
        .transport(losing_answers(&lost))
        .batch_size(200)
        .retry_backoff_ms(10)
        .reconnect_backoff_ms(10)
        .build()
        .expect("valid settings");
    const COUNT: i64 = 300;
    let mut sending = Vec::new();
    for number in 0..COUNT {
        let record = ProducerRecord::new(&*topic, None, number.to_string()).partition(0);
        sending.push(writer.send_soon(record).await.expect("there is room"));
    }
    for (number, each) in sending.into_iter().enumerate() {
        let written = soon("an acknowledgement", each).await.expect("it is written");
        let known = written.offset.is_none_or(|offset| offset == number as i64);
        assert!(known, "record {number} is at {:?}", written.offset);
    }
    writer.close(SOON).await.expect("it closes");
    assert!(lost.load(Ordering::Relaxed) > 2, "answers were lost");
    let mut reader = standalone(&topic, 0..1);
    let records = read(&mut reader, COUNT as usize).await;
    let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    assert_eq!(values(&records), expected);
}

// Kafka: TransactionManager.handleFailedBatch, KIP-360
#[tokio::test]
async fn after_a_refused_batch_the_others_of_its_partition_are_written() {
    let topic = new_topic(1).await;
    let writer = producer()
        .max_request_size(4_000_000)
        .build()
        .expect("valid settings");
    let mut sending = Vec::new();
    for size in [1, 1, 1_100_000, 1, 1] {
        let record = ProducerRecord::new(&*topic, None, "x".repeat(size)).partition(0);
        sending.push((size, writer.send_soon(record).await.expect("there is room")));
    }
    for (size, each) in sending {
        assert_eq!(soon("an answer", each).await.is_ok(), size == 1, "{size}");
    }
    let after = ProducerRecord::new(&*topic, None, "x".to_owned()).partition(0);
    assert_eq!(writer.send(after).await.expect("it is written").offset, Some(4));
}

// Kafka: ProducerConfig: compression.gzip.level, compression.lz4.level, compression.zstd.level (KIP-390)
#[tokio::test]
async fn every_level_of_compression_is_read_back() {
    let topic = new_topic(1).await;
    let text = "a line that repeats itself ".repeat(40);
    let mut expected = 0;
    for (codec, key, levels) in [
        (CompressionType::Gzip, "compression.gzip.level", ["-1", "1", "9"]),
        (CompressionType::Lz4, "compression.lz4.level", ["1", "9", "17"]),
        (CompressionType::Zstd, "compression.zstd.level", ["-5", "3", "22"]),
    ] {
        for level in levels {
            let writer = producer()
                .compression_type(codec)
                .set(key, level)
                .build()
                .expect("a level of Kafka");
            let record = ProducerRecord::new(&*topic, None, text.clone()).partition(0);
            writer.send(record).await.expect("it is written");
            expected += 1;
        }
    }
    let records = read(&mut standalone(&topic, 0..1), expected).await;
    assert!(values(&records).iter().all(|value| *value == text));
}

// Kafka: ProducerConfig.postProcessAndValidateIdempotenceConfigs
#[tokio::test]
async fn without_acks_of_all_the_producer_goes_on_without_idempotence_unless_it_was_wished() {
    let topic = new_topic(1).await;
    let writer = producer().acks(Acks::Leader).build().expect("valid settings");
    let record = ProducerRecord::new(&*topic, None, "v".to_owned()).partition(0);
    assert_eq!(writer.send(record).await.expect("it is written").offset, Some(0));
    for (key, value) in [
        ("acks", "1"),
        ("retries", "0"),
        ("max.in.flight.requests.per.connection", "6"),
    ] {
        let wished = producer().enable_idempotence(true).set(key, value).build();
        assert!(wished.is_err(), "{key}={value}");
    }
}
