//! What each member owns, as far as the coordinator can tell from what members send each other.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::Instant;

use super::{MemberFate, Participant, RebalanceMember};
use crate::TopicPartition;
use crate::wire::consumer_protocol::{decode_assignment, decode_subscription};

/// Longer metadata is not looked at: it would take several times as much memory. No assignment that a log takes is as long.
const LARGEST: usize = 1 << 20;

pub(super) type Partitions = BTreeSet<TopicPartition>;

/// What an assignment gives; `None` when it cannot be read. None at all gives nothing: the leader forgot the member.
pub(super) fn assigned(assignment: &Bytes) -> Option<Partitions> {
    if assignment.is_empty() {
        return Some(Partitions::new());
    }
    if assignment.len() > LARGEST {
        return None;
    }
    let decoded = decode_assignment(assignment.clone()).ok()?;
    Some(decoded.partitions.into_iter().collect())
}

/// What a member says that it owns: nothing, if it is eager or its metadata cannot be read.
pub(super) fn owned(metadata: &Bytes) -> Partitions {
    if metadata.len() > LARGEST {
        return Partitions::new();
    }
    match decode_subscription(metadata.clone()) {
        Ok(subscription) => subscription.owned.into_iter().collect(),
        Err(_) => Partitions::new(),
    }
}

/// A member and what it owns.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) who: Participant,
    pub(super) holds: Partitions,
    /// What it owned in the last generation in which all had their assignment; set while a rebalance is under way.
    before: Option<Partitions>,
    /// It was in no such generation yet.
    is_new: bool,
    pub(super) joined: Option<Instant>,
    pub(super) told: Option<Instant>,
}

impl Holder {
    pub(super) fn new(who: Participant) -> Self {
        Self {
            who,
            holds: Partitions::new(),
            before: Some(Partitions::new()),
            is_new: true,
            joined: None,
            told: None,
        }
    }

    pub(super) fn restored(who: Participant, holds: Partitions) -> Self {
        Self {
            holds,
            before: None,
            is_new: false,
            ..Self::new(who)
        }
    }

    pub(super) fn begin(&mut self) {
        if self.before.is_none() {
            self.before = Some(self.holds.clone());
        }
    }

    pub(super) fn end(&mut self, is_stable: bool) {
        (self.joined, self.told) = (None, None);
        if is_stable {
            self.before = None;
            self.is_new = false;
        }
    }

    /// Keeps only these; gives what is given up.
    pub(super) fn retain(&mut self, kept: &Partitions) -> Vec<TopicPartition> {
        let given_up = self.holds.difference(kept).cloned().collect();
        self.holds.retain(|partition| kept.contains(partition));
        given_up
    }

    /// Its part in the rebalance that began at `began`; what moved is told once it is `settled`.
    pub(super) fn tell(&self, began: Instant, settled: bool) -> RebalanceMember {
        let fate = match self.is_new {
            true => MemberFate::Joined,
            false => MemberFate::Stayed,
        };
        let mut told = self.times(began, fate);
        if settled && let Some(before) = &self.before {
            told.kept = self.holds.intersection(before).count();
            told.gave_up = before.difference(&self.holds).cloned().collect();
            told.got = self.holds.difference(before).cloned().collect();
        }
        told
    }

    fn times(&self, began: Instant, fate: MemberFate) -> RebalanceMember {
        let after = |at: Option<Instant>| -> Option<Duration> { Some(at?.saturating_since(began)) };
        RebalanceMember {
            member: self.who.clone(),
            fate,
            joined: after(self.joined),
            synced: after(self.told),
            kept: 0,
            gave_up: Vec::new(),
            got: Vec::new(),
        }
    }
}

/// A member that is gone.
#[derive(Debug)]
pub(super) struct Departed {
    pub(super) holder: Holder,
    pub(super) fate: MemberFate,
}

impl Departed {
    /// Its part: it gave up all that it had.
    pub(super) fn tell(&self, began: Instant) -> RebalanceMember {
        let mut told = self.holder.times(began, self.fate);
        let before = self.holder.before.as_ref().unwrap_or(&self.holder.holds);
        told.gave_up = before.iter().cloned().collect();
        told
    }
}
