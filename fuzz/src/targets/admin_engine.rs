//! The admin's engine against a far end that answers anything (`bed`).
//!
//! Held: what `bed` holds every engine to; each command is answered once, in time, with its own kind of reply, and one result
//! for each item that was asked for and no other; what was abandoned is never answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kohort_engine::admin::{
    AdminAction, AdminCommand, AdminEngine, AdminEvent, AdminReply, AlterConfigOp, ConfigResource,
    NewPartitions, NewTopic, OffsetSpec, RecordsToDelete,
};
use kohort_engine::consumer::IsolationLevel;
use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::Token;

use super::bed::{ADVANCE, ANSWER, Bed, Caller, client};
use super::node::Bench;
use super::ops::{Op, join, split};
use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "admin_engine",
    run,
    seeds,
    shape: Shape::Operations { head: 0 },
    memory: |len| 2048 * len + (16 << 20),
};

/// More operations than these are not run.
const LONGEST: usize = 24;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Forgets a command.
const ABANDON: u8 = 4;
/// A command: which one, then what about.
const COMMAND: u8 = 5;
/// How many commands there are.
const COMMANDS: u8 = 17;

#[derive(Default)]
struct User {
    next: u64,
    open: BTreeMap<Token, AdminCommand>,
}

impl Caller for User {
    type Engine = AdminEngine;

    fn hear(&mut self, action: AdminAction) -> Option<AdminEvent> {
        if let AdminAction::Reply { token, reply } = action {
            let command = self
                .open
                .remove(&token)
                .expect("a command is answered once, and none unasked");
            assert!(
                fits(&command, &reply),
                "each item has one result: {command:?} {reply:?}"
            );
        }
        None
    }
}

/// Whether a reply has the command's kind, and results for its items alone.
fn fits(command: &AdminCommand, reply: &AdminReply) -> bool {
    use {AdminCommand as C, AdminReply as R};
    match (command, reply) {
        (C::CreateTopics { topics, .. }, R::TopicsCreated(results)) => {
            same(results.keys(), topics.iter().map(|topic| &topic.name))
        }
        (C::DeleteTopics { topics }, R::Topics(results)) => same(results.keys(), topics),
        (C::CreatePartitions { topics, .. }, R::Topics(results)) => {
            same(results.keys(), topics.iter().map(|topic| &topic.topic))
        }
        (C::DescribeTopics { topics }, R::TopicsDescribed(results)) => same(results.keys(), topics),
        (C::DescribeGroups { groups }, R::GroupsDescribed(results)) => same(results.keys(), groups),
        (C::DeleteGroups { groups }, R::GroupsDeleted(results)) => same(results.keys(), groups),
        (C::ListOffsets { partitions, .. }, R::OffsetsFound(results)) => {
            same(results.keys(), partitions.keys())
        }
        (C::AlterGroupOffsets { offsets, .. }, R::GroupOffsetsAltered(results)) => {
            same(results.keys(), offsets.keys())
        }
        (C::DeleteGroupOffsets { partitions, .. }, R::GroupOffsetsDeleted(results)) => {
            same(results.keys(), partitions)
        }
        (C::RemoveMembers { instances, .. }, R::MembersRemoved(results)) => same(results.keys(), instances),
        (C::DeleteRecords { partitions }, R::RecordsDeleted(results)) => {
            same(results.keys(), partitions.keys())
        }
        (C::DescribeConfigs { resources, .. }, R::ConfigsDescribed(results)) => {
            same(results.keys(), resources)
        }
        (C::AlterConfigs { changes, .. }, R::ConfigsAltered(results)) => same(results.keys(), changes.keys()),
        (
            C::ListGroupOffsets {
                partitions: Some(partitions),
                ..
            },
            R::GroupOffsets(Ok(results)),
        ) => same(results.keys(), partitions),
        (C::ListGroupOffsets { .. }, R::GroupOffsets(_))
        | (C::ListTopics { .. }, R::TopicsListed(_))
        | (C::DescribeCluster, R::ClusterDescribed(_))
        | (C::ListGroups { .. }, R::GroupsListed { .. }) => true,
        _ => false,
    }
}

fn same<'a, T: Ord + 'a>(
    got: impl IntoIterator<Item = &'a T>,
    asked: impl IntoIterator<Item = &'a T>,
) -> bool {
    let (got, asked): (BTreeSet<&T>, BTreeSet<&T>) = (got.into_iter().collect(), asked.into_iter().collect());
    got == asked
}

/// The command of a kind, about things that there are and things that there are not.
fn command(kind: u8, number: u8) -> AdminCommand {
    let is_set = |bit: u8| number & bit != 0;
    let name: Arc<str> = match number & 3 {
        0 | 1 => "t".into(),
        2 => "new".into(),
        _ => "..".into(),
    };
    let names: Vec<Arc<str>> = match number >> 2 & 3 {
        0 => vec![name.clone()],
        1 => vec![name.clone(), "c".into()],
        2 => vec![name.clone(), name.clone()],
        _ => Vec::new(),
    };
    let group: Arc<str> = "g".into();
    let partition = TopicPartition::new(
        "t",
        match number >> 4 & 3 {
            0 => 0,
            1 => 1,
            2 => 7,
            _ => -1,
        },
    );
    let two = [partition.clone(), TopicPartition::new("c", 0)];
    match kind % COMMANDS {
        0 => AdminCommand::CreateTopics {
            topics: vec![
                NewTopic {
                    partitions: is_set(16).then_some(i32::from(number >> 5)),
                    configs: BTreeMap::from([("cleanup.policy".into(), "compact".into())]),
                    ..NewTopic::new(name)
                },
                NewTopic::new("second"),
            ],
            validate_only: is_set(128),
        },
        1 => AdminCommand::DeleteTopics { topics: names },
        2 => AdminCommand::CreatePartitions {
            topics: vec![NewPartitions {
                topic: name,
                total: i32::from(number >> 4),
            }],
            validate_only: is_set(128),
        },
        3 => AdminCommand::ListTopics {
            include_internal: is_set(1),
        },
        4 => AdminCommand::DescribeTopics { topics: names },
        5 => AdminCommand::DescribeCluster,
        6 => AdminCommand::ListGroups {
            states: if is_set(1) {
                vec!["Stable".into()]
            } else {
                Vec::new()
            },
            types: if is_set(2) {
                vec!["classic".into()]
            } else {
                Vec::new()
            },
        },
        7 => AdminCommand::DescribeGroups {
            groups: vec![group, "h".into()],
        },
        8 => AdminCommand::DeleteGroups {
            groups: vec![group, "h".into()],
        },
        9 => AdminCommand::ListOffsets {
            partitions: BTreeMap::from([
                (
                    partition,
                    match number & 3 {
                        0 => OffsetSpec::Earliest,
                        1 => OffsetSpec::Latest,
                        2 => OffsetSpec::MaxTimestamp,
                        _ => OffsetSpec::Timestamp(1_700_000_000_000),
                    },
                ),
                (TopicPartition::new("c", 0), OffsetSpec::Latest),
            ]),
            isolation: match is_set(4) {
                true => IsolationLevel::ReadCommitted,
                false => IsolationLevel::ReadUncommitted,
            },
        },
        10 => AdminCommand::ListGroupOffsets {
            group,
            partitions: is_set(1).then(|| two.to_vec()),
            require_stable: is_set(2),
        },
        11 => {
            let offset = OffsetAndMetadata {
                offset: i64::from(number),
                leader_epoch: is_set(1).then_some(0),
                metadata: String::new(),
            };
            AdminCommand::AlterGroupOffsets {
                group,
                offsets: two.into_iter().map(|it| (it, offset.clone())).collect(),
            }
        }
        12 => AdminCommand::DeleteGroupOffsets {
            group,
            partitions: two.into(),
        },
        13 => AdminCommand::RemoveMembers {
            group,
            instances: BTreeSet::from(["a".into(), "b".into()]),
            reason: is_set(1).then(|| "because".into()),
        },
        14 => AdminCommand::DeleteRecords {
            partitions: BTreeMap::from([
                (partition, RecordsToDelete::All),
                (
                    TopicPartition::new("c", 0),
                    RecordsToDelete::Before(i64::from(number)),
                ),
            ]),
        },
        15 => AdminCommand::DescribeConfigs {
            resources: resources(name),
            include_synonyms: is_set(4),
            include_documentation: is_set(8),
        },
        _ => {
            let change = vec![AlterConfigOp::Set {
                name: "retention.ms".into(),
                value: "1".into(),
            }];
            let changes = resources(name).into_iter().map(|it| (it, change.clone()));
            AdminCommand::AlterConfigs {
                changes: changes.collect(),
                validate_only: is_set(128),
            }
        }
    }
}

fn resources(topic: Arc<str>) -> BTreeSet<ConfigResource> {
    BTreeSet::from([
        ConfigResource::Topic(topic),
        ConfigResource::broker(0),
        ConfigResource::Broker(None),
        ConfigResource::group("g"),
    ])
}

impl Bed<User> {
    fn command(&mut self, payload: &[u8]) {
        let [kind, number] = [0, 1].map(|at| payload.get(at).copied().unwrap_or(0));
        let token = Token(self.caller.next);
        self.caller.next += 1;
        let command = command(kind, number);
        self.caller.open.insert(token, command.clone());
        self.event(AdminEvent::Command {
            token,
            timeout: TIMEOUT,
            command: Box::new(command),
        });
    }

    fn carry_out(&mut self, op: &Op) {
        match self.perform(op) {
            Some(op) if op.kind & 7 == ABANDON => {
                let pick = usize::from(op.payload.first().copied().unwrap_or(0));
                let open = self.caller.open.keys().copied().collect::<Vec<_>>();
                if let Some(token) = open.get(pick % open.len().max(1)).copied() {
                    self.caller.open.remove(&token);
                    self.event(AdminEvent::Abandon { token });
                }
            }
            Some(op) => self.command(&op.payload),
            None => {}
        }
    }
}

fn run(input: &[u8]) {
    let (_, ops) = split(input, 0);
    let mut bed = Bed::new(AdminEngine::new(client(), 3), User::default());
    for op in ops.iter().take(LONGEST) {
        bed.carry_out(op);
    }
    // Whatever came before, commands are answered in time, and nothing spins.
    bed.outage(u32::MAX);
    bed.advance(5_000);
    assert!(bed.caller.open.is_empty(), "commands are answered in time");
    // What is under way at the end is answered then.
    bed.command(&[3, 0]);
    bed.event(AdminEvent::Close);
    assert!(bed.caller.open.is_empty(), "commands are answered at the end");
}

/// Conversations with a good broker, as operations: every answer is what the broker said.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in 0..COMMANDS {
        for number in [0, 0x11, 0x25, 0x86] {
            seeds.push(conversation(kind, number));
        }
    }
    seeds
}

fn conversation(kind: u8, number: u8) -> Vec<u8> {
    let mut bed = Bed::new(AdminEngine::new(client(), 3), User::default());
    let mut broker = Bench::new();
    let mut ops = vec![Op {
        kind: COMMAND,
        payload: vec![kind, number],
    }];
    bed.carry_out(&ops[0]);
    while ops.len() < LONGEST && !bed.caller.open.is_empty() {
        let Some(waiting) = (!bed.waiting.is_empty()).then(|| bed.waiting.remove(0)) else {
            let pause = Op {
                kind: ADVANCE,
                payload: vec![0, 200],
            };
            bed.carry_out(&pause);
            ops.push(pause);
            continue;
        };
        if let Some(reply) = broker.serve(waiting.request) {
            ops.push(Op {
                kind: ANSWER,
                payload: reply.slice(4..).to_vec(),
            });
            bed.receive(waiting.link, reply);
        }
    }
    join(&[], &ops)
}
