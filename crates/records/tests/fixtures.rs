//! Batches written by Kafka's own classes are read as they were meant, and built again to the same bytes where no
//! codec has a say in them. `fixtures/Fixtures.java` wrote them.

use bytes::Bytes;
use kohort_records::{
    Batch, BatchBuilder, BatchError, Compression, ControlRecord, Header, OpenBatch, Record, TimestampType,
    batches,
};

const LIMIT: usize = 1 << 20;
const TIME: i64 = 1_700_000_000_000;

macro_rules! fixture {
    ($name:literal) => {
        Bytes::from_static(include_bytes!(concat!("fixtures/", $name, ".bin")))
    };
}

fn read(bytes: Bytes) -> Vec<Batch> {
    let batches: Vec<_> = batches(bytes)
        .map(|batch| batch.expect("a readable batch"))
        .collect();
    for batch in &batches {
        batch.verify_crc().expect("the checksum is right");
    }
    batches
}

fn only(bytes: Bytes) -> Batch {
    let mut all = read(bytes);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn open(batch: &Batch) -> OpenBatch {
    batch.open(LIMIT).expect("well-formed records")
}

fn records(batch: &Batch) -> Vec<Record> {
    open(batch).iter().map(|record| record.to_owned()).collect()
}

fn record(offset: i64, timestamp: i64, key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> Record {
    let (key, value) = (key.map(Bytes::from_static), value.map(Bytes::from_static));
    Record {
        offset,
        timestamp,
        key,
        value,
        ..Record::default()
    }
}

fn mixed() -> [Vec<Record>; 2] {
    let mut with_headers = record(1004, TIME + 2, Some(b"headers"), Some(b"with headers"));
    with_headers.headers = vec![
        Header::new("trace", "abc"),
        Header::null("null"),
        Header::new("", ""),
        Header::new("trace", "def"),
        Header::new("schlüssel", vec![0, 255, 127, 128]),
    ];
    let mut long = record(1006, TIME + 10, Some(b"second batch"), None);
    long.value = Some(Bytes::from("x".repeat(300)));
    [
        vec![
            record(1000, TIME, Some(b"key"), Some(b"value")),
            record(1001, TIME + 1, None, Some(b"no key")),
            record(1002, TIME - 5_000, Some(b"tombstone"), None),
            record(1003, TIME + 86_400_000_000, Some(b""), Some(b"")),
            with_headers,
            record(1005, 0, None, None),
        ],
        vec![long],
    ]
}

fn all_mixed() -> [(Compression, Bytes); 5] {
    [
        (Compression::None, fixture!("mixed-none")),
        (Compression::Gzip, fixture!("mixed-gzip")),
        (Compression::Snappy, fixture!("mixed-snappy")),
        (Compression::Lz4, fixture!("mixed-lz4")),
        (Compression::Zstd, fixture!("mixed-zstd")),
    ]
}

#[test]
fn every_codec_yields_the_records_that_java_wrote() {
    for (codec, bytes) in all_mixed() {
        let batches = read(bytes);
        assert_eq!(batches.len(), 2);
        for (batch, expected) in batches.iter().zip(mixed()) {
            assert_eq!(batch.compression(), Ok(codec));
            assert_eq!(records(batch), expected, "{codec}");
            assert_eq!(batch.records_count() as usize, expected.len());
            assert_eq!(batch.partition_leader_epoch(), 7);
            assert_eq!(
                (batch.producer_id(), batch.producer_epoch(), batch.last_sequence()),
                (-1, -1, -1)
            );
            assert!(!batch.is_control() && !batch.is_transactional());
        }
        let first = &batches[0];
        assert_eq!(
            (first.base_offset(), first.last_offset(), first.next_offset()),
            (1000, 1005, 1006)
        );
        assert_eq!(
            (first.base_timestamp(), first.max_timestamp()),
            (TIME, TIME + 86_400_000_000)
        );
    }
}

#[test]
fn headers_are_found_by_their_last_value() {
    let batch = &read(fixture!("mixed-none"))[0];
    let open = open(batch);
    let record = open.iter().nth(4).unwrap();
    assert_eq!(record.headers.len(), 5);
    assert_eq!(
        record.headers.last_header("trace").map(|header| header.value),
        Some(Some(&b"def"[..]))
    );
    assert_eq!(
        record.headers.last_header("null").map(|header| header.value),
        Some(None)
    );
    assert_eq!(record.headers.last_header("absent"), None);
    assert_eq!(record.headers.clone().last().unwrap().name(), "schlüssel");
}

#[test]
fn an_uncompressed_batch_is_built_to_the_bytes_that_java_writes() {
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    let mut built = Vec::new();
    for (base_offset, records) in [1000, 1006].into_iter().zip(mixed()) {
        builder.set_partition_leader_epoch(7);
        for record in &records {
            builder
                .append(
                    record.timestamp,
                    record.key.as_deref(),
                    record.value.as_deref(),
                    &record.headers,
                )
                .unwrap();
        }
        built.extend_from_slice(&builder.build(base_offset).unwrap());
    }
    assert_eq!(Bytes::from(built), fixture!("mixed-none"));
}

#[test]
fn batches_of_many_blocks_are_read_whole() {
    for (codec, bytes) in [
        (Compression::Gzip, fixture!("large-gzip")),
        (Compression::Snappy, fixture!("large-snappy")),
        (Compression::Lz4, fixture!("large-lz4")),
        (Compression::Lz4, fixture!("large-lz4-level17")),
        (Compression::Zstd, fixture!("large-zstd")),
        (Compression::Zstd, fixture!("large-zstd-level19")),
    ] {
        let batch = only(bytes);
        assert_eq!(batch.compression(), Ok(codec));
        let records = records(&batch);
        assert_eq!(records.len(), 150);
        for (i, record) in records.iter().enumerate() {
            let value: Vec<u8> = (0..500)
                .map(|j| {
                    if j % 3 == 0 {
                        j as u8
                    } else {
                        ((i * 31 + j * j) % 11) as u8
                    }
                })
                .collect();
            assert_eq!((record.offset, record.timestamp), (i as i64, TIME + i as i64));
            assert_eq!(record.key.as_deref(), Some(format!("key-{i}").as_bytes()));
            assert_eq!(record.value.as_deref(), Some(&value[..]));
        }
    }
}

#[test]
fn the_limit_holds_for_the_batches_that_java_writes() {
    for bytes in [
        fixture!("large-gzip"),
        fixture!("large-snappy"),
        fixture!("large-lz4"),
        fixture!("large-zstd"),
    ] {
        let batch = only(bytes);
        let compression = batch.compression().unwrap();
        let size = open(&batch).size();
        assert!(batch.open(size).is_ok());
        for limit in [0, 1, 1_000, size - 1] {
            let error = batch.open(limit).unwrap_err();
            assert_eq!(
                error,
                BatchError::TooLarge {
                    base_offset: 0,
                    compression,
                    limit
                }
            );
        }
    }
}

#[test]
fn a_raw_snappy_block_is_read() {
    let batch = only(fixture!("snappy-raw"));
    assert_eq!(batch.compression(), Ok(Compression::Snappy));
    let records = records(&batch);
    assert_eq!(records[0].value.as_deref(), Some("snappy ".repeat(40).as_bytes()));
    assert_eq!(records[1], record(21, TIME + 1, Some(b"raw"), Some(b"block")));
}

#[test]
fn with_log_append_time_all_records_have_the_largest_timestamp() {
    let batch = only(fixture!("log-append-time"));
    assert_eq!(
        (batch.timestamp_type(), batch.max_timestamp()),
        (TimestampType::LogAppendTime, TIME + 999)
    );
    let read: Vec<_> = open(&batch)
        .iter()
        .map(|r| (r.offset, r.timestamp, r.timestamp_type))
        .collect();
    assert_eq!(
        read,
        [5, 6].map(|offset| (offset, TIME + 999, TimestampType::LogAppendTime))
    );
}

#[test]
fn transactions_and_their_markers_are_read() {
    let batches = read(fixture!("transactions"));
    let headers: Vec<_> = batches
        .iter()
        .map(|b| {
            (
                b.base_offset(),
                b.is_control(),
                b.producer_epoch(),
                b.base_sequence(),
                b.last_sequence(),
            )
        })
        .collect();
    let expected = [
        (0, false, 2, 10, 11),
        (2, true, 2, -1, -1),
        (3, false, 3, i32::MAX, 0),
        (5, true, 3, -1, -1),
    ];
    assert_eq!(headers, expected);
    assert!(
        batches
            .iter()
            .all(|b| b.is_transactional() && b.producer_id() == 4000)
    );
    let marker = |batch: &Batch| ControlRecord::decode(&open(batch).iter().next().unwrap()).unwrap();
    assert_eq!(
        marker(&batches[1]),
        ControlRecord::Abort {
            coordinator_epoch: 21
        }
    );
    assert_eq!(
        marker(&batches[3]),
        ControlRecord::Commit {
            coordinator_epoch: 22
        }
    );
}

#[test]
fn a_marker_is_built_to_the_bytes_that_java_writes() {
    let java = read(fixture!("transactions"));
    let abort = ControlRecord::Abort {
        coordinator_epoch: 21,
    };
    let commit = ControlRecord::Commit {
        coordinator_epoch: 22,
    };
    let build = |offset, time, epoch, marker| {
        kohort_records::control::build_marker(offset, time, 3, 4000, epoch, marker).unwrap()
    };
    assert_eq!(&build(2, TIME + 1, 2, abort), java[1].bytes());
    assert_eq!(&build(5, TIME + 2, 3, commit), java[3].bytes());
}

#[test]
fn a_compacted_batch_keeps_its_range() {
    let batches = read(fixture!("compacted"));
    let [kept, emptied] = &batches[..] else {
        panic!("{batches:?}")
    };
    assert_eq!(
        (kept.base_offset(), kept.last_offset(), kept.next_offset()),
        (100, 104, 105)
    );
    assert_eq!(
        (kept.records_count(), kept.base_sequence(), kept.last_sequence()),
        (2, 0, 4)
    );
    assert_eq!(kept.delete_horizon(), Some(TIME + 1_000 + 86_400_000));
    let expected = [
        record(101, TIME + 1, Some(b"key-1"), Some(b"value-1")),
        record(103, TIME + 3, Some(b"key-3"), None),
    ];
    assert_eq!(records(kept), expected);
    assert_eq!(
        (
            emptied.base_offset(),
            emptied.next_offset(),
            emptied.records_count()
        ),
        (105, 110, 0)
    );
    assert_eq!(
        (emptied.base_timestamp(), emptied.max_timestamp()),
        (-1, TIME + 4)
    );
    assert!(records(emptied).is_empty());
}

#[test]
fn a_compacted_batch_is_built_to_the_bytes_that_java_writes() {
    let java = read(fixture!("compacted"));
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    builder
        .set_producer(9, 1, 0)
        .set_partition_leader_epoch(4)
        .set_last_offset_delta(4);
    builder.set_delete_horizon(Some(TIME + 1_000 + 86_400_000));
    for record in records(&java[0]) {
        let delta = (record.offset - 100) as u32;
        builder
            .append_at(
                delta,
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &[],
            )
            .unwrap();
    }
    assert_eq!(&builder.build(100).unwrap(), java[0].bytes());
}
