//! Fetching: one Fetch per broker under way, asked for as long as the caller has less than the low water mark buffered and the
//! memory budget has room. What an answer brings is in `answer`.
//!
//! # When a broker is asked again
//!
//! As soon as it answered, so that its data is on the way while the caller consumes what came before. Partitions of which the
//! caller has more than the low water mark are left out. A broker answers a Fetch that finds no data only after
//! `fetch.max.wait.ms`, and meanwhile can not be asked for the partitions left out; so as long as some are left out, a Fetch
//! must have a partition of which more data is known to be there.

mod answer;
mod asked;
mod request;
mod session;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Instant;
use kohort_protocol::ApiKey;

use super::ConsumerEngine;
use super::engine::{Purpose, Timer};
use crate::client::{RequestId, Target};
use asked::{Asked, AskedTopics};
use request::{fill, request};
use session::{Known, Sessions, Step};

/// The Fetch requests that are under way, by broker, and what memory they may fill.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    under_way: BTreeMap<i32, UnderWay>,
    sessions: Sessions,
    /// Brokers not to be asked before.
    not_before: BTreeMap<i32, Instant>,
    /// Answers with data of a partition so far.
    served: u64,
    /// Bytes that the caller's records hold, as far as reported.
    pub(super) held: u64,
    /// A partition has no known leader: when to ask for metadata again.
    leader_wanted: Option<Instant>,
}

/// One Fetch that is under way.
#[derive(Debug)]
struct UnderWay {
    request: RequestId,
    asked: Known,
    step: Step,
    /// Whether no data was known to be there, so that the broker may wait before it answers.
    may_wait: bool,
    /// Bytes of the memory budget.
    reserved: u64,
}

impl Fetches {
    fn reserved(&self) -> u64 {
        self.under_way.values().map(|under_way| under_way.reserved).sum()
    }
}

/// What one broker may be asked for.
#[derive(Debug)]
struct Plan {
    asked: Vec<(Arc<str>, i32, Asked)>,
    /// Whether a Fetch is under way that is not to be taken back.
    is_busy: bool,
    /// Whether a partition is left out because the caller has enough of it.
    leaves_out: bool,
    /// Whether more data of a partition asked for is known, or not known not, to be there.
    has_data: bool,
    /// Whether no data is known to be there.
    may_wait: bool,
}

/// What memory there is for the answers of all brokers.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Of the budget, for each broker.
    share: u64,
    /// Bytes buffered of partitions that the caller may take from.
    takeable: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            asked: Vec::new(),
            is_busy: false,
            leaves_out: false,
            has_data: false,
            may_wait: true,
        }
    }
}

impl ConsumerEngine {
    /// Asks each broker that has no Fetch under way for what the caller will need next.
    pub(super) fn plan_fetches(&mut self, now: Instant) {
        if self.partitions.is_empty() || self.closing.is_some() {
            return;
        }
        self.partitions.find_leaders(self.client.cluster());
        let low_water = self.config.low_water();
        let mut plans: BTreeMap<i32, Plan> = BTreeMap::new();
        let mut takeable: u64 = 0;
        let mut wants_leader = false;
        for (slot, assigned) in self.partitions.iter() {
            let partition = &assigned.partition;
            if !assigned.paused && !assigned.suspended {
                takeable = takeable.saturating_add(assigned.buffered);
            }
            let Some(leader) = assigned.leader else {
                wants_leader |= assigned.needs_leader();
                continue;
            };
            let under_way = &self.fetches.under_way;
            let plan = plans.entry(leader.node).or_insert_with(|| Plan {
                is_busy: under_way.get(&leader.node).is_some_and(|it| !it.may_wait),
                ..Plan::default()
            });
            let Some(position) = assigned.fetchable_at().filter(|_| !plan.is_busy) else {
                continue;
            };
            if assigned.not_before > now {
                self.timers.set_no_later(Timer::Fetch, assigned.not_before);
                continue;
            }
            if assigned.buffered > low_water {
                plan.leaves_out = true;
                continue;
            }
            plan.has_data |= assigned.end.is_none_or(|end| position.offset < end);
            plan.may_wait &= assigned.end.is_none_or(|end| position.offset >= end);
            let asked = Asked {
                slot,
                epoch: assigned.epoch,
                position,
                leader_epoch: leader.epoch,
                served: assigned.served,
            };
            plan.asked
                .push((Arc::clone(&partition.topic), partition.partition, asked));
        }
        self.watch_leaders(now, wants_leader);
        let brokers = plans.len().max(1) as u64;
        let room = Room {
            share: (self.config.memory_budget / 2 / brokers).max(1),
            takeable,
        };
        for (node, plan) in plans {
            if plan.asked.is_empty() || (plan.leaves_out && !plan.has_data) {
                continue;
            }
            if self.fetches.under_way.contains_key(&node) && !self.hang_up_if_void(now, node) {
                continue;
            }
            match self.fetches.not_before.get(&node) {
                Some(at) if *at > now => self.timers.set_no_later(Timer::Fetch, *at),
                _ => self.fetch(now, node, plan, room),
            }
        }
    }

    /// Tells the brokers that their sessions are over, so that they have room for others'. Nobody waits for the answers, and a
    /// broker that does not hear of it gives the session up when it was not used for a while.
    // Kafka: AbstractFetch.prepareCloseFetchSessionRequests
    pub(super) fn end_sessions(&mut self, now: Instant) {
        for (node, step) in self.fetches.sessions.end() {
            // A broker reads the next request of a connection when it has answered the one before.
            let is_busy = self.fetches.under_way.contains_key(&node);
            let targets = match is_busy {
                true => [Target::Broker(node), Target::Fetch(node)],
                false => [Target::Fetch(node), Target::Broker(node)],
            };
            let Some(target) = targets
                .into_iter()
                .find(|target| self.client.is_ready(now, target))
            else {
                continue;
            };
            let request = request(&self.config, 0, false);
            let none = AskedTopics::default();
            let build = Box::new(move |version| fill(request.clone(), &none, &step, 0, version));
            let timeout = self.config.client.request_timeout;
            self.client
                .request_with(now, target, ApiKey::Fetch, build, timeout);
        }
    }

    /// What is remembered of a broker that is gone is of no use: it comes back as another process.
    pub(super) fn forget_gone_brokers(&mut self) {
        let cluster = self.client.cluster();
        self.fetches
            .sessions
            .retain(|node| cluster.broker(node).is_some());
    }

    /// Metadata that has no leader of a partition is asked for again and again, even if it has no error for it either.
    // Kafka: OffsetFetcher.resetPositionsIfNeeded, AbstractFetch.prepareFetchRequests, "requestUpdate"
    fn watch_leaders(&mut self, now: Instant, is_wanted: bool) {
        if !is_wanted {
            self.fetches.leader_wanted = None;
            return;
        }
        let pause = self.config.client.retry_backoff_max;
        let due = self.fetches.leader_wanted.get_or_insert(now + pause);
        if *due <= now {
            *due = now + pause;
            self.client.refresh_metadata(now);
        }
        if let Some(due) = self.fetches.leader_wanted {
            self.timers.set_no_later(Timer::Fetch, due);
        }
    }

    /// How many bytes one broker may be asked for; nothing while it has to wait for room.
    ///
    /// Half of the budget is for what is in flight and buffered, so that there is room to decompress the rest into. With
    /// nothing held at all a broker is asked in any case: its answer has at least one batch, however large. What paused
    /// partitions hold must not starve the others, as it may stay for long: when the caller has nothing else to take, a little
    /// is asked for beyond the budget. What the user keeps is another matter: when that fills the budget, nothing is asked for.
    ///
    /// What the caller may have consumed without a word is taken for consumed, or a broker could wait for a word that does not
    /// come; so that the bound holds if it is not consumed, as much of the budget is left out.
    fn reserve(&self, partitions: usize, room: Room) -> Option<u64> {
        let budget = self.config.memory_budget;
        let unreported = self.config.unreported();
        let usable = budget - unreported;
        let held = self.fetches.held;
        let per_partition = u64::try_from(self.config.max_partition_fetch_bytes).unwrap_or(0);
        let wanted = per_partition.saturating_mul(partitions as u64);
        let limit = u64::try_from(self.config.fetch_max_bytes).unwrap_or(0);
        let wanted = wanted.min(limit).min(room.share);
        let buffered = self.partitions.buffered().saturating_sub(unreported);
        let ahead = self.fetches.reserved().saturating_add(buffered);
        let used = ahead.saturating_add(held);
        let left = usable
            .saturating_sub(used)
            .min((usable / 2).saturating_sub(ahead));
        if used == 0 || wanted <= left {
            return Some(wanted);
        }
        if left > wanted / 2 {
            return Some(left);
        }
        if room.takeable > unreported || held >= budget {
            return None;
        }
        Some(wanted.min(left.max(per_partition.min(budget - held))))
    }

    /// Asks one broker, if the memory budget has room for the answer.
    fn fetch(&mut self, now: Instant, node: i32, plan: Plan, room: Room) {
        let Some(reserved) = self.reserve(plan.asked.len(), room) else {
            return;
        };
        self.fetches.not_before.remove(&node);
        let mut topics = AskedTopics::default();
        // The broker stops at the size limit, so those that brought nothing lately come first.
        // Kafka: SubscriptionState.movePartitionToEnd
        let mut all = plan.asked;
        all.sort_by_key(|(_, _, asked)| asked.served);
        let cluster = self.client.cluster();
        for (name, partition, asked) in all {
            topics.push(name, partition, asked, |name| {
                cluster.topic(name).and_then(|topic| topic.id)
            });
        }
        let step = self.fetches.sessions.step(node, &topics);
        let topics = Arc::new(topics);
        let request = request(&self.config, reserved, plan.leaves_out);
        let partition_max_bytes = self.config.max_partition_fetch_bytes.min(request.max_bytes);
        let (asked, taken) = (Arc::clone(&topics), step.clone());
        let build =
            Box::new(move |version| fill(request.clone(), &asked, &taken, partition_max_bytes, version));
        let timeout = self.config.client.request_timeout;
        let target = Target::Fetch(node);
        let request = self
            .client
            .request_with(now, target, ApiKey::Fetch, build, timeout);
        self.requests.insert(request, Purpose::Fetch { node });
        let under_way = UnderWay {
            request,
            asked: Known {
                topics,
                partition_max_bytes,
            },
            step,
            may_wait: plan.may_wait,
            reserved,
        };
        self.fetches.under_way.insert(node, under_way);
    }

    /// Takes the Fetch that is under way back if the broker may let it wait although nobody wants its answer any more: after a
    /// seek or a rebalance the first records are not to wait for `fetch.max.wait.ms`.
    fn hang_up_if_void(&mut self, now: Instant, node: i32) -> bool {
        let Some(under_way) = self.fetches.under_way.get(&node) else {
            return false;
        };
        let is_wanted = |asked: &Asked| {
            let assigned = self.partitions.get(asked.slot);
            assigned.is_some_and(|it| it.epoch == asked.epoch && !it.suspended)
        };
        if !under_way.may_wait || under_way.asked.topics.partitions().any(is_wanted) {
            return false;
        }
        let request = under_way.request;
        self.fetches.under_way.remove(&node);
        self.fetches.sessions.restart(node);
        self.requests.remove(&request);
        self.client.hang_up(now, request);
        true
    }
}
