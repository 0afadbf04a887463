//! The end of a run on the real driver: the group comes to rest, loses a member once more, and is then watched.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kohort::TopicPartition;
use kohort_broker::{MemberFate, Rebalance, RebalanceOutcome};
use kohort_machine::Instant;
use tokio::time::sleep;

use super::producer::write;
use super::world::World;
use crate::plan::{DRAIN, EASED, GROUP, LULL, PROMPT, QUIET, REQUEST_TIMEOUT, REST};

/// How often it is looked whether the group is at rest.
const LOOK: Duration = Duration::from_millis(250);

/// How much longer than the group waits for a member this waits for the answer to its join.
// Kafka: AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE
const JOIN_LAPSE: Duration = Duration::from_secs(5);

/// Where a group at rest stands.
struct Standing {
    at: Instant,
    generation: i32,
    rebalances: u64,
}

impl World {
    /// Waits until the group is at rest; it has to be so within this time.
    pub(super) async fn settle(&mut self, within: Duration) {
        let end = self.run.now() + within;
        let eased = self.run.now() + EASED;
        let mut since = None;
        while self.run.now() < end && !self.is_broken() {
            sleep(LOOK).await;
            self.attend().await;
            let now = self.run.now();
            if now >= eased {
                self.measure_reading();
            }
            match self.silence_needed().await {
                Some(quiet) => {
                    let begun = self
                        .run
                        .lock()
                        .ledger
                        .last_change()
                        .max(*since.get_or_insert(now));
                    let is_quiet = now.saturating_since(begun) >= quiet;
                    if is_quiet && self.is_shared_out() {
                        break;
                    }
                    if is_quiet && self.plan.leaves_over() {
                        since = None;
                        self.start_newcomer();
                    }
                }
                None => since = None,
            }
        }
        if !self.is_broken() {
            let (living, partitions) = (self.living(), self.all_partitions());
            let names = self.living_names().into_iter().map(Arc::from).collect();
            {
                let mut shared = self.run.lock();
                shared.ledger.check_ownership(&living, &partitions);
                shared.ledger.check_member_names(&names);
            }
            self.measure_reading();
        }
    }

    /// From now on nothing keeps members from reading what they own.
    fn measure_reading(&self) {
        let (now, bound) = (self.run.now(), self.plan.reading_bound());
        self.run.lock().ledger.measure_reading_from(now, bound);
    }

    /// Trouble is over for a while, but for a member that is gone: the others come to rest, and stay so.
    pub(super) async fn have_lull(&mut self) {
        self.calm_down().await;
        if self.plan.lull_lacks_one {
            self.lose_one();
        }
        self.settle(REST).await;
        if self.is_broken() {
            return;
        }
        self.count("lull", String::new);
        let before = self.standing().await;
        sleep(LULL).await;
        self.check_stands(&before).await;
        self.rouse();
    }

    /// How long the group has to be silent until it can be believed to be at rest; `None` while it is not.
    async fn silence_needed(&self) -> Option<Duration> {
        let mut lives = self.lives.values();
        let is_slow = lives.any(|life| life.wishes.is_slow.load(Ordering::Relaxed));
        let is_arranged = is_slow || !self.vacant.is_empty() || !self.stopped.is_empty();
        if is_arranged || !self.plan.leaves_over() && !self.is_shared_out() {
            return None;
        }
        let rebalances = self.broker.rebalances(GROUP).await.unwrap_or_default();
        match rebalances.last() {
            Some(last) if last.outcome == RebalanceOutcome::Stable => {
                (self.names(last) == self.living_names()).then_some(QUIET)
            }
            Some(_) => None,
            // The coordinator has begun since: a session, a lost join or a rebalance may still be waited for.
            None => Some(self.plan.session + self.plan.max_poll + JOIN_LAPSE + REQUEST_TIMEOUT + QUIET),
        }
    }

    pub(super) fn is_shared_out(&self) -> bool {
        let (living, partitions) = (self.living(), self.all_partitions());
        self.run.lock().ledger.is_shared_out(&living, &partitions)
    }

    /// A member that was not there before begins a rebalance.
    fn start_newcomer(&mut self) {
        let places = self.lives.values().map(|life| life.slot + 1);
        let place = places.max().unwrap_or(0).max(self.plan.slots);
        self.count("newcomer", || format!("in place {place}"));
        self.start_member(place);
    }

    /// Who is in the group after a rebalance.
    fn names(&self, rebalance: &Rebalance) -> BTreeSet<String> {
        let is_there = |fate| matches!(fate, MemberFate::Stayed | MemberFate::Joined);
        let members = rebalance.members.iter().filter(|it| is_there(it.fate));
        members
            .map(|it| match &it.member.group_instance_id {
                Some(instance) => instance.to_string(),
                None => it.member.client_id.to_string(),
            })
            .collect()
    }

    fn living_names(&self) -> BTreeSet<String> {
        let lives = self.lives.values();
        lives
            .map(|life| match self.plan.is_static {
                true => format!("i{}", life.slot),
                false => format!("m{}", life.no),
            })
            .collect()
    }

    /// A member vanishes; only its session tells.
    pub(super) fn lose_one(&mut self) {
        if self.lives.len() < 2 {
            return;
        }
        let Some(no) = self.any_member() else { return };
        self.count("vanished at rest", || format!("m{no}"));
        self.cables.unplug(no);
        if let Some(life) = self.lives.remove(&no) {
            life.task.abort();
            self.run.lock().ledger.gone(no, self.plan.is_static);
        }
    }

    /// All that was written is read, and what is written then is read soon.
    pub(super) async fn be_read(&mut self) {
        self.wait_until_read(DRAIN).await;
        if !self.is_broken() {
            let partitions = self.all_partitions();
            self.probe(&partitions).await;
            self.wait_until_read(PROMPT).await;
        }
    }

    /// Waits until everything is read; it has to be so within this time.
    async fn wait_until_read(&self, within: Duration) {
        let (living, partitions) = (self.living(), self.all_partitions());
        let end = self.run.now() + within;
        while self.run.now() < end && !self.is_broken() {
            sleep(LOOK).await;
            let shared = self.run.lock();
            if shared.unanswered == 0 && shared.ledger.is_all_read(&living, &partitions) {
                break;
            }
        }
        self.run.lock().ledger.check_all_read(&living, &partitions);
    }

    /// Writes one record to each partition.
    async fn probe(&mut self, partitions: &[TopicPartition]) {
        let producer = self.producer(2);
        for partition in partitions {
            self.issued_ids += 1;
            write(&producer, &self.run, partition.clone(), self.issued_ids).await;
        }
        // Records in flight are waited for by their own tasks.
        let _ = producer.flush().await;
    }

    /// Nothing changes, and no rebalance begins.
    pub(super) async fn stay(&self) {
        if self.is_broken() {
            return;
        }
        let before = self.standing().await;
        self.run.lock().watched = Some(BTreeMap::new());
        sleep(self.plan.watch).await;
        self.check_stands(&before).await;
        let mut shared = self.run.lock();
        let asked = shared.watched.take().unwrap_or_default();
        let members = self.lives.len() as u64;
        shared
            .ledger
            .check_quiet(&self.plan, members, members + 3, &asked);
    }

    /// Where the group stands now.
    async fn standing(&self) -> Standing {
        let rebalances = self.rebalances().await;
        Standing {
            at: self.run.now(),
            generation: self.run.lock().ledger.generation(),
            rebalances,
        }
    }

    /// It stands there still.
    async fn check_stands(&self, before: &Standing) {
        let after = self.rebalances().await;
        let mut shared = self.run.lock();
        shared.ledger.check_stable(before.at, before.generation);
        if before.rebalances != after {
            let what = format!(
                "{} rebalances of the group became {after} at rest",
                before.rebalances
            );
            shared.ledger.break_rule("I7", what);
        }
    }

    /// How many rebalances the coordinator has seen.
    async fn rebalances(&self) -> u64 {
        let all = self.broker.rebalances(GROUP).await.unwrap_or_default();
        all.last().map_or(0, |last| last.number)
    }
}
