//! One rebalance as the journal tells it. No rule lives here.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::RebalanceCause;
use crate::TopicPartition;

/// A member by all its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Its id.
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// The address it joined from, as Java prints it (`/127.0.0.1`).
    pub client_host: Arc<str>,
}

impl Participant {
    /// The bytes of its names.
    pub(super) fn names(&self) -> usize {
        let instance = self.group_instance_id.as_deref().unwrap_or_default();
        self.member_id.len() + instance.len() + self.client_id.len() + self.client_host.len()
    }

    /// One that was given an id and has not joined with it (KIP-394).
    pub(in crate::coordinator) fn pending(member_id: &str) -> Self {
        Self {
            member_id: member_id.into(),
            group_instance_id: None,
            client_id: Arc::default(),
            client_host: Arc::default(),
        }
    }
}

/// One rebalance of a group, as its coordinator saw it. Durations are of the coordinator's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebalance {
    /// Counts the group's rebalances since this coordinator hosts it, from 1.
    pub number: u64,
    /// Wall time at its beginning, in ms since 1970.
    pub began_ms: i64,
    /// Why it began.
    pub cause: RebalanceCause,
    /// What else happened while the group waited for its members, oldest first, at most [`Rebalance::MAX_LATER_CAUSES`], and fewer
    /// where they have long names.
    pub later_causes: Vec<RebalanceCause>,
    /// How many more things happened.
    pub later_causes_unlisted: usize,
    /// The generation that ended.
    pub generation_before: i32,
    /// The generation that came of it; `None` while members are waited for, and when it was interrupted then.
    pub generation: Option<i32>,
    /// The assignor chosen.
    pub protocol: Option<Arc<str>>,
    /// The member that assigned.
    pub leader: Option<Arc<str>>,
    /// From the beginning until the first member had joined again: the others still learn of it.
    pub prepare: Duration,
    /// From then until all had joined, or the wait for them ended. `None`: not ended.
    pub join: Option<Duration>,
    /// From then until the last member was given its assignment. `None`: not ended, or the group became empty.
    pub sync: Option<Duration>,
    /// How it ended.
    pub outcome: RebalanceOutcome,
    /// The members that are in the group at its end, by id, and behind them those that are not any more.
    pub members: Vec<RebalanceMember>,
    /// Whether what the members own is known: it is not when the group's members are no consumers, or one's assignment cannot be
    /// read.
    pub is_ownership_known: bool,
    /// Partitions that were without owner and have one now, in order: how long as far as the coordinator can tell.
    pub pauses: Vec<Pause>,
    /// Partitions that a member gave up and nobody got, in order. In a cooperative rebalance the next one gives them away.
    pub unowned: Vec<TopicPartition>,
    /// How many members that are in the group at its end are left out, where all names have more than 2 MiB.
    pub members_unlisted: usize,
    /// How many members that are not in the group any more are left out, over [`Rebalance::MAX_DEPARTED`].
    pub departed_unlisted: usize,
    /// How many partitions are left out of the lists, over [`Rebalance::MAX_LISTED`] in each kind.
    pub unlisted: usize,
}

impl Rebalance {
    /// How many later causes are kept.
    pub const MAX_LATER_CAUSES: usize = 16;
    /// How many members that went are kept: the first ones, and fewer where their names have more than 256 KiB.
    pub const MAX_DEPARTED: usize = 1_000;
    /// How many partitions are listed as moved, as many as paused, as many as unowned.
    pub const MAX_LISTED: usize = 10_000;

    /// The bytes of all names in it, of members and of what they gave as reasons.
    pub(super) fn names(&self) -> usize {
        let members = self.members.iter().map(|member| member.member.names());
        let causes = core::iter::once(&self.cause).chain(&self.later_causes);
        members.chain(causes.map(RebalanceCause::names)).sum()
    }

    /// From its beginning to its end, as far as it has come.
    pub fn duration(&self) -> Duration {
        let later = [self.join, self.sync];
        later
            .into_iter()
            .flatten()
            .fold(self.prepare, Duration::saturating_add)
    }

    /// The longest of the pauses.
    pub fn longest_pause(&self) -> Option<&Pause> {
        self.pauses.iter().max_by_key(|pause| pause.duration)
    }
}

/// How a rebalance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RebalanceOutcome {
    /// It is under way.
    Open,
    /// All members have their assignment.
    Stable,
    /// No member is left.
    Empty,
    /// The next one began before all members had their assignment.
    Interrupted,
}

impl RebalanceOutcome {
    /// The outcome in one word, as the journal's records name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Stable => "stable",
            Self::Empty => "empty",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A member's part in a rebalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebalanceMember {
    /// Who it is.
    pub member: Participant,
    /// What became of it.
    pub fate: MemberFate,
    /// How long after the beginning it joined; `None`: it did not.
    pub joined: Option<Duration>,
    /// How long after the beginning it was given its assignment; `None`: it was not.
    pub synced: Option<Duration>,
    /// How many partitions it had and has still.
    pub kept: usize,
    /// What it had and has no more, in order.
    pub gave_up: Vec<TopicPartition>,
    /// What it has and had not, in order.
    pub got: Vec<TopicPartition>,
}

/// What became of a member in a rebalance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberFate {
    /// It was there and is still.
    Stayed,
    /// It came.
    Joined,
    /// It left, or was removed by an administrator.
    Left,
    /// It was silent for longer than its session timeout.
    SessionExpired,
    /// It did not join again in time.
    JoinExpired,
    /// It did not ask for its assignment in time.
    SyncExpired,
}

impl MemberFate {
    /// The fate in one word, as the journal's records name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stayed => "stayed",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::SessionExpired => "session_expired",
            Self::JoinExpired => "join_expired",
            Self::SyncExpired => "sync_expired",
        }
    }
}

/// How long nobody read a partition. It begins when its owner joined without naming it among what it owns (eager members own nothing
/// then), was told an assignment without it, left, or was last heard of before its session ended; it ends when the new owner was given
/// its assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The partition.
    pub partition: TopicPartition,
    /// How long.
    pub duration: Duration,
}
