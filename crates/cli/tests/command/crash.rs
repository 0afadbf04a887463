//! `kohort serve --data-dir` is killed while it works, and started again. What was acknowledged is noted outside of it.
//!
//! `KOHORT_KILLS=100 cargo test -p kohort-cli --test command --release killed -- --nocapture` kills more often.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kohort::blocking::{Consumer, Producer};
use kohort::{OffsetAndMetadata, ProducerRecord, TopicPartition};

use crate::process::{Serve, kohort, run};

const PARTITIONS: i32 = 3;
const TOPIC: &str = "crash";
const EACH: &str = "log.flush.interval.messages=1";

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kohort-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().expect("a path of text")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn serve(dir: &Scratch, more: &[&str]) -> Serve {
    let topic = format!("{TOPIC}:{PARTITIONS}");
    let args = ["--data-dir", dir.text(), "--topic", &topic];
    Serve::start(&[&args, more].concat())
}

/// A broker to which the system gives no more than these lines of a shell let it.
#[cfg(unix)]
fn serve_within(limits: &str, dir: &Scratch, more: &[&str]) -> Serve {
    let binary = kohort(&[]);
    let script = format!(
        "{limits}; exec {} serve --listen 127.0.0.1:0 --data-dir {} {}",
        binary.get_program().to_string_lossy(),
        dir.text(),
        more.join(" ")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdin(Stdio::null());
    Serve::spawn(shell)
}

/// Partition and offset of a record, and its value.
type Records = BTreeMap<(i32, i64), String>;

fn producer(bootstrap: &str) -> Producer<(), String> {
    Producer::builder()
        .bootstrap_servers(bootstrap)
        .set("delivery.timeout.ms", "1000")
        .set("request.timeout.ms", "1000")
        .set("linger.ms", "0")
        .build_blocking()
        .expect("sound settings")
}

fn consumer(bootstrap: &str) -> Consumer<(), String> {
    Consumer::builder()
        .bootstrap_servers(bootstrap)
        .group_id(TOPIC)
        .set("enable.auto.commit", "false")
        .set("default.api.timeout.ms", "5000")
        .build_blocking()
        .expect("sound settings")
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, number)
}

/// Everything that is there.
fn read_all(consumer: &mut Consumer<(), String>) -> Records {
    let partitions: Vec<TopicPartition> = (0..PARTITIONS).map(partition).collect();
    consumer.assign(partitions.clone()).expect("partitions");
    consumer.seek_to_beginning(&partitions).expect("assigned");
    let ends = consumer
        .end_offsets(partitions.clone())
        .expect("the broker answers");
    let mut records = Records::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while partitions
        .iter()
        .any(|partition| consumer.position(partition).expect("a position") < ends[partition])
    {
        assert!(Instant::now() < deadline, "not everything can be read");
        for record in consumer.poll(Duration::from_millis(100)).expect("sound records") {
            records.insert((record.partition(), record.offset), record.value.clone());
        }
    }
    records
}

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

#[test]
fn a_second_broker_on_a_directory_refuses_with_one_line() {
    let dir = Scratch::new("second");
    let _first = serve(&dir, &[]);
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", dir.text()]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use by another broker"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

#[test]
fn a_broker_that_was_stopped_finds_its_records_and_says_nothing_of_recovery() {
    let dir = Scratch::new("stopped");
    let mut first = serve(&dir, &[]);
    let producer = producer(&first.bootstrap);
    for count in 0..100 {
        let record = ProducerRecord::new(TOPIC, (), format!("{count}")).partition(0);
        producer.send(record).expect("the broker answers");
    }
    crate::process::signal(&first.child, "TERM");
    assert!(first.child.wait().expect("it ends").success());
    assert!(Path::new(dir.text()).join(".kafka_cleanshutdown").exists());
    let second = serve(&dir, &[]);
    assert_eq!(read_all(&mut consumer(&second.bootstrap)).len(), 100);
}

/// The system lets the broker write files of 64 or 128 KiB, as a disk would that is full.
#[test]
#[cfg(unix)]
fn a_broker_whose_disk_is_full_refuses_records_and_keeps_those_before() {
    let dir = Scratch::new("full");
    drop(serve(&dir, &[]));
    let serve = serve_within("trap '' XFSZ; ulimit -f 128", &dir, &[]);
    let producer = producer(&serve.bootstrap);
    let mut acknowledged = Records::new();
    let error = loop {
        let value = "x".repeat(5000 + acknowledged.len());
        match producer.send(ProducerRecord::new(TOPIC, (), value.clone()).partition(0)) {
            Ok(metadata) => acknowledged.insert((0, metadata.offset.expect("acknowledged")), value),
            Err(error) => break error.to_string(),
        };
        assert!(acknowledged.len() < 1000, "the disk is not full");
    };
    assert!(error.contains("KAFKA_STORAGE_ERROR"), "{error}");
    // Other files have room.
    let record = ProducerRecord::new(TOPIC, (), "other".to_owned()).partition(1);
    assert_eq!(producer.send(record).expect("there is room").offset, Some(0));
    assert_eq!(
        read_all(&mut consumer(&serve.bootstrap)).len(),
        acknowledged.len() + 1
    );
    drop(serve);
    let again = self::serve(&dir, &[]);
    acknowledged.insert((1, 0), "other".to_owned());
    assert_eq!(read_all(&mut consumer(&again.bootstrap)), acknowledged);
}

/// The system gives the broker 100 descriptors, and connections that do nothing take all that are left.
#[test]
#[cfg(unix)]
fn connections_that_take_all_descriptors_leave_the_logs_writable() {
    let dir = Scratch::new("descriptors");
    drop(self::serve(&dir, &["-X", EACH]));
    let serve = serve_within("ulimit -n 100", &dir, &["-X", EACH]);
    let producer = producer(&serve.bootstrap);
    let send = |number: i32, value: String| {
        let record = ProducerRecord::new(TOPIC, (), value.clone()).partition(number);
        let metadata = producer.send(record).expect("the logs are writable");
        ((number, metadata.offset.expect("acknowledged")), value)
    };
    let mut acknowledged = Records::from([send(0, "first".to_owned())]);
    let idle: Vec<_> = (0..150)
        .map(|_| std::net::TcpStream::connect(&serve.bootstrap).expect("the port is open"))
        .collect();
    for count in 0..30 {
        for number in 0..PARTITIONS {
            acknowledged.extend([send(number, format!("{count}"))]);
        }
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", serve.child.id()));
    if let Ok(open) = open {
        assert!(open.count() >= 95, "connections did not take all");
    }
    drop((idle, producer, serve));
    let again = self::serve(&dir, &[]);
    assert_eq!(read_all(&mut consumer(&again.bootstrap)), acknowledged);
}
