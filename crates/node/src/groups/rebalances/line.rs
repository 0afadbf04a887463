//! A rebalance as a JSON object, the value of a record of the journal's topic. `docs/coordinator.md` has its fields; who reads it
//! skips those that it does not know.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::TopicPartition;
use kohort_groups::coordinator::{Participant, Rebalance, RebalanceCause, RebalanceMember};
use serde::Serialize;

/// The version of the form: raised when a field changes its meaning.
const VERSION: u32 = 1;

/// Partitions by topic.
type ByTopic<'a> = BTreeMap<&'a str, Vec<i32>>;

#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    version: u32,
    group: &'a str,
    number: u64,
    began_ms: i64,
    cause: Cause<'a>,
    later_causes: Vec<Cause<'a>>,
    later_causes_unlisted: usize,
    generation_before: i32,
    generation: Option<i32>,
    assignor: Option<&'a str>,
    leader: Option<&'a str>,
    outcome: &'static str,
    prepare_ms: f64,
    join_ms: Option<f64>,
    sync_ms: Option<f64>,
    members: Vec<Member<'a>>,
    #[serde(skip_serializing_if = "is_none")]
    members_unlisted: usize,
    departed_unlisted: usize,
    ownership_known: bool,
    /// Topic, partition and how long.
    pauses: Vec<(&'a str, i32, f64)>,
    unowned: ByTopic<'a>,
    partitions_unlisted: usize,
}

#[derive(Debug, Serialize)]
struct Cause<'a> {
    name: &'static str,
    members: Vec<Named<'a>>,
    #[serde(skip_serializing_if = "is_none")]
    members_unlisted: usize,
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<alloc::string::String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    member: &'a str,
    instance_id: Option<&'a str>,
    client_id: &'a str,
    host: &'a str,
}

#[derive(Debug, Serialize)]
struct Member<'a> {
    #[serde(flatten)]
    named: Named<'a>,
    fate: &'static str,
    joined_ms: Option<f64>,
    synced_ms: Option<f64>,
    kept: usize,
    gave_up: ByTopic<'a>,
    got: ByTopic<'a>,
}

impl<'a> Line<'a> {
    pub(super) fn of(group: &'a str, rebalance: &'a Rebalance) -> Self {
        let pauses = rebalance.pauses.iter();
        Self {
            version: VERSION,
            group,
            number: rebalance.number,
            began_ms: rebalance.began_ms,
            cause: cause(&rebalance.cause),
            later_causes: rebalance.later_causes.iter().map(cause).collect(),
            later_causes_unlisted: rebalance.later_causes_unlisted,
            generation_before: rebalance.generation_before,
            generation: rebalance.generation,
            assignor: rebalance.protocol.as_deref(),
            leader: rebalance.leader.as_deref(),
            outcome: rebalance.outcome.name(),
            prepare_ms: millis(rebalance.prepare),
            join_ms: rebalance.join.map(millis),
            sync_ms: rebalance.sync.map(millis),
            members: rebalance.members.iter().map(member).collect(),
            members_unlisted: rebalance.members_unlisted,
            departed_unlisted: rebalance.departed_unlisted,
            ownership_known: rebalance.is_ownership_known,
            pauses: pauses
                .map(|pause| {
                    let TopicPartition { topic, partition } = &pause.partition;
                    (&**topic, *partition, millis(pause.duration))
                })
                .collect(),
            unowned: by_topic(&rebalance.unowned),
            partitions_unlisted: rebalance.unlisted,
        }
    }

    /// The same without what makes it long.
    pub(super) fn without_partitions(mut self) -> Self {
        let count = |listed: &ByTopic<'_>| listed.values().map(Vec::len).sum::<usize>();
        for member in &mut self.members {
            for moved in [&mut member.gave_up, &mut member.got] {
                self.partitions_unlisted += count(moved);
                moved.clear();
            }
        }
        self.partitions_unlisted += self.pauses.len() + count(&self.unowned);
        self.pauses.clear();
        self.unowned.clear();
        self
    }
}

/// Usually all are listed.
fn is_none(unlisted: &usize) -> bool {
    *unlisted == 0
}

fn cause(cause: &RebalanceCause) -> Cause<'_> {
    Cause {
        name: cause.name(),
        members: cause.members().iter().map(named).collect(),
        members_unlisted: cause.members_unlisted(),
        reason: cause.reason(),
        error: match cause {
            RebalanceCause::AssignmentNotStored { refusal } => Some(refusal.to_string()),
            _ => None,
        },
        size: match cause {
            RebalanceCause::GroupTooLarge { members } => Some(*members),
            _ => None,
        },
    }
}

fn named(member: &Participant) -> Named<'_> {
    Named {
        member: &member.member_id,
        instance_id: member.group_instance_id.as_deref(),
        client_id: &member.client_id,
        // Kafka writes hosts as Java does: a slash before the address.
        host: member.client_host.trim_start_matches('/'),
    }
}

fn member(member: &RebalanceMember) -> Member<'_> {
    Member {
        named: named(&member.member),
        fate: member.fate.name(),
        joined_ms: member.joined.map(millis),
        synced_ms: member.synced.map(millis),
        kept: member.kept,
        gave_up: by_topic(&member.gave_up),
        got: by_topic(&member.got),
    }
}

fn by_topic(partitions: &[TopicPartition]) -> ByTopic<'_> {
    let mut by_topic = ByTopic::new();
    for TopicPartition { topic, partition } in partitions {
        by_topic.entry(topic).or_default().push(*partition);
    }
    by_topic
}

/// In milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    micros as f64 / 1000.0
}
