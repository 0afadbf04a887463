//! Logs on a disk in memory that is told to fail.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_records::{Batch, BatchBuilder, batches, codec::Compression};

use super::SegmentStorage;
use crate::config::{Config, LogConfig, TopicConfig};
use crate::log::testing::MemoryDisk;
use crate::log::{Disk, LogName, Origin, PartitionLog, Point, Storage, StorageError, Wanted};

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
            Origin::Client,
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
        let found = self.log.find(wanted).expect("the disk is in order");
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
fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    let mut whole = Bench::new();
    whole.fill(3);
    let len = whole
        .disk
        .len(&path(0, "log"))
        .expect("the disk is in order")
        .expect("there");
    let batch = len / 3;
    for torn in 1..=batch {
        let disk = whole.disk.copy();
        disk.share()
            .truncate(&path(0, "log"), len - torn)
            .expect("the disk is in order");
        let mut bench = Bench::on(disk, config(&[])).expect("the disk is in order");
        bench.check(0..4);
        bench.fill(1);
        bench.check(0..6);
    }
}

#[test]
fn a_damaged_batch_ends_a_log_that_was_not_closed() {
    let mut bench = Bench::new();
    bench.fill(100);
    bench.disk.damage(&path(0, "log"), 250);
    let mut bench = bench.crash();
    assert!(bench.log.end_offset() < 10);
    assert!(!bench.log.take_notes().is_empty());
    // Nothing of the segments behind it comes back.
    let end = bench.log.end_offset();
    bench.check(0..end);
    let mut bench = bench.restart();
    bench.check(0..end);
    assert_eq!(bench.files("log").len(), 1);
}

#[test]
fn what_was_synced_is_not_looked_through_after_a_crash() {
    let mut bench = Bench::new();
    bench.fill(100);
    bench.sync();
    bench
        .storage
        .keep(Point::Recovery, &[(name(), 200)])
        .expect("the disk is in order");
    bench.disk.damage(&path(0, "log"), 250);
    let bench = bench.crash();
    assert_eq!(bench.log.end_offset(), 200);
}

#[test]
fn missing_and_damaged_indexes_are_built_again() {
    let mut bench = Bench::new();
    bench.fill(100);
    bench.close();
    let content = |disk: &MemoryDisk, path: &str| disk.share().read(path, 0, usize::MAX).expect("there");
    for extension in ["index", "timeindex"] {
        for base in bench.files("log") {
            let index = base.replace(".log", &format!(".{extension}"));
            let disk = bench.disk.copy();
            let before = content(&disk, &index);
            disk.share().remove(&index).expect("the disk is in order");
            let mut again = Bench::on(disk, config(&[])).expect("the disk is in order");
            again.check(0..200);
            assert_eq!(content(&again.disk, &index), before, "{index}");
            let disk = bench.disk.copy();
            disk.share()
                .write(&index, before.len() as u64, &[0; 5])
                .expect("the disk is in order");
            let mut again = Bench::on(disk, config(&[])).expect("the disk is in order");
            again.check(0..200);
            assert_eq!(content(&again.disk, &index), before, "{index}");
        }
    }
}

#[test]
fn after_a_crash_the_indexes_are_what_they_were() {
    let mut bench = Bench::new();
    bench.fill(60);
    let entries = |bench: &Bench| -> Vec<(String, Vec<u8>)> {
        let paths = bench.files("index");
        paths
            .into_iter()
            .map(|path| {
                let bytes = bench.disk.share().read(&path, 0, usize::MAX).expect("there");
                (path, bytes)
            })
            .collect()
    };
    let before = entries(&bench);
    let bench = bench.crash();
    assert_eq!(entries(&bench), before);
}

#[test]
fn a_disk_that_is_full_refuses_and_takes_again_when_there_is_room() {
    for room in 0..250 {
        let mut bench = Bench::new();
        bench.fill(4);
        bench.disk.set_room(Some(room));
        let mut appended = 0;
        while bench.append(2, &bench.log.end_offset().to_string()).is_ok() {
            appended += 1;
        }
        let end = bench.log.end_offset();
        assert_eq!(end, 8 + appended * 2);
        bench.check(0..end);
        bench.disk.set_room(None);
        bench.fill(20);
        bench.check(0..end + 40);
        let mut bench = bench.crash();
        bench.check(0..end + 40);
        assert_eq!(bench.log.take_notes(), Vec::<String>::new(), "room for {room}");
    }
}

#[test]
fn a_log_whose_failed_write_cannot_be_taken_back_takes_no_more_until_it_is_opened_again() {
    let mut bench = Bench::new();
    bench.fill(4);
    bench.disk.set_fuel(Some(0));
    bench.append(2, "8").expect_err("the disk is out of order");
    bench.disk.set_fuel(None);
    let refused = bench.append(2, "8").expect_err("the end of the file is unknown");
    assert!(refused.contains("restart"), "{refused}");
    bench.check(0..8);
    let mut bench = bench.crash();
    bench.check(0..8);
    bench.fill(1);
    bench.check(0..10);
}

#[test]
fn whatever_operation_fails_nothing_acknowledged_is_lost() {
    for fuel in 0..60 {
        let mut bench = Bench::new();
        bench.fill(2);
        bench.disk.set_fuel(Some(fuel));
        while bench.append(2, &bench.log.end_offset().to_string()).is_ok() {}
        let acknowledged = bench.log.end_offset();
        bench.disk.set_fuel(None);
        let mut bench = bench.crash();
        // The batch that was refused may have come to the disk.
        let end = bench.log.end_offset();
        assert!(
            end == acknowledged || end == acknowledged + 2,
            "{acknowledged} {end}"
        );
        bench.check(0..end);
        bench.fill(20);
        bench.check(0..end + 40);
    }
}

#[test]
fn after_a_loss_of_power_everything_synced_is_there_and_the_rest_is_a_beginning() {
    for seed in 0..300 {
        let mut bench = Bench::new();
        bench.fill(usize::try_from(seed % 13).expect("small"));
        bench.sync();
        let synced = bench.log.end_offset();
        bench.fill(usize::try_from(seed % 29).expect("small"));
        let written = bench.log.end_offset();
        bench.disk.lose_power(seed);
        let mut bench = bench.crash();
        let end = bench.log.end_offset();
        assert!(
            (synced..=written).contains(&end),
            "{synced} {end} {written}, seed {seed}"
        );
        bench.check(0..end);
        bench.sync();
        bench.fill(10);
        bench.check(0..end + 20);
        let mut bench = bench.restart();
        bench.check(0..end + 20);
    }
}

#[test]
fn old_segments_are_removed_with_their_files() {
    let mut bench = Bench::new();
    bench.fill(100);
    let logs = bench.files("log").len();
    bench.config = config(&[("retention.bytes", "2500")]);
    assert!(
        bench
            .log
            .expire(&bench.config.clone(), NOW)
            .expect("the disk is in order")
    );
    let start = bench.log.start_offset();
    assert!(start > 100, "{start}");
    assert!(bench.files("log").len() < logs);
    let garbage = bench.log.take_garbage();
    assert!(!garbage.is_empty() && garbage.iter().all(|path| path.ends_with(".deleted")));
    bench.check(start..200);
    // What was not removed before a crash is removed after it.
    let mut bench = bench.crash();
    assert_eq!(bench.log.start_offset(), start);
    bench.check(start..200);
    assert!(!bench.disk.paths().iter().any(|path| path.ends_with(".deleted")));
}

#[test]
fn a_log_all_of_which_is_too_old_goes_on_at_its_end() {
    let mut bench = Bench::new();
    bench.fill(10);
    bench.config = config(&[("retention.ms", "1000")]);
    let config = bench.config.clone();
    assert!(
        bench
            .log
            .expire(&config, NOW + 10_000)
            .expect("the disk is in order")
    );
    assert_eq!((bench.log.start_offset(), bench.log.end_offset()), (20, 20));
    assert_eq!(bench.files("log"), [path(20, "log")]);
    let mut bench = bench.crash();
    assert_eq!((bench.log.start_offset(), bench.log.end_offset()), (20, 20));
    bench.fill(2);
    bench.check(20..24);
}

#[test]
fn deleted_records_stay_deleted() {
    let mut bench = Bench::new();
    bench.fill(100);
    bench.log.remove_before(151).expect("the disk is in order");
    assert_eq!(bench.log.start_within_segment(), Some(151));
    bench
        .storage
        .keep(Point::Start, &[(name(), 151)])
        .expect("the disk is in order");
    let mut bench = bench.crash();
    assert_eq!(bench.log.start_offset(), 151);
    bench.check(151..200);
    assert_eq!(bench.find(Wanted::AtOrAfter(0)), Some(151));
}

#[test]
fn a_swap_that_was_not_finished_is_finished() {
    // What a cleaner of Kafka leaves when it is killed: one segment that replaces the first two.
    let mut bench = Bench::new();
    bench.fill(100);
    bench.sync();
    let logs = bench.files("log");
    let mut both = Vec::new();
    for log in &logs[..2] {
        both.extend(bench.disk.share().read(log, 0, usize::MAX).expect("there"));
    }
    let swap = format!("{}.swap", logs[0]);
    bench.disk.write(&swap, 0, &both).expect("the disk is in order");
    bench
        .disk
        .write(&path(0, "index.swap"), 0, &[0; 8])
        .expect("the disk is in order");
    let left = path(12, "log.cleaned");
    bench.disk.write(&left, 0, b"half").expect("the disk is in order");
    let mut bench = bench.crash();
    bench.check(0..200);
    assert_eq!(bench.files("log").len(), logs.len() - 1);
    assert!(
        !bench
            .disk
            .paths()
            .iter()
            .any(|path| path.ends_with(".swap") || path.ends_with(".cleaned"))
    );
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

#[test]
fn the_last_record_of_each_key_is_written_again_when_they_are_the_smaller_part() {
    let mut bench = Bench::new();
    bench.config = config(&[]);
    bench.config.segment_bytes = 4 << 20;
    let config = bench.config.clone();
    let value = "x".repeat(100_000);
    let append = |bench: &mut Bench, key: &str, value: Option<&str>| {
        let mut builder = BatchBuilder::new(Compression::None, None).expect("no level");
        builder
            .append(NOW, Some(key.as_bytes()), value.map(str::as_bytes), &[])
            .expect("room");
        let bytes = builder.build(0).expect("built");
        let batch = Batch::decode(bytes, 0).expect("sound").expect("whole");
        let config = bench.config.clone();
        bench
            .log
            .append(&batch, &config, Origin::Coordinator, NOW)
            .expect("room");
    };
    append(&mut bench, "gone", Some("soon"));
    for _ in 0..100 {
        append(&mut bench, "a", Some(&value));
    }
    append(&mut bench, "gone", None);
    append(&mut bench, "b", Some("last"));
    let first = super::super::rewrite_latest(&mut bench.log, &config, NOW).expect("the disk is in order");
    assert_eq!(first, Some(103));
    bench.sync();
    bench.log.remove_before(103).expect("the disk is in order");
    let mut bench = bench.crash();
    let kept = bench.records(103);
    assert_eq!(kept, [(103, value), (104, "last".to_string())]);
    assert_eq!(
        super::super::rewrite_latest(&mut bench.log, &config, NOW).expect("the disk is in order"),
        None,
        "it is small now"
    );
}

#[test]
fn a_topic_created_again_does_not_begin_where_the_deleted_one_did() {
    for is_kept in [false, true] {
        let mut bench = Bench::new();
        bench.fill(100);
        bench.log.remove_before(151).expect("the disk is in order");
        let points = [(name(), 151)];
        bench
            .storage
            .keep(Point::Start, &points)
            .expect("the disk is in order");
        bench.storage.remove(&name()).expect("the disk is in order");
        let stored = bench
            .storage
            .open(&name(), &bench.config)
            .expect("the disk is in order");
        bench.log = PartitionLog::open(stored, true, NOW).expect("the disk is in order");
        bench.fill(5);
        if is_kept {
            bench
                .storage
                .keep(Point::Start, &[])
                .expect("the disk is in order");
        }
        let mut bench = bench.crash();
        bench.check(0..10);
    }
}

#[test]
fn a_log_that_ends_before_its_start_begins_anew_there_and_says_so() {
    let mut bench = Bench::new();
    bench.fill(5);
    bench
        .storage
        .keep(Point::Start, &[(name(), 151)])
        .expect("the disk is in order");
    let mut bench = bench.crash();
    assert_eq!((bench.log.start_offset(), bench.log.end_offset()), (151, 151));
    let notes = bench.log.take_notes();
    assert!(
        notes.iter().any(|note| note.contains("before offset 151")),
        "{notes:?}"
    );
}

#[test]
fn where_a_log_begins_outlives_a_loss_of_power_as_soon_as_its_name_does() {
    let mut bench = Bench::new();
    bench
        .storage
        .keep(Point::Start, &[(name(), 151)])
        .expect("the disk is in order");
    bench.disk.sync("").expect("the disk is in order");
    bench.disk.lose_power(1);
    let text = bench.disk.read("log-start-offset-checkpoint", 0, 100);
    assert_eq!(text.expect("there"), b"0\n1\nt 0 151\n");
}

#[test]
fn damage_in_what_was_synced_is_an_error_and_not_the_end_of_the_log() {
    let mut bench = Bench::new();
    bench.fill(100);
    bench.sync();
    bench
        .storage
        .keep(Point::Recovery, &[(name(), 200)])
        .expect("the disk is in order");
    let size = bench.log.read(0, 1, true).expect("the disk is in order").len();
    // The length of the second batch.
    bench.disk.damage(&path(0, "log"), size + 8);
    let mut bench = bench.crash();
    assert!(!bench.log.take_notes().is_empty());
    assert_eq!(bench.log.end_offset(), 200);
    assert_eq!(
        bench.log.read(0, 10_000, true).expect("before the damage").len(),
        size
    );
    let error = bench.log.read(2, 10_000, true).expect_err("damage");
    assert!(error.to_string().contains(&path(0, "log")), "{error}");
    bench
        .log
        .for_each(&mut |_| {})
        .expect_err("it does not reach the end");
    bench.check(100..200);
}

#[test]
fn a_segment_that_cannot_be_removed_keeps_those_behind_it() {
    let mut bench = Bench::new();
    bench.fill(100);
    let logs = bench.files("log").len();
    // The three files of the first segment are renamed, the next is not.
    bench.disk.set_fuel(Some(3));
    bench
        .log
        .remove_before(151)
        .expect_err("the disk is out of order");
    bench.disk.set_fuel(None);
    assert_eq!(bench.files("log").len(), logs - 1);
    bench.check(100..200);
    bench.log.remove_before(151).expect("the disk is in order");
    bench.check(151..200);
}

#[test]
fn checkpoints_are_synced_apart_from_what_acknowledgements_rest_on() {
    let mut bench = Bench::new();
    bench
        .storage
        .keep(Point::Recovery, &[(name(), 1)])
        .expect("the disk is in order");
    let points = bench.storage.take_unsynced_points();
    assert_eq!(points, ["recovery-point-offset-checkpoint", ""]);
    assert_eq!(
        bench.storage.take_unsynced(),
        ["t-0", "t-0/partition.metadata", ""]
    );
}
