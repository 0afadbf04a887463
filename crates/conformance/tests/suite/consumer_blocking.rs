//! The blocking clients: the same as the asynchronous ones, without a runtime of the caller's.

use std::time::{Duration, Instant};

use kohort::blocking::{Consumer, Producer};
use kohort::consumer::PollError;
use kohort::{ProducerRecord, TopicPartition};
use kohort_conformance::{cluster, unique};

use crate::consumer_setup::{SOON, new_topic, partitions};

fn prepared_topic(count: i32) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(new_topic(count))
}

fn write(topic: &str, values: std::ops::Range<i64>) {
    let writer: Producer<(), i64> = Producer::builder()
        .bootstrap_servers(&*cluster().bootstrap)
        .build_blocking()
        .expect("valid settings");
    for value in values {
        let record = ProducerRecord::new(topic, (), value).partition(0);
        assert_eq!(writer.send(record).expect("it is written").offset, Some(value));
    }
    writer.close(SOON).expect("it closes");
}

fn consumer(group: &str) -> Consumer<(), i64> {
    Consumer::builder()
        .bootstrap_servers(&*cluster().bootstrap)
        .group_id(group)
        .set("auto.offset.reset", "earliest")
        .heartbeat_interval_ms(200)
        .enable_auto_commit(false)
        .build_blocking()
        .expect("valid settings")
}

fn read(consumer: &mut Consumer<(), i64>, count: usize) -> Vec<i64> {
    let began = Instant::now();
    let mut values = Vec::new();
    while values.len() < count {
        assert!(began.elapsed() < SOON, "only {values:?}");
        let records = consumer.poll(Duration::from_secs(1)).expect("no error");
        values.extend(records.into_iter().map(|record| record.value));
    }
    values
}

// Kafka: PlaintextConsumerTest.testClassicConsumerGroupConsumption, blocking
#[test]
fn the_blocking_consumer_reads_commits_and_leaves_as_its_twin_does() {
    let (topic, group) = (prepared_topic(1), unique("group"));
    write(&topic, 0..5);
    let mut first = consumer(&group);
    first.subscribe([&*topic]).expect("a topic");
    assert_eq!(read(&mut first, 5), [0, 1, 2, 3, 4]);
    assert_eq!(first.assignment(), partitions(&topic, 0..1));
    first.commit_sync().expect("a commit");
    first.close(SOON).expect("it leaves");
    write(&topic, 5..7);
    let mut second = consumer(&group);
    second.subscribe([&*topic]).expect("a topic");
    let began = Instant::now();
    assert_eq!(read(&mut second, 2), [5, 6]);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "the first one left at once"
    );
    second.close(SOON).expect("it leaves");
}

// Kafka: PlaintextConsumerTest.testClassicConsumerSeek, KafkaConsumer.wakeup; blocking
#[test]
fn the_blocking_consumer_seeks_pauses_and_wakes_as_its_twin_does() {
    let topic = prepared_topic(1);
    write(&topic, 0..4);
    let partition = TopicPartition::new(&*topic, 0);
    let mut reader = consumer(&unique("group"));
    reader.assign([partition.clone()]).expect("a partition");
    reader.seek(&partition, 2).expect("assigned");
    assert_eq!(read(&mut reader, 2), [2, 3]);
    assert_eq!(reader.position(&partition), Ok(4));
    reader
        .seek_to_beginning(std::slice::from_ref(&partition))
        .expect("assigned");
    reader.pause(std::slice::from_ref(&partition)).expect("assigned");
    assert!(
        reader
            .poll(Duration::from_millis(100))
            .expect("no error")
            .is_empty()
    );
    let wakeup = reader.wakeup_handle();
    let waker = std::thread::spawn(move || wakeup.wakeup());
    assert!(matches!(
        reader.poll(Duration::from_secs(3_600)),
        Err(PollError::Wakeup)
    ));
    waker.join().expect("no panic");
    reader.resume(std::slice::from_ref(&partition)).expect("assigned");
    assert_eq!(read(&mut reader, 4), [0, 1, 2, 3]);
    reader.close(SOON).expect("it closes");
}

// Kafka: AbstractCoordinator.HeartbeatThread: heartbeats go on whatever the caller does
#[test]
fn a_blocking_consumer_that_is_busy_stays_in_its_group() {
    let (topic, group) = (prepared_topic(1), unique("group"));
    write(&topic, 0..2);
    let mut builder = Consumer::<(), i64>::builder().bootstrap_servers(&*cluster().bootstrap);
    builder = builder
        .group_id(&*group)
        .heartbeat_interval_ms(200)
        .session_timeout_ms(6_000);
    builder = builder
        .set("auto.offset.reset", "earliest")
        .enable_auto_commit(false);
    let mut reader = builder.build_blocking().expect("valid settings");
    reader.subscribe([&*topic]).expect("a topic");
    assert_eq!(read(&mut reader, 2), [0, 1]);
    // Longer than the session: without heartbeats in the background the member would be removed by now.
    std::thread::sleep(Duration::from_millis(7_000));
    reader.commit_sync().expect("still a member");
    reader.close(SOON).expect("it leaves");
}
