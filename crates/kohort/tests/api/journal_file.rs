//! `kohort.rebalance.journal.file`: what a consumer writes of its rebalances, for programs that are not it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use kohort::config::ConfigError;
use kohort::consumer::{BuildError, Callbacks, ConsumerBuilder, Outcome, Rebalance};
use kohort::{Consumer, TopicPartition};
use kohort_broker::Broker;
use serde_json::{Value, json};

use crate::support::{SOON, broker, consumer};

const POLL: Duration = Duration::from_millis(50);

/// A directory of a test's own, which goes with it.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kohort-journals-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What is left is the system's to remove.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

type Builder = ConsumerBuilder<Option<String>, String>;
type Member = Consumer<Option<String>, String>;

fn member(broker: &Broker, file: &Path, name: &str) -> Builder {
    consumer(broker)
        .group_id("g")
        .set("client.id", name)
        .kohort_rebalance_journal_file(file)
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("the file is there");
    let line = |line| serde_json::from_str(line).expect("each line is JSON");
    text.lines().map(line).collect()
}

/// The lines of a file that is to have so many: a thread writes it that knows nothing of a paused clock.
fn so_many_lines(file: &Path, count: usize) -> Vec<Value> {
    let began = Instant::now();
    while std::fs::read_to_string(file)
        .expect("the file is there")
        .matches('\n')
        .count()
        < count
    {
        assert!(began.elapsed() < SOON, "{:?}", lines(file));
        thread::yield_now();
    }
    lines(file)
}

fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn timed(partitions: &[(TopicPartition, Duration)]) -> Value {
    let each = partitions.iter();
    each.map(|(at, duration)| json!([&*at.topic, at.partition, millis(*duration)]))
        .collect()
}

/// What the file is to say of partitions of the topic `t`.
fn of_t(partitions: &[TopicPartition]) -> Value {
    let numbers: Vec<i32> = partitions.iter().map(|at| at.partition).collect();
    match numbers.is_empty() {
        true => json!({}),
        false => json!({ "t": numbers }),
    }
}

/// The line that a rebalance is to be, of a member that was in the generation `before`.
fn expected(name: &str, before: Option<i32>, rebalance: &Rebalance) -> Value {
    let phase = |phase: Option<Duration>| phase.map(millis);
    let said = |cause: &kohort::consumer::Cause| json!({"name": cause.name(), "reason": cause.to_string()});
    let began = rebalance.began.duration_since(UNIX_EPOCH).expect("after 1970");
    json!({
        "version": 1,
        "group": "g",
        "member": rebalance.member_id.as_deref(),
        "client_id": name,
        "instance_id": null,
        "number": rebalance.number,
        "began_ms": millis(began),
        "took_ms": millis(rebalance.duration),
        "cause": said(&rebalance.cause),
        "later_causes": rebalance.retries.iter().map(said).collect::<Value>(),
        "generation_before": before,
        "generation": rebalance.generation,
        "leader": rebalance.leader.as_deref(),
        "assignor": rebalance.assignor.as_deref(),
        "outcome": rebalance.outcome.name(),
        "giving_up_ms": phase(rebalance.phases.giving_up),
        "joining_ms": phase(rebalance.phases.joining),
        "syncing_ms": phase(rebalance.phases.syncing),
        "taking_ms": phase(rebalance.phases.taking),
        "kept": rebalance.kept,
        "gave_up": of_t(&rebalance.gave_up),
        "lost": of_t(&rebalance.lost),
        "got": of_t(&rebalance.got),
        "stopped": timed(&rebalance.stopped),
        "pauses": timed(&rebalance.pauses),
        "partitions_unlisted": 0,
    })
}

async fn settle(members: &mut [&mut Member], shares: &[usize]) {
    let share = |member: &&mut Member| member.assignment().len();
    while !members.iter().map(share).eq(shares.iter().copied()) {
        for member in members.iter_mut() {
            member.poll(POLL).await.expect("no error");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_rebalance_that_ended_is_a_line_while_another_member_comes_and_goes() {
    let (broker, dir) = (broker("t", 4).await, Dir::new());
    let (ours, theirs) = (dir.file("first"), dir.file("second"));
    let mut first = member(&broker, &ours, "first").build().expect("a file");
    let slow = Callbacks::new().on_revoked(|_, _| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        })
    });
    first.subscribe_with(["t"], slow).expect("a topic");
    settle(&mut [&mut first], &[4]).await;
    let mut second = member(&broker, &theirs, "second").build().expect("a file");
    second.subscribe(["t"]).expect("a topic");
    settle(&mut [&mut first, &mut second], &[2, 2]).await;
    let (journal, other) = (first.rebalance_journal(), second.rebalance_journal());
    second.close(SOON).await.expect("it leaves");
    settle(&mut [&mut first], &[4]).await;
    first.close(SOON).await.expect("it leaves");

    for (file, name, journal) in [(&ours, "first", &journal), (&theirs, "second", &other)] {
        let mut before = None;
        let line = |each: &Rebalance| {
            let line = expected(name, before, each);
            before = each.generation.filter(|_| each.outcome != Outcome::Left);
            line
        };
        let told: Vec<Value> = journal.ended().iter().map(line).collect();
        assert_eq!(so_many_lines(file, told.len()), told);
    }
    let outcomes = |file| -> Vec<(Value, Value)> {
        let each = lines(file).into_iter();
        each.map(|line| (line["cause"]["name"].clone(), line["outcome"].clone()))
            .collect()
    };
    let pair = |cause: &str, outcome: &str| (Value::from(cause), Value::from(outcome));
    let told = pair("rebalance_in_progress", "assigned");
    let (came, went) = (pair("first_join", "assigned"), pair("leaving", "left"));
    assert_eq!(outcomes(&ours), [came.clone(), told.clone(), told, went.clone()]);
    assert_eq!(outcomes(&theirs), [came, went]);
    // The share that came back was not read while the listener took its second, and a bit more.
    let shared = &lines(&ours)[1];
    assert!(shared["giving_up_ms"].as_f64() >= Some(1000.0), "{shared}");
    let pauses = shared["pauses"].as_array().expect("pauses");
    assert_eq!(pauses.len(), 2, "{shared}");
    assert!(
        pauses.iter().all(|pause| pause[2].as_f64() >= Some(1000.0)),
        "{shared}"
    );
    assert_eq!(
        lines(&theirs)[1]["gave_up"]["t"].as_array().map(Vec::len),
        Some(2)
    );
}

#[tokio::test(start_paused = true)]
async fn consumers_may_share_a_file_and_one_that_is_dropped_writes_its_leaving_in_the_background() {
    let (broker, dir) = (broker("t", 4).await, Dir::new());
    let file = dir.file("both");
    let build = |name| member(&broker, &file, name).build().expect("a file");
    let (mut first, mut second) = (build("first"), build("second"));
    for member in [&mut first, &mut second] {
        member.subscribe(["t"]).expect("a topic");
    }
    settle(&mut [&mut first, &mut second], &[2, 2]).await;
    let journals = [first.rebalance_journal(), second.rebalance_journal()];
    drop(second);
    settle(&mut [&mut first], &[4]).await;
    first.close(SOON).await.expect("it leaves");
    let ended = journals.iter().map(|journal| journal.ended().len()).sum();
    let left: Vec<_> = so_many_lines(&file, ended)
        .into_iter()
        .filter(|line| line["outcome"] == "left")
        .map(|line| line["client_id"].clone())
        .collect();
    // Two threads write.
    let left = |name: &str| left.iter().filter(|left| *left == name).count();
    assert_eq!((left("first"), left("second")), (1, 1));
}

#[test]
fn a_lock_that_others_keep_holds_up_neither_close_nor_drop_nor_the_end_of_the_runtime() {
    let dir = Dir::new();
    let file = dir.file("locked");
    let lock = File::create(&file).expect("a directory");
    lock.lock().expect("nobody has it");
    let (over, is_over) = mpsc::channel();
    let of_members = file.clone();
    let members = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let broker = broker("t", 4).await;
            let second = Duration::from_secs(1);
            for closes in [true, false] {
                let mut member = member(&broker, &of_members, "c").build().expect("a file");
                member.subscribe(["t"]).expect("a topic");
                settle(&mut [&mut member], &[4]).await;
                let began = tokio::time::Instant::now();
                match closes {
                    true => member.close(second).await.expect("it leaves"),
                    false => drop(member),
                }
                assert!(began.elapsed() <= 2 * second, "{:?}", began.elapsed());
            }
        });
        drop(runtime);
        over.send(()).expect("the test waits");
    });
    is_over
        .recv_timeout(SOON)
        .expect("it ends while the file is locked");
    members.join().expect("it is over");
    assert!(lines(&file).is_empty());
    drop(lock);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_a_typed_error_at_build() {
    let (broker, dir) = (broker("t", 1).await, Dir::new());
    let file = dir.file("no-such-directory/journal");
    let error = member(&broker, &file, "c").build().expect_err("no directory");
    let BuildError::Config(ConfigError::File { key, path, kind, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(key, "kohort.rebalance.journal.file");
    assert_eq!((path, kind), (file, ErrorKind::NotFound));
}

#[tokio::test]
async fn a_consumer_without_a_group_has_no_journal_to_write() {
    let broker = broker("t", 1).await;
    let builder = consumer(&broker).set("kohort.rebalance.journal.file", "journal");
    assert!(matches!(
        builder.build(),
        Err(BuildError::Config(ConfigError::Conflict {
            key: "kohort.rebalance.journal.file",
            other: "group.id",
            ..
        }))
    ));
    let builder = consumer(&broker)
        .group_id("g")
        .set("kohort.rebalance.journal.file", " ");
    assert!(matches!(
        builder.build(),
        Err(BuildError::Config(ConfigError::InvalidValue { .. }))
    ));
}
