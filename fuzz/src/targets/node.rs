//! The broker as a machine, fed with frames of two connections, time passing, and connections ending; its state is kept over
//! all operations of an input.
//!
//! Held: each request is answered exactly once, by a reply that decodes as one of its API and version with its correlation
//! id, or by the end of its connection with a reason in the log; no event makes more than so many actions.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kohort_machine::{Instant, Machine, Token};
use kohort_node::config::Config;
use kohort_node::{Action, CloseReason, Cluster, ConnId, Control, Event, Node};
use kohort_protocol::frame::{decode_request, decode_response, encode_request, peek_request};
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::join_group::JoinGroupRequestProtocol;
use kohort_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use kohort_protocol::messages::sync_group::SyncGroupRequestAssignment;
use kohort_protocol::messages::{
    FetchRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, ProduceRequest, RequestHeader,
    SyncGroupRequest,
};
use kohort_protocol::{ApiKey, RequestBody, ResponseBody};
use kohort_records::Compression;

use super::ops::{Op, join, split};
use super::samples::{batch, seal};
use super::{Shape, Target, request};

pub(super) const TARGET: Target = Target {
    name: "node",
    run,
    seeds,
    shape: Shape::Operations { head: 0 },
    // Topics of 10,000 partitions may be made by one small request each.
    memory: |len| 1024 * len + (96 << 20),
};

const CONNECTIONS: usize = 2;
/// More operations than these are not run.
const LONGEST: usize = 32;
/// No event of these few connections may cause more actions.
const MOST_ACTIONS: usize = 1000;
/// No time that passes may take more steps.
const MOST_STEPS: usize = 100_000;
/// The longest time that passes at once, in ms: more than a session.
const LONGEST_PAUSE: u64 = 120_000;

const FRAME: u8 = 0;
const SEALED: u8 = 4;
const DISCONNECT: u8 = 5;
const ADVANCE: u8 = 6;

/// A broker and its connections.
pub(super) struct Bench {
    node: Node,
    now: Instant,
    /// The connection in each place, and the request that it waits for.
    conns: [(ConnId, Option<(ApiKey, i16, i32)>); CONNECTIONS],
    next: u64,
    replies: BTreeMap<ConnId, (ApiKey, i16, Bytes)>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let mut config = Config::default();
        let settings = [
            ("group.initial.rebalance.delay.ms", "0"),
            ("offsets.topic.num.partitions", "3"),
        ];
        for (key, value) in settings {
            config.set(key, value).expect("a known key");
        }
        let cluster = Cluster::single("fuzz", "localhost", 9092);
        let mut bench = Self {
            node: Node::new(config, cluster, 1),
            now: Instant::ZERO,
            conns: [(ConnId(0), None); CONNECTIONS],
            next: 1,
            replies: BTreeMap::new(),
        };
        // Batches of one of them are written anew in its codec.
        for (name, policy, compression) in [("t", "delete", "producer"), ("c", "compact", "zstd")] {
            bench.event(Event::Control {
                token: Token(0),
                control: Box::new(Control::CreateTopic {
                    name: name.into(),
                    partitions: 2,
                    config: vec![
                        ("cleanup.policy".into(), policy.into()),
                        ("compression.type".into(), compression.into()),
                    ],
                }),
            });
        }
        (0..CONNECTIONS).for_each(|place| bench.connect(place));
        bench
    }

    fn connect(&mut self, place: usize) {
        let conn = ConnId(self.next);
        self.next += 1;
        self.conns[place] = (conn, None);
        let peer = "/127.0.0.1".into();
        self.event(Event::Connected {
            conn,
            broker: 0,
            peer,
        });
    }

    fn event(&mut self, event: Event) {
        self.node.handle(self.now, event);
        self.drain();
    }

    fn drain(&mut self) {
        let mut actions = 0;
        let mut has_logged = false;
        while let Some(action) = self.node.poll_action() {
            actions += 1;
            assert!(
                actions <= MOST_ACTIONS,
                "one event causes more than {MOST_ACTIONS} actions"
            );
            match action {
                Action::Write { conn, segments, .. } => {
                    let Some(place) = self.place(conn) else {
                        panic!("a reply on a connection that is gone");
                    };
                    let (api, version, id) = self.conns[place]
                        .1
                        .take()
                        .expect("each request is answered once, and none unasked");
                    let frame = Bytes::from(segments.concat()).slice(4..);
                    let (got, _) = decode_response(frame.clone(), api, version)
                        .unwrap_or_else(|error| panic!("{api} version {version}: {error}"));
                    assert_eq!(got, id);
                    self.replies.insert(conn, (api, version, frame));
                }
                Action::Ready { conn } => {
                    let place = self.place(conn).expect("of a connection that is there");
                    let (api, ..) = self.conns[place].1.take().expect("each request is answered once");
                    assert_eq!(api, ApiKey::Produce);
                }
                Action::Close { conn, reason } => {
                    assert!(has_logged, "a connection is closed with a line in the log");
                    let is_answered = !matches!(*reason, CloseReason::Unencodable { .. });
                    assert!(is_answered, "an answer cannot be written: {reason}");
                    let place = self.place(conn).expect("of a connection that is there");
                    self.connect(place);
                    return self.drain();
                }
                Action::Log(_) => has_logged = true,
                _ => {}
            }
        }
    }

    fn place(&self, conn: ConnId) -> Option<usize> {
        self.conns.iter().position(|(known, _)| *known == conn)
    }

    /// Sends a request once the one before is answered.
    fn send(&mut self, place: usize, frame: Bytes) {
        let mut steps = 0;
        while self.conns[place].1.is_some() {
            steps += 1;
            // A join may wait for members that never come back: as long as they have sessions, and those end.
            if steps > 1000 || !self.step(Instant::MAX) {
                return self.disconnect(place);
            }
        }
        if let Ok(peeked) = peek_request(&frame) {
            // What is not an API is closed, and asks for nothing.
            let api = ApiKey::from_i16(peeked.key).unwrap_or(ApiKey::ApiVersions);
            let version = match api {
                ApiKey::ApiVersions if !(0..=4).contains(&peeked.version) => 0,
                _ => peeked.version,
            };
            self.conns[place].1 = Some((api, version, peeked.correlation_id));
        }
        self.event(Event::Frame {
            conn: self.conns[place].0,
            bytes: frame,
            wall_ms: 1_700_000_000_000 + self.now.as_millis() as i64,
        });
    }

    fn disconnect(&mut self, place: usize) {
        self.event(Event::Disconnected {
            conn: self.conns[place].0,
        });
        self.connect(place);
    }

    /// Lets the next deadline pass if it is not after `until`.
    fn step(&mut self, until: Instant) -> bool {
        match self.node.next_deadline() {
            Some(next) if next.at <= until => {
                self.now = self.now.max(next.at);
                self.node.handle_timeout(self.now);
                self.drain();
                true
            }
            _ => false,
        }
    }

    fn advance(&mut self, ms: u64) {
        let until = Instant::from_millis(self.now.as_millis().saturating_add(ms));
        let mut steps = 0;
        while self.step(until) {
            steps += 1;
            assert!(steps < MOST_STEPS, "deadlines come without end");
        }
        self.now = self.now.max(until);
    }

    fn perform(&mut self, op: &Op) {
        let place = usize::from(op.kind >> 3) % CONNECTIONS;
        match op.kind & 7 {
            DISCONNECT => self.disconnect(place),
            ADVANCE => self.advance(number(&op.payload) % LONGEST_PAUSE),
            SEALED => self.send(place, sealed(Bytes::copy_from_slice(&op.payload))),
            _ => self.send(place, Bytes::copy_from_slice(&op.payload)),
        }
    }

    /// Answers a request of another machine, whatever it takes; nothing if the connection is closed instead.
    pub(super) fn serve(&mut self, frame: Bytes) -> Option<Bytes> {
        self.replies.clear();
        self.send(0, frame);
        while self.conns[0].1.is_some() && self.step(Instant::MAX) {}
        self.replies.remove(&self.conns[0].0).map(|(_, _, reply)| reply)
    }

    /// Appends a batch to the first partition of `t`.
    pub(super) fn produce(&mut self, records: &Bytes) {
        self.ask(1, 9, &produce(records.clone(), 1));
    }

    /// Sends a good request and gives the reply.
    pub(super) fn ask(&mut self, place: usize, version: i16, body: &RequestBody) -> (Bytes, ResponseBody) {
        let header = RequestHeader {
            client_id: Some("fuzz".into()),
            ..Default::default()
        };
        let frame = encode_request(&header, version, body).expect("a good request");
        let frame = frame.freeze().slice(4..);
        self.send(place, frame.clone());
        while self.conns[place].1.is_some() && self.step(Instant::MAX) {}
        let (api, version, reply) = self.replies[&self.conns[place].0].clone();
        let (_, body) = decode_response(reply, api, version).expect("it was decoded before");
        (frame, body)
    }
}

fn number(payload: &[u8]) -> u64 {
    payload
        .iter()
        .take(4)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// A Produce request whose batches have the right lengths and checksums; others as they are.
fn sealed(frame: Bytes) -> Bytes {
    let version = peek_request(&frame).map(|peeked| peeked.version);
    let (Ok(version), Ok((header, RequestBody::Produce(mut request)))) =
        (version, decode_request(frame.clone()))
    else {
        return frame;
    };
    for topic in &mut request.topic_data {
        for partition in &mut topic.partition_data {
            if let Some(records) = &mut partition.records {
                let mut bytes = BytesMut::from(&records[..]);
                seal(&mut bytes);
                *records = bytes.freeze();
            }
        }
    }
    let encoded = encode_request(&header, version, &RequestBody::Produce(request));
    encoded.map_or(frame, |encoded| encoded.freeze().slice(4..))
}

fn run(input: &[u8]) {
    let mut bench = Bench::new();
    let (_, ops) = split(input, 0);
    for op in ops.iter().take(LONGEST) {
        bench.perform(op);
    }
    // Whatever came before, the others are served.
    bench.disconnect(0);
    bench.advance(LONGEST_PAUSE);
    let produce = produce(batch(Compression::None, 1, 0), 1);
    let (_, reply) = bench.ask(0, 9, &produce);
    assert!(matches!(reply, ResponseBody::Produce(_)));
}

fn produce(records: Bytes, acks: i16) -> RequestBody {
    ProduceRequest {
        acks,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: "t".into(),
            partition_data: vec![PartitionProduceData {
                records: Some(records),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}

fn fetch(offset: i64, max_wait_ms: i32) -> RequestBody {
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: "t".into(),
            partitions: vec![FetchPartition {
                fetch_offset: offset,
                partition_max_bytes: 1 << 20,
                current_leader_epoch: -1,
                last_fetched_epoch: -1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}

fn op(kind: u8, payload: impl Into<Vec<u8>>) -> Op {
    Op {
        kind,
        payload: payload.into(),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = request::seeds()
        .into_iter()
        .map(|frame| join(&[], &[op(FRAME, frame)]))
        .collect();
    let mut bench = Bench::new();
    for codec in Compression::ALL {
        let mut ops = Vec::new();
        for acks in [1, 0] {
            let (frame, _) = bench.ask(0, 9, &produce(batch(codec, 3, 0), acks.max(1)));
            ops.push(op(SEALED, frame.to_vec()));
        }
        let (read, _) = bench.ask(1, 11, &fetch(0, 500));
        ops.push(op(FRAME | 1 << 3, read.to_vec()));
        seeds.push(join(&[], &ops));
    }
    let (waiting, _) = bench.ask(1, 11, &fetch(i64::MAX, 500));
    seeds.push(join(
        &[],
        &[op(FRAME, waiting.to_vec()), op(ADVANCE, [0, 0, 3, 0])],
    ));
    seeds.push(group());
    seeds
}

/// A member joins a group, leads it, and falls silent. The ids that a broker makes up are the same in every run.
fn group() -> Vec<u8> {
    let mut bench = Bench::new();
    let mut ops = Vec::new();
    let mut ask = |version, body: RequestBody| {
        let (frame, reply) = bench.ask(0, version, &body);
        ops.push(op(FRAME, frame.to_vec()));
        reply
    };
    let find = FindCoordinatorRequest {
        coordinator_keys: vec!["g".into()],
        ..Default::default()
    };
    ask(4, find.into());
    let subscription = super::samples::golden()
        .into_iter()
        .find(|(message, version, _)| *message == "ConsumerProtocolSubscription" && *version == 1)
        .map(|(_, version, body)| [&version.to_be_bytes()[..], &body].concat());
    let mut join_group = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: subscription.unwrap_or_default().into(),
        }],
        ..Default::default()
    };
    if let ResponseBody::JoinGroup(reply) = ask(9, join_group.clone().into()) {
        join_group.member_id = reply.member_id;
    }
    let member_id = join_group.member_id.clone();
    let mut generation_id = 1;
    if let ResponseBody::JoinGroup(reply) = ask(9, join_group.into()) {
        generation_id = reply.generation_id;
    }
    let sync = SyncGroupRequest {
        group_id: "g".into(),
        generation_id,
        member_id: member_id.clone(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        }],
        ..Default::default()
    };
    ask(5, sync.into());
    let heartbeat = HeartbeatRequest {
        group_id: "g".into(),
        generation_id,
        member_id,
        ..Default::default()
    };
    ask(4, heartbeat.into());
    ops.push(op(ADVANCE, [0, 0, 0xff, 0xff]));
    join(&[], &ops)
}
