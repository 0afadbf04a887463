//! Walking, skipping and taking records; malformed records.

use bytes::{Bytes, BytesMut};

use super::*;
use crate::RecordProblem;
use crate::builder::write_crc;
use crate::{Batch, BatchBuilder, Compression, Decompressor, Tally, batches};

fn batch(count: usize) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    for i in 0..count {
        builder
            .append(1_000 + i as i64, Some(&[i as u8]), Some(b"value"), &[])
            .unwrap();
    }
    Batch::decode(builder.build(100).unwrap(), 0).unwrap().unwrap()
}

/// Offsets 100, 103, 109 of a range that ends at 119.
fn compacted() -> OpenBatch {
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    for delta in [0, 3, 9] {
        builder.append_at(delta, 1_000, None, Some(b"kept"), &[]).unwrap();
    }
    builder.set_last_offset_delta(19);
    Batch::decode(builder.build(100).unwrap(), 0)
        .unwrap()
        .unwrap()
        .open(0)
        .unwrap()
}

fn offsets(records: Records<'_>) -> Vec<i64> {
    records.map(|record| record.offset).collect()
}

/// A batch of the given bytes as records, with a right checksum.
fn handmade(count: i32, last_offset_delta: i32, records: &[u8]) -> Batch {
    let mut bytes = BytesMut::from(&batch(1).bytes()[..61]);
    bytes[23..27].copy_from_slice(&last_offset_delta.to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(records);
    let length = bytes.len() as i32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    write_crc(&mut bytes);
    Batch::decode(bytes.freeze(), 0).unwrap().unwrap()
}

fn problem(records: &[u8]) -> (usize, RecordProblem) {
    match handmade(1, 0, records).open(0) {
        Err(BatchError::Record {
            base_offset: 100,
            index: 0,
            position,
            problem,
        }) => (position, problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_are_taken_in_chunks_that_know_the_next_position() {
    let open = batch(5).open(0).unwrap();
    let mut cursor = open.cursor();
    let chunks = [
        open.take(&mut cursor, 2),
        open.take(&mut cursor, 2),
        open.take(&mut cursor, 2),
        open.take(&mut cursor, 2),
    ];
    let taken: Vec<_> = chunks
        .iter()
        .map(|chunk| (offsets(chunk.iter()), chunk.next_offset()))
        .collect();
    assert_eq!(
        taken,
        [
            (vec![100, 101], 102),
            (vec![102, 103], 104),
            (vec![104], 105),
            (vec![], 105)
        ]
    );
    assert_eq!(cursor.index(), 5);
}

#[test]
fn a_chunk_of_none_stays_at_the_next_record() {
    let open = compacted();
    let mut cursor = open.cursor();
    open.take(&mut cursor, 1);
    let chunk = open.take(&mut cursor, 0);
    assert!(chunk.is_empty());
    assert_eq!((chunk.next_offset(), cursor.index()), (103, 1));
}

#[test]
fn the_last_chunk_of_a_compacted_batch_ends_after_the_batch() {
    let open = compacted();
    let mut cursor = open.cursor();
    let first = open.take(&mut cursor, 2);
    assert_eq!(
        (offsets(first.iter()), first.next_offset()),
        (vec![100, 103], 104)
    );
    let last = open.take(&mut cursor, 100);
    assert_eq!((offsets(last.iter()), last.next_offset()), (vec![109], 120));
    assert_eq!(
        (open.last_offset(), open.next_offset(), open.len()),
        (119, 120, 3)
    );
    assert!(!open.has_incremental_offsets());
}

#[test]
fn skipping_goes_to_the_first_record_at_or_after_the_offset() {
    let open = compacted();
    for (offset, expected) in [
        (0, Some(100)),
        (100, Some(100)),
        (101, Some(103)),
        (109, Some(109)),
        (110, None),
        (500, None),
    ] {
        let mut cursor = open.cursor();
        open.skip_to(&mut cursor, offset);
        assert_eq!(
            open.record_at(&mut cursor).map(|record| record.offset),
            expected,
            "{offset}"
        );
    }
}

#[test]
fn skipping_never_goes_back() {
    let open = batch(5).open(0).unwrap();
    let mut cursor = open.cursor();
    open.skip_to(&mut cursor, 103);
    open.skip_to(&mut cursor, 101);
    assert_eq!(open.record_at(&mut cursor).unwrap().offset, 103);
}

#[test]
fn an_owned_record_shares_the_bytes_of_its_batch_and_a_copy_does_not() {
    let batch = batch(1);
    let open = batch.open(0).unwrap();
    let view = open.iter().next().unwrap();
    let inside = |slice: &[u8]| batch.bytes().as_ptr_range().contains(&slice.as_ptr());
    let (owned, copy) = (view.to_owned(), view.to_copy());
    assert!(inside(owned.value.as_ref().unwrap()) && inside(owned.key.as_ref().unwrap()));
    assert!(!inside(copy.value.as_ref().unwrap()) && !inside(copy.key.as_ref().unwrap()));
    assert_eq!(owned, copy);
}

#[test]
fn an_empty_batch_has_no_records_and_still_moves_the_position() {
    let empty = handmade(0, 4, &[]);
    let open = empty.open(0).unwrap();
    assert!(open.is_empty() && open.iter().next().is_none());
    assert_eq!(
        (
            open.next_offset(),
            open.take(&mut open.cursor(), 10).next_offset()
        ),
        (105, 105)
    );
}

#[test]
fn a_count_that_the_bytes_cannot_hold_is_refused_before_it_is_used() {
    let error = handmade(i32::MAX, i32::MAX - 1, &[0; 70]).open(0).unwrap_err();
    assert_eq!(
        error,
        BatchError::RecordsCount {
            base_offset: 100,
            count: 2_147_483_647,
            bytes: 70
        }
    );
}

#[test]
fn malformed_records_are_told_apart_with_their_position() {
    // Length 6, attributes, timestamp, offset, null key, null value, no headers.
    let good = [12, 0, 0, 0, 1, 1, 0];
    assert!(handmade(1, 0, &good).open(0).is_ok());
    assert_eq!(problem(&[14, 0, 0, 0, 1, 1, 0]), (0, RecordProblem::Cut));
    assert_eq!(
        problem(&[11, 0, 0, 0, 1, 1, 0]),
        (0, RecordProblem::NegativeLength)
    );
    assert_eq!(problem(&[12, 0, 0, 0, 12, 1, 0]), (4, RecordProblem::Cut));
    assert_eq!(problem(&[12, 0, 0, 0, 1, 1, 2]), (6, RecordProblem::HeadersCount));
    assert_eq!(problem(&[12, 0, 0, 0, 1, 1, 1]), (6, RecordProblem::HeadersCount));
    assert_eq!(
        problem(&[16, 0, 0, 0, 1, 1, 2, 1, 1]),
        (7, RecordProblem::NullHeaderKey)
    );
    assert_eq!(
        problem(&[14, 0, 0, 0, 1, 1, 0, 0]),
        (7, RecordProblem::LengthMismatch)
    );
    assert_eq!(
        problem(&[0x80, 0x80, 0x80, 0x80, 0x80, 0, 0]),
        (0, RecordProblem::VarintTooLong)
    );
}

#[test]
fn no_offset_lies_outside_of_the_batch() {
    let at = |delta: u8| handmade(1, 3, &[12, 0, 0, delta, 1, 1, 0]).open(0);
    assert_eq!(offsets(at(6).unwrap().iter()), [103]);
    for outside in [at(8), at(1)] {
        assert!(
            matches!(
                outside,
                Err(BatchError::Record {
                    problem: RecordProblem::OffsetOutOfRange,
                    ..
                })
            ),
            "{outside:?}"
        );
    }
}

#[test]
fn bytes_after_the_last_record_are_an_error() {
    let error = handmade(1, 0, &[12, 0, 0, 0, 1, 1, 0, 9, 9]).open(0).unwrap_err();
    assert_eq!(
        error,
        BatchError::TrailingBytes {
            base_offset: 100,
            position: 7,
            bytes: 2
        }
    );
}

#[test]
fn the_records_before_a_malformed_one_can_be_read() {
    let good = [12, 0, 0, 0, 1, 1, 0];
    let second = [12, 0, 0, 2, 1, 1, 0];
    let bad = [12, 0, 0, 4, 12, 1, 0];
    let batch = handmade(3, 2, &[good, second, bad].concat());
    let (open, error) = batch.open_prefix(&mut Decompressor::new(), 0).unwrap();
    assert!(
        matches!(
            error,
            Some(BatchError::Record {
                index: 2,
                position: 18,
                ..
            })
        ),
        "{error:?}"
    );
    assert_eq!(offsets(open.iter()), [100, 101]);
    assert_eq!(
        (open.next_offset(), open.take(&mut open.cursor(), 9).next_offset()),
        (102, 102)
    );
    assert_eq!(batch.next_offset(), 103);
}

#[test]
fn negative_timestamp_deltas_go_back_from_the_first_record() {
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    for timestamp in [5_000, 1_000, 9_000, -1] {
        builder.append(timestamp, None, None, &[]).unwrap();
    }
    let batch = Batch::decode(builder.build(0).unwrap(), 0).unwrap().unwrap();
    assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (5_000, 9_000));
    let read: Vec<_> = batch
        .open(0)
        .unwrap()
        .iter()
        .map(|record| record.timestamp)
        .collect();
    assert_eq!(read, [5_000, 1_000, 9_000, -1]);
}

#[test]
fn an_incomplete_last_batch_ends_the_iteration_silently() {
    let whole = batch(3);
    let two = [&whole.bytes()[..], whole.bytes()].concat();
    for length in 0..=two.len() {
        let mut all = batches(Bytes::copy_from_slice(&two[..length]));
        assert_eq!(
            all.by_ref().filter(Result::is_ok).count(),
            length / whole.size(),
            "{length}"
        );
        assert_eq!(all.rest().len(), length % whole.size());
        assert!(all.next().is_none());
    }
}

#[test]
fn an_unreadable_header_ends_the_iteration_with_one_error() {
    let whole = batch(3);
    let run = |bad: &[u8]| {
        let bytes = [whole.bytes(), bad].concat();
        let results: Vec<_> = batches(Bytes::from(bytes)).collect();
        assert_eq!(results.len(), 2);
        results.into_iter().nth(1).unwrap().unwrap_err()
    };
    let position = whole.size();
    let changed = |at: usize, bytes: &[u8]| {
        let mut copy = whole.bytes().to_vec();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        copy
    };
    assert_eq!(
        run(&changed(8, &[0, 0, 0, 48])),
        BatchError::InvalidLength { position, length: 48 }
    );
    assert_eq!(
        run(&changed(8, &[0xff; 4])),
        BatchError::InvalidLength { position, length: -1 }
    );
    assert_eq!(
        run(&changed(16, &[1])),
        BatchError::UnsupportedMagic { position, magic: 1 }
    );
    assert_eq!(
        run(&changed(16, &[3])),
        BatchError::UnsupportedMagic { position, magic: 3 }
    );
    let field = |error| match error {
        BatchError::InvalidHeader { field, value, .. } => (field, value),
        other => panic!("{other:?}"),
    };
    assert_eq!(field(run(&changed(0, &[0xff; 8]))), ("BaseOffset", -1));
    assert_eq!(
        field(run(&changed(0, &i64::MAX.to_be_bytes()))),
        ("BaseOffset", i64::MAX)
    );
    assert_eq!(
        field(run(&changed(23, &[0x80, 0, 0, 0]))),
        ("LastOffsetDelta", -2_147_483_648)
    );
    assert_eq!(field(run(&changed(57, &[0xff; 4]))), ("RecordsCount", -1));
}

#[test]
fn a_changed_byte_is_found_by_the_checksum() {
    let whole = batch(3);
    for at in 21..whole.size() {
        let mut copy = whole.bytes().to_vec();
        copy[at] ^= 1;
        // Where the header is impossible it is found even earlier.
        let found = match Batch::decode(Bytes::from(copy), 0) {
            Ok(batch) => batch.unwrap().verify_crc().is_err(),
            Err(_) => true,
        };
        assert!(found, "{at}");
    }
}

#[test]
fn an_unknown_codec_is_an_error() {
    let mut copy = batch(1).bytes().to_vec();
    copy[22] = 5;
    let batch = Batch::decode(Bytes::from(copy), 0).unwrap().unwrap();
    let expected = BatchError::UnknownCompression {
        base_offset: 100,
        id: 5,
    };
    assert_eq!(
        (batch.compression().unwrap_err(), batch.open(100).unwrap_err()),
        (expected.clone(), expected)
    );
}

#[test]
fn a_cursor_of_another_batch_does_no_harm() {
    let (long, short) = (batch(200).open(0).unwrap(), batch(3).open(0).unwrap());
    let mut cursor = long.cursor();
    long.skip_to(&mut cursor, 250);
    assert!(short.record_at(&mut cursor).is_none());
    assert!(short.take(&mut cursor, 5).iter().next().is_none());
}

#[test]
fn the_buffer_of_a_batch_nobody_holds_is_used_again() {
    let mut builder = BatchBuilder::new(Compression::Zstd, None).unwrap();
    builder.append(0, None, Some(&[7; 10_000]), &[]).unwrap();
    let batch = Batch::decode(builder.build(0).unwrap(), 0).unwrap().unwrap();
    let mut decompressor = Decompressor::new();
    let value = |open: &OpenBatch| open.iter().next().unwrap().value.unwrap().as_ptr();

    let first = batch.open_with(&mut decompressor, 1 << 20).unwrap();
    let buffer = value(&first);
    drop(first);
    let second = batch.open_with(&mut decompressor, 1 << 20).unwrap();
    assert_eq!(value(&second), buffer);

    let held = second.clone();
    drop(second);
    let third = batch.open_with(&mut decompressor, 1 << 20).unwrap();
    assert_ne!(value(&third), value(&held));
}

#[test]
fn the_buffers_of_opened_batches_are_counted_until_their_last_handle_is_dropped() {
    let mut builder = BatchBuilder::new(Compression::Lz4, None).unwrap();
    builder.append(0, None, Some(&[7; 10_000]), &[]).unwrap();
    let batch = Batch::decode(builder.build(0).unwrap(), 0).unwrap().unwrap();
    let (all, share) = (Tally::new(), Tally::new());
    let mut decompressor = Decompressor::counted(all.part());
    decompressor.charge(&share);
    let open = batch.open_with(&mut decompressor, 1 << 20).unwrap();
    let record = open.iter().next().unwrap().to_owned();
    drop(open);
    assert!((10_000..16_000).contains(&all.bytes()), "{}", all.bytes());
    assert_eq!(all.bytes(), share.bytes());
    drop(record);
    assert_eq!((all.bytes(), share.bytes()), (0, 0));
}

#[test]
fn a_record_that_is_copied_out_reads_the_same_and_lets_its_batch_go() {
    let batch = batch(5);
    let open = batch.open(0).unwrap();
    let mut cursor = open.cursor();
    open.take(&mut cursor, 1);
    let chunk = open.take(&mut cursor, 2);
    let mut cursor = chunk.start();
    for record in &chunk {
        let copy = open.copy_at(&mut cursor, Bytes::from).unwrap();
        assert_eq!(copy.len(), 1);
        let copied = copy.iter().next().unwrap();
        assert_eq!(copied.to_owned(), record.to_owned());
        assert_ne!(copied.value.unwrap().as_ptr(), record.value.unwrap().as_ptr());
        assert!(copy.size() < open.size());
    }
    assert_eq!(cursor.index(), 3);
    open.take(&mut cursor, 5);
    assert!(open.copy_at(&mut cursor, Bytes::from).is_none());
}

#[test]
fn an_opened_batch_can_be_sent_to_another_thread() {
    const fn sendable<T: Send + Sync + 'static>() {}
    sendable::<OpenBatch>();
    sendable::<Chunk>();
}
