//! The world of one seed: members, producers, the broker, the network between them, and one clock. Everything happens in one thread
//! and in one order; what goes wrong is in [`super::faults`], what goes over the network in [`super::traffic`].

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use kohort_groups::TopicPartition;
use kohort_machine::{Instant, Prng, Token};
use kohort_node::log::DiskTask;
use kohort_node::{Control, Event as NodeEvent};
use kohort_protocol::ApiKey;

use super::application::Around;
use super::broker::Process;
use super::faults::Faults;
use super::member::Member;
use super::network::{Arrival, Client, Network};
use super::producer::Producer;
use super::schedule::Schedule;
use super::tamper::Tamper;
use crate::ledger::Ledger;
use crate::messages::Messages;
use crate::mutants::Mutant;
use crate::plan::{Plan, Weather};
use crate::story::Story;

/// What happens beside the network.
#[derive(Debug)]
pub(super) enum Happening {
    /// A member's application has mail.
    Wake(usize),
    /// A disk has done its work for a process in this life.
    DiskDone { life: u64, token: Token, task: DiskTask },
    /// The broker's process starts.
    BrokerStarts,
    /// One of the brokers that the node plays starts again.
    HostStarts(i32),
    /// A process starts in a slot.
    MemberStarts(usize),
    /// A process that stood still goes on.
    MemberThaws(usize),
    /// The outside does something.
    Disturbance,
}

pub(crate) struct World {
    pub(super) now: Instant,
    pub(super) plan: Plan,
    pub(super) prng: Prng,
    pub(super) ledger: Ledger,
    pub(super) story: Story,
    pub(super) tamper: Tamper,
    pub(super) messages: Messages,
    pub(super) broker: Process,
    pub(super) network: Network,
    pub(super) arrivals: Schedule<Arrival>,
    pub(super) happenings: Schedule<Happening>,
    pub(super) members: BTreeMap<usize, Member>,
    pub(super) producers: BTreeMap<usize, Producer>,
    pub(super) partitions: BTreeMap<Arc<str>, i32>,
    pub(super) faults: Faults,
    pub(super) issued_members: usize,
    pub(super) issued_ids: u64,
    pub(super) steps: u64,
    pub(super) frozen: Vec<(usize, Arrival)>,
    /// The requests that the broker got since the group is watched at rest.
    pub(super) watched: Option<BTreeMap<ApiKey, u64>>,
    /// The brokers' machine loses power when the next write waits for its sync: the seed of what is left.
    pub(super) power_fails: Option<u64>,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, mutant: Option<Mutant>, story: Story) -> Self {
        let mut prng = Prng::from_seed(seed);
        let topics = plan.topics.iter().map(|(name, count)| (Arc::from(*name), *count));
        let mut world = Self {
            now: Instant::ZERO,
            network: Network::new(prng.next_u64(), plan.delay),
            broker: Process::new(&plan, prng.next_u64(), mutant),
            tamper: Tamper::new(mutant),
            messages: Messages::new(mutant, prng.next_u64()),
            partitions: topics.collect(),
            plan,
            prng,
            ledger: Ledger::default(),
            story,
            arrivals: Schedule::new(),
            happenings: Schedule::new(),
            members: BTreeMap::new(),
            producers: BTreeMap::new(),
            faults: Faults::default(),
            issued_members: 0,
            issued_ids: 0,
            steps: 0,
            frozen: Vec::new(),
            watched: None,
            power_fails: None,
        };
        if world.plan.weather == Weather::Fair {
            world.ledger.measure_reading(world.plan.reading_bound());
        }
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.broker.start(self.now, &mut self.ledger);
        self.drain_broker();
        for (topic, partitions) in self.partitions.clone() {
            let name = topic.to_string();
            let config = Vec::new();
            self.control(Control::CreateTopic {
                name,
                partitions,
                config,
            });
            if let Some(id) = self.broker.topic_id(&topic) {
                self.messages.learn(id.0, topic);
            }
        }
        for slot in 0..self.plan.slots {
            let at = self.now + Duration::from_millis(self.prng.below(1_500));
            self.happenings.push(at, Happening::MemberStarts(slot));
        }
        for no in 0..2 {
            self.start_producer(no);
        }
        let at = self.now + Duration::from_secs(1);
        self.happenings.push(at, Happening::Disturbance);
    }

    pub(super) fn start_producer(&mut self, no: usize) {
        let producer = Producer::new(&self.plan, no, self.prng.next_u64(), self.now);
        self.producers.insert(no, producer);
    }

    pub(super) fn all_partitions(&self) -> Vec<TopicPartition> {
        let each = self.partitions.iter();
        each.flat_map(|(topic, count)| {
            (0..*count).map(|number| TopicPartition::new(Arc::clone(topic), number))
        })
        .collect()
    }

    pub(super) fn control(&mut self, control: Control) {
        let token = self.broker.token();
        let control = Box::new(control);
        self.broker
            .handle(self.now, NodeEvent::Control { token, control }, &mut self.ledger);
        self.drain_broker();
    }

    /// Runs for so long, or until an invariant breaks.
    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Runs until this time, or until an invariant breaks.
    pub(crate) fn run_until(&mut self, end: Instant) {
        while self.ledger.violations().is_empty() {
            let Some(next) = self.next_at().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.steps += 1;
            self.step();
        }
        self.now = self.now.max(end);
    }

    fn next_at(&self) -> Option<Instant> {
        let members = self.members.values().filter_map(Member::next_at);
        let producers = self.producers.values().filter_map(Producer::next_at);
        let others = [
            self.arrivals.next_at(),
            self.happenings.next_at(),
            self.broker.next_at(),
        ];
        members.chain(producers).chain(others.into_iter().flatten()).min()
    }

    fn step(&mut self) {
        if let Some(arrival) = self.arrivals.pop_due(self.now) {
            return self.arrive(arrival);
        }
        if let Some(happening) = self.happenings.pop_due(self.now) {
            return self.happen(happening);
        }
        if self.broker.next_at().is_some_and(|at| at <= self.now) {
            self.broker.handle_timeout(self.now, &mut self.ledger);
            return self.drain_broker();
        }
        let is_due = |at: Option<Instant>, now| at.is_some_and(|at| at <= now);
        let member = self
            .members
            .iter()
            .find(|(_, member)| is_due(member.next_at(), self.now));
        if let Some(no) = member.map(|(no, _)| *no) {
            if let Some(member) = self.members.get_mut(&no) {
                member.handle_timeout(self.now);
            }
            return self.act(no);
        }
        let producer = self
            .producers
            .iter()
            .find(|(_, producer)| is_due(producer.next_at(), self.now));
        if let Some(no) = producer.map(|(no, _)| *no) {
            let partitions = self.all_partitions();
            if let Some(producer) = self.producers.get_mut(&no) {
                producer.act(self.now, &partitions, &mut self.issued_ids);
            }
            self.drain_producer(no);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake(no) => self.act(no),
            Happening::DiskDone { life, token, task } => {
                if life == self.broker.life && self.broker.is_up() {
                    let result = self.broker.carry_out(&task);
                    self.broker
                        .handle(self.now, NodeEvent::DiskDone { token, result }, &mut self.ledger);
                    self.drain_broker();
                }
            }
            Happening::BrokerStarts => self.start_broker(),
            Happening::HostStarts(broker) => {
                self.story.note(self.now, || format!("broker {broker} starts"));
                self.control(Control::Start { broker });
            }
            Happening::MemberStarts(slot) => self.start_member(slot),
            Happening::MemberThaws(no) => self.member_thaws(no),
            Happening::Disturbance => self.disturb(),
        }
    }

    /// Lets a member's application do what it can.
    pub(super) fn act(&mut self, no: usize) {
        if let Some(member) = self.members.get_mut(&no) {
            if member.is_frozen(self.now) {
                return;
            }
            let mut around = Around {
                now: self.now,
                prng: &mut self.prng,
                ledger: &mut self.ledger,
                story: &mut self.story,
                tamper: &mut self.tamper,
            };
            member.act(&mut around);
            if member.is_gone() {
                return self.end_member(no);
            }
        }
        self.drain_member(no);
    }

    pub(super) fn drain_member(&mut self, no: usize) {
        let Some(mut member) = self.members.remove(&no) else {
            return;
        };
        while let Some(action) = member.poll_net(self.now, &self.tamper, &mut self.ledger) {
            self.perform(Client::Member(no), action);
        }
        if member.wakes() {
            // The application runs on a task of its own.
            let late = match self.prng.chance(1, 4) {
                true => self.prng.below(4_000),
                false => 20,
            };
            let at = self.now + Duration::from_micros(late);
            self.happenings.push(at, Happening::Wake(no));
        }
        self.members.insert(no, member);
    }

    pub(super) fn drain_producer(&mut self, no: usize) {
        let Some(mut producer) = self.producers.remove(&no) else {
            return;
        };
        while let Some(action) = producer.poll_net(&mut self.ledger) {
            self.perform(Client::Producer(no), action);
        }
        self.producers.insert(no, producer);
    }
}
