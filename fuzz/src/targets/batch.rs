//! Record batches as a Fetch response or a Produce request brings them: split, checked, opened, walked.

use bytes::Bytes;
use kohort_records::control::{ControlRecord, build_marker};
use kohort_records::{Batch, Compression, Decompressor, batches};

use super::samples::{batch, seal};
use super::{Shape, Target};

const LIMIT: usize = 1 << 20;

pub(super) const TARGET: Target = Target {
    name: "batch",
    run,
    seeds,
    shape: Shape::Bytes,
    // Twice the limit while the buffer grows, a block and the tables of a codec; for the opened batch and its prefix alike.
    memory: |len| 4 * LIMIT + (2 << 20) + 16 * len,
};

/// The first byte says whether length and checksum of the first batch are made right.
fn run(input: &[u8]) {
    let Some((settings, bytes)) = input.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if settings & 1 == 1 {
        seal(&mut bytes);
    }
    let mut decompressor = Decompressor::new();
    let mut iterator = batches(Bytes::from(bytes));
    let (mut count, mut position) = (0, 0);
    while let Some(batch) = iterator.next() {
        let Ok(batch) = batch else { break };
        assert!(iterator.position() > position, "a batch has bytes");
        position = iterator.position();
        walk(&batch, &mut decompressor);
        count += 1;
        if count == 16 {
            break;
        }
    }
    let _ = iterator.rest();
}

fn walk(batch: &Batch, decompressor: &mut Decompressor) {
    assert!(batch.next_offset() > batch.last_offset() && batch.last_offset() >= batch.base_offset());
    let _ = (
        batch.verify_crc(),
        batch.last_sequence(),
        batch.delete_horizon(),
        batch.compression(),
    );
    let _ = batch.open_with(decompressor, LIMIT);
    let Ok((open, _)) = batch.open_prefix(decompressor, LIMIT) else {
        return;
    };
    let mut records = 0;
    for record in &open {
        assert!((open.base_offset()..=open.last_offset()).contains(&record.offset));
        let headers = record.headers.clone();
        assert_eq!(headers.clone().count(), headers.len());
        let owned = record.to_owned();
        assert_eq!(owned, record.to_copy());
        let _ = ControlRecord::decode(&record);
        records += 1;
    }
    assert_eq!(records, open.len());
    // However it is taken, the same records come.
    let mut cursor = open.cursor();
    let mut taken = 0;
    loop {
        let chunk = open.take(&mut cursor, 3);
        if chunk.is_empty() {
            break;
        }
        taken += chunk.iter().count();
    }
    assert_eq!(taken, records);
    let middle = open.base_offset().midpoint(open.last_offset());
    let mut cursor = open.cursor();
    open.skip_to(&mut cursor, middle);
    let _ = open.record_at(&mut cursor);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for codec in Compression::ALL {
        for records in [1, 3, 40] {
            for settings in [0, 1] {
                let mut seed = vec![settings];
                seed.extend_from_slice(&batch(codec, records, 7));
                if records == 3 {
                    seed.extend_from_slice(&batch(codec, 1, 10));
                }
                seeds.push(seed);
            }
        }
    }
    for marker in [
        ControlRecord::Commit { coordinator_epoch: 1 },
        ControlRecord::Abort { coordinator_epoch: 1 },
    ] {
        let built = build_marker(5, 1_700_000_000_000, 0, 9, 0, marker).expect("a marker is small");
        seeds.push([&[1][..], &built].concat());
    }
    seeds
}
