//! The rebalance journal of a classic group: why each rebalance began, how long its phases took, what moved, and for how long
//! nobody read a partition. It looks on; no rule of the group depends on it. What it keeps is bounded: [`Journal::MAX_KEPT`] past
//! rebalances, the lists of each, and the bytes of the names in them, which a member may make as long as it likes.

mod cause;
mod entry;
mod holdings;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::Instant;

pub use cause::RebalanceCause;
use cause::keep_names;
pub use entry::{MemberFate, Participant, Pause, Rebalance, RebalanceMember, RebalanceOutcome};
use holdings::{Departed, Holder, Partitions};

use crate::TopicPartition;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Journal {
    count: u64,
    kept: VecDeque<Kept>,
    /// The names of all that are kept, in bytes.
    kept_names: usize,
    open: Option<Open>,
    holders: BTreeMap<Arc<str>, Holder>,
    /// Members that went since the last rebalance ended.
    departed: Vec<Departed>,
    /// Their names, in bytes.
    departed_names: usize,
    departed_unlisted: usize,
    /// Partitions that had an owner and have none, and since when.
    free: BTreeMap<TopicPartition, Instant>,
}

/// A rebalance that has ended.
#[derive(Debug)]
struct Kept {
    rebalance: Arc<Rebalance>,
    /// The names in it, in bytes.
    names: usize,
}

/// The rebalance under way.
#[derive(Debug)]
struct Open {
    began: Instant,
    first_joined: Option<Instant>,
    join_ended: Option<Instant>,
    /// What is known from the beginning, and of the generation when there is one.
    entry: Rebalance,
}

impl Journal {
    /// How many past rebalances of a group are kept.
    pub(super) const MAX_KEPT: usize = 16;

    /// How many bytes of names those kept may have together, beside the last of them. Five hundred usual members in each are within it.
    pub(super) const MAX_NAMES: usize = 1 << 20;

    /// How many bytes of names the members of one rebalance may have that are in the group at its end. Ten thousand usual ones are
    /// within it.
    pub(super) const MAX_MEMBER_NAMES: usize = 2 << 20;

    /// How many bytes of names the later causes of one rebalance may have together.
    pub(super) const MAX_LATER_NAMES: usize = 256 << 10;

    /// How many bytes of names those may have who went since the last rebalance ended, as far as they are listed.
    pub(super) const MAX_DEPARTED_NAMES: usize = 256 << 10;

    /// The group was loaded with this member.
    pub(super) fn restore(&mut self, who: Participant, assignment: &Bytes) {
        let holds = holdings::assigned(assignment).unwrap_or_default();
        let id = who.member_id.clone();
        self.holders.insert(id, Holder::restored(who, holds));
    }

    /// A rebalance begins; one that is under way has been interrupted. Returns that one.
    pub(super) fn begin(
        &mut self,
        (now, wall_ms): (Instant, i64),
        cause: RebalanceCause,
        generation_before: i32,
        is_of_consumers: bool,
    ) -> Option<Arc<Rebalance>> {
        let interrupted = self.end(now, RebalanceOutcome::Interrupted);
        self.count += 1;
        for holder in self.holders.values_mut() {
            holder.begin();
        }
        self.open = Some(Open {
            began: now,
            first_joined: None,
            join_ended: None,
            entry: Rebalance {
                number: self.count,
                began_ms: wall_ms,
                cause: cause.shortened(),
                later_causes: Vec::new(),
                later_causes_unlisted: 0,
                generation_before,
                generation: None,
                protocol: None,
                leader: None,
                prepare: Duration::ZERO,
                join: None,
                sync: None,
                outcome: RebalanceOutcome::Open,
                members: Vec::new(),
                is_ownership_known: is_of_consumers,
                pauses: Vec::new(),
                unowned: Vec::new(),
                members_unlisted: 0,
                departed_unlisted: 0,
                unlisted: 0,
            },
        });
        interrupted
    }

    /// Something more happened while the group waits for its members.
    pub(super) fn note(&mut self, cause: RebalanceCause) {
        if let Some(Open { entry, .. }) = &mut self.open {
            let cause = cause.shortened();
            let listed: usize = entry.later_causes.iter().map(RebalanceCause::names).sum();
            if entry.later_causes.len() < Rebalance::MAX_LATER_CAUSES
                && listed + cause.names() <= Self::MAX_LATER_NAMES
            {
                entry.later_causes.push(cause);
            } else {
                entry.later_causes_unlisted += 1;
            }
        }
    }

    /// A member waits for the join phase to end: it has given up what it does not name as its own in `metadata`. Told again, nothing
    /// changes.
    pub(super) fn joined(
        &mut self,
        now: Instant,
        who: impl FnOnce() -> Participant,
        id: &str,
        metadata: Option<&Bytes>,
    ) {
        let Some(open) = &mut self.open else { return };
        let holder = match self.holders.get_mut(id) {
            Some(holder) => holder,
            None => {
                let who = who();
                let id = who.member_id.clone();
                self.holders.entry(id).or_insert(Holder::new(who))
            }
        };
        if holder.joined.is_some() {
            return;
        }
        holder.joined = Some(now);
        open.first_joined.get_or_insert(now);
        if !holder.holds.is_empty() {
            let owned = metadata.map(holdings::owned).unwrap_or_default();
            for given_up in holder.retain(&owned) {
                self.free.insert(given_up, now);
            }
        }
    }

    /// A member is gone, and owns nothing since `since`.
    pub(super) fn gone(&mut self, since: Instant, id: &str, fate: MemberFate) {
        if let Some(holder) = self.holders.remove(id) {
            for given_up in &holder.holds {
                self.free.insert(given_up.clone(), since);
            }
            let names = self.departed_names.saturating_add(holder.who.names());
            if self.departed.len() < Rebalance::MAX_DEPARTED && names <= Self::MAX_DEPARTED_NAMES {
                self.departed_names = names;
                self.departed.push(Departed { holder, fate });
            } else {
                self.departed_unlisted += 1;
            }
        }
    }

    /// A static member has a new id.
    pub(super) fn renamed(&mut self, old_id: &str, new_id: &Arc<str>) {
        if let Some(mut holder) = self.holders.remove(old_id) {
            holder.who.member_id = new_id.clone();
            self.holders.insert(new_id.clone(), holder);
        }
    }

    /// The wait for members is over.
    pub(super) fn join_ended(
        &mut self,
        now: Instant,
        generation: i32,
        protocol: Option<Arc<str>>,
        leader: Option<Arc<str>>,
    ) {
        if let Some(open) = &mut self.open {
            open.join_ended = Some(now);
            open.entry.generation = Some(generation);
            open.entry.protocol = protocol;
            open.entry.leader = leader;
        }
    }

    /// A member was given its assignment. Told again, nothing changes.
    pub(super) fn told(&mut self, now: Instant, id: &str, assignment: &Bytes) {
        let (Some(open), Some(holder)) = (&mut self.open, self.holders.get_mut(id)) else {
            return;
        };
        if holder.told.is_some() {
            return;
        }
        holder.told = Some(now);
        let given = holdings::assigned(assignment);
        open.entry.is_ownership_known &= given.is_some();
        let given = given.unwrap_or_default();
        for got in given.difference(&holder.holds) {
            if let Some(since) = self.free.remove(got) {
                let duration = now.saturating_since(since);
                let partition = got.clone();
                open.entry.pauses.push(Pause { partition, duration });
            }
        }
        for given_up in holder.retain(&given) {
            self.free.insert(given_up, now);
        }
        holder.holds = given;
    }

    /// The rebalance under way has ended; `None` when there is none.
    pub(super) fn end(&mut self, now: Instant, outcome: RebalanceOutcome) -> Option<Arc<Rebalance>> {
        let open = self.open.take()?;
        // Who was given a partition that another held still has it alone.
        for held in self.holders.values().flat_map(|holder| &holder.holds) {
            self.free.remove(held);
        }
        let ended = Arc::new(self.tell(&open, now, outcome));
        self.departed.clear();
        self.departed_names = 0;
        self.departed_unlisted = 0;
        for holder in self.holders.values_mut() {
            holder.end(outcome == RebalanceOutcome::Stable);
        }
        if outcome == RebalanceOutcome::Empty {
            // Time without any member is no pause of a rebalance.
            self.free.clear();
        }
        while self.free.len() > Rebalance::MAX_LISTED {
            self.free.pop_last();
        }
        self.keep(ended.clone());
        Some(ended)
    }

    fn keep(&mut self, rebalance: Arc<Rebalance>) {
        let names = rebalance.names();
        self.kept_names = self.kept_names.saturating_add(names);
        self.kept.push_back(Kept { rebalance, names });
        let is_over = |journal: &Self| {
            journal.kept.len() > Self::MAX_KEPT
                || (journal.kept.len() > 1 && journal.kept_names > Self::MAX_NAMES)
        };
        while is_over(self)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_names = self.kept_names.saturating_sub(oldest.names);
        }
    }

    /// Why the rebalance under way began.
    pub(super) fn cause(&self) -> Option<&RebalanceCause> {
        Some(&self.open.as_ref()?.entry.cause)
    }

    /// The rebalances kept, oldest first, and behind them the one under way, as far as it has come.
    pub(super) fn rebalances(&self, now: Instant) -> Vec<Arc<Rebalance>> {
        let open = self.open.iter();
        let open = open.map(|open| Arc::new(self.tell(open, now, RebalanceOutcome::Open)));
        let kept = self.kept.iter().map(|kept| kept.rebalance.clone());
        kept.chain(open).collect()
    }

    fn tell(&self, open: &Open, now: Instant, outcome: RebalanceOutcome) -> Rebalance {
        let since = |from: Instant, to: Instant| to.saturating_since(from);
        let mut entry = open.entry.clone();
        let prepared = open.first_joined.or(open.join_ended).unwrap_or(now);
        entry.prepare = since(open.began, prepared);
        entry.join = open.join_ended.map(|ended| since(prepared, ended));
        if outcome == RebalanceOutcome::Stable {
            let last = self.holders.values().filter_map(|holder| holder.told).max();
            entry.sync = open.join_ended.map(|ended| since(ended, last.unwrap_or(now)));
        }
        entry.outcome = outcome;
        let settled = outcome == RebalanceOutcome::Stable || outcome == RebalanceOutcome::Empty;
        let mut stayed: Vec<_> = self
            .holders
            .values()
            .map(|holder| holder.tell(open.began, settled))
            .collect();
        let departed = self.departed.iter().map(|departed| departed.tell(open.began));
        stayed.extend(departed);
        entry.members = stayed;
        entry.departed_unlisted = self.departed_unlisted;
        if settled {
            let given_up = entry.members.iter().flat_map(|member| &member.gave_up);
            let unowned: Partitions = given_up
                .filter(|partition| self.free.contains_key(*partition))
                .cloned()
                .collect();
            entry.unowned = unowned.into_iter().collect();
        }
        // Only now: what they gave up counts, listed or not.
        self.leave_out(&mut entry);
        entry.pauses.sort_by(|a, b| a.partition.cmp(&b.partition));
        shorten(&mut entry);
        entry
    }

    /// Leaves out members whose names are over the bound, and counts them. Those that went are bounded already.
    fn leave_out(&self, entry: &mut Rebalance) {
        let departed = entry.members.split_off(self.holders.len());
        let names = |member: &RebalanceMember| member.member.names();
        let most = self.holders.len();
        entry.members_unlisted = keep_names(&mut entry.members, most, Self::MAX_MEMBER_NAMES, names);
        entry.members.extend(departed);
    }
}

/// Leaves out what is over the bounds, and counts it.
fn shorten(entry: &mut Rebalance) {
    let mut room = Rebalance::MAX_LISTED;
    for member in &mut entry.members {
        for moved in [&mut member.gave_up, &mut member.got] {
            entry.unlisted += moved.len().saturating_sub(room);
            moved.truncate(room);
            room -= moved.len();
        }
    }
    entry.unlisted += entry.pauses.len().saturating_sub(Rebalance::MAX_LISTED);
    entry.pauses.truncate(Rebalance::MAX_LISTED);
    entry.unlisted += entry.unowned.len().saturating_sub(Rebalance::MAX_LISTED);
    entry.unowned.truncate(Rebalance::MAX_LISTED);
}
