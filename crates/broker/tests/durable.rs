//! A broker with a directory, by `Broker::builder().data_dir(..)`: what outlives it, and who may have the directory.
#![cfg(test)]

mod client;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use client::Client;
use kohort_broker::{Broker, Builder, DataDirError, ErrorCode, StartError};
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kohort_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kohort_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use kohort_protocol::messages::{
    FetchRequest, FindCoordinatorRequest, OffsetCommitRequest, OffsetFetchRequest, ProduceRequest,
};
use kohort_records::codec::Compression;
use kohort_records::{BatchBuilder, batches};
use tokio::io::DuplexStream;

/// A directory of its own for one test, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kohort-broker-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn broker(&self) -> Builder {
        Broker::builder().topic("t", 1).data_dir(self.path())
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn client(broker: &Broker) -> Client<DuplexStream> {
    Client::new(broker.connector().connect("localhost", 9092).await.unwrap())
}

impl Client<DuplexStream> {
    async fn produce(&mut self, topic: &str, value: &str) {
        let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
        builder.append(-1, None, Some(value.as_bytes()), &[]).unwrap();
        let request = ProduceRequest {
            acks: -1,
            topic_data: vec![TopicProduceData {
                name: topic.into(),
                partition_data: vec![PartitionProduceData {
                    index: 0,
                    records: Some(builder.build(0).unwrap()),
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.ask(12, request).await;
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }

    async fn read(&mut self, topic: &str) -> Vec<Bytes> {
        let request = FetchRequest {
            min_bytes: 1,
            max_bytes: 1 << 20,
            topics: vec![FetchTopic {
                topic: topic.into(),
                partitions: vec![FetchPartition {
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut answer = self.ask(12, request).await;
        let partition = answer.responses.remove(0).partitions.remove(0);
        assert_eq!(partition.error_code, 0);
        let mut values = Vec::new();
        for batch in batches(partition.records.unwrap_or_default()) {
            let open = batch.unwrap().open(1 << 24).unwrap();
            values.extend(
                open.iter()
                    .map(|record| Bytes::copy_from_slice(record.value.unwrap())),
            );
        }
        values
    }

    /// Its first use creates the topic of commits.
    async fn find_coordinator(&mut self) {
        let request = FindCoordinatorRequest {
            coordinator_keys: vec!["g".into()],
            ..Default::default()
        };
        assert_eq!(self.ask(4, request).await.coordinators[0].error_code, 0);
    }

    async fn commit(&mut self, offset: i64) {
        let request = OffsetCommitRequest {
            group_id: "g".into(),
            generation_id_or_member_epoch: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: offset,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(self.ask(8, request).await.topics[0].partitions[0].error_code, 0);
    }

    async fn committed(&mut self) -> i64 {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: "g".into(),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: "t".into(),
                    partition_indexes: vec![0],
                    ..Default::default()
                }]),
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.ask(8, request).await;
        answer.groups[0].topics[0].partitions[0].committed_offset
    }
}

#[tokio::test]
async fn records_commits_and_topics_outlive_the_broker() {
    let scratch = Scratch::new("outlive");
    let broker = scratch.broker().start().await.unwrap();
    broker.create_topic("u", 3).await.unwrap();
    let mut ours = client(&broker).await;
    ours.produce("t", "a").await;
    ours.produce("u", "b").await;
    ours.find_coordinator().await;
    ours.commit(1).await;
    broker.shutdown().await;

    let broker = scratch.broker().start().await.unwrap();
    let mut ours = client(&broker).await;
    assert_eq!(ours.read("t").await, ["a"]);
    assert_eq!(ours.read("u").await, ["b"]);
    ours.find_coordinator().await;
    assert_eq!(ours.committed().await, 1);
    let failure = broker.create_topic("u", 3).await.unwrap_err();
    assert!(failure.to_string().contains('u'), "{failure}");
    broker.shutdown().await;
}

#[tokio::test]
async fn a_second_broker_of_the_directory_is_refused_and_the_first_goes_on() {
    let scratch = Scratch::new("second");
    let broker = scratch.broker().start().await.unwrap();
    let error = scratch.broker().start().await.unwrap_err();
    assert!(
        matches!(&error, StartError::DataDir(DataDirError::InUse { path }) if path == scratch.path()),
        "{error}"
    );
    let mut ours = client(&broker).await;
    ours.produce("t", "a").await;
    assert_eq!(ours.read("t").await, ["a"]);
    broker.shutdown().await;
    scratch.broker().start().await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_directory_of_another_cluster_is_refused() {
    let scratch = Scratch::new("cluster");
    scratch
        .broker()
        .cluster_id("a")
        .start()
        .await
        .unwrap()
        .shutdown()
        .await;
    let error = scratch.broker().cluster_id("b").start().await.unwrap_err();
    let StartError::DataDir(DataDirError::OtherCluster { found, wanted, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!((found.as_str(), wanted.as_str()), ("a", "b"));
}

#[tokio::test]
async fn a_broker_that_was_dropped_can_be_started_again_at_once() {
    let scratch = Scratch::new("dropped");
    for start in 0..5 {
        let broker = scratch.broker().start().await.unwrap();
        let mut ours = client(&broker).await;
        assert_eq!(ours.read("t").await.len(), start);
        ours.produce("t", "a").await;
        // A client that is connected still keeps nothing.
        drop(broker);
    }
}

#[tokio::test]
async fn a_start_that_was_given_up_leaves_the_directory_to_the_next() {
    let scratch = Scratch::new("given-up");
    let broker = scratch.broker().start().await.unwrap();
    broker.shutdown().await;
    {
        // It has the directory, and reads the logs.
        let mut start = std::pin::pin!(scratch.broker().start());
        tokio::select! {
            biased;
            _ = &mut start => {}
            () = std::future::ready(()) => {}
        }
    }
    scratch.broker().start().await.unwrap().shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_broker_is_waited_for_on_a_paused_clock_too() {
    let scratch = Scratch::new("paused");
    drop(scratch.broker().start().await.unwrap());
    scratch.broker().start().await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_topic_with_the_name_of_the_controllers_log_is_refused() {
    let scratch = Scratch::new("controllers");
    let broker = scratch.broker().start().await.unwrap();
    let failure = broker.create_topic("__cluster_metadata", 1).await.unwrap_err();
    assert!(
        failure
            .to_string()
            .contains(&ErrorCode::TopicAuthorizationFailed.to_string()),
        "{failure}"
    );
    broker.shutdown().await;
}
