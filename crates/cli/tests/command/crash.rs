//! `kohort serve --data-dir` is killed while it works, and started again. What was acknowledged is noted outside of it.
//!
//! `KOHORT_KILLS=100 cargo test -p kohort-cli --test command --release killed -- --nocapture` kills more often.

mod load;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use kohort::OffsetAndMetadata;
use kohort::blocking::Consumer;

use self::load::{LASTING, Lasting};
use crate::data_dir::{
    EACH, PARTITIONS, Records, Scratch, TOPIC, consumer, consumer_with, partition, read_each, serve_at,
};
use crate::process::Serve;

/// The least that a segment may be.
const SEGMENTS: &str = "log.segment.bytes=1048576";
/// Indexes of some 20 entries, so that segments end long before they are as large as that.
const INDEXES: [&str; 4] = [
    "-X",
    "log.index.interval.bytes=512",
    "-X",
    "log.index.size.max.bytes=240",
];

/// Numbers that look random and are the same in each run.
fn next_random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// A port that stays the broker's while it is away: no system gives one of these to who asks for any.
fn own_port() -> u16 {
    let from = 20_000 + (std::process::id() % 10_000) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (from..32_000).find(is_free).expect("a free port")
}

/// The broker of a round. With and without small indexes in turn, so that each opens what the other wrote.
fn serve_round(listen: &str, dir: &Scratch, round: usize) -> Serve {
    let settings = ["-X", EACH, "-X", SEGMENTS];
    let indexes: &[&str] = if round.is_multiple_of(2) { &INDEXES } else { &[] };
    serve_at(listen, dir, &[&settings, indexes].concat())
}

/// What must be there, as far as anybody was told or has read.
#[derive(Default)]
struct Known {
    records: Records,
    acknowledged: usize,
    /// The greatest offset that is committed for certain, and the greatest that may be.
    committed: (i64, i64),
    commits: i64,
}

impl Known {
    fn acknowledge(&mut self, records: Records) {
        for (place, name) in records {
            self.acknowledged += 1;
            let before = self.records.insert(place, name.clone());
            assert!(
                before.as_ref().is_none_or(|before| *before == name),
                "{place:?} was {before:?} and is acknowledged as {name}"
            );
        }
    }

    /// Compares with what is read after so many kills. What was read once stays, even if nobody was told that it was written.
    fn compare(&mut self, read: Records, kills: usize) {
        for (place, name) in &self.records {
            assert_eq!(read.get(place), Some(name), "{place:?} after {kills} kills");
        }
        let mut last = BTreeMap::new();
        for ((partition, offset), name) in &read {
            let (sender, count) = load::sender_and_count(name);
            if load::is_idempotent(sender) {
                let before = last.insert((partition, sender), count);
                assert!(
                    before.is_none_or(|before| before < count),
                    "{name} at {partition}/{offset} after number {before:?} of the same sender, after {kills} kills"
                );
            }
        }
        self.records = read;
    }

    fn compare_commit(&mut self, found: i64, kills: usize) {
        let (committed, tried) = self.committed;
        assert!(
            (committed..=tried).contains(&found),
            "{committed} was committed and {tried} tried, {found} is found after {kills} kills"
        );
        self.commit(found, found);
    }

    fn commit(&mut self, last: i64, tried: i64) {
        self.commits += last - self.committed.0;
        self.committed = (last, tried);
    }
}

fn read(consumer: &mut Consumer<(), String>) -> Records {
    let mut records = Records::new();
    read_each(consumer, |place, value| {
        records.insert(place, load::noted(value).to_owned());
    });
    records
}

fn committed(consumer: &mut Consumer<(), String>) -> i64 {
    let found = consumer.committed([partition(0)]).expect("the broker answers");
    found[&partition(0)].as_ref().map_or(0, |found| found.offset)
}

/// Commits ever greater offsets until the broker is gone; gives the last that was acknowledged and the last that was tried.
fn commit_until_gone(bootstrap: &str, from: i64) -> (i64, i64) {
    let mut consumer = consumer_with(bootstrap, "1000");
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

fn segments(dir: &Scratch) -> usize {
    let logs = |number| {
        let log = format!("{}/{TOPIC}-{number}", dir.text());
        let files = std::fs::read_dir(log).expect("the partition's directory");
        let names = files.map(|file| file.expect("a file").file_name());
        names
            .filter(|name| name.to_string_lossy().ends_with(".log"))
            .count()
    };
    (0..PARTITIONS).map(logs).sum()
}

#[test]
#[expect(clippy::print_stderr, reason = "a figure for who reads the test's output")]
fn a_broker_that_is_killed_loses_nothing_that_it_acknowledged() {
    let kills: usize = std::env::var("KOHORT_KILLS").map_or(5, |text| text.parse().expect("a number"));
    let dir = Scratch::new("killed");
    let address = format!("127.0.0.1:{}", own_port());
    let mut random = 7;
    let mut known = Known::default();
    let mut serve = serve_round(&address, &dir, 0);
    let lasting = Lasting::start(&address);
    for kill in 0..kills {
        let mut reader = consumer(&address);
        known.acknowledge(lasting.acknowledged());
        known.compare(read(&mut reader), kill);
        known.compare_commit(committed(&mut reader), kill);
        drop(reader);
        let producers = load::until_gone(&address, kill);
        let bootstrap = address.clone();
        let from = known.committed.0;
        let committer = thread::spawn(move || commit_until_gone(&bootstrap, from));
        thread::sleep(Duration::from_millis(100 + next_random(&mut random) % 300));
        serve.child.kill().expect("it runs");
        serve.child.wait().expect("it ends");
        for producer in producers {
            known.acknowledge(producer.join().expect("no panic"));
        }
        let (last, tried) = committer.join().expect("no panic");
        known.commit(last, tried);
        serve = serve_round(&address, &dir, kill + 1);
    }
    let (rest, sent) = lasting.end();
    known.acknowledge(rest);
    let mut reader = consumer(&address);
    known.compare(read(&mut reader), kills);
    known.compare_commit(committed(&mut reader), kills);
    // None of them is there twice, since their numbers rise.
    let of_lasting = known
        .records
        .values()
        .filter(|name| load::sender_and_count(name).0 == LASTING);
    assert_eq!(of_lasting.count() as u64, sent, "of one producer");
    assert!(known.acknowledged > 0 && known.commits > 0);
    assert!(
        segments(&dir) > 2 * PARTITIONS as usize,
        "segments are not rolled"
    );
    eprintln!(
        "{kills} kills, {} records and {} commits acknowledged, all there; {sent} records of one producer, once each; {} segments",
        known.acknowledged,
        known.commits,
        segments(&dir)
    );
}
