//! The one bound on memory: records that are kept hold fetching up, with a word, and it goes on when they are dropped.

use std::time::Duration;

use bytes::Bytes;
use kohort::config::AutoOffsetReset;
use kohort::consumer::{PollError, RawRecords};
use kohort::{Consumer, ProducerRecord};
use kohort_broker::Broker;
use tokio::time::Instant;

use crate::support::{SOON, broker, partition, producer, transport};

const BUDGET: u64 = 100_000;

/// Writes records of 1,000 bytes in turn to the partitions of `t`, in batches of about 15.
async fn fill(broker: &Broker, partitions: i32, count: i32, compression: &str) {
    let producer = producer(broker)
        .set("compression.type", compression)
        .build()
        .expect("valid settings");
    for n in 0..count {
        let value = format!("{n:1000}");
        let record = ProducerRecord::new("t", None, value).partition(n % partitions);
        let _sending = producer.send_soon(record).await.expect("there is room");
    }
    producer.close(SOON).await.expect("it closes");
}

fn reader(broker: &Broker, partitions: i32, budget: u64) -> Consumer<(), Bytes> {
    let builder = Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .transport(transport(broker))
        .max_partition_fetch_bytes(20_000)
        .set("kohort.memory.budget", &budget.to_string());
    let mut reader = builder.build().expect("valid settings");
    reader.assign((0..partitions).map(partition)).expect("partitions");
    reader
}

/// Polls and keeps everything until a poll fails, or all are read; the error, if it failed.
async fn keep(reader: &mut Consumer<(), Bytes>, kept: &mut Vec<RawRecords>, all: usize) -> Option<PollError> {
    while kept.iter().map(RawRecords::count).sum::<usize>() < all {
        match reader.poll_raw(Duration::from_secs(2)).await {
            Ok(records) => kept.push(records),
            Err(error) => return Some(error),
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn records_that_are_kept_fill_the_budget_and_poll_names_their_partitions_until_they_are_dropped() {
    for compression in ["none", "lz4", "zstd"] {
        let broker = broker("t", 2).await;
        fill(&broker, 2, 600, compression).await;
        let mut reader = reader(&broker, 2, BUDGET);
        let (mut read, mut stops) = (Vec::new(), 0);
        loop {
            let mut kept = Vec::new();
            let error = keep(&mut reader, &mut kept, 600 - read.len()).await;
            read.extend(
                kept.iter()
                    .flat_map(|records| records.iter().map(|(at, it)| (at.partition, it.offset))),
            );
            let Some(error) = error else { break };
            let PollError::MemoryHeld {
                partitions,
                held,
                budget,
            } = &error
            else {
                panic!("{compression}: {error}")
            };
            stops += 1;
            let mut named = partitions.clone();
            named.sort_unstable();
            assert!(
                !named.is_empty() && named.iter().all(|it| &*it.topic == "t"),
                "{named:?}"
            );
            assert_eq!(*budget, BUDGET);
            assert!(
                (BUDGET / 2..BUDGET + 50_000).contains(held),
                "{compression}: {held}"
            );
            assert!(error.is_retriable() && !error.is_fatal());
            assert!(error.to_string().contains("kohort.memory.budget"), "{error}");
        }
        assert!(stops >= 4, "{compression}: {stops}");
        read.sort_unstable();
        let all: Vec<_> = (0..2)
            .flat_map(|number| (0..300).map(move |offset| (number, offset)))
            .collect();
        assert_eq!(read, all, "{compression}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_goes_on_soon_after_records_were_dropped_elsewhere() {
    let broker = broker("t", 1).await;
    fill(&broker, 1, 600, "none").await;
    let mut reader = reader(&broker, 1, BUDGET);
    let mut kept = Vec::new();
    assert!(matches!(
        keep(&mut reader, &mut kept, 600).await,
        Some(PollError::MemoryHeld { .. })
    ));
    let start = Instant::now();
    let dropping = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(kept);
    });
    assert!(
        !reader
            .poll(Duration::from_secs(60))
            .await
            .expect("no error")
            .is_empty()
    );
    assert!(
        start.elapsed() < Duration::from_millis(600),
        "{:?}",
        start.elapsed()
    );
    dropping.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_held_up_says_so_after_a_second_however_long_its_timeout_is() {
    let broker = broker("t", 1).await;
    fill(&broker, 1, 600, "none").await;
    let mut reader = reader(&broker, 1, BUDGET);
    let mut kept = Vec::new();
    assert!(keep(&mut reader, &mut kept, 600).await.is_some());
    let start = Instant::now();
    let polled = reader.poll(Duration::MAX).await;
    assert!(matches!(polled, Err(PollError::MemoryHeld { .. })), "{polled:?}");
    let waited = start.elapsed();
    assert!(waited < Duration::from_millis(1100), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_budget_is_read_alone() {
    for compression in ["none", "zstd"] {
        let broker = broker("t", 1).await;
        fill(&broker, 1, 60, compression).await;
        let mut reader = reader(&broker, 1, 500);
        let mut offsets = Vec::new();
        while offsets.len() < 60 {
            let records = reader.poll_raw(SOON).await.expect("no error");
            offsets.extend(records.iter().map(|(_, record)| record.offset));
        }
        assert_eq!(offsets, (0..60).collect::<Vec<_>>(), "{compression}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_records_that_are_kept_do_not_keep_all_their_batches() {
    for compression in ["none", "lz4"] {
        let broker = broker("t", 1).await;
        fill(&broker, 1, 1500, compression).await;
        let mut reader = reader(&broker, 1, BUDGET);
        let (mut kept, mut seen) = (Vec::new(), 0);
        while seen < 1500 {
            for record in reader.poll(SOON).await.expect("no error") {
                assert_eq!(record.offset, seen);
                seen += 1;
                if record.offset % 50 == 0 {
                    kept.push(record);
                }
            }
        }
        for record in kept {
            assert_eq!(record.value, format!("{:1000}", record.offset), "{compression}");
        }
    }
}
