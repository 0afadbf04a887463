//! Settings, limits and reuse of the builder.

use super::*;
use crate::{Batch, TimestampType};

fn builder() -> BatchBuilder {
    BatchBuilder::new(Compression::None, None).unwrap()
}

fn read(bytes: Bytes) -> Batch {
    let batch = Batch::decode(bytes, 0).unwrap().unwrap();
    batch.verify_crc().unwrap();
    batch
}

#[test]
fn the_header_says_what_was_set() {
    let mut builder = builder();
    builder
        .set_producer(17, 3, i32::MAX - 1)
        .set_transactional(true)
        .set_partition_leader_epoch(5);
    for timestamp in [10, 30, 20] {
        builder.append(timestamp, None, None, &[]).unwrap();
    }
    let batch = read(builder.build(1_000).unwrap());
    assert_eq!(
        (batch.producer_id(), batch.producer_epoch(), batch.base_sequence()),
        (17, 3, i32::MAX - 1)
    );
    // The sequence wraps to 0.
    assert_eq!(batch.last_sequence(), 0);
    assert_eq!(
        (batch.base_offset(), batch.last_offset(), batch.records_count()),
        (1_000, 1_002, 3)
    );
    assert_eq!(
        (
            batch.base_timestamp(),
            batch.max_timestamp(),
            batch.partition_leader_epoch()
        ),
        (10, 30, 5)
    );
    assert!(batch.is_transactional() && !batch.is_control());
    assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);
}

#[test]
fn nothing_set_means_no_producer_and_no_epoch() {
    let mut builder = builder();
    builder.append(0, None, None, &[]).unwrap();
    let batch = read(builder.build(0).unwrap());
    assert_eq!((batch.producer_id(), batch.producer_epoch()), (-1, -1));
    assert_eq!(
        (
            batch.base_sequence(),
            batch.last_sequence(),
            batch.partition_leader_epoch()
        ),
        (-1, -1, -1)
    );
    assert_eq!(batch.delete_horizon(), None);
}

#[test]
fn a_built_batch_leaves_the_builder_empty_with_its_settings() {
    for compression in Compression::ALL {
        let mut builder = BatchBuilder::new(compression, None).unwrap();
        builder.set_producer(1, 2, 3);
        let mut build = |value: &[u8]| {
            builder.append(7, None, Some(value), &[]).unwrap();
            let bytes = builder.build(0).unwrap();
            assert!(builder.is_empty());
            assert_eq!(builder.size(), BATCH_OVERHEAD);
            read(bytes)
        };
        let (first, second) = (build(b"one"), build(b"two"));
        assert_eq!((second.producer_id(), second.compression()), (1, Ok(compression)));
        for (batch, value) in [(first, b"one"), (second, b"two")] {
            let open = batch.open(100).unwrap();
            assert_eq!(open.iter().next().unwrap().value, Some(&value[..]));
        }
    }
}

#[test]
fn the_size_is_that_of_the_uncompressed_batch_and_within_its_bound() {
    let mut builder = builder();
    let headers = [Header::new("name", "value"), Header::null("none")];
    for (key, value) in [
        (None, None),
        (Some(&[1; 70][..]), Some(&[2; 9_000][..])),
        (Some(&[][..]), None),
    ] {
        let before = builder.size();
        builder.append(i64::MAX, key, value, &headers).unwrap();
        assert!(builder.size() - before <= BatchBuilder::size_upper_bound(key, value, &headers));
    }
    let size = builder.size();
    assert_eq!(builder.build(0).unwrap().len(), size);
}

#[test]
fn a_batch_without_records_is_a_header() {
    for compression in Compression::ALL {
        let mut builder = BatchBuilder::new(compression, None).unwrap();
        builder.set_last_offset_delta(9);
        let batch = read(builder.build(50).unwrap());
        assert_eq!(
            (batch.size(), batch.next_offset(), batch.base_timestamp()),
            (BATCH_OVERHEAD, 60, -1)
        );
        assert!(batch.open(0).unwrap().is_empty());
    }
}

#[test]
fn log_append_time_replaces_the_timestamps() {
    let mut builder = builder();
    builder
        .set_log_append_time(Some(99))
        .append(5, None, None, &[])
        .unwrap();
    let batch = read(builder.build(0).unwrap());
    assert_eq!(
        (batch.timestamp_type(), batch.max_timestamp()),
        (TimestampType::LogAppendTime, 99)
    );
    assert_eq!(batch.open(0).unwrap().iter().next().unwrap().timestamp, 99);
}

#[test]
fn the_delete_horizon_is_the_base_timestamp_and_leaves_the_records_their_own() {
    let mut builder = builder();
    builder
        .set_delete_horizon(Some(500))
        .append(5, Some(b"key"), None, &[])
        .unwrap();
    let batch = read(builder.build(0).unwrap());
    assert_eq!((batch.delete_horizon(), batch.base_timestamp()), (Some(500), 500));
    assert_eq!(batch.open(0).unwrap().iter().next().unwrap().timestamp, 5);
}

#[test]
fn what_cannot_be_a_record_is_refused_and_changes_nothing() {
    let mut builder = builder();
    assert_eq!(
        builder.append(-2, None, None, &[]),
        Err(BuildError::InvalidTimestamp { timestamp: -2 })
    );
    builder.append_at(4, 0, None, None, &[]).unwrap();
    let size = builder.size();
    for delta in [0, 4] {
        let refused = builder.append_at(delta, 0, None, None, &[]);
        assert_eq!(refused, Err(BuildError::OffsetNotIncreasing { delta, last: 4 }));
    }
    assert_eq!(
        builder.append_at(i32::MAX as u32, 0, None, None, &[]),
        Err(BuildError::Full)
    );
    assert_eq!((builder.len(), builder.size()), (1, size));
}

#[test]
fn a_base_offset_that_overflows_is_refused_and_the_records_stay() {
    let mut builder = builder();
    builder.append(0, None, None, &[]).unwrap();
    for base_offset in [-1, i64::MAX] {
        assert_eq!(
            builder.build(base_offset),
            Err(BuildError::InvalidBaseOffset { base_offset })
        );
    }
    assert_eq!(read(builder.build(i64::MAX - 1).unwrap()).next_offset(), i64::MAX);
}
