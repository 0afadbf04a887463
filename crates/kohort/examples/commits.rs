//! The ways to commit: automatically, after each poll, without waiting, without waiting but in order, inside of a batch.
//!
//! `cargo run --example commits -- localhost:9092 orders sync` (or `auto`, `async`, `retry`, `both`, `batch`)

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kohort::{Consumer, ConsumerRecord};

type Orders = Consumer<Option<String>, String>;
type Done = Result<(), Box<dyn Error>>;

const POLL: Duration = Duration::from_millis(100);
/// How many polls each variant makes.
const POLLS: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let topic = arguments.next().unwrap_or_else(|| "orders".to_owned());
    let variant = arguments.next().unwrap_or_else(|| "sync".to_owned());

    let mut orders: Orders = Consumer::builder()
        .bootstrap_servers(servers)
        .group_id("billing")
        .enable_auto_commit(variant == "auto")
        .build()?;
    orders.subscribe([topic])?;
    match variant.as_str() {
        "auto" => automatic(&mut orders).await?,
        "sync" => after_each_poll(&mut orders).await?,
        "async" => without_waiting(&mut orders).await?,
        "retry" => without_waiting_but_in_order(&mut orders).await?,
        "both" => without_waiting_then_once_at_the_end(&mut orders).await?,
        "batch" => inside_of_a_batch(&mut orders).await?,
        other => println!("no such variant: {other}"),
    }
    orders.close(Duration::from_secs(30)).await?;
    Ok(())
}

fn process(record: &ConsumerRecord<Option<String>, String>) {
    println!(
        "{}-{}@{}: {}",
        record.topic(),
        record.partition(),
        record.offset,
        record.value
    );
}

/// Every `auto.commit.interval.ms`, a poll commits what the polls before it returned.
async fn automatic(orders: &mut Orders) -> Done {
    for _ in 0..POLLS {
        orders.poll(POLL).await?.iter().for_each(process);
    }
    Ok(())
}

/// Waits for the broker after each batch, and tries again where that can help.
async fn after_each_poll(orders: &mut Orders) -> Done {
    for _ in 0..POLLS {
        orders.poll(POLL).await?.iter().for_each(process);
        if let Err(error) = orders.commit_sync().await {
            println!("not committed: {error}");
        }
    }
    Ok(())
}

/// Goes on at once. A commit that fails is not repeated: a later one covers it.
async fn without_waiting(orders: &mut Orders) -> Done {
    for _ in 0..POLLS {
        orders.poll(POLL).await?.iter().for_each(process);
        orders.commit_async_with(|offsets, result| {
            if let Err(error) = result {
                println!("commit of {offsets:?} failed: {error}");
            }
        });
    }
    Ok(())
}

/// A failed commit is repeated only while no newer one was given: an older offset must not win over a newer one.
async fn without_waiting_but_in_order(orders: &mut Orders) -> Done {
    let newest = Arc::new(AtomicU64::new(0));
    let again = Arc::new(AtomicBool::new(false));
    for _ in 0..POLLS {
        let records = orders.poll(POLL).await?;
        records.iter().for_each(process);
        if records.is_empty() && !again.swap(false, Ordering::Relaxed) {
            continue;
        }
        let number = newest.fetch_add(1, Ordering::Relaxed) + 1;
        let (newest, again) = (Arc::clone(&newest), Arc::clone(&again));
        orders.commit_async_with(move |_, result| {
            if result.is_err_and(|error| error.is_retriable()) && newest.load(Ordering::Relaxed) == number {
                again.store(true, Ordering::Relaxed);
            }
        });
    }
    Ok(())
}

/// Fast while it runs, sure at the end.
async fn without_waiting_then_once_at_the_end(orders: &mut Orders) -> Done {
    for _ in 0..POLLS {
        orders.poll(POLL).await?.iter().for_each(process);
        orders.commit_async();
    }
    orders.commit_sync().await?;
    Ok(())
}

/// Commits every 1,000 records of a batch that takes long.
async fn inside_of_a_batch(orders: &mut Orders) -> Done {
    let mut count = 0_u32;
    for _ in 0..POLLS {
        for record in orders.poll(POLL).await? {
            process(&record);
            count += 1;
            if count.is_multiple_of(1_000) {
                orders.commit_async_offsets([record.next_offset()], |_, result| {
                    if let Err(error) = result {
                        println!("not committed: {error}");
                    }
                });
            }
        }
    }
    orders.commit_sync().await?;
    Ok(())
}
