//! The poll loop: counts customers by country until Enter is pressed, then leaves the group cleanly.
//!
//! `cargo run --example poll_loop -- localhost:9092 customerCountries`

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use kohort::Consumer;
use kohort::consumer::PollError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "customerCountries".to_owned());

    let mut consumer: Consumer<Option<String>, String> = Consumer::builder()
        .bootstrap_servers(servers)
        .group_id("CountryCounter")
        .build()?;
    consumer.subscribe([topic])?;

    // Another thread ends the loop: the waiting poll returns once with `Wakeup`.
    let wakeup = consumer.wakeup_handle();
    std::thread::spawn(move || {
        let _line = std::io::stdin().read_line(&mut String::new());
        wakeup.wakeup();
    });

    let mut customers: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let records = match consumer.poll(Duration::from_millis(100)).await {
            Ok(records) => records,
            Err(PollError::Wakeup) => break,
            // It would come again with every poll: note it, and go on behind it.
            Err(PollError::Deserialization(bad)) => {
                println!("{bad}: {}", bad.source);
                consumer.seek(&bad.partition, bad.offset() + 1)?;
                continue;
            }
            Err(error) if error.is_retriable() => {
                println!("{error}");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for record in records {
            println!(
                "topic = {}, partition = {}, offset = {}, customer = {:?}, country = {}",
                record.topic(),
                record.partition(),
                record.offset,
                record.key,
                record.value
            );
            *customers.entry(record.value).or_default() += 1;
            println!("{customers:?}");
        }
    }
    // Commits what was returned (enable.auto.commit) and leaves, so that the others take over at once.
    consumer.close(Duration::from_secs(30)).await?;
    Ok(())
}
