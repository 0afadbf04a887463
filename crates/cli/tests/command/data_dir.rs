//! Brokers that keep their records in a directory, and clients of them. No behaviour is asserted here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kohort::TopicPartition;
use kohort::blocking::{Consumer, Producer};

use crate::process::Serve;

pub(crate) const PARTITIONS: i32 = 3;
pub(crate) const TOPIC: &str = "crash";
pub(crate) const EACH: &str = "log.flush.interval.messages=1";

/// A directory of its own, removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kohort-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("a path of text")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn serve(dir: &Scratch, more: &[&str]) -> Serve {
    let topic = format!("{TOPIC}:{PARTITIONS}");
    let args = ["--data-dir", dir.text(), "--topic", &topic];
    Serve::start(&[&args, more].concat())
}

/// Partition and offset of a record, and its value.
pub(crate) type Records = BTreeMap<(i32, i64), String>;

pub(crate) fn producer(bootstrap: &str) -> Producer<(), String> {
    Producer::builder()
        .bootstrap_servers(bootstrap)
        .set("delivery.timeout.ms", "1000")
        .set("request.timeout.ms", "1000")
        .set("linger.ms", "0")
        .build_blocking()
        .expect("sound settings")
}

pub(crate) fn consumer(bootstrap: &str) -> Consumer<(), String> {
    Consumer::builder()
        .bootstrap_servers(bootstrap)
        .group_id(TOPIC)
        .set("enable.auto.commit", "false")
        .set("default.api.timeout.ms", "5000")
        .build_blocking()
        .expect("sound settings")
}

pub(crate) fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, number)
}

/// Everything that is there.
pub(crate) fn read_all(consumer: &mut Consumer<(), String>) -> Records {
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
