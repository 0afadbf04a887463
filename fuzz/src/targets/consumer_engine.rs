//! The consumer's engine and its caller's side, against a far end that answers anything (`bed`).
//!
//! Held: what `bed` holds every engine to; each command is answered once, and in time; no record below the position is handed
//! out; no position moves back by itself; memory is bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kohort_engine::consumer::{
    Action, Change, Command, CommitMode, ConsumerConfig, ConsumerEngine, Event, GroupConfig, HandedOut,
    IsolationLevel, LeaveGroup, OffsetReset, OffsetSpec, Position, SeekTo,
};
use kohort_engine::delivery::{Delivery, Due};
use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::Token;
use kohort_records::Compression;

use super::bed::{ADVANCE, ANSWER, Bed, Caller, SEALED, client};
use super::node::Bench;
use super::ops::{Op, join, split};
use super::samples::batch;
use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "consumer_engine",
    run,
    seeds,
    shape: Shape::Operations { head: 1 },
    memory: |len| 2048 * len + (48 << 20),
};

/// More operations than these are not run: a conversation with a good broker has its first records after 14.
const LONGEST: usize = 24;

const POLL: u8 = 4;
const COMMAND: u8 = 5;

struct User {
    delivery: Delivery,
    dues: VecDeque<Due>,
    polls: u64,
    tokens: u64,
    answers: BTreeMap<Token, u32>,
}

impl Caller for User {
    type Engine = ConsumerEngine;

    fn hear(&mut self, action: Action) -> Option<Event> {
        match action {
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
            Action::Compute(compute) => {
                return Some(Event::Computed {
                    step: compute.step,
                    result: Box::new(Err("no".into())),
                });
            }
            Action::ReadPollCounter => {
                return Some(Event::PollCounter {
                    polls: self.polls,
                    inside: false,
                    handed_out: HandedOut::default(),
                });
            }
            // There are no own assignors and no pattern.
            Action::MatchTopics(_) | Action::Describe(_) | Action::OnAssignment(_) => {}
            Action::Net(_) | Action::RebalanceBegan(_) | Action::Rebalanced(_) => {}
            Action::CommitFailed(_) | Action::PollLate(_) => {}
        }
        None
    }
}

fn consumer(settings: u8) -> Bed<User> {
    let mut config = ConsumerConfig::new(client());
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
    let user = User {
        delivery: Delivery::new(&config),
        dues: VecDeque::new(),
        polls: 0,
        tokens: 0,
        answers: BTreeMap::new(),
    };
    let engine = ConsumerEngine::new(config, 3, 1_700_000_000_000).expect("the settings go together");
    let mut bed = Bed::new(engine, user);
    let change = match has_group {
        true => Change::Subscribe {
            topics: vec![Arc::from("t")],
        },
        false => bed
            .caller
            .delivery
            .assign(&[TopicPartition::new("t", 0), TopicPartition::new("t", 1)]),
    };
    bed.event(Event::Change(Box::new(change)));
    bed
}

impl Bed<User> {
    fn poll(&mut self, max: usize) {
        self.caller.polls += 1;
        while let Some(due) = self.caller.dues.pop_front() {
            match due {
                Due::Callback { step, .. } => self.event(Event::ListenerDone { step }),
                Due::Report { step } => {
                    let report = self.caller.delivery.report(Some(step));
                    self.event(Event::Progress(Box::new(report)));
                }
                Due::Fail(_) => return,
                Due::BecameLost { .. } => {}
            }
        }
        let mut positions: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        let assignment: Vec<TopicPartition> = self
            .caller
            .delivery
            .assignment()
            .map(|it| (**it).clone())
            .collect();
        for partition in &assignment {
            if let Ok(Some(position)) = self.caller.delivery.position(partition) {
                positions.insert(partition.clone(), position.offset);
            }
        }
        if let Ok(taken) = self.caller.delivery.take(max) {
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
            let after = self.caller.delivery.position(&partition);
            if let Ok(Some(after)) = after {
                assert!(after.offset >= before, "a position moves back by itself");
            }
        }
        if let Some(progress) = self.caller.delivery.progress() {
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
                if let Ok(seek) = self.caller.delivery.seek(&partition, to) {
                    self.event(Event::Change(Box::new(Change::Seek(vec![seek]))));
                }
                return;
            }
            10 => {
                if let Ok(slot) = self.caller.delivery.pause(&partition) {
                    self.event(Event::Change(Box::new(Change::Pause(vec![slot]))));
                }
                return;
            }
            _ => {
                if let Ok(slot) = self.caller.delivery.resume(&partition) {
                    self.event(Event::Change(Box::new(Change::Resume(vec![slot]))));
                }
                return;
            }
        };
        let token = Token(self.caller.tokens);
        self.caller.tokens += 1;
        let command = Box::new(command);
        self.event(Event::Command { token, command });
    }

    fn carry_out(&mut self, op: &Op) {
        match self.perform(op) {
            Some(op) if op.kind & 7 == POLL => {
                self.poll(usize::from(op.payload.first().copied().unwrap_or(255)).max(1));
            }
            Some(op) => self.command(&op.payload),
            None => {}
        }
    }
}

fn run(input: &[u8]) {
    let (settings, ops) = split(input, 1);
    let mut bed = consumer(settings[0]);
    for op in ops.iter().take(LONGEST) {
        bed.carry_out(op);
    }
    // Whatever came before, commands are answered in time, and nothing spins.
    bed.outage(u32::MAX);
    for ms in [31_000, 6_000] {
        bed.advance(ms);
        // Commands may wait for what is due inside of a poll; each error ends one.
        for _ in 0..100 {
            bed.poll(100);
            if bed.caller.dues.is_empty() {
                break;
            }
        }
    }
    let unanswered = (0..bed.caller.tokens).filter(|token| !bed.caller.answers.contains_key(&Token(*token)));
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
    let mut bed = consumer(settings);
    let mut broker = Bench::new();
    broker.produce(&batch(codec, 5, 0));
    let mut ops: Vec<Op> = Vec::new();
    // Nothing but answers as long as one is waited for, so that little of the length is used up before there are records.
    let mut rests = [POLL, ADVANCE, POLL, POLL, ADVANCE, COMMAND, POLL, ADVANCE, POLL]
        .into_iter()
        .cycle();
    while ops.len() < LONGEST {
        let waiting = (!bed.waiting.is_empty()).then(|| bed.waiting.remove(0));
        if let Some(waiting) = waiting {
            let Some(reply) = broker.serve(waiting.request) else {
                continue;
            };
            ops.push(Op {
                kind: if ops.len() % 2 == 0 { ANSWER } else { SEALED },
                payload: reply.slice(4..).to_vec(),
            });
            bed.receive(waiting.link, reply);
            continue;
        }
        let kind = rests.next().unwrap_or(POLL);
        let next = Op {
            kind,
            payload: match kind {
                ADVANCE => vec![0, 200],
                COMMAND => vec![0, 3],
                _ => vec![10],
            },
        };
        bed.carry_out(&next);
        ops.push(next);
    }
    join(&[settings], &ops)
}
