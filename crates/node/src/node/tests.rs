//! The node on a driven clock: requests are frames, as a client sends them. Tests of an API are in its own file here.

mod broker_configs;
mod durable;
mod faults;
mod fetch;
mod fetch_sessions;
mod groups;
mod hostile;
mod long_names;
mod produce;
mod protocol_support;
mod requests;
mod topics;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use kohort_machine::Token;
use kohort_machine::testing::{Harness, replay};
use kohort_protocol::messages::produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData};
use kohort_protocol::messages::{ProduceRequest, RequestHeader};
use kohort_protocol::{Request, RequestBody, ResponseBody, frame};
use kohort_records::{BatchBuilder, codec::Compression};

use crate::config::Config;
use crate::control::Control;
use crate::interface::{Action, CloseReason, ConnId, Event};
use crate::{Broker, Cluster, Node};

/// The wall clock of the tests when the machine's time is zero.
pub(super) const WALL_MS: i64 = 1_700_000_000_000;

/// A node with clients.
pub(super) struct Bench {
    pub(super) harness: Harness<Node>,
    next_conn: u64,
    next_correlation: i32,
    settings: Vec<(&'static str, &'static str)>,
    brokers: i32,
}

impl Bench {
    /// A node with one broker and the topics `t` of one partition and `u` of three.
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(settings: &[(&'static str, &'static str)]) -> Self {
        Self::of_brokers(1, settings)
    }

    /// A node that plays brokers 0, 1, ….
    pub(super) fn of_brokers(brokers: i32, settings: &[(&'static str, &'static str)]) -> Self {
        let mut bench = Self {
            harness: Harness::new(node(brokers, settings)),
            next_conn: 0,
            next_correlation: 0,
            settings: settings.to_vec(),
            brokers,
        };
        bench.create_topic("t", 1, &[]);
        bench.create_topic("u", 3, &[]);
        bench
    }

    /// A node of its own making, whose run is not replayed.
    pub(super) fn over(harness: Harness<Node>) -> Self {
        Self {
            harness,
            next_conn: 0,
            next_correlation: 0,
            settings: Vec::new(),
            brokers: 1,
        }
    }

    pub(super) fn create_topic(&mut self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let config = config
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        let name = name.to_string();
        self.control(Control::CreateTopic {
            name,
            partitions,
            config,
        });
    }

    pub(super) fn control(&mut self, control: Control) {
        let actions = self.harness.step(Event::Control {
            token: Token(0),
            control: Box::new(control),
        });
        assert!(
            actions
                .iter()
                .any(|action| matches!(action, Action::Controlled { result: Ok(()), .. })),
            "{actions:?}"
        );
    }

    /// A connection to the first broker.
    pub(super) fn connect(&mut self) -> ConnId {
        self.connect_to(0)
    }

    pub(super) fn connect_to(&mut self, broker: i32) -> ConnId {
        self.next_conn += 1;
        let conn = ConnId(self.next_conn);
        self.harness.step(Event::Connected {
            conn,
            broker,
            peer: "/127.0.0.1".into(),
        });
        conn
    }

    /// Sends a frame without its length prefix.
    pub(super) fn send_bytes(&mut self, conn: ConnId, bytes: Bytes) -> Vec<Action> {
        let wall_ms = WALL_MS + self.harness.now().as_millis() as i64;
        self.harness.step(Event::Frame { conn, bytes, wall_ms })
    }

    /// Sends a request and gives what the node does.
    pub(super) fn send(
        &mut self,
        conn: ConnId,
        version: i16,
        request: impl Into<RequestBody>,
    ) -> Vec<Action> {
        self.next_correlation += 1;
        let header = RequestHeader {
            correlation_id: self.next_correlation,
            client_id: Some("tester".into()),
            ..Default::default()
        };
        let frame =
            frame::encode_request(&header, version, &request.into()).expect("the request can be encoded");
        self.send_bytes(conn, frame.freeze().slice(4..))
    }

    /// Sends a request on a connection of its own and gives its reply.
    pub(super) fn ask<R>(&mut self, version: i16, request: R) -> R::Response
    where
        R: Request + Into<RequestBody>,
        R::Response: TryFrom<ResponseBody>,
    {
        let conn = self.connect();
        self.ask_on::<R>(conn, version, request)
    }

    pub(super) fn ask_on<R>(&mut self, conn: ConnId, version: i16, request: R) -> R::Response
    where
        R: Request + Into<RequestBody>,
        R::Response: TryFrom<ResponseBody>,
    {
        let actions = self.send(conn, version, request);
        reply::<R>(&actions, conn, version).expect("the node replies at once")
    }

    /// Produces one batch with these values to partition 0 and gives the answer.
    pub(super) fn produce(&mut self, topic: &str, values: &[&str]) -> PartitionProduceResponse {
        self.produce_batch(topic, 0, batch(values))
    }

    pub(super) fn produce_batch(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> PartitionProduceResponse {
        let response = self.ask(12, produce_request(topic, partition, batch));
        response.responses[0].partition_responses[0].clone()
    }

    /// Asserts that the run gives the same actions again.
    pub(super) fn assert_replays(&self) {
        replay(node(self.brokers, &self.settings), self.harness.record());
    }

    pub(super) fn advance(&mut self, millis: u64) -> Vec<Action> {
        self.harness.advance(Duration::from_millis(millis))
    }
}

fn node(brokers: i32, settings: &[(&str, &str)]) -> Node {
    Node::new(config(settings), cluster(brokers), 7)
}

pub(super) fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    for (key, value) in settings {
        config.set(key, value).expect("a valid setting");
    }
    config
}

pub(super) fn cluster(brokers: i32) -> Cluster {
    let broker = |id| Broker {
        id,
        host: "localhost".into(),
        port: 9092 + id as u16,
        rack: None,
    };
    Cluster {
        id: "a-cluster".into(),
        brokers: (0..brokers).map(broker).collect(),
    }
}

pub(super) fn batch(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, None).expect("no compression has no level");
    for value in values {
        builder
            .append(WALL_MS, None, Some(value.as_bytes()), &[])
            .expect("the batch has room");
    }
    builder.build(0).expect("the batch can be built")
}

/// A batch of one record of an idempotent producer in its first epoch.
pub(super) fn produced_by(producer_id: i64, sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, None).expect("no compression has no level");
    builder.set_producer(producer_id, 0, sequence);
    builder
        .append(WALL_MS, None, Some(b"a"), &[])
        .expect("the batch has room");
    builder.build(0).expect("the batch can be built")
}

pub(super) fn produce_request(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: alloc::vec![TopicProduceData {
            name: topic.into(),
            partition_data: alloc::vec![PartitionProduceData {
                index: partition,
                records: Some(batch),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The bytes that are written to a connection.
pub(super) fn written(actions: &[Action], conn: ConnId) -> Option<Bytes> {
    actions.iter().find_map(|action| match action {
        Action::Write {
            conn: to, segments, ..
        } if *to == conn => {
            let mut bytes = BytesMut::new();
            for segment in segments {
                bytes.extend_from_slice(segment);
            }
            Some(bytes.freeze())
        }
        _ => None,
    })
}

/// The reply to a request among the actions.
pub(super) fn reply<R>(actions: &[Action], conn: ConnId, version: i16) -> Option<R::Response>
where
    R: Request,
    R::Response: TryFrom<ResponseBody>,
{
    let bytes = written(actions, conn)?;
    let (_, body) =
        frame::decode_response(bytes.slice(4..), R::KEY, version).expect("the response can be decoded");
    R::Response::try_from(body).ok()
}

/// Why a connection is closed, if it is.
pub(super) fn closed(actions: &[Action], conn: ConnId) -> Option<CloseReason> {
    actions.iter().find_map(|action| match action {
        Action::Close { conn: to, reason } if *to == conn => Some((**reason).clone()),
        _ => None,
    })
}
