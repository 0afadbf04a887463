//! The lives of members: how they begin and end, and who lives.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::member::Member;
use super::network::{Arrival, Client};
use super::world::{Happening, World};
use crate::ledger::Living;
use crate::plan::Plan;

impl World {
    pub(super) fn some_topics(&mut self) -> BTreeSet<Arc<str>> {
        let all: Vec<Arc<str>> = self.partitions.keys().cloned().collect();
        match self.prng.below(4) {
            0 => all.first().into_iter().cloned().collect(),
            1 => all.last().into_iter().cloned().collect(),
            _ => all.into_iter().collect(),
        }
    }

    pub(super) fn crash_member(&mut self, no: usize) {
        if self.prng.chance(1, 3) {
            return self.silence_member(no);
        }
        self.end_member(no);
    }

    /// A machine that vanishes closes no connection.
    pub(super) fn silence_member(&mut self, no: usize) {
        for conn in self.network.of_client(Client::Member(no)) {
            if let Some(connection) = self.network.get_mut(conn) {
                connection.is_open_at_client = false;
            }
        }
        self.end_member(no);
    }

    /// A member's life is over; another one begins in its place.
    pub(super) fn end_member(&mut self, no: usize) {
        let Some(member) = self.members.remove(&no) else {
            return;
        };
        for conn in self.network.of_client(Client::Member(no)) {
            if let Some(connection) = self.network.get_mut(conn)
                && core::mem::take(&mut connection.is_open_at_client)
            {
                self.network
                    .send_up(self.now, &mut self.arrivals, conn, Arrival::ClientGone(conn));
            }
        }
        self.ledger.gone(no, self.plan.is_static);
        let at = self.now + Plan::vacancy(&mut self.prng);
        self.happenings.push(at, Happening::MemberStarts(member.slot));
    }

    pub(super) fn start_member(&mut self, slot: usize) {
        let is_left = self.faults.lost_slot == Some(slot) || self.prng.chance(1, 3);
        if self.faults.is_over && !self.members.is_empty() && is_left {
            // Not everybody comes back.
            return;
        }
        self.start_in(slot);
    }

    /// A member begins in this place.
    pub(super) fn start_in(&mut self, slot: usize) {
        let no = self.issued_members;
        self.issued_members += 1;
        let topics = match self.plan.is_static {
            true => self.plan.static_topics(slot),
            false => self.some_topics(),
        };
        self.story
            .note(self.now, || format!("m{no} starts in place {slot}, {topics:?}"));
        let mut member = Member::new(&self.plan, no, slot, self.prng.next_u64(), topics);
        member.is_calm = self.faults.is_over;
        self.members.insert(no, member);
        self.act(no);
    }

    /// Members that live.
    pub(crate) fn living(&self) -> Vec<Living> {
        let living = self.members.values().map(|member| Living {
            reader: member.no,
            topics: member.topics.clone(),
        });
        living.collect()
    }

    /// When a member that stood still goes on.
    pub(super) fn member_thaws(&mut self, no: usize) {
        if self.members.get(&no).is_some_and(|it| !it.is_frozen(self.now)) {
            self.thaw(no);
        }
    }
}
