//! `kohort serve --data-dir` is killed while it works, and started again. What was acknowledged is noted outside of it.
//!
//! `KOHORT_KILLS=100 cargo test -p kohort-cli --test command --release killed -- --nocapture` kills more often.

use std::thread;
use std::time::Duration;

use kohort::{OffsetAndMetadata, ProducerRecord};

use crate::data_dir::{
    EACH, PARTITIONS, Records, Scratch, TOPIC, consumer, partition, producer, read_all, serve,
};

/// Sends until the broker is gone; gives what was acknowledged.
fn send_until_gone(bootstrap: &str, number: i32, round: usize) -> Records {
    let producer = producer(bootstrap);
    let mut acknowledged = Records::new();
    for count in 0u64.. {
        let value = format!("{round}/{number}/{count}");
        let record = ProducerRecord::new(TOPIC, (), value.clone()).partition(number);
        match producer.send(record) {
            Ok(metadata) => {
                let offset = metadata.offset.expect("acknowledged");
                acknowledged.insert((number, offset), value);
            }
            Err(_) => return acknowledged,
        }
    }
    acknowledged
}

/// Commits ever greater offsets until the broker is gone; gives the last that was acknowledged and the last that was tried.
fn commit_until_gone(bootstrap: &str, from: i64) -> (i64, i64) {
    let mut consumer = consumer(bootstrap);
    let mut last = from;
    loop {
        let next = last + 1;
        let committed = [(partition(0), OffsetAndMetadata::new(next))];
        if consumer.commit_sync_offsets(committed).is_err() {
            return (last, next);
        }
        last = next;
    }
}

/// Numbers that look random and are the same in each run.
fn next_random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
#[expect(clippy::print_stderr, reason = "a figure for who reads the test's output")]
fn a_broker_that_is_killed_loses_nothing_that_it_acknowledged() {
    let kills: usize = std::env::var("KOHORT_KILLS").map_or(5, |text| text.parse().expect("a number"));
    let dir = Scratch::new("killed");
    let mut random = 7;
    let mut seen = Records::new();
    let (mut committed, mut tried) = (0, 0);
    let (mut acknowledged, mut commits) = (0, 0);
    for round in 0..=kills {
        let mut serve = serve(&dir, &["-X", EACH]);
        let bootstrap = serve.bootstrap.clone();
        let mut reader = consumer(&bootstrap);
        let read = read_all(&mut reader);
        for (place, value) in &seen {
            assert_eq!(read.get(place), Some(value), "{place:?} after {round} kills");
        }
        let found = reader.committed([partition(0)]).expect("the broker answers");
        let found = found[&partition(0)].as_ref().map_or(0, |found| found.offset);
        assert!(
            (committed..=tried).contains(&found),
            "{committed} was committed and {tried} tried, {found} is found after {round} kills"
        );
        commits += found - committed;
        committed = found;
        drop(reader);
        // What was read once stays, even if nobody was told that it was written.
        seen = read;
        if round == kills {
            break;
        }
        let producers = (0..PARTITIONS).map(|number| {
            let bootstrap = bootstrap.clone();
            thread::spawn(move || send_until_gone(&bootstrap, number, round))
        });
        let producers: Vec<_> = producers.collect();
        let committer = thread::spawn(move || commit_until_gone(&bootstrap, committed));
        thread::sleep(Duration::from_millis(100 + next_random(&mut random) % 300));
        serve.child.kill().expect("it runs");
        serve.child.wait().expect("it ends");
        for producer in producers {
            for (place, value) in producer.join().expect("no panic") {
                acknowledged += 1;
                let before = seen.insert(place, value.clone());
                assert!(
                    before.is_none(),
                    "{place:?} was {before:?} and is acknowledged as {value} again"
                );
            }
        }
        let (last, next) = committer.join().expect("no panic");
        commits += last - committed;
        (committed, tried) = (last, next);
    }
    assert!(acknowledged > 0 && commits > 0);
    eprintln!("{kills} kills, {acknowledged} records and {commits} commits acknowledged, all there");
}
