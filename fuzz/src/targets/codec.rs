//! The decompressors, given anything: the input is put into a batch whose header and checksum are right.

use bytes::Bytes;
use kohort_records::{BATCH_OVERHEAD, Batch, Compression, Decompressor};

use super::samples::{batch, seal};
use super::{Shape, Target};

const LIMIT: usize = 1 << 16;

pub(super) const TARGET: Target = Target {
    name: "codec",
    run,
    seeds,
    shape: Shape::Bytes,
    memory: |len| 2 * LIMIT + (2 << 20) + 4 * len,
};

/// The first byte names the codec; its high bit wants the header of a batch of one record, else of very many.
fn run(input: &[u8]) {
    let Some((settings, body)) = input.split_first() else {
        return;
    };
    let codec = 1 + settings % 4;
    let count: i32 = if settings & 0x80 == 0 { 1 } else { 1 << 20 };
    let mut bytes = vec![0; BATCH_OVERHEAD];
    bytes[22] = codec;
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(body);
    seal(&mut bytes);
    let batch = Batch::decode(Bytes::from(bytes), 0)
        .expect("the header is right")
        .expect("the batch is whole");
    let mut decompressor = Decompressor::new();
    if let Ok((open, _)) = batch.open_prefix(&mut decompressor, LIMIT) {
        assert!(open.size() <= LIMIT);
    }
    // What was opened before has no influence.
    let again = batch.open_with(&mut decompressor, LIMIT).map(|open| open.len());
    let fresh = batch.open(LIMIT).map(|open| open.len());
    assert_eq!(again, fresh);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (index, codec) in Compression::ALL.into_iter().skip(1).enumerate() {
        for records in [1, 40, 400] {
            let settings = index as u8 | if records == 1 { 0 } else { 0x80 };
            seeds.push([&[settings][..], &batch(codec, records, 0)[BATCH_OVERHEAD..]].concat());
        }
        // A bomb: zeros.
        let mut builder = kohort_records::BatchBuilder::new(codec, None).expect("the default level is valid");
        let value = vec![0; 1 << 18];
        builder.append(0, None, Some(&value), &[]).expect("it fits");
        let bomb = builder.build(0).expect("there is a record");
        seeds.push([&[index as u8][..], &bomb[BATCH_OVERHEAD..]].concat());
    }
    seeds
}
