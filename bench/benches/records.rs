//! Batches of records of 100 bytes: checksum, opening (decompression and check of every record), iteration, and building.
//!
//! The items are records. The batches are larger together than the caches near the core, as those of a Fetch response are.

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kohort_records::{BatchBuilder, Compression, Decompressor, OpenBatch, batches};

const LIMIT: usize = 64 << 20;
/// Records of a batch, and batches: what a producer makes with its default settings, and with `batch.size` of a MB.
const SHAPES: [(u64, u64); 2] = [(140, 500), (8_000, 9)];

fn main() {
    divan::main();
}

/// A record whose value is half text, half noise, and 100 bytes long with its key.
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
    let key = format!("{:0>8}", index % 100_000_000);
    builder
        .append(
            1_700_000_000_000 + index as i64 / 10,
            Some(key.as_bytes()),
            Some(&value),
            &[],
        )
        .expect("a valid record");
}

fn filled(compression: Compression, records: u64, from: u64) -> BatchBuilder {
    let mut builder = BatchBuilder::new(compression, None).expect("the default level");
    for index in 0..records {
        append(&mut builder, from + index);
    }
    builder
}

fn run(compression: Compression, (records, count): (u64, u64)) -> Bytes {
    let mut run = Vec::new();
    for batch in 0..count {
        let from = batch * records;
        let bytes = filled(compression, records, from)
            .build(from as i64)
            .expect("a valid batch");
        run.extend_from_slice(&bytes);
    }
    run.into()
}

fn iterate(open: &OpenBatch) {
    for record in open {
        black_box((record.offset, record.timestamp, record.key, record.value));
    }
}

fn over_all(bencher: Bencher<'_, '_>, codec: Compression, shape: (u64, u64), mut each: impl FnMut(&Bytes)) {
    let run = run(codec, shape);
    bencher
        .counter(ItemsCount::new(shape.0 * shape.1))
        .bench_local(|| each(&run));
}

#[divan::bench(args = SHAPES)]
fn checksum(bencher: Bencher<'_, '_>, shape: (u64, u64)) {
    over_all(bencher, Compression::None, shape, |run| {
        for batch in batches(run.clone()) {
            batch
                .expect("a valid batch")
                .verify_crc()
                .expect("a right checksum");
        }
    });
}

/// What a consumer does with a batch: checksum, opening, iteration.
fn read(bencher: Bencher<'_, '_>, codec: Compression, shape: (u64, u64)) {
    let mut decompressor = Decompressor::new();
    over_all(bencher, codec, shape, |run| {
        for batch in batches(run.clone()) {
            let batch = batch.expect("a valid batch");
            batch.verify_crc().expect("a right checksum");
            let open = batch.open_with(&mut decompressor, LIMIT).expect("valid records");
            iterate(&open);
        }
    });
}

#[divan::bench(args = SHAPES)]
fn read_none(bencher: Bencher<'_, '_>, shape: (u64, u64)) {
    read(bencher, Compression::None, shape);
}

#[divan::bench(args = SHAPES)]
fn read_gzip(bencher: Bencher<'_, '_>, shape: (u64, u64)) {
    read(bencher, Compression::Gzip, shape);
}

#[divan::bench(args = SHAPES)]
fn read_snappy(bencher: Bencher<'_, '_>, shape: (u64, u64)) {
    read(bencher, Compression::Snappy, shape);
}

#[divan::bench(args = SHAPES)]
fn read_lz4(bencher: Bencher<'_, '_>, shape: (u64, u64)) {
    read(bencher, Compression::Lz4, shape);
}

#[divan::bench(args = SHAPES)]
fn read_zstd(bencher: Bencher<'_, '_>, shape: (u64, u64)) {
    read(bencher, Compression::Zstd, shape);
}

#[divan::bench(args = SHAPES)]
fn iterate_again(bencher: Bencher<'_, '_>, shape: (u64, u64)) {
    let opened: Vec<OpenBatch> = batches(run(Compression::None, shape))
        .map(|batch| batch.expect("a valid batch").open(LIMIT).expect("valid records"))
        .collect();
    bencher
        .counter(ItemsCount::new(shape.0 * shape.1))
        .bench_local(|| opened.iter().for_each(iterate));
}

#[divan::bench(args = ["none", "gzip", "snappy", "lz4", "zstd"])]
fn build(bencher: Bencher<'_, '_>, codec: &str) {
    let codec: Compression = codec.parse().expect("a codec");
    bencher
        .counter(ItemsCount::new(140_u64))
        .with_inputs(|| filled(codec, 140, 0))
        .bench_local_values(|mut builder| builder.build(0).expect("a valid batch"));
}
