//! The embedded broker over TCP against bytes that no good client sends: each costs its connection, or is answered with an
//! error, and nobody else notices.
#![cfg(test)]

mod batches;
mod bytes_of_any_kind;
#[path = "../client/mod.rs"]
mod client;
mod cuts;
mod every_api;
mod patience;
mod requests;

use std::time::Duration;

use bytes::Bytes;
use client::Client;
use kohort_broker::{Broker, ErrorCode};
use kohort_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use kohort_protocol::messages::{ProduceRequest, RequestHeader};
use kohort_protocol::{RequestBody, frame};
use kohort_records::codec::Compression;
use kohort_records::{BatchBuilder, Header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a hostile connection may stay open: none of these tests has to wait for it.
const SOON: Duration = Duration::from_secs(10);

/// A broker over TCP with topic `t`, and a client that does nothing wrong.
struct Bed {
    broker: Broker,
    good: Client<TcpStream>,
    produced: i64,
}

impl Bed {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let mut builder = Broker::builder().topic("t", 1).listen("127.0.0.1:0");
        for (key, value) in settings {
            builder = builder.config(*key, *value);
        }
        let broker = builder.start().await.unwrap();
        let good = Client::new(TcpStream::connect(broker.bootstrap_servers()).await.unwrap());
        Self {
            broker,
            good,
            produced: 0,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.broker.bootstrap_servers()).await.unwrap()
    }

    async fn client(&self) -> Client<TcpStream> {
        Client::new(self.connect().await)
    }

    /// Writes bytes on a connection of their own: what comes back before the broker closes it.
    async fn closes_on(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // The broker may have closed before everything was written.
        let _ = stream.write_all(bytes).await;
        let mut got = Vec::new();
        let read = timeout(SOON, stream.read_to_end(&mut got)).await;
        // A reset counts: bytes of ours were left unread.
        let _ = read.unwrap_or_else(|_| panic!("the connection stays open after {bytes:02x?}"));
        got
    }

    /// Whoever does nothing wrong is served on the connection that was open all the time.
    async fn others_are_served(&mut self) {
        let response = timeout(SOON, self.good.ask(12, produce(batch(Compression::None, 1))));
        let response = response.await.expect("the broker answers others");
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(ErrorCode::from_code(partition.error_code), ErrorCode::None);
        assert!(partition.base_offset >= self.produced);
        self.produced = partition.base_offset + 1;
    }
}

fn batch(codec: Compression, records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(codec, None).unwrap();
    for index in 0..records {
        let headers = [Header::new("h", "x")];
        builder
            .append(
                1_700_000_000_000 + index as i64,
                Some(b"key"),
                Some(b"value"),
                &headers,
            )
            .unwrap();
    }
    builder.build(0).unwrap()
}

fn produce(records: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A request with its length.
fn framed(version: i16, body: impl Into<RequestBody>) -> Vec<u8> {
    let frame = frame::encode_request(&RequestHeader::default(), version, &body.into());
    frame.unwrap().to_vec()
}

/// A length before any bytes.
fn prefixed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}
