//! The blocking clients, over TCP and in real time.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kohort::admin::{AlterConfigOp, ConfigResource, NewTopic};
use kohort::blocking::{Admin, Consumer, Producer};
use kohort::consumer::{BuildError, PollError, SubscribeError};
use kohort::{OffsetAndMetadata, ProducerRecord, TopicPartition};
use kohort_broker::Broker;

/// A broker on a thread of its own; it ends with the sender.
fn broker() -> (String, mpsc::Sender<()>) {
    let (addresses, address) = mpsc::channel();
    let (stop, stopped) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let start = Broker::builder().topic("t", 1).listen("127.0.0.1:0").start();
        let broker = runtime.block_on(start).expect("it starts");
        addresses
            .send(broker.bootstrap_servers())
            .expect("the test waits");
        let _ended: Result<(), _> = stopped.recv();
    });
    (address.recv().expect("it started"), stop)
}

fn consumer(servers: &str) -> Consumer<(), String> {
    let builder = Consumer::builder()
        .bootstrap_servers(servers)
        .set("auto.offset.reset", "earliest");
    let mut consumer = builder.build_blocking().expect("valid settings");
    consumer
        .assign([TopicPartition::new("t", 0)])
        .expect("a partition");
    consumer
}

#[test]
fn records_go_there_and_back_without_a_runtime() {
    let (servers, _stop) = broker();
    let producer: Producer<(), String> = Producer::builder()
        .bootstrap_servers(&servers)
        .build_blocking()
        .expect("valid settings");
    for value in ["a", "b", "c"] {
        producer
            .send(ProducerRecord::new("t", (), value.to_owned()))
            .expect("it is written");
    }
    producer.close(Duration::from_secs(5)).expect("it closes");
    let mut consumer = consumer(&servers);
    let mut read = Vec::new();
    while read.len() < 3 {
        let records = consumer.poll(Duration::from_secs(5)).expect("no error");
        read.extend(records.into_iter().map(|record| record.value));
    }
    assert_eq!(read, ["a", "b", "c"]);
    assert_eq!(consumer.position(&TopicPartition::new("t", 0)).expect("known"), 3);
    consumer.close(Duration::from_secs(5)).expect("it closes");
}

#[test]
fn another_thread_wakes_a_waiting_poll() {
    let (servers, _stop) = broker();
    let mut consumer = consumer(&servers);
    let wakeup = consumer.wakeup_handle();
    let waker = thread::spawn(move || wakeup.wakeup());
    assert!(matches!(
        consumer.poll(Duration::from_secs(60)),
        Err(PollError::Wakeup)
    ));
    waker.join().expect("no panic");
}

#[tokio::test]
async fn inside_of_a_runtime_building_is_a_typed_error() {
    let builder = kohort::Consumer::<(), String>::builder().bootstrap_servers("localhost:9092");
    assert!(matches!(
        builder.build_blocking(),
        Err(BuildError::BlockingInsideAsync)
    ));
}

#[test]
fn topics_are_created_and_configured_without_a_runtime() {
    let (servers, _stop) = broker();
    let admin = Admin::builder()
        .bootstrap_servers(&servers)
        .build_blocking()
        .expect("valid settings");
    let created = admin.create_topics([NewTopic::new("new")]).expect("an answer");
    assert!(created["new"].is_ok(), "{created:?}");
    let topic = ConfigResource::topic("new");
    let change = vec![AlterConfigOp::set("retention.ms", "1000")];
    let changed = admin
        .incremental_alter_configs([(topic.clone(), change)])
        .expect("an answer");
    assert_eq!(changed[&topic], Ok(()));
    let described = admin.describe_configs([topic.clone()]).expect("an answer");
    let settings = described[&topic].as_ref().expect("it is there");
    assert_eq!(settings["retention.ms"].value.as_deref(), Some("1000"));
    admin.delete_topics(["new"]).expect("an answer")["new"]
        .as_ref()
        .expect("it goes");
}

#[test]
fn each_question_and_commit_may_have_a_time_of_its_own() {
    let (servers, _stop) = broker();
    let builder = Consumer::<(), String>::builder().bootstrap_servers(&servers);
    let mut consumer = builder.group_id("g").build_blocking().expect("valid settings");
    let (in_time, at) = (Duration::from_secs(30), TopicPartition::new("t", 0));
    consumer
        .commit_sync_offsets_timeout([(at.clone(), OffsetAndMetadata::new(0))], in_time)
        .expect("it is written");
    let committed = consumer
        .committed_timeout([at.clone()], in_time)
        .expect("an answer");
    assert_eq!(committed[&at].as_ref().map(|committed| committed.offset), Some(0));
    let first = consumer.beginning_offsets_timeout([at.clone()], in_time);
    assert_eq!(first.expect("an answer")[&at], 0);
    let end = consumer.end_offsets_timeout([at.clone()], in_time);
    assert_eq!(end.expect("an answer")[&at], 0);
    let found = consumer.offsets_for_times_timeout([(at.clone(), 0)], in_time);
    assert_eq!(found.expect("an answer")[&at], None);
    let partitions = consumer.partitions_for_timeout("t", in_time).expect("an answer");
    assert_eq!(partitions.len(), 1);
    let topics = consumer.list_topics_timeout(in_time).expect("an answer");
    assert!(topics.contains_key("t"));
    consumer.close(in_time).expect("it closes");
}

#[test]
fn joining_again_needs_a_group() {
    let (servers, _stop) = broker();
    let refused = consumer(&servers).enforce_rebalance("because");
    assert!(matches!(refused, Err(SubscribeError::NoGroup)), "{refused:?}");
}
