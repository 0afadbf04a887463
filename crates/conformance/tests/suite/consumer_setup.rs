//! What the tests of clients start from: consumers, records, members that are polled until something holds. No behaviour is
//! asserted here beyond that it worked.

use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kohort::config::AutoOffsetReset;
use kohort::consumer::{CallbackResult, ConsumerBuilder, PollError, RebalanceContext, RebalanceListener};
use kohort::deserialize::Decode;
use kohort::producer::ProducerBuilder;
use kohort::{Consumer, ConsumerRecord, Producer, ProducerRecord, TopicPartition};
use kohort_conformance::cluster;
use kohort_protocol::messages::{
    DeleteRecordsRequest, DeleteTopicsRequest,
    delete_records::{DeleteRecordsPartition, DeleteRecordsTopic},
    delete_topics::DeleteTopicState,
};

use crate::setup::{topic, wire};

pub(crate) type Reader = Consumer<Option<String>, String>;
pub(crate) type Record = ConsumerRecord<Option<String>, String>;

/// What takes longer than this does not come at all. Far below Kafka's default session time-out of 45 s.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// The time of one poll where several members are polled in turn.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(20);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future)
        .await
        .unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"))
}

/// A consumer without a group that begins at the first record.
pub(crate) fn settings() -> ConsumerBuilder<Option<String>, String> {
    Consumer::builder()
        .bootstrap_servers(&*cluster().bootstrap)
        .auto_offset_reset(AutoOffsetReset::Earliest)
}

/// A member that notices a rebalance soon and commits only when told to.
pub(crate) fn of_group(group: &str) -> ConsumerBuilder<Option<String>, String> {
    settings()
        .group_id(group)
        .heartbeat_interval_ms(200)
        .enable_auto_commit(false)
}

/// Builds what the settings say.
pub(crate) fn built<K: Decode + 'static, V: Decode + 'static>(
    builder: ConsumerBuilder<K, V>,
) -> Consumer<K, V> {
    builder.build().expect("valid settings")
}

/// A member of `group` that subscribed to `topic`.
pub(crate) fn member(group: &str, topic: &str) -> Reader {
    let mut member = built(of_group(group));
    member.subscribe([topic]).expect("a topic");
    member
}

/// A consumer without a group on these partitions of a topic.
pub(crate) fn standalone(topic: &str, numbers: Range<i32>) -> Reader {
    assigned(settings(), topic, numbers)
}

/// A consumer with these settings on these partitions of a topic.
pub(crate) fn assigned(
    settings: ConsumerBuilder<Option<String>, String>,
    topic: &str,
    numbers: Range<i32>,
) -> Reader {
    let mut reader = built(settings);
    reader.assign(partitions(topic, numbers)).expect("partitions");
    reader
}

/// Partitions of a topic.
pub(crate) fn partitions(topic: &str, numbers: Range<i32>) -> Vec<TopicPartition> {
    numbers.map(|number| TopicPartition::new(topic, number)).collect()
}

/// A topic of a name of its own.
pub(crate) async fn new_topic(partitions: i32) -> String {
    topic(&mut wire().await, partitions).await
}

/// A producer with Kafka's defaults, without lingering.
pub(crate) fn producer() -> ProducerBuilder<Option<String>, String> {
    Producer::builder()
        .bootstrap_servers(&*cluster().bootstrap)
        .linger_ms(0)
}

/// Writes these numbers, as text, to a partition; their timestamps are the same numbers.
pub(crate) async fn write(topic: &str, partition: i32, values: Range<i64>) {
    let producer = producer().linger_ms(5).build().expect("valid settings");
    write_by(&producer, topic, partition, values).await;
}

/// As [`write`], by a producer of the test.
pub(crate) async fn write_by(
    producer: &Producer<Option<String>, String>,
    topic: &str,
    partition: i32,
    values: Range<i64>,
) {
    let mut sending = Vec::new();
    for value in values {
        let record = ProducerRecord::new(topic, None, value.to_string())
            .partition(partition)
            .timestamp(value);
        sending.push(producer.send_soon(record).await.expect("there is room"));
    }
    for each in sending {
        soon("an acknowledgement", each).await.expect("it is written");
    }
}

/// Polls until there are at least `count` records.
pub(crate) async fn read(reader: &mut Reader, count: usize) -> Vec<Record> {
    let reading = async {
        let mut records = Vec::new();
        while records.len() < count {
            records.extend(reader.poll(SOON).await.expect("no error"));
        }
        records
    };
    soon("the records", reading).await
}

/// Polls until a poll fails.
pub(crate) async fn failure(reader: &mut Reader) -> PollError {
    let polling = async {
        loop {
            if let Err(error) = reader.poll(SOON).await {
                return error;
            }
        }
    };
    soon("an error", polling).await
}

/// The values of records, in their order.
pub(crate) fn values(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.value.as_str()).collect()
}

/// The offsets of records, in their order.
pub(crate) fn offsets(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.offset).collect()
}

/// The numbers of the partitions that a consumer has.
pub(crate) fn numbers(consumer: &Reader) -> Vec<i32> {
    let assignment = consumer.assignment();
    assignment.iter().map(|partition| partition.partition).collect()
}

/// Polls the members in turn until their assignments are what `is_done` asks for; returns what they read meanwhile.
pub(crate) async fn settle(members: &mut [Reader], is_done: impl Fn(&[Vec<i32>]) -> bool) -> Vec<Record> {
    let mut records = Vec::new();
    let mut shares = Vec::new();
    let polling = async {
        loop {
            for member in members.iter_mut() {
                records.extend(member.poll(A_MOMENT).await.expect("no error"));
            }
            shares = members.iter().map(numbers).collect();
            if is_done(&shares) {
                return;
            }
        }
    };
    if tokio::time::timeout(SOON, polling).await.is_err() {
        panic!("not within {SOON:?}; the members have {shares:?}");
    }
    records
}

/// The generation and the id that a member has, once it is in its group; it has no records meanwhile.
pub(crate) async fn identity(member: &mut Reader) -> (i32, String) {
    let asking = async {
        loop {
            if let Some(identity) = member.group_metadata().await.expect("an answer") {
                return (identity.generation, identity.member_id.to_string());
            }
            assert!(member.poll(A_MOMENT).await.expect("no error").is_empty());
        }
    };
    soon("the end of the rebalance", asking).await
}

/// The offset that a group committed.
pub(crate) async fn committed(group: &str, topic: &str, partition: i32) -> Option<i64> {
    let partition = TopicPartition::new(topic, partition);
    let mut asking = built(of_group(group));
    let mut answer = asking.committed([partition.clone()]).await.expect("an answer");
    answer
        .remove(&partition)
        .expect("each partition has an entry")
        .map(|committed| committed.offset)
}

/// Deletes a topic.
pub(crate) async fn delete_topic(name: &str) {
    let topic = DeleteTopicState {
        name: Some(name.to_owned()),
        ..DeleteTopicState::default()
    };
    let request = DeleteTopicsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    let deleted = wire().await.call(6, request).await;
    assert_eq!(deleted.responses[0].error_code, 0);
}

/// Removes the records of a partition that are before `offset`.
pub(crate) async fn delete_records(topic: &str, partition: i32, offset: i64) {
    let partition = DeleteRecordsPartition {
        partition_index: partition,
        offset,
    };
    let topic = DeleteRecordsTopic {
        name: topic.to_owned(),
        partitions: vec![partition],
    };
    let request = DeleteRecordsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
    };
    let deleted = wire().await.call(2, request).await;
    assert_eq!(deleted.topics[0].partitions[0].error_code, 0);
}

/// What listeners saw, in the order in which they saw it. Clones write into the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.lock().expect("no panic").push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }

    /// A listener that writes `name`, what happened, and the numbers of the partitions.
    pub(crate) fn listener(&self, name: &'static str) -> Recording {
        Recording {
            name,
            diary: self.clone(),
        }
    }
}

/// A listener that only writes down what it sees.
pub(crate) struct Recording {
    name: &'static str,
    diary: Diary,
}

impl Recording {
    fn note(&self, what: &str, partitions: &[TopicPartition]) -> CallbackResult {
        let mut numbers: Vec<_> = partitions.iter().map(|p| p.partition).collect();
        numbers.sort_unstable();
        self.diary.write(format!("{} {what} {numbers:?}", self.name));
        Ok(())
    }
}

impl RebalanceListener for Recording {
    async fn assigned(
        &mut self,
        _: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        self.note("assigned", partitions)
    }

    async fn revoked(
        &mut self,
        _: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        self.note("revoked", partitions)
    }

    async fn lost(&mut self, _: &mut RebalanceContext<'_>, partitions: &[TopicPartition]) -> CallbackResult {
        self.note("lost", partitions)
    }
}
