//! The poll loop of a program without an asynchronous runtime.
//!
//! `cargo run --example blocking -- localhost:9092 orders`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Duration;

use kohort::blocking::Consumer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());

    let mut consumer: Consumer<Option<String>, String> = Consumer::builder()
        .bootstrap_servers(servers)
        .group_id("billing")
        .build_blocking()?;
    consumer.subscribe([topic])?;
    for _ in 0..100 {
        for record in consumer.poll(Duration::from_millis(100))? {
            println!(
                "{}-{}@{}: {}",
                record.topic(),
                record.partition(),
                record.offset,
                record.value
            );
        }
        consumer.commit_async();
    }
    consumer.close(Duration::from_secs(30))?;
    Ok(())
}
