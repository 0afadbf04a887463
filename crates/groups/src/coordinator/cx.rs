//! What the parts of the coordinator share while they handle one input: the outbox, the timers, the time.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Instant, Outbox, Prng, Timers, Token, TokenSource};

use super::gather::Gathers;
use super::{Action, CoordinatorConfig, CoordinatorRecord, GroupResponse};

/// How many bytes of a client's or an instance's id a member id begins with at most: a string of Kafka's has 32,767 bytes at most,
/// and a hyphen and a UUID follow.
const LONGEST_PREFIX: usize = 32_767 - 37;

/// The coordinator's timers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// When to complete the join phase of a group, or to extend its initial delay.
    Join(Arc<str>),
    /// When to give up members of a group that joined and did not sync.
    Sync(Arc<str>),
    /// When to give up a silent member (group, member).
    Session(Arc<str>, Arc<str>),
    /// When to look for expired offsets.
    Retention,
}

impl Timer {
    /// The group that the timer belongs to.
    pub(super) fn group_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Join(group_id) | Self::Sync(group_id) | Self::Session(group_id, _) => Some(group_id),
            Self::Retention => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Join(_) => "complete the join phase",
            Self::Sync(_) => "give up members that did not sync",
            Self::Session(..) => "expire a member's session",
            Self::Retention => "expire committed offsets",
        }
    }
}

/// What groups hold of what their members say, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// What members said of themselves.
    pub(super) said: usize,
    /// Assignments.
    pub(super) assigned: usize,
    /// The topics that groups are known to read.
    pub(super) topics: usize,
}

impl Held {
    /// What one group holds has changed.
    pub(super) fn replace(&mut self, before: Self, now: Self) {
        let replace = |all: &mut usize, before: usize, now: usize| {
            *all = all.saturating_sub(before).saturating_add(now);
        };
        replace(&mut self.said, before.said, now.said);
        replace(&mut self.assigned, before.assigned, now.assigned);
        replace(&mut self.topics, before.topics, now.topics);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cx {
    pub(super) config: CoordinatorConfig,
    pub(super) now: Instant,
    /// A wall time and when it was told.
    wall: (i64, Instant),
    /// What all groups hold of what their members say.
    pub(super) held: Held,
    pub(super) outbox: Outbox<Action>,
    pub(super) timers: Timers<Timer>,
    /// Timers that fired while their group had an append open.
    deferred: BTreeSet<Timer>,
    prng: Prng,
    tokens: TokenSource,
    /// Which group an open append belongs to.
    pub(super) appends: BTreeMap<Token, Arc<str>>,
    pub(super) gathers: Gathers,
}

impl Cx {
    pub(super) fn new(config: CoordinatorConfig, seed: u64) -> Self {
        Self {
            config,
            now: Instant::ZERO,
            wall: (0, Instant::ZERO),
            held: Held::default(),
            outbox: Outbox::new(),
            timers: Timers::new(),
            deferred: BTreeSet::new(),
            prng: Prng::from_seed(seed),
            tokens: TokenSource::new(),
            appends: BTreeMap::new(),
            gathers: Gathers::default(),
        }
    }

    pub(super) fn set_wall(&mut self, wall_ms: i64) {
        self.wall = (wall_ms, self.now);
    }

    /// Wall time in ms since 1970: the last one told, moved on by the machine's own time.
    pub(super) fn wall_ms(&self) -> i64 {
        let passed = i64::try_from((self.now - self.wall.1).as_millis()).unwrap_or(i64::MAX);
        self.wall.0.saturating_add(passed)
    }

    pub(super) fn reply(&mut self, token: Token, response: GroupResponse) {
        let response = Box::new(response);
        self.outbox.push(Action::Reply { token, response });
    }

    pub(super) fn append(
        &mut self,
        group_id: &Arc<str>,
        partition: i32,
        records: Vec<CoordinatorRecord>,
    ) -> Token {
        let token = self.tokens.issue();
        self.appends.insert(token, group_id.clone());
        self.outbox.push(Action::Append {
            token,
            partition,
            records,
        });
        token
    }

    /// Arms a timer `millis` from now (a negative time counts as 0); one that fired and waits is forgotten.
    pub(super) fn arm(&mut self, timer: Timer, millis: i32) {
        self.deferred.remove(&timer);
        let millis = u64::try_from(millis).unwrap_or(0);
        self.timers.set(timer, self.now + Duration::from_millis(millis));
    }

    pub(super) fn disarm(&mut self, timer: &Timer) {
        self.deferred.remove(timer);
        self.timers.cancel(timer);
    }

    /// Keeps a timer that fired until its group's append is done.
    pub(super) fn defer(&mut self, timer: Timer) {
        self.deferred.insert(timer);
    }

    /// A timer of the group that fired and waits.
    pub(super) fn take_deferred(&mut self, group_id: &str) -> Option<Timer> {
        let is_groups = |timer: &&Timer| timer.group_id().is_some_and(|id| &**id == group_id);
        let timer = self.deferred.iter().find(is_groups)?.clone();
        self.deferred.remove(&timer);
        Some(timer)
    }

    /// Forgets every timer of the group.
    pub(super) fn disarm_group(&mut self, group_id: &str) {
        let is_others = |timer: &Timer| timer.group_id().is_none_or(|id| &**id != group_id);
        self.deferred.retain(is_others);
        self.timers.retain(is_others);
    }

    /// A new member id: `prefix-UUID`. A prefix that leaves no room for the rest is cut, or nobody could be told the id.
    // Kafka: ClassicGroup.generateMemberId
    pub(super) fn member_id(&mut self, prefix: &str) -> Arc<str> {
        let (prefix, _) = prefix.split_at(prefix.floor_char_boundary(LONGEST_PREFIX));
        let bits = u128::from_be_bytes(self.prng.uuid_v4());
        let field = |shift: u32, digits: u32| (bits >> shift) & ((1u128 << (digits * 4)) - 1);
        Arc::from(format!(
            "{prefix}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            field(96, 8),
            field(80, 4),
            field(64, 4),
            field(48, 4),
            field(0, 12)
        ))
    }
}
