//! Offsets kept beside the results, so that both are written in one transaction: each record counts exactly once. On
//! assignment the listener seeks to what the database says.
//!
//! `cargo run --example offsets_in_a_database -- localhost:9092 orders`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kohort::consumer::Callbacks;
use kohort::{Consumer, TopicPartition};

/// Stands for a database: results and offsets change together.
#[derive(Default)]
struct Database {
    results: u64,
    next_offsets: BTreeMap<TopicPartition, i64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());

    let database = Arc::new(Mutex::new(Database::default()));
    let stored = Arc::clone(&database);
    let seek_to_stored = Callbacks::new().on_assigned(move |context, partitions| {
        let stored = Arc::clone(&stored);
        Box::pin(async move {
            for partition in partitions {
                let next = stored
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .next_offsets
                    .get(partition)
                    .copied();
                context.seek(partition, next.unwrap_or(0))?;
            }
            Ok(())
        })
    });

    let mut consumer: Consumer<Option<String>, String> = Consumer::builder()
        .bootstrap_servers(servers)
        .group_id("exactly-once")
        .enable_auto_commit(false)
        .build()?;
    consumer.subscribe_with([topic], seek_to_stored)?;
    for _ in 0..100 {
        for record in consumer.poll(Duration::from_millis(100)).await? {
            // One transaction: the result and the offset after it.
            let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
            database.results += 1;
            let (partition, next) = record.next_offset();
            database.next_offsets.insert(partition, next.offset);
        }
    }
    println!(
        "{} results",
        database.lock().unwrap_or_else(PoisonError::into_inner).results
    );
    consumer.close(Duration::from_secs(30)).await?;
    Ok(())
}
