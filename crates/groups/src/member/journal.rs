//! Why each rebalance began and how it went: the member's half of the rebalance journal.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::Instant;

use super::Cause;
use crate::TopicPartition;

/// One rebalance of this member, from its cause to its end. Its leaving is one, too, and so is a failure
/// that puts it out of its group: it gives up all and gets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebalance {
    /// Counts this member's rebalances, from 1.
    pub number: u64,
    /// What began it.
    pub cause: Cause,
    /// What made the member join again before it was done, oldest first, at most [`Rebalance::MAX_RETRIES`] of them.
    pub retries: Vec<Cause>,
    /// When the member decided to join.
    pub began: Instant,
    /// When the listener had given up what was owned and the first JoinGroup was sent.
    pub prepared: Option<Instant>,
    /// When the last JoinGroup was answered.
    pub joined: Option<Instant>,
    /// When the last SyncGroup was answered.
    pub synced: Option<Instant>,
    /// When the listener had taken the assignment, or when the rebalance was given up.
    pub ended: Option<Instant>,
    /// The generation reached.
    pub generation: Option<i32>,
    /// The member's id in it.
    pub member_id: Option<Arc<str>>,
    /// The id of the member that led it.
    pub leader: Option<Arc<str>>,
    /// The assignor that the coordinator chose.
    pub assignor: Option<Arc<str>>,
    /// What the member gave up, or lost, in order.
    pub gave_up: Vec<TopicPartition>,
    /// What of it was lost: others may have owned it by then.
    pub lost: Vec<TopicPartition>,
    /// How long after the beginning it stopped reading each of what it gave up.
    pub stopped: Vec<(TopicPartition, Duration)>,
    /// What it got, in order.
    pub got: Vec<TopicPartition>,
    /// How many partitions stayed with it all the time (KIP-429).
    pub kept: usize,
    /// Those that it gave up and got back, in order, and for how long it did not read each. How long a partition was not read that
    /// went to another member, or came from one, is not known here.
    pub pauses: Vec<(TopicPartition, Duration)>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a rebalance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is under way.
    Open,
    /// The member is stable in the generation.
    Assigned,
    /// The member left, was told to stop, or failed before the end.
    Abandoned,
    /// The member has given up all, and is out of its group ([`Cause::Leaving`]).
    Left,
    /// The member has given up all and ends, but stays in its group until its session ends: a static one, or one that was to remain
    /// ([`Cause::Leaving`]).
    Stayed,
    /// The member has lost all it had, and is out of its group ([`Cause::Failed`]).
    Failed,
}

impl Outcome {
    /// The outcome in one word, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Assigned => "assigned",
            Self::Abandoned => "abandoned",
            Self::Left => "left",
            Self::Stayed => "stayed",
            Self::Failed => "failed",
        }
    }
}

impl Rebalance {
    /// How many retries are remembered.
    pub const MAX_RETRIES: usize = 16;

    /// Whether this member led it.
    pub fn led(&self) -> bool {
        self.leader.is_some() && self.leader == self.member_id
    }

    /// How long each phase took, as far as it was reached.
    pub fn phases(&self) -> Phases {
        let between = |from: Option<Instant>, to: Option<Instant>| Some(to? - from?);
        let is_whole = self.outcome == Outcome::Assigned;
        Phases {
            giving_up: between(Some(self.began), self.prepared),
            joining: between(self.prepared, self.joined),
            syncing: between(self.joined, self.synced),
            taking: between(self.synced, self.ended.filter(|_| is_whole)),
        }
    }
}

/// How long the phases of a rebalance took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases {
    /// From its beginning until JoinGroup (or LeaveGroup) was sent first: commit and listener, for what has to go before. Of a
    /// failure: until all was lost.
    pub giving_up: Option<Duration>,
    /// Until JoinGroup was answered last: until all others had joined, too.
    pub joining: Option<Duration>,
    /// Until SyncGroup was answered: the leader's assignor ran.
    pub syncing: Option<Duration>,
    /// Until the listener had given up what goes (KIP-429) and taken what is new.
    pub taking: Option<Duration>,
}

/// The rebalance under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    count: u64,
    open: Option<Rebalance>,
    /// Since when the member does not read what it gave up in the one under way, or what its listener still had to give up when
    /// one was cut short: the next tells of that.
    stopped: BTreeMap<TopicPartition, Instant>,
}

impl Journal {
    /// Begins a rebalance, or notes another cause in the one under way. Returns the number of a new one.
    pub(super) fn begin(&mut self, now: Instant, cause: Cause) -> Option<u64> {
        if let Some(open) = &mut self.open {
            if open.retries.len() < Rebalance::MAX_RETRIES {
                open.retries.push(cause);
            }
            return None;
        }
        self.count += 1;
        self.open = Some(Rebalance {
            number: self.count,
            cause,
            retries: Vec::new(),
            began: now,
            prepared: None,
            joined: None,
            synced: None,
            ended: None,
            generation: None,
            member_id: None,
            leader: None,
            assignor: None,
            gave_up: Vec::new(),
            lost: Vec::new(),
            stopped: Vec::new(),
            got: Vec::new(),
            kept: 0,
            pauses: Vec::new(),
            outcome: Outcome::Open,
        });
        Some(self.count)
    }

    /// The member reads these no more, unless it stopped before.
    pub(super) fn stopped(&mut self, now: Instant, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.stopped.entry(partition.clone()).or_insert(now);
        }
    }

    /// It does not own these any more.
    pub(super) fn given_up(&mut self, partitions: Vec<TopicPartition>, are_lost: bool) {
        if let Some(open) = &mut self.open {
            if are_lost {
                open.lost.extend(partitions.iter().cloned());
            }
            open.gave_up.extend(partitions);
        }
    }

    /// It reads what it got.
    pub(super) fn taken(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            let pause = |got: &TopicPartition| Some((got.clone(), now - *self.stopped.get(got)?));
            open.pauses = open.got.iter().filter_map(pause).collect();
        }
    }

    pub(super) fn open(&mut self) -> Option<&mut Rebalance> {
        self.open.as_mut()
    }

    /// `owned`: what the member still owns.
    pub(super) fn end(
        &mut self,
        now: Instant,
        outcome: Outcome,
        owned: &BTreeSet<TopicPartition>,
    ) -> Option<Rebalance> {
        let mut ended = self.open.take()?;
        // At the beginning if it was before: in one that was cut short.
        let since = |gone: &TopicPartition| Some((gone.clone(), *self.stopped.get(gone)? - ended.began));
        ended.stopped = ended.gave_up.iter().filter_map(since).collect();
        let is_read = outcome == Outcome::Assigned;
        self.stopped
            .retain(|partition, _| !is_read && owned.contains(partition));
        ended.ended = Some(now);
        ended.outcome = outcome;
        Some(ended)
    }
}
