//! A consumer without a group's coordination: it reads all partitions of a topic, and asks now and then for new ones.
//!
//! `cargo run --example standalone -- localhost:9092 orders`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Duration;

use kohort::config::AutoOffsetReset;
use kohort::{Consumer, TopicPartition};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());

    let mut consumer: Consumer<Option<String>, String> = Consumer::builder()
        .bootstrap_servers(servers)
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .build()?;
    for _ in 0..10 {
        let partitions = consumer.partitions_for(topic.as_str()).await?;
        let partitions = partitions
            .iter()
            .map(|found| TopicPartition::new(topic.as_str(), found.partition));
        // Partitions that stay keep their position.
        consumer.assign(partitions)?;
        for _ in 0..100 {
            for record in consumer.poll(Duration::from_millis(100)).await? {
                println!(
                    "{}-{}@{}: {}",
                    record.topic(),
                    record.partition(),
                    record.offset,
                    record.value
                );
            }
        }
    }
    consumer.close(Duration::from_secs(30)).await?;
    Ok(())
}
