//! What is removed: what is old, and what was asked for.

use super::*;

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
    let first = crate::log::rewrite_latest(&mut bench.log, &config, NOW).expect("the disk is in order");
    assert_eq!(first, Some(103));
    bench.sync();
    bench.log.remove_before(103).expect("the disk is in order");
    let mut bench = bench.crash();
    let kept = bench.records(103);
    assert_eq!(kept, [(103, value), (104, "last".to_string())]);
    assert_eq!(
        crate::log::rewrite_latest(&mut bench.log, &config, NOW).expect("the disk is in order"),
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
