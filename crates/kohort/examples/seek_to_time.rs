//! Reads again what came in the last hour.
//!
//! `cargo run --example seek_to_time -- localhost:9092 orders`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kohort::{Consumer, TopicPartition};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());

    let mut consumer: Consumer<Option<String>, String> =
        Consumer::builder().bootstrap_servers(servers).build()?;
    let found = consumer.partitions_for(topic.as_str()).await?;
    let partitions: Vec<_> = found
        .iter()
        .map(|p| TopicPartition::new(topic.as_str(), p.partition))
        .collect();
    consumer.assign(partitions.clone())?;

    let an_hour_ago = SystemTime::now().duration_since(UNIX_EPOCH)? - Duration::from_secs(3_600);
    let since = i64::try_from(an_hour_ago.as_millis())?;
    let offsets = consumer
        .offsets_for_times(partitions.into_iter().map(|p| (p, since)))
        .await?;
    for (partition, found) in offsets {
        match found {
            Some(found) => consumer.seek(&partition, found.offset)?,
            None => consumer.seek_to_end([&partition])?,
        }
    }
    for record in consumer.poll(Duration::from_secs(5)).await? {
        println!(
            "{}-{}@{}: {}",
            record.topic(),
            record.partition(),
            record.offset,
            record.value
        );
    }
    consumer.close(Duration::from_secs(30)).await?;
    Ok(())
}
