//! A disk that refuses.

use super::*;

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
