//! What the caller's side costs: `take` and the walk over its records, per record; and one poll of one record from a full
//! buffer. Run with `cargo bench -p kohort-engine --bench delivery`.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kohort_engine::client::ClientConfig;
use kohort_engine::consumer::{
    ConsumerConfig, FetchEpoch, FetchedBatches, NewPosition, Position, SlotId, ToCaller,
};
use kohort_engine::delivery::Delivery;
use kohort_groups::TopicPartition;
use kohort_records::{BatchBuilder, Compression, stored};

const PARTITIONS: u64 = 6;
/// Records of one batch: 14 KiB of 100-byte records, as a producer with default settings makes them.
const PER_BATCH: i64 = 140;
const BATCHES: i64 = 72;

fn delivery() -> Delivery {
    let config = ConsumerConfig::new(ClientConfig::new([("localhost".into(), 9092)]));
    let mut delivery = Delivery::new(&config);
    let added = (0..PARTITIONS).map(|n| (SlotId(n * 2), Arc::new(TopicPartition::new("t", n as i32))));
    delivery.accept(ToCaller::Partitions {
        removed: vec![],
        added: added.collect(),
    });
    let at_zero = (0..PARTITIONS).map(|n| NewPosition {
        slot: SlotId(n * 2),
        epoch: FetchEpoch::default(),
        position: Some(Position::new(0)),
    });
    delivery.accept(ToCaller::Positions(at_zero.collect()));
    delivery
}

/// A batch that any base offset can be written into.
fn template(size: usize, compression: Compression) -> Bytes {
    let value: Vec<u8> = (0..size).map(|n| b'a' + (n % 23) as u8).collect();
    let mut builder = BatchBuilder::new(compression, None).expect("the codec is built in");
    for n in 0..PER_BATCH {
        builder
            .append(1_700_000_000_000 + n, None, Some(&value), &[])
            .expect("the record fits");
    }
    builder.build(0).expect("the batch is well formed")
}

/// About a MiB of batches, as one fetch brings for one partition.
fn fetch(template: &Bytes, first: i64) -> Bytes {
    let mut all = BytesMut::with_capacity(template.len() * BATCHES as usize);
    for n in 0..BATCHES {
        let mut batch = BytesMut::from(&template[..]);
        stored::set_base_offset(&mut batch, first + n * PER_BATCH).expect("it is a batch");
        all.extend_from_slice(&batch);
    }
    all.freeze()
}

fn give(delivery: &mut Delivery, slot: u64, records: Bytes) {
    delivery.accept(ToCaller::Batches(vec![FetchedBatches {
        slot: SlotId(slot),
        epoch: FetchEpoch::default(),
        records,
        high_watermark: i64::MAX,
        last_stable_offset: -1,
        log_start_offset: 0,
        aborted: vec![],
    }]));
}

/// Time per record and per poll for polls of `max` records; every record is looked at if `walk`.
fn run(size: usize, compression: Compression, max: usize, walk: bool) -> (Duration, Duration) {
    let template = template(size, compression);
    let (mut records, mut polls, mut spent) = (0u32, 0u32, Duration::ZERO);
    for _ in 0..3 {
        let mut delivery = delivery();
        for slot in 0..PARTITIONS {
            give(&mut delivery, slot * 2, fetch(&template, 0));
        }
        // What is measured is the cost of a poll on a full buffer: not of reading memory for the first time.
        let begin = Instant::now();
        loop {
            let taken = delivery.take(max).expect("all batches are well formed");
            if taken.is_empty() {
                break;
            }
            polls += 1;
            records += u32::try_from(taken.len()).expect("a poll is small");
            if walk {
                let mut bytes = 0;
                for chunk in &taken {
                    for record in chunk.records() {
                        bytes += record.value.map_or(0, <[u8]>::len);
                    }
                }
                black_box(bytes);
            }
            black_box(delivery.progress());
            black_box(taken);
        }
        spent += begin.elapsed();
    }
    (spent / records, spent / polls)
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (name, compression) in [
        ("none", Compression::None),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ] {
        for size in [100, 1000] {
            for max in [1, 500, 10_000] {
                let (per_record, per_poll) = run(size, compression, max, true);
                writeln!(
                    out,
                    "{name:>5} {size:>5} B, {max:>5} a poll: {per_record:>8.1?} a record, {per_poll:>9.1?} a poll"
                )?;
            }
        }
    }
    Ok(())
}
