//! What a group makes of a broker that is killed and comes back. Apart from the suite, because it needs a broker of its own:
//!
//! ```text
//! export KOHORT_BOOTSTRAP=$(scripts/real-kafka/real-kafka start) KOHORT_KILL="scripts/real-kafka/real-kafka kill" KOHORT_RESUME="scripts/real-kafka/real-kafka resume"
//! cargo test -p kohort-conformance --test restart -- --ignored --nocapture
//! scripts/real-kafka/real-kafka stop
//! ```
//!
//! `KOHORT_RESTARTS` says how often (2).

#![allow(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kohort::admin::NewTopic;
use kohort::config::AutoOffsetReset;
use kohort::{Admin, Consumer, Producer, ProducerRecord};
use kohort_conformance::{cluster, unique};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const PARTITIONS: i32 = 4;
/// Records written per restart: 6 s of writing, and what waits while the broker is away.
const RECORDS_EACH: usize = 6_000;
/// How long the broker is there before it is killed.
const THERE: Duration = Duration::from_secs(4);
/// How long it is away at least, which is longer than every backoff.
const AWAY: Duration = Duration::from_secs(5);

fn rounds() -> usize {
    let given = std::env::var("KOHORT_RESTARTS").ok();
    given.map_or(2, |given| given.parse().expect("KOHORT_RESTARTS is a number"))
}

/// Partition, offset and value of records, and whether they are committed.
type Seen = (Vec<(i32, i64, String)>, bool);

/// Reads and commits after each poll; tells what it read, and whether that is committed.
async fn work(group: String, topic: String, told: UnboundedSender<Seen>) {
    let mut member: Consumer<(), String> = Consumer::builder()
        .bootstrap_servers(cluster().bootstrap)
        .group_id(group)
        .enable_auto_commit(false)
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .build()
        .expect("valid settings");
    member.subscribe([topic]).expect("a group and a topic");
    loop {
        let records = member
            .poll(Duration::from_millis(200))
            .await
            .expect("no error while the broker is away");
        if records.is_empty() {
            continue;
        }
        let values = records
            .into_iter()
            .map(|record| (record.partition(), record.offset, record.value))
            .collect();
        let written = member.commit_sync_timeout(Duration::from_secs(2)).await.is_ok();
        if told.send((values, written)).is_err() {
            return;
        }
    }
}

async fn run(variable: &str) {
    let command = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is a command that does it"));
    let done = tokio::task::spawn_blocking(move || {
        // What the command starts must not hold a pipe of this test open.
        Command::new("sh")
            .args(["-c", &command])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
    });
    assert!(
        done.await.expect("no panic").expect("a shell").success(),
        "{variable}"
    );
}

#[tokio::test]
#[ignore = "kills the broker: see the top of this file"]
async fn a_group_misses_nothing_while_its_broker_is_killed_and_comes_back() {
    let (topic, group) = (unique("restart"), unique("restart-group"));
    let (rounds, servers) = (rounds(), cluster().bootstrap);
    let records = rounds * RECORDS_EACH;
    let admin = Admin::builder()
        .bootstrap_servers(&servers)
        .build()
        .expect("valid settings");
    let made = admin
        .create_topics([NewTopic {
            partitions: Some(PARTITIONS),
            ..NewTopic::new(topic.as_str())
        }])
        .await;
    made.expect("the task runs");
    let producer: Producer<(), String> = Producer::builder()
        .bootstrap_servers(&servers)
        .set("delivery.timeout.ms", "120000")
        .build()
        .expect("valid settings");
    let writing = {
        let topic = topic.clone();
        tokio::spawn(async move {
            // Slowly, so that each time the broker is killed there is something under way.
            for n in 0..records {
                let record = ProducerRecord::new(topic.as_str(), (), n.to_string());
                let sending = producer.send_soon(record).await.expect("there is room");
                if n % 100 == 0 {
                    drop(sending.await);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            producer
                .close(Duration::from_secs(120))
                .await
                .expect("all is written");
        })
    };
    let (tell, mut told) = unbounded_channel();
    let members: Vec<_> = (0..2)
        .map(|_| tokio::spawn(work(group.clone(), topic.clone(), tell.clone())))
        .collect();

    let killing = tokio::spawn(async move {
        let mut back = Vec::new();
        for _ in 0..rounds {
            tokio::time::sleep(THERE).await;
            run("KOHORT_KILL").await;
            tokio::time::sleep(AWAY).await;
            run("KOHORT_RESUME").await;
            back.push(Instant::now());
        }
        back
    });

    let mut times: BTreeMap<(i32, i64), u32> = BTreeMap::new();
    let mut committed: BTreeSet<(i32, i64)> = BTreeSet::new();
    // A producer without idempotence may write a value twice; that is not what is asked here.
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut arrivals = Vec::new();
    let (mut doubled, mut doubled_committed) = (0, 0);
    let end = Instant::now() + Duration::from_secs(300);
    while seen.len() < records {
        let next = tokio::time::timeout(end.saturating_duration_since(Instant::now()), told.recv()).await;
        let (values, written) = next
            .unwrap_or_else(|_| panic!("only {} of {records} came", seen.len()))
            .expect("the members run");
        arrivals.push(Instant::now());
        for (partition, offset, value) in values {
            let place = (partition, offset);
            let count = times.entry(place).or_default();
            *count += 1;
            doubled += u32::from(*count > 1);
            doubled_committed += u32::from(*count > 1 && committed.contains(&place));
            seen.insert(value);
            if written {
                committed.insert(place);
            }
        }
    }
    writing.await.expect("no panic");
    let back = killing.await.expect("no panic");
    for member in members {
        member.abort();
    }
    for (round, at) in back.iter().enumerate() {
        let first = arrivals.iter().find(|arrival| *arrival >= at);
        let after = first.map(|arrival| arrival.duration_since(*at).as_millis());
        println!("round {round}: the first records {after:?} ms after the broker answers");
    }
    println!(
        "{records} records, {doubled} read twice, {doubled_committed} of them after they were committed"
    );
    assert_eq!(doubled_committed, 0);
}
