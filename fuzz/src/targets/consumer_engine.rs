//! The consumer's engine and its caller's side, against a broker that answers anything: good answers changed at will, answers
//! to other questions, wrong correlation ids, silence, connections that end.
//!
//! Held: no event makes more than so many actions; time-outs at one instant come to an end; no record below the position is
//! handed out; memory is bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kohort_engine::client::{ClientConfig, LinkId, NetAction, NetEvent};
use kohort_engine::consumer::{
    Action, Change, Command, CommitMode, ConsumerConfig, ConsumerEngine, Event, GroupConfig, IsolationLevel,
    LeaveGroup, OffsetReset, OffsetSpec, Position, SeekTo,
};
use kohort_engine::delivery::{Delivery, Due};
use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::{Instant, Machine, Token};
use kohort_protocol::frame::{decode_request, peek_request};
use kohort_records::Compression;

use super::node::Bench;
use super::ops::{Op, join, split};
use super::samples::{batch, seal};
use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "consumer_engine",
    run,
    seeds,
    shape: Shape::Operations { head: 1 },
    memory: |len| 2048 * len + (48 << 20),
};

const LONGEST: usize = 40;
const MOST_ACTIONS: usize = 2000;
const MOST_STEPS: usize = 20_000;
const LONGEST_PAUSE: u64 = 12_000;

/// Answers a waiting request with the payload as body, under the right correlation id.
const ANSWER: u8 = 0;
/// Answers with the payload as the whole frame.
const RAW: u8 = 1;
/// Ends the connection of a waiting request.
const DISCONNECT: u8 = 2;
const ADVANCE: u8 = 3;
const POLL: u8 = 4;
const COMMAND: u8 = 5;
/// As `ANSWER`, but lengths and checksums of record batches in it are made right.
const SEALED: u8 = 6;
struct Waiting {
    link: LinkId,
    correlation_id: i32,
    request: Bytes,
}

struct Bed {
    engine: ConsumerEngine,
    delivery: Delivery,
    dues: VecDeque<Due>,
    now: Instant,
    waiting: Vec<Waiting>,
    links: Vec<LinkId>,
    refused: u32,
    polls: u64,
    tokens: u64,
    answers: BTreeMap<Token, u32>,
}

impl Bed {
    fn new(settings: u8) -> Self {
        let mut client = ClientConfig::new([("localhost".into(), 9092)]);
        client.client_id = "fuzz".into();
        client.reconnect_backoff = Duration::from_secs(1);
        client.reconnect_backoff_max = Duration::from_secs(10);
        let mut config = ConsumerConfig::new(client);
        config.auto_offset_reset = match settings & 1 {
            0 => OffsetReset::Earliest,
            _ => OffsetReset::Latest,
        };
        if settings & 2 == 0 {
            config.group = Some(GroupConfig::new("g"));
            config.enable_auto_commit = settings & 4 == 0;
        }
        if settings & 8 != 0 {
            config.isolation_level = IsolationLevel::ReadCommitted;
        }
        config.check_crcs = settings & 16 == 0;
        config.memory_budget = 1 << 20;
        let has_group = config.group.is_some();
        let delivery = Delivery::new(&config);
        let mut bed = Self {
            engine: ConsumerEngine::new(config, 3, 1_700_000_000_000).expect("the settings go together"),
            delivery,
            dues: VecDeque::new(),
            now: Instant::ZERO,
            waiting: Vec::new(),
            links: Vec::new(),
            refused: 0,
            polls: 0,
            tokens: 0,
            answers: BTreeMap::new(),
        };
        let change = match has_group {
            true => Change::Subscribe {
                topics: vec![Arc::from("t")],
            },
            false => bed
                .delivery
                .assign(&[TopicPartition::new("t", 0), TopicPartition::new("t", 1)]),
        };
        bed.event(Event::Change(Box::new(change)));
        bed
    }

    fn event(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        let mut actions = 0;
        while let Some(event) = events.pop_front() {
            self.engine.handle(self.now, event);
            self.drain(&mut events, &mut actions);
        }
    }

    fn drain(&mut self, events: &mut VecDeque<Event>, actions: &mut usize) {
        while let Some(action) = self.engine.poll_action() {
            *actions += 1;
            assert!(
                *actions <= MOST_ACTIONS,
                "one event causes more than {MOST_ACTIONS} actions"
            );
            match action {
                Action::Net(NetAction::Connect { link, .. }) => {
                    events.push_back(Event::Net(if self.refused > 0 {
                        self.refused -= 1;
                        let reason = "refused".into();
                        NetEvent::ConnectFailed { link, reason }
                    } else {
                        self.links.push(link);
                        NetEvent::Connected { link }
                    }));
                }
                Action::Net(NetAction::Send { link, segments }) => {
                    let request = Bytes::from(segments.concat()).slice(4..);
                    let peeked = peek_request(&request).expect("requests have headers");
                    assert!(decode_request(request.clone()).is_ok(), "requests can be read");
                    self.waiting.push(Waiting {
                        link,
                        correlation_id: peeked.correlation_id,
                        request,
                    });
                }
                Action::Net(NetAction::Disconnect { link }) => self.forget(link),
                Action::Net(_) | Action::Rebalanced(_) | Action::CommitFailed(_) => {}
                Action::Reply { token, .. } => {
                    let answers = self.answers.entry(token).or_default();
                    *answers += 1;
                    assert_eq!(*answers, 1, "each command is answered once");
                }
                Action::ToCaller(told) => {
                    if let Some(due) = self.delivery.accept(*told) {
                        due.enqueue(&mut self.dues);
                    }
                }
                Action::Compute(compute) => events.push_back(Event::Computed {
                    step: compute.step,
                    result: Box::new(Err("no".into())),
                }),
                Action::ReadPollCounter => events.push_back(Event::PollCounter {
                    polls: self.polls,
                    inside: false,
                }),
            }
        }
    }

    fn forget(&mut self, link: LinkId) {
        self.links.retain(|known| *known != link);
        self.waiting.retain(|waiting| waiting.link != link);
    }

    fn disconnect(&mut self, link: LinkId) {
        self.forget(link);
        let reason = "cut".into();
        self.event(Event::Net(NetEvent::Disconnected { link, reason }));
    }

    fn advance(&mut self, ms: u64) {
        let until = Instant::from_millis(self.now.as_millis().saturating_add(ms));
        let (mut steps, mut still) = (0, 0);
        while let Some(next) = self.engine.next_deadline().filter(|next| next.at <= until) {
            still = if next.at <= self.now { still + 1 } else { 0 };
            assert!(
                still < 100,
                "deadlines at one instant come without end: {}",
                next.timer
            );
            steps += 1;
            assert!(steps < MOST_STEPS, "deadlines come without end: {}", next.timer);
            self.now = self.now.max(next.at);
            self.engine.handle_timeout(self.now);
            let mut events = VecDeque::new();
            let mut actions = 0;
            self.drain(&mut events, &mut actions);
            while let Some(event) = events.pop_front() {
                self.event(event);
            }
        }
        self.now = self.now.max(until);
    }

    fn poll(&mut self, max: usize) {
        self.polls += 1;
        while let Some(due) = self.dues.pop_front() {
            match due {
                Due::Callback { step, .. } => self.event(Event::ListenerDone { step }),
                Due::Report { step } => {
                    let report = self.delivery.report(Some(step));
                    self.event(Event::Progress(Box::new(report)));
                }
                Due::Fail(_) => return,
                Due::BecameLost { .. } => {}
            }
        }
        let mut positions: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        let assignment: Vec<TopicPartition> = self.delivery.assignment().map(|it| (**it).clone()).collect();
        for partition in &assignment {
            if let Ok(Some(position)) = self.delivery.position(partition) {
                positions.insert(partition.clone(), position.offset);
            }
        }
        if let Ok(taken) = self.delivery.take(max) {
            for chunk in taken.chunks() {
                let floor = positions.get(&**chunk.partition()).copied().unwrap_or(0);
                for record in chunk.records().iter() {
                    assert!(
                        record.offset >= floor,
                        "a record below the position is handed out"
                    );
                }
            }
        }
        for (partition, before) in positions {
            let after = self.delivery.position(&partition);
            if let Ok(Some(after)) = after {
                assert!(after.offset >= before, "a position moves back by itself");
            }
        }
        if let Some(progress) = self.delivery.progress() {
            self.event(Event::Progress(Box::new(progress)));
        }
    }

    fn command(&mut self, payload: &[u8]) {
        let number = payload.get(1).copied().unwrap_or(0);
        let partition = TopicPartition::new("t", i32::from(number & 1));
        let timeout = Duration::from_secs(5);
        let offsets = vec![(
            partition.clone(),
            OffsetAndMetadata {
                offset: i64::from(number),
                leader_epoch: None,
                metadata: String::new(),
            },
        )];
        let command = match payload.first().copied().unwrap_or(0) % 12 {
            0 => Command::Commit {
                offsets,
                mode: CommitMode::Sync { timeout },
            },
            1 => Command::Commit {
                offsets,
                mode: CommitMode::Async,
            },
            2 => Command::Committed {
                partitions: vec![partition],
                timeout,
            },
            3 => Command::ListOffsets {
                partitions: vec![(partition, OffsetSpec::Timestamp(i64::from(number)))],
                timeout,
            },
            4 => Command::PartitionsFor {
                topic: Arc::from("t"),
                timeout,
            },
            5 => Command::ListTopics { timeout },
            6 => Command::Unsubscribe { timeout },
            7 => Command::Close {
                timeout,
                leave: LeaveGroup::Default,
            },
            8 | 9 => {
                let to = match number % 3 {
                    0 => SeekTo::Beginning,
                    1 => SeekTo::End,
                    _ => SeekTo::Position(Position::new(i64::from(number))),
                };
                if let Ok(seek) = self.delivery.seek(&partition, to) {
                    self.event(Event::Change(Box::new(Change::Seek(vec![seek]))));
                }
                return;
            }
            10 => {
                if let Ok(slot) = self.delivery.pause(&partition) {
                    self.event(Event::Change(Box::new(Change::Pause(vec![slot]))));
                }
                return;
            }
            _ => {
                if let Ok(slot) = self.delivery.resume(&partition) {
                    self.event(Event::Change(Box::new(Change::Resume(vec![slot]))));
                }
                return;
            }
        };
        let token = Token(self.tokens);
        self.tokens += 1;
        let command = Box::new(command);
        self.event(Event::Command { token, command });
    }

    fn receive(&mut self, link: LinkId, frame: Bytes) {
        self.event(Event::Net(NetEvent::Received { link, frame }));
    }

    fn perform(&mut self, op: &Op) {
        let pick = usize::from(op.kind >> 3);
        match op.kind & 7 {
            ANSWER | SEALED => {
                if self.waiting.is_empty() {
                    return;
                }
                let waiting = self.waiting.remove(pick % self.waiting.len());
                let mut body = op.payload.clone();
                if op.kind & 7 == SEALED {
                    seal_batches(&mut body);
                }
                let frame = [&waiting.correlation_id.to_be_bytes()[..], &body].concat();
                self.receive(waiting.link, frame.into());
            }
            RAW => {
                let Some(link) = self.links.get(pick % self.links.len().max(1)).copied() else {
                    return;
                };
                self.receive(link, Bytes::copy_from_slice(&op.payload));
            }
            DISCONNECT => {
                if let Some(link) = self.links.get(pick % self.links.len().max(1)).copied() {
                    self.disconnect(link);
                }
            }
            ADVANCE => {
                let ms = op
                    .payload
                    .iter()
                    .take(3)
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                self.advance(ms % LONGEST_PAUSE);
            }
            POLL => self.poll(usize::from(op.payload.first().copied().unwrap_or(255)).max(1)),
            COMMAND => self.command(&op.payload),
            // Ends all connections and refuses the next ones.
            _ => {
                self.refused = u32::from(op.kind >> 3);
                for link in self.links.clone() {
                    self.disconnect(link);
                }
            }
        }
    }
}

/// Makes the first record batch in a body right, wherever it begins: at its magic, 16 bytes in, behind a length.
fn seal_batches(body: &mut [u8]) {
    let starts = (0..body.len().saturating_sub(61)).find(|at| {
        let length = i32::from_be_bytes([body[at + 8], body[at + 9], body[at + 10], body[at + 11]]);
        body[at + 16] == 2
            && usize::try_from(length).is_ok_and(|length| length >= 49 && at + 12 + length <= body.len())
    });
    if let Some(at) = starts {
        let length = i32::from_be_bytes([body[at + 8], body[at + 9], body[at + 10], body[at + 11]]);
        let end = at + 12 + usize::try_from(length).unwrap_or(0);
        seal(&mut body[at..end]);
    }
}

fn run(input: &[u8]) {
    let (settings, ops) = split(input, 1);
    let mut bed = Bed::new(settings[0]);
    for op in ops.iter().take(LONGEST) {
        bed.perform(op);
    }
    // Whatever came before, commands are answered in time, and nothing spins.
    bed.refused = u32::MAX;
    for link in bed.links.clone() {
        bed.disconnect(link);
    }
    for ms in [31_000, 6_000] {
        bed.advance(ms);
        // Commands may wait for what is due inside of a poll; each error ends one.
        for _ in 0..100 {
            bed.poll(100);
            if bed.dues.is_empty() {
                break;
            }
        }
    }
    let unanswered = (0..bed.tokens).filter(|token| !bed.answers.contains_key(&Token(*token)));
    assert_eq!(unanswered.count(), 0, "commands are answered");
}

/// Conversations with a good broker, as operations: every answer is what the broker said.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for settings in [0u8, 1, 2, 3, 4, 8, 10, 16] {
        for codec in Compression::ALL {
            seeds.push(conversation(settings, codec));
        }
    }
    seeds
}

fn conversation(settings: u8, codec: Compression) -> Vec<u8> {
    let mut bed = Bed::new(settings);
    let mut broker = Bench::new();
    broker.produce(&batch(codec, 5, 0));
    let mut ops: Vec<Op> = Vec::new();
    for round in 0..40 {
        while !bed.waiting.is_empty() && ops.len() < LONGEST {
            let waiting = bed.waiting.remove(0);
            let Some(reply) = broker.serve(waiting.request) else {
                continue;
            };
            let op = Op {
                kind: if round % 2 == 0 { ANSWER } else { SEALED },
                payload: reply.slice(4..).to_vec(),
            };
            bed.receive(waiting.link, reply);
            ops.push(op);
        }
        let next = match round {
            30 => Op {
                kind: COMMAND,
                payload: vec![0, 3],
            },
            _ if round % 3 == 0 => Op {
                kind: ADVANCE,
                payload: vec![0, 200],
            },
            _ => Op {
                kind: POLL,
                payload: vec![10],
            },
        };
        bed.perform(&next);
        ops.push(next);
        if ops.len() >= LONGEST {
            break;
        }
    }
    join(&[settings], &ops)
}
