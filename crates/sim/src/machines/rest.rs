//! The end of a run: nothing goes wrong any more, the group comes to rest, loses a member once more, and is then watched.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::network::Arrival;
use super::producer::Producer;
use super::world::{Happening, World};
use crate::plan::{DRAIN, EASED, LULL, PROMPT, QUIET, REST};

/// How often it is looked whether the group is at rest.
const LOOK: Duration = Duration::from_millis(200);

impl World {
    fn is_broken(&self) -> bool {
        !self.ledger.violations().is_empty()
    }

    /// Looks whether everything comes in order, and stays so.
    pub(super) fn come_to_rest(&mut self) {
        self.settle(REST);
        if !self.is_broken() && self.plan.vanishes {
            self.lose_one();
            self.settle(self.plan.farewell());
        }
        if self.is_broken() {
            return;
        }
        for producer in self.producers.values_mut() {
            producer.stop();
        }
        self.be_read();
        if !self.is_broken() {
            self.stay();
        }
    }

    /// Trouble is over for a while, maybe but for a member that is gone: the others come to rest, and stay so.
    pub(super) fn have_lull(&mut self) {
        self.calm_down();
        if self.plan.lull_lacks_one {
            self.lose_one();
        }
        self.settle(REST);
        if self.is_broken() {
            return;
        }
        self.count("lull", String::new);
        let (rest, generation) = (self.now, self.ledger.generation());
        self.run_until(rest + LULL);
        self.ledger.check_stable(rest, generation);
        self.rouse();
    }

    /// Runs until the group is at rest; it has to be so within this time.
    fn settle(&mut self, within: Duration) {
        let end = self.now + within;
        let eased = self.now + EASED;
        let mut since = None;
        while self.now < end && !self.is_broken() {
            self.run_until(self.now + LOOK);
            if self.now >= eased {
                self.measure_reading();
            }
            if !self.is_at_rest() {
                since = None;
                continue;
            }
            let is_quiet = self.now.saturating_since(*since.get_or_insert(self.now)) >= QUIET;
            if is_quiet && self.is_shared_out() {
                break;
            }
            if is_quiet && self.plan.leaves_over() {
                since = None;
                self.start_newcomer();
            }
        }
        if self.is_broken() {
            return;
        }
        let (living, partitions) = (self.living(), self.all_partitions());
        self.ledger.check_ownership(&living, &partitions);
        let members = self.member_ids();
        self.ledger.check_members(&members);
        self.measure_reading();
    }

    /// From now on nothing keeps members from reading what they own.
    fn measure_reading(&mut self) {
        let bound = self.plan.reading_bound();
        self.ledger.measure_reading_from(self.now, bound);
    }

    /// A member that was not there before begins a rebalance.
    fn start_newcomer(&mut self) {
        let places = self.members.values().map(|member| member.slot + 1);
        let place = places.max().unwrap_or(0).max(self.plan.slots);
        self.count("newcomer", || format!("in place {place}"));
        self.start_in(place);
    }

    /// A member vanishes; only its session tells.
    fn lose_one(&mut self) {
        let members: Vec<usize> = self.members.keys().copied().collect();
        if members.len() < 2 {
            return;
        }
        if let Some(no) = self.any(&members) {
            self.count("vanished at rest", || format!("m{no}"));
            self.faults.lost_slot = self.members.get(&no).map(|it| it.slot);
            self.silence_member(no);
        }
    }

    fn member_ids(&self) -> BTreeSet<Arc<str>> {
        let members = self.members.values().filter_map(|it| it.engine.member());
        members.filter_map(|it| it.member_id().cloned()).collect()
    }

    /// Whether nothing is on its way that could begin a rebalance, as far as can be seen.
    fn is_at_rest(&self) -> bool {
        let is_arranged = self.happenings.all().any(|happening| {
            matches!(
                happening,
                Happening::BrokerStarts
                    | Happening::HostStarts(_)
                    | Happening::MemberStarts(_)
                    | Happening::MemberThaws(_)
            )
        });
        // A request that arrives late may be a join.
        let soon = self.now + self.plan.delay;
        let mut late = self.arrivals.after(soon);
        !is_arranged
            && !late.any(|arrival| matches!(arrival, Arrival::Knock(_) | Arrival::Up(..)))
            && self.is_settled()
    }

    /// Whether all members are in the generation that the coordinator stored, and nobody else is.
    pub(super) fn is_settled(&self) -> bool {
        let generation = self.ledger.generation();
        let mut members = self.members.values();
        members.all(|member| {
            let engine = member.engine.member();
            !member.is_frozen(self.now)
                && !member.is_slow(self.now)
                && engine.is_some_and(|it| it.is_stable() && it.generation() == Some(generation))
        }) && self.ledger.has_members(&self.member_ids())
    }

    fn is_shared_out(&self) -> bool {
        self.ledger.is_shared_out(&self.living(), &self.all_partitions())
    }

    /// All that was written is read, and what a new producer writes then to each partition is read soon.
    fn be_read(&mut self) {
        self.run_until_read(DRAIN);
        if self.is_broken() {
            return;
        }
        let partitions = self.all_partitions();
        let no = self.producers.len();
        self.start_producer(no);
        if let Some(producer) = self.producers.get_mut(&no) {
            producer.stop();
            for partition in &partitions {
                producer.send(self.now, partition, &mut self.issued_ids);
            }
        }
        self.drain_producer(no);
        self.run_until_read(PROMPT);
    }

    /// Runs until what the producers wrote is read; it has to be so within this time.
    fn run_until_read(&mut self, within: Duration) {
        let (living, partitions) = (self.living(), self.all_partitions());
        let end = self.now + within;
        while self.now < end && !self.is_broken() {
            self.run_until(self.now + LOOK);
            let is_written = self.producers.values().all(Producer::is_done);
            if is_written && self.ledger.is_all_read(&living, &partitions) {
                break;
            }
        }
        if !self.is_broken() {
            self.ledger.check_all_read(&living, &partitions);
        }
    }

    /// Nothing changes, and nobody asks for more than what a group at rest needs.
    fn stay(&mut self) {
        let (rest, generation) = (self.now, self.ledger.generation());
        self.watched = Some(BTreeMap::new());
        self.run_until(rest + self.plan.watch);
        if self.is_broken() {
            return;
        }
        self.ledger.check_stable(rest, generation);
        let clients = (self.members.len() + self.producers.len()) as u64;
        let asked = self.watched.take().unwrap_or_default();
        self.ledger
            .check_quiet(&self.plan, self.members.len() as u64, clients, &asked);
    }
}
