//! What a record costs, in nanoseconds: checksum, opening (decompression and check of every record) and iteration of
//! batches of records of 100 bytes.
//!
//! `cargo bench -p kohort-records` prints a table; each figure is the best of several rounds. The batches are larger
//! together than the caches near the core, as those of a Fetch response are.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use kohort_records::{BatchBuilder, Compression, Decompressor, batches};

const LIMIT: usize = 64 << 20;
const ROUNDS: usize = 15;

/// Records whose values are half text, half noise, and 100 bytes long with their key.
fn append(builder: &mut BatchBuilder, index: u64) {
    let mut noise = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut value = format!(
        "{{\"id\":{index},\"user\":\"user-{}\",\"amount\":{},\"note\":\"",
        noise % 5_000,
        noise % 997
    )
    .into_bytes();
    while value.len() < 90 {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        value.push(b'a' + ((noise >> 40) % 16) as u8);
    }
    value.extend_from_slice(b"\"}");
    let key = (index as u32 % 100_000_000).to_string();
    builder
        .append(
            1_700_000_000_000 + index as i64 / 10,
            Some(format!("{key:0>8}").as_bytes()),
            Some(&value),
            &[],
        )
        .expect("a valid record");
}

fn build(compression: Compression, per_batch: u64, batches: u64) -> (Bytes, f64) {
    let mut builder = BatchBuilder::new(compression, None).expect("the default level");
    let mut run = Vec::new();
    let mut spent = 0.0;
    for batch in 0..batches {
        for index in 0..per_batch {
            append(&mut builder, batch * per_batch + index);
        }
        let start = Instant::now();
        let bytes = builder.build((batch * per_batch) as i64).expect("a valid batch");
        spent += start.elapsed().as_secs_f64();
        run.extend_from_slice(&bytes);
    }
    (run.into(), spent)
}

/// The best time of the rounds, in nanoseconds per record.
fn best(records: u64, mut round: impl FnMut() -> u64) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let seen = round();
        let spent = start.elapsed().as_secs_f64();
        assert_eq!(seen, records);
        best = best.min(spent);
    }
    best * 1e9 / records as f64
}

fn iterate(open: &kohort_records::OpenBatch) -> u64 {
    let mut seen = 0;
    for record in open {
        black_box((record.offset, record.timestamp, record.key, record.value));
        seen += 1;
    }
    seen
}

fn main() {
    println!(
        "{:>7} {:>9} {:>6} | {:>6} {:>9} {:>8} {:>8} {:>11}",
        "codec", "records", "B/rec", "crc", "crc+open", "+iterate", "iterate", "build"
    );
    for (per_batch, count) in [(140, 1_000), (8_000, 20)] {
        for codec in Compression::ALL {
            let records = per_batch * count;
            let (run, packed) = build(codec, per_batch, count);
            let mut decompressor = Decompressor::new();
            let all: Vec<_> = batches(run.clone())
                .map(|batch| batch.expect("a valid batch"))
                .collect();
            let crc = best(records, || {
                all.iter()
                    .map(|batch| {
                        batch
                            .verify_crc()
                            .map(|()| u64::from(batch.records_count()))
                            .expect("a right checksum")
                    })
                    .sum()
            });
            let mut walk = |iterates: bool| {
                best(records, || {
                    let mut seen = 0;
                    for batch in batches(run.clone()) {
                        let batch = batch.expect("a valid batch");
                        batch.verify_crc().expect("a right checksum");
                        let open = batch.open_with(&mut decompressor, LIMIT).expect("valid records");
                        seen += if iterates {
                            iterate(&open)
                        } else {
                            open.len() as u64
                        };
                        decompressor.recycle(open);
                    }
                    seen
                })
            };
            let (opened, iterated) = (walk(false), walk(true));
            let opens: Vec<_> = all
                .iter()
                .map(|batch| batch.open(LIMIT).expect("valid records"))
                .collect();
            let again = best(records, || opens.iter().map(iterate).sum());
            println!(
                "{:>7} {:>9} {:>6} | {crc:>6.1} {opened:>9.1} {iterated:>8.1} {again:>8.1} {:>11.1}",
                codec.name(),
                format!("{count}x{per_batch}"),
                run.len() as u64 / records,
                packed * 1e9 / records as f64,
            );
        }
    }
}
