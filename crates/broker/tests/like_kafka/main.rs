//! The broker answers as Kafka 4.3.1 does: what each case observes was recorded from Kafka in `observed.txt`.
//!
//! `KOHORT_KAFKA=127.0.0.1:9092 cargo test -p kohort-broker --test like_kafka` asks a running Kafka (one broker) as well.
#![cfg(test)]

#[path = "../client/mod.rs"]
mod client;
mod reading;
mod topics;
mod writing;

use bytes::{Bytes, BytesMut};
use client::Client;
use kohort_broker::{Broker, ErrorCode};
use kohort_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use kohort_protocol::messages::metadata::MetadataRequestTopic;
use kohort_protocol::messages::produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData};
use kohort_protocol::messages::{CreateTopicsRequest, MetadataRequest, ProduceRequest};
use kohort_records::BatchBuilder;
use kohort_records::codec::Compression;
use tokio::net::TcpStream;

/// What Kafka answered.
const OBSERVED: &str = include_str!("observed.txt");

/// A session with one broker, and what it observed.
struct Session {
    client: Client<TcpStream>,
    address: String,
    lines: Vec<String>,
    /// Makes the names of topics unique on a Kafka that is asked again.
    suffix: String,
}

impl Session {
    async fn new(address: &str, suffix: &str) -> Self {
        Self {
            client: Client::new(TcpStream::connect(address).await.unwrap()),
            address: address.to_owned(),
            lines: Vec::new(),
            suffix: suffix.to_owned(),
        }
    }

    /// Connects again, after the broker closed the connection.
    async fn reconnect(&mut self) {
        self.client = Client::new(TcpStream::connect(&self.address).await.unwrap());
    }

    fn observe(&mut self, case: &str, result: impl std::fmt::Display) {
        self.lines.push(format!("{case}: {result}"));
    }

    fn name(&self, topic: &str) -> String {
        format!("{topic}{}", self.suffix)
    }

    /// Creates a topic with one partition and waits until it is led.
    async fn topic(&mut self, topic: &str, config: &[(&str, &str)]) -> String {
        let name = self.name(topic);
        let configs = config.iter().map(|(key, value)| CreatableTopicConfig {
            name: (*key).into(),
            value: Some((*value).into()),
        });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: name.clone(),
                num_partitions: 1,
                replication_factor: 1,
                configs: configs.collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let created = self.client.ask(7, request).await;
        assert_eq!(created.topics[0].error_code, 0, "{name}");
        loop {
            let request = MetadataRequest {
                topics: Some(vec![MetadataRequestTopic {
                    name: Some(name.clone()),
                    ..Default::default()
                }]),
                ..Default::default()
            };
            let found = self.client.ask(12, request).await.topics[0].clone();
            if found.error_code == 0 && found.partitions.iter().all(|partition| partition.leader_id >= 0) {
                return name;
            }
        }
    }

    async fn produce(
        &mut self,
        version: i16,
        topic: &str,
        acks: i16,
        records: Option<Bytes>,
    ) -> PartitionProduceResponse {
        let request = ProduceRequest {
            acks,
            timeout_ms: 5000,
            topic_data: vec![TopicProduceData {
                name: topic.into(),
                partition_data: vec![PartitionProduceData { index: 0, records }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = self.client.ask(version, request).await;
        response.responses[0].partition_responses[0].clone()
    }
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}

/// One batch with a record at each of these times.
fn batch(times: &[i64]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    for time in times {
        builder.append(*time, Some(b"key"), Some(b"value"), &[]).unwrap();
    }
    builder.build(0).unwrap()
}

fn now_ms() -> i64 {
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(wall.unwrap().as_millis()).unwrap()
}

/// The bytes with one of them changed.
fn changed(bytes: &Bytes, at: usize, change: impl Fn(u8) -> u8) -> Bytes {
    let mut bytes = BytesMut::from(&bytes[..]);
    bytes[at] = change(bytes[at]);
    bytes.freeze()
}

async fn all(address: &str, suffix: &str) -> Vec<String> {
    let mut session = Session::new(address, suffix).await;
    topics::requests(&mut session).await;
    topics::metadata(&mut session).await;
    topics::create(&mut session).await;
    topics::delete(&mut session).await;
    topics::grow(&mut session).await;
    topics::describe(&mut session).await;
    topics::alter(&mut session).await;
    writing::validation(&mut session).await;
    writing::sequences(&mut session).await;
    writing::producer_ids(&mut session).await;
    reading::offsets(&mut session).await;
    reading::fetch(&mut session).await;
    reading::records(&mut session).await;
    session.lines
}

fn assert_same(who: &str, lines: &[String]) {
    let expected: Vec<&str> = OBSERVED.lines().collect();
    let differing: Vec<_> = lines
        .iter()
        .zip(&expected)
        .filter(|(line, expected)| line.as_str() != **expected)
        .collect();
    assert!(
        differing.is_empty() && lines.len() == expected.len(),
        "{who} differs (observed, recorded): {differing:#?}\nall:\n{}",
        lines.join("\n")
    );
}

#[tokio::test]
async fn the_embedded_broker_answers_as_kafka_did() {
    let broker = Broker::builder()
        .listen("127.0.0.1:0")
        .config("num.partitions", "3")
        .start()
        .await
        .unwrap();
    assert_same("the embedded broker", &all(&broker.bootstrap_servers(), "").await);
}

#[tokio::test]
async fn a_running_kafka_still_answers_so() {
    if let Ok(address) = std::env::var("KOHORT_KAFKA") {
        let suffix = format!("-{}", now_ms());
        assert_same("Kafka", &all(&address, &suffix).await);
    }
}
