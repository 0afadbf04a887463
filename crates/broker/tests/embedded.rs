//! The embedded broker as a client sees it: over TCP and in memory, on a running and on a paused clock.
#![cfg(test)]

mod client;

use std::time::Duration;

use bytes::Bytes;
use client::Client;
use kohort_broker::{ApiKey, Broker, ErrorCode, Fault, FaultRule, StartError};
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::metadata::MetadataRequestTopic;
use kohort_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use kohort_protocol::messages::{
    FetchRequest, FetchResponse, MetadataRequest, MetadataResponse, ProduceRequest, ProduceResponse,
    RequestHeader,
};
use kohort_protocol::{RequestBody, frame};
use kohort_records::codec::Compression;
use kohort_records::{BatchBuilder, batches};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn produce(&mut self, topic: &str, value: &[u8]) -> ProduceResponse {
        self.ask(12, produce(topic, value)).await
    }
}

fn produce(topic: &str, value: &[u8]) -> ProduceRequest {
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    builder.append(-1, None, Some(value), &[]).unwrap();
    ProduceRequest {
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
    }
}

fn fetch(topic: &str, max_wait_ms: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms,
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
    }
}

fn values(response: &FetchResponse) -> Vec<Bytes> {
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    let mut values = Vec::new();
    for batch in batches(records) {
        let open = batch.unwrap().open(1 << 24).unwrap();
        values.extend(
            open.iter()
                .map(|record| Bytes::copy_from_slice(record.value.unwrap())),
        );
    }
    values
}

fn metadata(topic: &str) -> MetadataRequest {
    MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(topic.into()),
            ..Default::default()
        }]),
        ..Default::default()
    }
}

async fn in_memory(broker: &Broker) -> Client<tokio::io::DuplexStream> {
    Client::new(broker.connector().connect("localhost", 9092).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn records_go_through_memory_on_a_paused_clock() {
    let broker = Broker::builder().topic("t", 1).start().await.unwrap();
    let mut client = in_memory(&broker).await;
    client.produce("t", b"a").await;
    let response = client.ask(12, fetch("t", 500)).await;
    assert_eq!(values(&response), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_ends_a_long_poll_at_its_time() {
    let broker = Broker::builder().topic("t", 1).start().await.unwrap();
    let mut client = in_memory(&broker).await;
    let before = Instant::now();
    let response = client.ask(12, fetch("t", 3_600_000)).await;
    assert_eq!(values(&response), [] as [Bytes; 0]);
    let waited = before.elapsed();
    assert!((3_600_000..3_600_010).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_fetch_is_answered_when_records_come() {
    let broker = Broker::builder().topic("t", 1).start().await.unwrap();
    let (mut consumer, mut producer) = (in_memory(&broker).await, in_memory(&broker).await);
    consumer.send(12, fetch("t", 3_600_000)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    producer.produce("t", b"late").await;
    let before = Instant::now();
    let frame = consumer.frame().await.unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
    let (_, body) = frame::decode_response(frame, ApiKey::Fetch, 12).unwrap();
    assert_eq!(values(&body.try_into().unwrap()), ["late"]);
}

#[tokio::test]
async fn records_of_any_size_go_through_tcp() {
    let broker = Broker::builder()
        .topic("t", 1)
        .listen("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let mut client = Client::new(TcpStream::connect(broker.bootstrap_servers()).await.unwrap());
    let large = vec![7; 900_000];
    for value in [&b"small"[..], &large[..]] {
        assert_eq!(
            client.produce("t", value).await.responses[0].partition_responses[0].error_code,
            0
        );
    }
    let response = client.ask(12, fetch("t", 500)).await;
    let sizes: Vec<usize> = values(&response).iter().map(Bytes::len).collect();
    assert_eq!(sizes, [5, 900_000]);
}

#[tokio::test]
async fn clients_are_told_the_address_that_they_reach() {
    let broker = Broker::builder()
        .topic("t", 1)
        .listen("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let mut client = Client::new(TcpStream::connect(broker.bootstrap_servers()).await.unwrap());
    let response: MetadataResponse = client.ask(12, metadata("t")).await;
    let told = format!("{}:{}", response.brokers[0].host, response.brokers[0].port);
    assert_eq!(told, broker.bootstrap_servers());
}

#[tokio::test(start_paused = true)]
async fn requests_sent_ahead_are_answered_in_order() {
    let broker = Broker::builder().topic("t", 1).start().await.unwrap();
    let mut client = in_memory(&broker).await;
    for value in [b"a", b"b", b"c"] {
        client.send(12, produce("t", value)).await;
    }
    for expected in 0..3 {
        let frame = client.frame().await.unwrap();
        let (_, body) = frame::decode_response(frame, ApiKey::Produce, 12).unwrap();
        let response: ProduceResponse = body.try_into().unwrap();
        assert_eq!(response.responses[0].partition_responses[0].base_offset, expected);
    }
}

#[tokio::test]
async fn what_was_sent_before_the_client_left_is_carried_out() {
    let listening = Broker::builder().topic("t", 1).listen("127.0.0.1:0");
    let broker = listening.start().await.unwrap();
    let connect = async || Client::new(TcpStream::connect(broker.bootstrap_servers()).await.unwrap());
    let mut client = connect().await;
    let request: RequestBody = ProduceRequest {
        acks: 0,
        ..produce("t", b"value")
    }
    .into();
    let frame = frame::encode_request(&RequestHeader::default(), 12, &request).unwrap();
    client.stream.write_all(&frame.repeat(100)).await.unwrap();
    client.stream.shutdown().await.unwrap();
    // The broker closes when it has carried all out.
    assert_eq!(client.frame().await, None);
    let read: FetchResponse = connect().await.ask(12, fetch("t", 0)).await;
    assert_eq!(values(&read).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_frame_closes_its_connection_alone() {
    let broker = Broker::builder().topic("t", 1).start().await.unwrap();
    let (mut bad, mut good) = (in_memory(&broker).await, in_memory(&broker).await);
    bad.stream.write_all(&[0, 0, 0, 1, 9]).await.unwrap();
    assert_eq!(bad.frame().await, None);
    good.produce("t", b"a").await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_larger_than_the_limit_closes_its_connection_before_it_came() {
    let broker = Broker::builder()
        .config("socket.request.max.bytes", "1000")
        .start()
        .await
        .unwrap();
    let mut client = in_memory(&broker).await;
    client.stream.write_all(&1001u32.to_be_bytes()).await.unwrap();
    assert_eq!(client.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_cut_reply_ends_the_connection() {
    let broker = Broker::builder().topic("t", 1).start().await.unwrap();
    broker
        .inject(FaultRule::next(ApiKey::Produce, Fault::Cut { after: 6 }))
        .await
        .unwrap();
    let mut client = in_memory(&broker).await;
    client.send(12, produce("t", b"a")).await;
    assert_eq!(client.frame().await, None);
    assert_eq!(client.buffer.len(), 6);
    let mut again = in_memory(&broker).await;
    let response = again.produce("t", b"b").await;
    assert_eq!(response.responses[0].partition_responses[0].base_offset, 1);
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_are_refused_in_memory_while_all_others_are_at_work() {
    let broker = Broker::builder()
        .topic("t", 1)
        .config("max.connections", "1")
        .start()
        .await
        .unwrap();
    let connector = broker.connector();
    let mut first = Client::new(connector.connect("localhost", 9092).await.unwrap());
    first.send(12, fetch("t", 1000)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let refused = connector.connect("localhost", 9092).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(first.frame().await.is_some());
    tokio::time::sleep(Duration::from_millis(1)).await;
    // Now it asks nothing, and goes.
    connector.connect("localhost", 9092).await.unwrap();
    assert_eq!(first.frame().await, None);
}

#[tokio::test(start_paused = true)]
async fn each_broker_of_several_serves_the_partitions_that_it_leads() {
    let broker = Broker::builder().topic("t", 2).brokers(2).start().await.unwrap();
    assert_eq!(broker.bootstrap_servers(), "localhost:9092,localhost:9093");
    let connector = broker.connector();
    let mut other = Client::new(connector.connect("localhost", 9093).await.unwrap());
    let refused = other.produce("t", b"a").await;
    let part = &refused.responses[0].partition_responses[0];
    assert_eq!(
        ErrorCode::from_code(part.error_code),
        ErrorCode::NotLeaderOrFollower
    );
    // KIP-951: the answer names the leader.
    assert_eq!(
        (part.current_leader.leader_id, refused.node_endpoints[0].port),
        (0, 9092)
    );
    broker.move_leader("t", 0, 1).await.unwrap();
    let accepted = other.produce("t", b"a").await;
    assert_eq!(accepted.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test]
async fn shutdown_closes_connections_and_frees_the_port() {
    let broker = Broker::builder().listen("127.0.0.1:0").start().await.unwrap();
    let address = broker.bootstrap_servers();
    let connector = broker.connector();
    let mut client = Client::new(TcpStream::connect(&address).await.unwrap());
    client.ask(12, metadata("t")).await;
    broker.shutdown().await;
    assert_eq!(client.frame().await, None);
    assert!(connector.connect("localhost", 9092).await.is_err());
    assert!(TcpStream::connect(&address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_broker_ends_it() {
    let broker = Broker::builder().start().await.unwrap();
    let mut client = in_memory(&broker).await;
    drop(broker);
    assert_eq!(client.frame().await, None);
}

#[tokio::test]
async fn an_address_of_all_interfaces_needs_the_insecure_flag() {
    let builder = Broker::builder().listen("0.0.0.0:0");
    assert!(matches!(
        builder.clone().start().await,
        Err(StartError::InsecureAddress { .. })
    ));
    builder.insecure_listen(true).start().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn settings_and_topics_that_are_refused_fail_the_start() {
    let unknown = Broker::builder().config("num.partitons", "1").start().await;
    assert!(matches!(unknown, Err(StartError::Config(_))));
    let invalid = Broker::builder().topic("a b", 1).start().await;
    assert!(matches!(invalid, Err(StartError::Topic(_))));
}

#[test]
fn starting_outside_of_a_runtime_is_an_error() {
    let mut start = std::pin::pin!(Broker::builder().start());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::future::Future::poll(start.as_mut(), &mut context);
    assert!(matches!(
        polled,
        std::task::Poll::Ready(Err(StartError::NoRuntime))
    ));
}
