//! The client against a broker that lies: replies changed by the broker's fault API or by a liar on the way, and peers that
//! speak no Kafka at all. In memory, on a paused clock, so that every time-out passes at once. Decompression bombs are in
//! `bombs.rs`, since they are measured.

mod addresses;
mod assignments;
mod batches;
mod cuts;
mod encodings;
mod liar;
mod lies;
mod log;
mod peers;
mod unreadable;

use std::time::Duration;

use kohort::config::AutoOffsetReset;
use kohort::consumer::ConsumerBuilder;
use kohort::transport::Transport;
use kohort::{Consumer, Producer, ProducerRecord};
use kohort_broker::Broker;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn consumer(bootstrap: String, transport: Transport) -> ConsumerBuilder<Option<String>, String> {
    Consumer::builder()
        .bootstrap_servers(bootstrap)
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .transport(transport)
}

/// A broker whose topic `t` has one partition with the values 0 to 19.
async fn broker() -> Broker {
    let broker = Broker::builder().topic("t", 1).start().await.expect("it starts");
    fill(&broker).await;
    broker
}

/// Writes the values 0 to 19 to partition 0 of `t`.
async fn fill(broker: &Broker) {
    fill_partition(broker, 0).await;
}

/// Writes the values 0 to 19 to a partition of `t`, each in a batch of its own.
async fn fill_partition(broker: &Broker, partition: i32) {
    let producer: Producer<Option<String>, String> = Producer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .transport(Transport::new(broker.connector().into_fn()))
        .build()
        .expect("valid settings");
    for value in 0..20 {
        let record = ProducerRecord::new("t", None, value.to_string()).partition(partition);
        producer.send(record).await.expect("it is written");
    }
    producer.close(10 * SECOND).await.expect("it closes");
}

/// Reads all records of `t` within so many polls and so much time; how many polls that took.
async fn read_all(
    reader: &mut Consumer<Option<String>, String>,
    what: &str,
    (most_polls, longest): (usize, Duration),
) -> usize {
    let (mut values, mut polls) = (Vec::new(), 0);
    let began = Instant::now();
    while values.len() < 20 {
        polls += 1;
        assert!(polls < most_polls, "{what}: poll spins");
        assert!(began.elapsed() < longest, "{what}: {values:?}");
        match reader.poll(SECOND).await {
            Ok(records) => values.extend(records.into_iter().map(|record| record.value)),
            Err(error) => assert!(
                !error.is_fatal() && !error.to_string().is_empty(),
                "{what}: {error}"
            ),
        }
    }
    let expected: Vec<String> = (0..20).map(|value| value.to_string()).collect();
    assert_eq!(values, expected, "{what}");
    polls
}
