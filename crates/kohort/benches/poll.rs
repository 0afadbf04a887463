//! What a poll costs, in nanoseconds, when records are there: `poll_raw` and typed `poll`, by `max.poll.records`.
//!
//! `cargo bench -p kohort` prints a table; each figure is the median of many rounds. The broker is in memory. Fetching goes on
//! between the rounds, not inside of them, so a round shows the caller's side alone: taking records out of a full buffer,
//! checksums and opening of batches included.

#![expect(clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kohort::transport::Transport;
use kohort::{Consumer, Producer, ProducerRecord, TopicPartition};
use kohort_broker::Broker;

/// Values of 100 bytes, about 4 MiB in one partition.
const RECORDS: usize = 40_000;
const WAIT: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder().topic("t", 1).start().await?;
    let transport = Transport::new(broker.connector().into_fn());
    let servers = broker.bootstrap_servers();
    let producer: Producer<(), Vec<u8>> = Producer::builder()
        .bootstrap_servers(&servers)
        .transport(transport.clone())
        .build()?;
    for _ in 0..RECORDS {
        let _sending = producer
            .send_soon(ProducerRecord::new("t", (), vec![7; 100]))
            .await?;
    }
    producer.close(WAIT).await?;
    println!(
        "{:<10} {:>16} {:>10} {:>10}",
        "poll", "max.poll.records", "ns/poll", "ns/record"
    );
    for max in [1, 10, 500] {
        for is_raw in [true, false] {
            let mut consumer: Consumer<(), Bytes> = Consumer::builder()
                .bootstrap_servers(&servers)
                .transport(transport.clone())
                .set("auto.offset.reset", "earliest")
                .max_partition_fetch_bytes(16 << 20)
                .max_poll_records(max)
                .build()?;
            consumer.assign([TopicPartition::new("t", 0)])?;
            let (per_poll, per_record) = measure(&mut consumer, is_raw).await?;
            let name = if is_raw { "raw" } else { "typed" };
            println!("{name:<10} {max:>16} {per_poll:>10.0} {per_record:>10.1}");
            consumer.close(WAIT).await?;
        }
    }
    Ok(())
}

/// The medians per poll and per record over rounds of polls that find their records buffered.
async fn measure(consumer: &mut Consumer<(), Bytes>, is_raw: bool) -> Result<(f64, f64), Box<dyn Error>> {
    let mut rounds = Vec::new();
    for _ in 0..60 {
        consumer.seek_to_beginning(&[TopicPartition::new("t", 0)])?;
        while consumer.poll_raw(WAIT).await?.is_empty() {}
        // What is fetched ahead comes in now.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let (mut polls, mut records) = (0, 0);
        let start = Instant::now();
        while polls < 200 && records < RECORDS / 2 {
            records += if is_raw {
                let taken = consumer.poll_raw(WAIT).await?;
                taken
                    .iter()
                    .inspect(|(_, record)| {
                        black_box(record.value);
                    })
                    .count()
            } else {
                black_box(consumer.poll(WAIT).await?).count()
            };
            polls += 1;
        }
        let nanos = start.elapsed().as_nanos() as f64;
        rounds.push((nanos / f64::from(polls), nanos / records as f64));
    }
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    rounds
        .get(rounds.len() / 2)
        .copied()
        .ok_or_else(|| "no round".into())
}
