//! Logs on a disk in memory that is told to fail.

mod crashes;
mod failures;
mod removal;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_records::{Batch, BatchBuilder, batches, codec::Compression};

use super::SegmentStorage;
use crate::config::{Config, LogConfig, TopicConfig};
use crate::log::testing::MemoryDisk;
use crate::log::{Disk, LogName, Opened, Origin, PartitionLog, Point, Search, Storage, StorageError, Wanted};

const NOW: i64 = 1_700_000_000_000;

/// A log of small segments with an index entry for nearly each batch.
struct Bench {
    disk: MemoryDisk,
    config: LogConfig,
    storage: SegmentStorage,
    log: PartitionLog,
}

fn name() -> LogName {
    LogName {
        topic: "t".into(),
        topic_id: [7; 16],
        partition: 0,
    }
}

fn config(settings: &[(&str, &str)]) -> LogConfig {
    let mut topic = TopicConfig::default();
    for (key, value) in settings {
        topic.set(key, value).expect("a known key");
    }
    let mut config = topic.log_config(&Config::default());
    config.segment_bytes = 1000;
    config.index_interval_bytes = 150;
    config
}

fn batch(records: usize, timestamp: i64, value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None, None).expect("no level");
    for _ in 0..records {
        builder
            .append(timestamp, None, Some(value.as_bytes()), &[])
            .expect("room");
    }
    let bytes: Bytes = builder.build(0).expect("built");
    Batch::decode(bytes, 0).expect("sound").expect("whole")
}

impl Bench {
    fn new() -> Self {
        Self::on(MemoryDisk::default(), config(&[])).expect("the disk is in order")
    }

    fn on(disk: MemoryDisk, config: LogConfig) -> Result<Self, StorageError> {
        let mut storage = SegmentStorage::new(disk.share())?;
        let stored = storage.open(&name(), &config)?;
        let log = PartitionLog::open(stored, true, NOW)?;
        Ok(Self {
            disk,
            config,
            storage,
            log,
        })
    }

    /// Opens the log again without closing it, as after a crash of the process.
    fn crash(self) -> Self {
        Self::on(self.disk, self.config).expect("the disk is in order")
    }

    /// Closes the log and opens it again.
    fn restart(mut self) -> Self {
        self.close();
        Self::on(self.disk, self.config).expect("the disk is in order")
    }

    fn close(&mut self) {
        self.log.complete().expect("the disk is in order");
        self.sync();
        let point = self.log.recovery_point();
        self.storage
            .keep(Point::Recovery, &[(name(), point)])
            .expect("the disk is in order");
        self.storage.close(1).expect("the disk is in order");
    }

    fn sync(&mut self) {
        let mut paths = self.log.take_unsynced();
        paths.extend(self.storage.take_unsynced());
        self.storage.sync(&paths).expect("the disk is in order");
        self.log.synced();
    }

    fn append(&mut self, records: usize, value: &str) -> Result<i64, String> {
        let timestamp = NOW + self.log.end_offset();
        let appended = self.log.append(
            &batch(records, timestamp, value),
            &self.config,
            Origin::Client(&mut Opened::default()),
            NOW,
        );
        appended
            .map(|appended| appended.base_offset)
            .map_err(|rejection| rejection.message)
    }

    /// Appends so many batches of two records, whose values are their base offsets.
    fn fill(&mut self, batches: usize) {
        for _ in 0..batches {
            let value = self.log.end_offset().to_string();
            self.append(2, &value).expect("the disk is in order");
        }
    }

    /// All records from `from` on: offset and value.
    fn records(&mut self, from: i64) -> Vec<(i64, String)> {
        let mut records = Vec::new();
        let mut next = from;
        while next < self.log.high_watermark() {
            let bytes = self.log.read(next, 300, true).expect("the disk is in order");
            assert!(!bytes.is_empty(), "nothing at {next}");
            for batch in batches(bytes) {
                let batch = batch.expect("whole batches");
                batch.verify_crc().expect("sound batches");
                for record in batch.open(usize::MAX).expect("sound").iter() {
                    let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
                    records.push((record.offset, value));
                }
                next = batch.next_offset();
            }
        }
        records.retain(|(offset, _)| *offset >= from);
        records
    }

    fn check(&mut self, range: core::ops::Range<i64>) {
        let expected: Vec<(i64, String)> = range
            .clone()
            .map(|offset| (offset, (offset - offset % 2).to_string()))
            .collect();
        assert_eq!(self.records(range.start), expected);
        assert_eq!(self.log.end_offset(), range.end);
    }

    fn files(&self, extension: &str) -> Vec<String> {
        let mut paths = self.disk.paths();
        paths.retain(|path| path.ends_with(&format!(".{extension}")));
        paths
    }

    fn find(&mut self, wanted: Wanted) -> Option<i64> {
        let found = self
            .log
            .find(wanted, &mut Search::default())
            .expect("the disk is in order");
        found.map(|found| found.offset)
    }
}

/// The path of a file of the segment at `base`.
fn path(base: i64, extension: &str) -> String {
    format!("t-0/{base:020}.{extension}")
}

#[test]
fn segments_roll_and_are_read_from_every_offset() {
    let mut bench = Bench::new();
    bench.fill(100);
    assert!(bench.files("log").len() > 5, "{:?}", bench.disk.paths());
    for from in [0, 1, 2, 77, 100, 199] {
        let read = bench.records(from);
        assert_eq!(read.first().map(|(offset, _)| *offset), Some(from));
        assert_eq!(read.last().map(|(offset, _)| *offset), Some(199));
    }
    bench.check(0..200);
}

#[test]
fn offsets_are_found_by_time_in_every_segment() {
    let mut bench = Bench::new();
    bench.fill(100);
    // Both records of a batch have the time of the first one's offset.
    for offset in [0, 2, 50, 100, 198] {
        assert_eq!(bench.find(Wanted::AtOrAfter(NOW + offset)), Some(offset));
    }
    assert_eq!(bench.find(Wanted::AtOrAfter(NOW + 51)), Some(52));
    assert_eq!(bench.find(Wanted::AtOrAfter(NOW + 199)), None);
    assert_eq!(bench.find(Wanted::MaxTimestamp), Some(198));
}

#[test]
fn a_log_that_was_closed_is_found_as_it_was_left() {
    let mut bench = Bench::new();
    bench.fill(100);
    let mut bench = bench.restart();
    bench.check(0..200);
    assert_eq!(bench.log.take_notes(), Vec::<String>::new());
    bench.fill(10);
    bench.check(0..220);
    assert_eq!(bench.find(Wanted::AtOrAfter(NOW + 150)), Some(150));
}

#[test]
fn a_restart_begins_a_leader_epoch_and_its_records_carry_it() {
    let mut bench = Bench::new();
    bench.fill(3);
    let mut bench = bench.restart();
    assert_eq!(bench.log.leader_epoch(), 1);
    bench.fill(2);
    assert_eq!(bench.log.end_of_epoch(0), Some((0, 6)));
    let mut bench = bench.crash();
    assert_eq!(bench.log.leader_epoch(), 2);
    assert_eq!(bench.log.end_of_epoch(1), Some((1, 10)));
    // Without the checkpoint the batches tell.
    bench
        .disk
        .remove("t-0/leader-epoch-checkpoint")
        .expect("the disk is in order");
    let bench = bench.restart();
    assert_eq!(bench.log.end_of_epoch(0), Some((0, 6)));
}

#[test]
fn a_directory_of_another_topic_is_refused_and_left() {
    let mut bench = Bench::new();
    bench.fill(1);
    let other = LogName {
        topic_id: [8; 16],
        ..name()
    };
    let error = bench
        .storage
        .open(&other, &bench.config)
        .err()
        .expect("another id");
    assert!(error.to_string().contains("t-0 belongs to"), "{error}");
    bench.check(0..2);
}

#[test]
fn messages_of_an_old_format_are_refused_and_left() {
    let mut bench = Bench::new();
    bench.fill(1);
    let log = path(0, "log");
    let mut old = bench.disk.share().read(&log, 0, usize::MAX).expect("there");
    old[16] = 1;
    bench.disk.truncate(&log, 0).expect("the disk is in order");
    bench.disk.write(&log, 0, &old).expect("the disk is in order");
    let error = Bench::on(bench.disk.clone(), config(&[])).err().expect("magic 1");
    assert!(error.to_string().contains("before Kafka 0.11"), "{error}");
    assert_eq!(bench.disk.share().read(&log, 0, usize::MAX).expect("there"), old);
    let _: Box<dyn Disk> = bench.disk.share();
}
