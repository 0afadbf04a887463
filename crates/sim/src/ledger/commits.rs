//! Committed offsets and generations, as they are in the coordinator's log: who may commit (I3), and what a commit covers (I4).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kohort_groups::coordinator::{CoordinatorRecord, StoredGroup};
use kohort_groups::wire::consumer_protocol::decode_assignment;
use kohort_groups::{OffsetAndMetadata, TopicPartition};

use super::{Ledger, ReaderNo};
use crate::plan::GROUP;

/// How many requests are remembered: a commit is stored soon after its request came.
const REQUESTS: usize = 256;

/// An OffsetCommit request that the broker was given.
#[derive(Debug, Clone)]
pub(crate) struct CommitRequest {
    pub(crate) member_id: String,
    pub(crate) generation: i32,
    pub(crate) offsets: Vec<(TopicPartition, i64)>,
}

/// The group as its log tells it.
#[derive(Debug, Default)]
pub(super) struct Coordinator {
    generation: i32,
    members: BTreeMap<Arc<str>, Vec<TopicPartition>>,
    /// What the members are called: by their instance, or by their client.
    names: BTreeSet<Arc<str>>,
    /// What leaders gave to readers that are not static: in the place of a static one another reader goes on.
    shares: BTreeMap<(i32, TopicPartition), ReaderNo>,
    /// Who was assigned a partition last.
    owners: BTreeMap<TopicPartition, Arc<str>>,
    /// What was committed, in order.
    commits: BTreeMap<TopicPartition, Vec<i64>>,
    /// How many of those their committer knows to be stored.
    acknowledged: BTreeMap<TopicPartition, usize>,
    requests: VecDeque<CommitRequest>,
    rebalances: u64,
}

impl Coordinator {
    /// Takes a record in without judging it.
    fn replay(&mut self, record: &CoordinatorRecord) {
        match record {
            CoordinatorRecord::Offset {
                topic,
                partition,
                value: Some(value),
                ..
            } => {
                let partition = TopicPartition::new(Arc::clone(topic), *partition);
                self.commits
                    .entry(partition)
                    .or_default()
                    .push(value.offset.offset);
            }
            CoordinatorRecord::Group {
                value: Some(group), ..
            } => self.replay_group(group),
            _ => {}
        }
    }

    fn replay_group(&mut self, group: &StoredGroup) {
        self.generation = group.generation;
        self.members.clear();
        self.names.clear();
        for member in &group.members {
            let instance = member.group_instance_id.as_ref();
            self.names
                .insert(Arc::clone(instance.unwrap_or(&member.client_id)));
            let reader = match instance {
                Some(_) => None,
                None => reader_of(&member.client_id),
            };
            let assigned = decode_assignment(member.assignment.clone())
                .map(|it| it.partitions)
                .unwrap_or_default();
            for partition in &assigned {
                if let Some(reader) = reader {
                    self.shares.insert((group.generation, partition.clone()), reader);
                }
                self.owners
                    .insert(partition.clone(), Arc::clone(&member.member_id));
            }
            self.members.insert(Arc::clone(&member.member_id), assigned);
        }
    }

    /// To which reader the leader of a generation gave a partition.
    pub(super) fn share(&self, claim: &(i32, TopicPartition)) -> Option<ReaderNo> {
        self.shares.get(claim).copied()
    }

    /// Why a commit of this partition may not be stored; `None` when some request for it is in order.
    fn objection(&self, partition: &TopicPartition, offset: i64) -> Option<String> {
        let mut objection = None;
        for request in self.requests.iter().rev() {
            if !request
                .offsets
                .iter()
                .any(|(p, o)| p == partition && *o == offset)
            {
                continue;
            }
            let owner = self.owners.get(partition);
            // A generation that is followed by another before its leader has shared out is not in the log. Its members still have
            // what they had, and a coordinator that prepares the next one takes their commits.
            // Kafka: ClassicGroup.validateOffsetCommit
            if request.generation >= self.generation
                && owner.is_some_and(|owner| **owner == *request.member_id)
            {
                return None;
            }
            objection.get_or_insert_with(|| {
                format!(
                    "{partition}@{offset} was committed by {} of generation {}; its owner is {owner:?} in generation {}",
                    request.member_id, request.generation, self.generation
                )
            });
        }
        Some(
            objection
                .unwrap_or_else(|| format!("{partition}@{offset} was committed, and nobody asked for that")),
        )
    }
}

/// The reader that is a client of this name.
fn reader_of(client_id: &str) -> Option<ReaderNo> {
    client_id.strip_prefix('m')?.parse().ok()
}

impl Ledger {
    /// The broker is given this request.
    pub(crate) fn commit_requested(&mut self, request: CommitRequest) {
        let requests = &mut self.coordinator.requests;
        if requests.len() == REQUESTS {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    /// The committer is told that these offsets are stored.
    pub(crate) fn commit_acknowledged(&mut self, offsets: impl IntoIterator<Item = (TopicPartition, i64)>) {
        for (partition, offset) in offsets {
            let commits = self.coordinator.commits.get(&partition);
            let at = commits.and_then(|all| all.iter().rposition(|stored| *stored == offset));
            match at {
                Some(at) => {
                    let known = self.coordinator.acknowledged.entry(partition).or_default();
                    *known = (*known).max(at + 1);
                }
                None => self.break_rule(
                    "I6",
                    format!("the commit of {partition}@{offset} is acknowledged and not stored"),
                ),
            }
        }
    }

    /// An application knows that these offsets are committed: they are stored, and what is before them is processed.
    pub(crate) fn commit_known(&mut self, offsets: &[(TopicPartition, OffsetAndMetadata)]) {
        let stored = offsets.iter();
        self.commit_acknowledged(stored.map(|(partition, it)| (partition.clone(), it.offset)));
        for (partition, committed) in offsets {
            let processed = self.logs.get(partition).map_or(0, |log| log.processed);
            if committed.offset > processed {
                let what = format!(
                    "{partition}@{} was committed, and only what is before {processed} is processed",
                    committed.offset
                );
                self.break_rule("I4", what);
            }
        }
    }

    /// The coordinator's log has one more record.
    pub(crate) fn coordinator_wrote(&mut self, record: &CoordinatorRecord) {
        if &**record.group_id() != GROUP {
            return;
        }
        match record {
            CoordinatorRecord::Offset {
                topic,
                partition,
                value: Some(value),
                ..
            } => {
                let partition = TopicPartition::new(Arc::clone(topic), *partition);
                let offset = value.offset.offset;
                if let Some(objection) = self.coordinator.objection(&partition, offset) {
                    self.break_rule("I3", objection);
                }
                let processed = self.logs.get(&partition).map_or(0, |log| log.processed);
                if offset > processed {
                    let what = format!(
                        "{partition}@{offset} was committed, and only what is before {processed} is processed"
                    );
                    self.break_rule("I4", what);
                }
            }
            CoordinatorRecord::Group {
                value: Some(group), ..
            } => {
                if group.generation < self.coordinator.generation {
                    let what = format!(
                        "generation {} was stored after {}",
                        group.generation, self.coordinator.generation
                    );
                    self.break_rule("I1", what);
                }
                if group.generation > self.coordinator.generation {
                    self.coordinator.rebalances += 1;
                }
                self.check_owners(group);
            }
            _ => {}
        }
        self.coordinator.replay(record);
    }

    /// No partition is assigned twice in what a leader shared.
    fn check_owners(&mut self, group: &StoredGroup) {
        let mut owners: BTreeMap<TopicPartition, &str> = BTreeMap::new();
        let mut broken = Vec::new();
        for member in &group.members {
            let assigned = decode_assignment(member.assignment.clone())
                .map(|it| it.partitions)
                .unwrap_or_default();
            for partition in assigned {
                if let Some(other) = owners.insert(partition.clone(), &member.member_id) {
                    broken.push(format!(
                        "{partition} is assigned to {other} and to {} in generation {}",
                        member.member_id, group.generation
                    ));
                }
            }
        }
        for what in broken {
            self.break_rule("I1", what);
        }
    }

    /// After a start of the broker: this is all that the coordinator's log holds.
    pub(crate) fn coordinator_recovered(&mut self, records: &[CoordinatorRecord]) {
        let before = core::mem::take(&mut self.coordinator);
        self.coordinator.rebalances = before.rebalances;
        self.coordinator.requests = before.requests;
        for record in records.iter().filter(|record| &**record.group_id() == GROUP) {
            self.coordinator.replay(record);
        }
        for (partition, known) in before.acknowledged {
            let there = self.coordinator.commits.get(&partition).map_or(0, Vec::len);
            if there < known {
                let what = format!("of {known} acknowledged commits of {partition} {there} are there");
                self.break_rule("I6", what);
            }
            self.coordinator.acknowledged.insert(partition, known.min(there));
        }
    }

    /// What was committed of a partition, in order.
    pub(super) fn commits_of(&self, partition: &TopicPartition) -> &[i64] {
        self.coordinator.commits.get(partition).map_or(&[], Vec::as_slice)
    }

    /// What is committed of a partition, as the log has it.
    pub(crate) fn committed(&self, partition: &TopicPartition) -> Option<i64> {
        self.commits_of(partition).last().copied()
    }

    /// The generation that was stored last.
    pub(crate) fn generation(&self) -> i32 {
        self.coordinator.generation
    }

    /// A member of the last stored generation: any.
    pub(crate) fn some_member(&self) -> Option<&Arc<str>> {
        self.coordinator.members.keys().next()
    }

    /// The members of the last stored generation.
    pub(crate) fn member_ids(&self) -> Vec<&Arc<str>> {
        self.coordinator.members.keys().collect()
    }

    /// Whether the last stored generation has these members, and no others.
    pub(crate) fn has_members(&self, ids: &BTreeSet<Arc<str>>) -> bool {
        self.coordinator.members.keys().eq(ids)
    }

    /// What the members of the last stored generation are called.
    pub(crate) fn member_names(&self) -> &BTreeSet<Arc<str>> {
        &self.coordinator.names
    }

    /// Whether a member is in the last stored generation.
    pub(crate) fn is_member(&self, member_id: &str) -> bool {
        self.coordinator.members.contains_key(member_id)
    }

    /// How many generations were stored.
    pub(crate) fn rebalances(&self) -> u64 {
        self.coordinator.rebalances
    }
}
