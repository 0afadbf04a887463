//! What a crash or a loss of power leaves, and what a start makes of it.

use super::*;

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
fn damage_that_hides_the_end_of_a_synced_log_is_an_error_and_cuts_nothing() {
    let mut bench = Bench::new();
    bench.append(1, "x").expect("the disk is in order");
    bench.append(1, "x").expect("the disk is in order");
    let size = bench.log.read(0, 1, true).expect("the disk is in order").len();
    bench.close();
    // The length of the second batch, which no index entry is behind.
    bench.disk.damage(&path(0, "log"), size + 8);
    let before = bench.disk.clone().len(&path(0, "log"));
    let (disk, config) = (bench.disk.clone(), bench.config.clone());
    let error = Bench::on(bench.disk, config)
        .err()
        .expect("it is damaged")
        .to_string();
    assert!(error.contains(&format!("damaged at byte {size}")), "{error}");
    assert_eq!(disk.clone().len(&path(0, "log")), before);
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
