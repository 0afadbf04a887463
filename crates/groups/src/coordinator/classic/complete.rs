//! The end of the join phase: who is in, who leads, with which assignor.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::{Classic, Member, RebalanceCause, State, reply_join, supporters};
use crate::coordinator::cx::{Cx, Timer};
use crate::coordinator::journal::{MemberFate, RebalanceOutcome};
use crate::coordinator::partition::java_hash;
use crate::coordinator::work::{Then, Write};

/// The shortest wait for static members that did not rejoin, in ms. Their own time-out may be 0, and the next round would then be
/// due as soon as it is armed, again and again.
const SHORTEST_ROUND_MS: i32 = 100;

impl Classic {
    /// Ends the join phase: dynamic members that did not rejoin are out, the others get the next generation.
    // Kafka: GroupMetadataManager.completeClassicGroupJoin
    pub(super) fn complete_join(&mut self, cx: &mut Cx) -> Option<Write> {
        let join_timer = Timer::Join(self.id.clone());
        cx.disarm(&join_timer);
        let is_gone = |member: &&Member| !member.is_static() && member.awaiting_join.is_none();
        let gone: Vec<_> = self
            .members
            .values()
            .filter(is_gone)
            .map(|member| member.id.clone())
            .collect();
        if !gone.is_empty() {
            let remove = |member_id: &Arc<str>| self.remove(cx, member_id, MemberFate::JoinExpired);
            let members = gone.iter().map(remove).collect();
            self.journal
                .note(RebalanceCause::JoinExpired { members, unlisted: 0 });
        }
        if !self.elect_leader() && !self.members.is_empty() {
            // Only static members are left and none waits: give them another round.
            if let State::PreparingRebalance {
                from_empty: Some(initial),
                ..
            } = &mut self.state
            {
                initial.delay_ms = None;
            }
            cx.arm(join_timer, self.rebalance_timeout_ms().max(SHORTEST_ROUND_MS));
            return None;
        }
        // A stored generation of the largest number starts over.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = select_protocol(self.members.values());
        self.subscribe(cx);
        let (protocol, leader) = (self.protocol.clone(), self.leader.clone());
        self.journal.join_ended(cx.now, self.generation, protocol, leader);
        if self.members.is_empty() {
            let ended = self.journal.end(cx.now, RebalanceOutcome::Empty);
            self.report(cx, ended);
            self.enter(cx, State::Empty);
            self.stored_assignments = 0;
            let records = Vec::from([self.record(self.leader.clone(), core::iter::empty())]);
            let then = Then::Nothing;
            return Some(Write { records, then });
        }
        let unsynced = self.members.keys().cloned().collect();
        self.enter(cx, State::CompletingRebalance { unsynced });
        self.answer_joins(cx);
        cx.arm(Timer::Sync(self.id.clone()), self.rebalance_timeout_ms());
        None
    }

    fn answer_joins(&mut self, cx: &mut Cx) {
        let waiting: Vec<_> = self
            .members
            .values_mut()
            .map(|member| {
                member.is_new = false;
                (member.id.clone(), member.awaiting_join.take())
            })
            .collect();
        for (member_id, token) in waiting {
            if let Some(token) = token {
                reply_join(cx, token, &member_id, Ok(self.joined(&member_id, true)));
            }
            self.extend_session(cx, &member_id);
        }
    }

    /// Keeps a leader that rejoined, else elects one that did; `false` when there is none.
    // Kafka: ClassicGroup.maybeElectNewJoinedLeader
    fn elect_leader(&mut self) -> bool {
        let Some(leader) = &self.leader else {
            return false;
        };
        let has_joined = |member: &Member| member.awaiting_join.is_some();
        if self.members.get(leader).is_some_and(has_joined) {
            return true;
        }
        match self.members.values().find(|member| has_joined(member)) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }
}

/// The assignor with most votes among those that all members have; each votes for the first in its list. Of equal ones the one
/// that a Java map lists first, so that a group gets the same from this coordinator as from Kafka's.
// Kafka: ClassicGroup.selectProtocol
pub(super) fn select_protocol<'a>(members: impl Iterator<Item = &'a Member> + Clone) -> Option<Arc<str>> {
    let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    let supporters = supporters(members.clone());
    let count = members.clone().count();
    for member in members {
        let is_common = |name: &str| supporters.get(name) == Some(&count);
        let vote = member
            .protocols
            .iter()
            .find(|protocol| is_common(&protocol.name))?;
        *votes.entry(&vote.name).or_default() += 1;
    }
    let names = votes.len();
    let rank = |(name, count): &(&Arc<str>, usize)| (Reverse(*count), java_bucket(name, names));
    let (name, _) = votes.into_iter().min_by_key(rank)?;
    Some(name.clone())
}

/// Where a `HashMap` of `entries` strings lists `key`: by the bucket of its hash. The table has at least 16 buckets and doubles
/// when it is more than three quarters full.
// Kafka: java.util.HashMap
fn java_bucket(key: &str, entries: usize) -> u32 {
    let mut buckets = 16u32;
    while entries > buckets as usize / 4 * 3 && buckets < 1 << 30 {
        buckets *= 2;
    }
    let hash = java_hash(key).cast_unsigned();
    (hash ^ (hash >> 16)) & (buckets - 1)
}
