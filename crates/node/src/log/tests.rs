//! Offsets, epochs and searches in a partition's log.

use alloc::boxed::Box;

use bytes::{Bytes, BytesMut};
use kohort_records::{Batch, BatchBuilder, TimestampType, codec::Compression, stored};

use super::memory::MemoryStorage;
use super::partition::{PartitionLog, Wanted};
use super::search::Search;
use super::storage::{LogName, Storage};
use super::validate::{Opened, Origin};
use crate::config::{Config, LogConfig, TopicConfig};

fn log() -> PartitionLog {
    let name = LogName {
        topic: "t".into(),
        topic_id: [0; 16],
        partition: 0,
    };
    let stored = MemoryStorage
        .open(&name, &config())
        .expect("memory does not fail");
    PartitionLog::open(stored, false, 1).expect("memory does not fail")
}

fn batch(records: usize) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None, None).expect("no level");
    for _ in 0..records {
        builder.append(1, None, Some(b"a"), &[]).expect("room");
    }
    let bytes: Bytes = builder.build(0).expect("built");
    Batch::decode(bytes, 0).expect("sound").expect("whole")
}

fn append(log: &mut PartitionLog, records: usize) -> i64 {
    append_batch(log, &batch(records))
}

fn config() -> LogConfig {
    TopicConfig::default().log_config(&Config::default())
}

fn append_batch(log: &mut PartitionLog, batch: &Batch) -> i64 {
    log.append(batch, &config(), Origin::Client(&mut Opened::default()), 1)
        .expect("the batch is sound")
        .base_offset
}

#[test]
fn the_end_of_an_epoch_is_the_beginning_of_the_next() {
    let mut log = log();
    append(&mut log, 3);
    log.begin_epoch().expect("memory does not fail");
    log.begin_epoch().expect("memory does not fail");
    append(&mut log, 2);
    assert_eq!(log.leader_epoch(), 2);
    // Kafka: LeaderEpochFileCache.endOffsetFor
    assert_eq!(log.end_of_epoch(0), Some((0, 3)));
    assert_eq!(log.end_of_epoch(1), Some((0, 3)));
    assert_eq!(log.end_of_epoch(2), Some((2, 5)));
    assert_eq!(log.end_of_epoch(3), None);
    assert_eq!(log.end_of_epoch(-1), None);
}

#[test]
fn a_batch_carries_the_epoch_in_which_it_was_appended() {
    let mut log = log();
    log.begin_epoch().expect("memory does not fail");
    append(&mut log, 1);
    let bytes = log.read(0, 1 << 20, false).expect("memory does not fail");
    let stored = Batch::decode(bytes, 0).expect("sound").expect("whole");
    assert_eq!((stored.base_offset(), stored.partition_leader_epoch()), (0, 1));
    stored
        .verify_crc()
        .expect("the checksum does not cover what is stamped");
}

#[test]
fn a_header_that_is_wrong_about_the_timestamps_is_put_right() {
    // Kafka: LogValidator, DefaultRecordBatch.setMaxTimestamp
    let mut log = log();
    let mut bytes = BytesMut::from(&batch(1).bytes()[..]);
    stored::set_create_time(&mut bytes, 99).expect("a whole batch");
    append_batch(
        &mut log,
        &Batch::decode(bytes.freeze(), 0).expect("sound").expect("whole"),
    );
    let bytes = log.read(0, 1 << 20, false).expect("memory does not fail");
    let kept = Batch::decode(bytes, 0).expect("sound").expect("whole");
    kept.verify_crc().expect("the checksum is computed again");
    assert_eq!(
        (kept.max_timestamp(), kept.timestamp_type()),
        (1, TimestampType::CreateTime)
    );
}

#[test]
fn records_before_the_start_of_the_log_are_not_found() {
    let mut log = log();
    append(&mut log, 3);
    log.remove_before(2).expect("memory does not fail");
    let found = log
        .find(Wanted::AtOrAfter(0), &mut Search::default())
        .expect("memory does not fail");
    assert_eq!(found.map(|found| found.offset), Some(2));
    assert!(!log.has_position(1));
    assert!(log.has_position(3));
    assert!(!log.has_position(4));
}

#[test]
fn an_empty_log_has_a_beginning_and_an_end_and_no_newest_record() {
    let mut log = log();
    let mut offset = |wanted| {
        let found = log
            .find(wanted, &mut Search::default())
            .expect("memory does not fail");
        found.map(|found| (found.offset, found.leader_epoch))
    };
    assert_eq!(offset(Wanted::Earliest), Some((0, 0)));
    assert_eq!(offset(Wanted::Latest), Some((0, 0)));
    assert_eq!(offset(Wanted::MaxTimestamp), None);
    let _: Box<dyn super::Storage> = Box::new(MemoryStorage);
}
