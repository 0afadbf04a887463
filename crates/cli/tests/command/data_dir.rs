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
    serve_at("127.0.0.1:0", dir, more)
}

pub(crate) fn serve_at(listen: &str, dir: &Scratch, more: &[&str]) -> Serve {
    let topic = format!("{TOPIC}:{PARTITIONS}");
    let args = ["--data-dir", dir.text(), "--topic", &topic];
    Serve::start_at(listen, &[&args, more].concat())
}

/// Partition and offset of a record, and its value.
pub(crate) type Records = BTreeMap<(i32, i64), String>;

/// A producer that gives up soon when the broker is gone.
pub(crate) fn producer(bootstrap: &str) -> Producer<(), String> {
    producer_with(
        bootstrap,
        &[("delivery.timeout.ms", "1000"), ("request.timeout.ms", "1000")],
    )
}

pub(crate) fn producer_with(bootstrap: &str, settings: &[(&str, &str)]) -> Producer<(), String> {
    let mut builder = Producer::builder()
        .bootstrap_servers(bootstrap)
        .set("linger.ms", "0");
    for (key, value) in settings {
        builder = builder.set(key, value);
    }
    builder.build_blocking().expect("sound settings")
}

pub(crate) fn consumer(bootstrap: &str) -> Consumer<(), String> {
    consumer_with(bootstrap, "5000")
}

/// A consumer whose calls have so many milliseconds.
pub(crate) fn consumer_with(bootstrap: &str, timeout: &str) -> Consumer<(), String> {
    Consumer::builder()
        .bootstrap_servers(bootstrap)
        .group_id(TOPIC)
        .set("enable.auto.commit", "false")
        .set("default.api.timeout.ms", timeout)
        .build_blocking()
        .expect("sound settings")
}

pub(crate) fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, number)
}

/// Everything that is there.
pub(crate) fn read_all(consumer: &mut Consumer<(), String>) -> Records {
    let mut records = Records::new();
    read_each(consumer, |place, value| {
        records.insert(place, value.to_owned());
    });
    records
}

/// Shows everything that is there, each partition from its beginning on.
pub(crate) fn read_each(consumer: &mut Consumer<(), String>, mut show: impl FnMut((i32, i64), &str)) {
    let partitions: Vec<TopicPartition> = (0..PARTITIONS).map(partition).collect();
    consumer.assign(partitions.clone()).expect("partitions");
    consumer.seek_to_beginning(&partitions).expect("assigned");
    let ends = consumer
        .end_offsets(partitions.clone())
        .expect("the broker answers");
    let deadline = Instant::now() + Duration::from_secs(60);
    while partitions
        .iter()
        .any(|partition| consumer.position(partition).expect("a position") < ends[partition])
    {
        assert!(Instant::now() < deadline, "not everything can be read");
        for record in consumer.poll(Duration::from_millis(100)).expect("sound records") {
            show((record.partition(), record.offset), &record.value);
        }
    }
}
