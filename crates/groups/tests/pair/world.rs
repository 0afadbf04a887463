//! Members, one coordinator and the network between them, in one thread on one driven clock, by seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kohort_groups::assign::{GroupTopics, Shares, TopicLayout, by_name};
use kohort_groups::coordinator::{
    Action as BrokerAction, Client, Coordinator, CoordinatorConfig, CoordinatorRecord, Event as BrokerEvent,
    GroupRequest,
};
use kohort_groups::member::{
    Action, Computed, Event, Failure, Member, MemberConfig, MemberError, MemberRequest, MemberResponse,
    OfferedAssignor,
};
use kohort_groups::{Subscription, TopicPartition};
use kohort_machine::{Instant, Machine, Prng, Token};

use crate::translate;

pub(crate) const GROUP: &str = "g";
pub(crate) const SESSION: Duration = Duration::from_secs(10);
pub(crate) const REBALANCE: Duration = Duration::from_secs(20);
const WALL_MS: i64 = 1_700_000_000_000;

/// One process that consumes: a new one after each crash.
pub(crate) struct Process {
    pub(crate) member: Member,
    instance: Option<Arc<str>>,
    pub(crate) alive: bool,
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// Questions not answered yet.
    open: BTreeSet<Token>,
    /// What its connection has delivered last, each way: a connection keeps the order.
    last_up: Instant,
    last_down: Instant,
    pub(crate) began: u64,
    knows: GroupTopics,
    /// What it reads: its listener took it and was not asked to give it up.
    pub(crate) reads: BTreeSet<TopicPartition>,
}

/// How long partitions went unread that a living member gave up, until another one, or the same, took them.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    since: BTreeMap<TopicPartition, Instant>,
    pub(crate) ended: Vec<(TopicPartition, Duration)>,
}

/// What happens at a time.
enum Happening {
    Request(usize, Token, GroupRequest),
    Reply(usize, Token, Box<Result<MemberResponse, Failure>>),
    Told(usize, Event),
    Appended(Token),
}

/// How hard the world is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Requests of which one is lost, told as lost but late, or lost in its answer; none when 0.
    pub(crate) loses_one_in: u64,
    /// Listeners of which one takes longer than the rebalance may; none when 0.
    pub(crate) stalls_one_in: u64,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) prng: Prng,
    pub(crate) weather: Weather,
    pub(crate) processes: Vec<Process>,
    pub(crate) partitions: BTreeMap<Arc<str>, u32>,
    assignors: &'static [&'static str],
    coordinator: Coordinator,
    log: Vec<(i32, CoordinatorRecord)>,
    asked: BTreeMap<Token, (usize, Token)>,
    next: u64,
    happenings: BTreeMap<(Instant, u64), Happening>,
    /// Who owns what in each generation, by the id that the assignment goes by.
    owners: BTreeMap<i32, BTreeMap<TopicPartition, Arc<str>>>,
    pub(crate) pauses: Pauses,
    was_always_fair: bool,
    /// The assignment in force was made by an earlier life of its leader (KIP-814).
    pub(crate) is_assignment_old: bool,
    /// The next leader dies when it is to compute.
    pub(crate) kills_leader: bool,
}

impl World {
    pub(crate) fn new(seed: u64, assignors: &'static [&'static str], weather: Weather) -> Self {
        let mut config = CoordinatorConfig::default();
        config.initial_rebalance_delay_ms = 0;
        let mut world = Self {
            now: Instant::ZERO,
            prng: Prng::from_seed(seed),
            weather,
            processes: Vec::new(),
            partitions: BTreeMap::from([("t".into(), 6), ("u".into(), 3)]),
            assignors,
            coordinator: Coordinator::new(config, seed),
            log: Vec::new(),
            asked: BTreeMap::new(),
            next: 0,
            happenings: BTreeMap::new(),
            owners: BTreeMap::new(),
            pauses: Pauses::default(),
            was_always_fair: weather.loses_one_in == 0 && weather.stalls_one_in == 0,
            is_assignment_old: false,
            kills_leader: false,
        };
        world.load();
        world
    }

    pub(crate) fn generations(&self) -> usize {
        self.owners.len()
    }

    /// Starts a process; with the instance id of one that is gone, it takes its place.
    pub(crate) fn start(&mut self, instance: Option<Arc<str>>, topics: &[&str]) {
        self.start_with(instance, topics, self.assignors);
    }

    /// As [`World::start`], with assignors of its own.
    pub(crate) fn start_with(&mut self, instance: Option<Arc<str>>, topics: &[&str], assignors: &[&str]) {
        let offered = assignors.iter().map(|name| {
            let protocols = by_name(name).expect("a built-in one").protocols();
            OfferedAssignor::new(*name, protocols)
        });
        let config = MemberConfig {
            group_instance_id: instance.clone(),
            session_timeout: SESSION,
            rebalance_timeout: REBALANCE,
            heartbeat_interval: SESSION / 5,
            ..MemberConfig::new(GROUP, offered.collect())
        };
        let member = Member::new(config, self.prng.next_u64()).expect("valid settings");
        self.processes.push(Process {
            member,
            instance,
            alive: true,
            topics: BTreeSet::new(),
            open: BTreeSet::new(),
            last_up: self.now,
            last_down: self.now,
            began: 0,
            knows: GroupTopics::new(),
            reads: BTreeSet::new(),
        });
        self.subscribe(self.processes.len() - 1, topics);
    }

    pub(crate) fn subscribe(&mut self, index: usize, topics: &[&str]) {
        let topics: Vec<Arc<str>> = topics.iter().map(|topic| Arc::from(*topic)).collect();
        self.processes[index].topics = topics.iter().cloned().collect();
        let by_pattern = false;
        self.tell(index, Event::Subscribed { topics, by_pattern });
    }

    pub(crate) fn crash(&mut self, index: usize) {
        self.processes[index].alive = false;
    }

    pub(crate) fn alive(&self) -> Vec<usize> {
        (0..self.processes.len())
            .filter(|index| self.processes[*index].alive)
            .collect()
    }

    /// Another node takes the group over, with what is in the log.
    pub(crate) fn fail_over(&mut self) {
        let partition = self.coordinator.partition_of(GROUP);
        self.ask_coordinator(BrokerEvent::Unload { partition });
        self.load();
    }

    fn load(&mut self) {
        let partition = self.coordinator.partition_of(GROUP);
        let records = self.log.iter().map(|(_, record)| record.clone()).collect();
        self.ask_coordinator(BrokerEvent::Load { partition, records });
        let wall_ms = self.wall_ms();
        self.ask_coordinator(BrokerEvent::Loaded { partition, wall_ms });
    }

    fn wall_ms(&self) -> i64 {
        WALL_MS + self.now.as_millis() as i64
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.turn();
        }
        self.now = end;
    }

    fn next_at(&self) -> Option<Instant> {
        let members = self.processes.iter().filter(|process| process.alive);
        let deadlines = members.filter_map(|process| process.member.next_deadline());
        let deadlines = deadlines
            .chain(self.coordinator.next_deadline())
            .map(|deadline| deadline.at);
        deadlines
            .chain(self.happenings.keys().next().map(|(at, _)| *at))
            .min()
    }

    /// Everything that is due.
    fn turn(&mut self) {
        while let Some(entry) = self
            .happenings
            .first_entry()
            .filter(|entry| entry.key().0 <= self.now)
        {
            let happening = entry.remove();
            self.happen(happening);
        }
        self.coordinator.handle_timeout(self.now);
        self.drain_coordinator();
        for index in 0..self.processes.len() {
            if self.processes[index].alive {
                self.processes[index].member.handle_timeout(self.now);
                self.drain(index);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Request(index, token, request) => {
                let asked = Token(self.next);
                self.next += 1;
                self.asked.insert(asked, (index, token));
                let wall_ms = self.wall_ms();
                self.ask_coordinator(BrokerEvent::Request {
                    token: asked,
                    wall_ms,
                    client: Client {
                        id: "client".into(),
                        host: "/127.0.0.1".into(),
                    },
                    request: Box::new(request),
                });
            }
            Happening::Reply(index, token, result) => {
                let process = &mut self.processes[index];
                if process.open.remove(&token) {
                    let result = (*result).map(Box::new);
                    self.tell(index, Event::Reply { token, result });
                }
            }
            Happening::Told(index, event) => {
                if matches!(event, Event::Assigned { .. }) && self.processes[index].alive {
                    self.read(index);
                }
                self.tell(index, event);
            }
            Happening::Appended(token) => self.ask_coordinator(BrokerEvent::Appended {
                token,
                result: Ok(()),
            }),
        }
    }

    fn at(&mut self, at: Instant, happening: Happening) {
        self.happenings.insert((at, self.next), happening);
        self.next += 1;
    }

    fn soon(&mut self, below_ms: u64) -> Instant {
        self.now + Duration::from_millis(self.prng.below(below_ms))
    }

    fn ask_coordinator(&mut self, event: BrokerEvent) {
        self.coordinator.handle(self.now, event);
        self.drain_coordinator();
    }

    fn drain_coordinator(&mut self) {
        while let Some(action) = self.coordinator.poll_action() {
            match action {
                BrokerAction::Reply { token, response } => {
                    let Some((index, token)) = self.asked.remove(&token) else {
                        panic!("two answers");
                    };
                    if self.weather.loses_one_in > 0 && self.prng.chance(1, self.weather.loses_one_in) {
                        continue;
                    }
                    let at = self.soon(20).max(self.processes[index].last_down);
                    self.processes[index].last_down = at;
                    let result = Box::new(translate::response(*response));
                    self.at(at, Happening::Reply(index, token, result));
                }
                BrokerAction::Append {
                    token,
                    partition,
                    records,
                } => {
                    self.log
                        .extend(records.into_iter().map(|record| (partition, record)));
                    let at = self.soon(5);
                    self.at(at, Happening::Appended(token));
                }
                BrokerAction::Rebalanced { .. } => {}
            }
        }
    }

    pub(crate) fn tell(&mut self, index: usize, event: Event) {
        if self.processes[index].alive {
            self.processes[index].member.handle(self.now, event);
            self.drain(index);
        }
    }

    fn drain(&mut self, index: usize) {
        while let Some(action) = self.processes[index].member.poll_action() {
            self.perform(index, action);
        }
        self.tell_partitions(index);
    }

    /// The layouts of the topics that a member watches, when they are not what it knows.
    fn tell_partitions(&mut self, index: usize) {
        let process = &mut self.processes[index];
        let watched = process.member.watched_topics();
        let known = self
            .partitions
            .iter()
            .filter(|(topic, _)| watched.contains(*topic));
        let topics: GroupTopics = known
            .map(|(topic, count)| (topic.clone(), TopicLayout::new(*count)))
            .collect();
        if process.knows != topics {
            process.knows = topics.clone();
            self.tell(index, Event::Partitions { topics });
        }
    }

    pub(crate) fn tell_all_partitions(&mut self) {
        for index in self.alive() {
            self.tell_partitions(index);
        }
    }

    fn perform(&mut self, index: usize, action: Action) {
        match action {
            Action::Send {
                token,
                request,
                timeout,
            } => self.send(index, token, request, timeout),
            Action::Revoke { step, partitions } => {
                self.stop_reading(index, &partitions);
                self.listen(index, Event::Revoked { step });
            }
            Action::Lost { step, partitions } => {
                self.stop_reading(index, &partitions);
                self.listen(index, Event::Lost { step });
            }
            Action::Assign { step, assignment } => {
                self.check_owners(index, assignment.identity.generation, &assignment.all);
                self.listen(index, Event::Assigned { step });
            }
            Action::Compute {
                step,
                assignor,
                members,
                skip,
            } => {
                if std::mem::take(&mut self.kills_leader) {
                    return self.crash(index);
                }
                self.is_assignment_old = skip;
                let computed = self.compute(&assignor, &members, skip);
                let at = self.soon(30);
                let result = Ok(Box::new(computed));
                self.at(at, Happening::Told(index, Event::Computed { step, result }));
            }
            Action::Began { .. } => self.processes[index].began += 1,
            Action::PollExpired => {}
            Action::Failed { error } if matches!(*error, MemberError::FencedInstanceId { .. }) => {
                self.crash(index)
            }
            Action::Failed { error } => panic!("{error}"),
            Action::CoordinatorMoved | Action::Ended(_) | Action::Left { .. } => {}
        }
    }

    fn send(&mut self, index: usize, token: Token, request: MemberRequest, timeout: Duration) {
        self.processes[index].open.insert(token);
        let request = translate::request(request);
        let at = self.soon(20).max(self.processes[index].last_up);
        self.processes[index].last_up = at;
        let cut = self.weather.loses_one_in > 0 && self.prng.chance(1, self.weather.loses_one_in);
        if cut {
            // The connection breaks: the request is lost, or it is handled when the member has given it up.
            if self.prng.chance(1, 2) {
                let late = at + Duration::from_millis(self.prng.below(3_000));
                self.at(late, Happening::Request(index, token, request));
            }
            self.at(
                at,
                Happening::Reply(index, token, Box::new(Err(Failure::Disconnected))),
            );
            return;
        }
        self.at(at, Happening::Request(index, token, request));
        let gone = self.now + timeout;
        self.at(
            gone,
            Happening::Reply(index, token, Box::new(Err(Failure::TimedOut))),
        );
    }

    fn listen(&mut self, index: usize, done: Event) {
        let stalls = self.weather.stalls_one_in > 0 && self.prng.chance(1, self.weather.stalls_one_in);
        let at = self.soon(if stalls { 40_000 } else { 100 });
        self.at(at, Happening::Told(index, done));
    }

    fn compute(&self, assignor: &str, members: &BTreeMap<String, Subscription>, skip: bool) -> Computed {
        let topics: BTreeSet<&Arc<str>> = members.values().flat_map(|member| &member.topics).collect();
        let known = self.partitions.iter().filter(|(topic, _)| topics.contains(topic));
        let topics = known
            .map(|(topic, count)| (topic.clone(), TopicLayout::new(*count)))
            .collect();
        if skip {
            return Computed::of(Shares::new(), topics);
        }
        let assignments = by_name(assignor)
            .expect("a built-in one")
            .assign(&topics, members)
            .expect("it never fails");
        Computed::of(assignments, topics)
    }

    /// A member goes on with all that it owns.
    fn read(&mut self, index: usize) {
        // What was lost while the listener ran is not read.
        if self.processes[index].member.generation().is_none() {
            return;
        }
        let owned = self.processes[index].member.owned().clone();
        for partition in owned.difference(&self.processes[index].reads) {
            if let Some(since) = self.pauses.since.remove(partition) {
                self.pauses.ended.push((partition.clone(), self.now - since));
            }
            self.check_readers(index, partition);
        }
        self.processes[index].reads = owned;
    }

    fn stop_reading(&mut self, index: usize, partitions: &[TopicPartition]) {
        for partition in partitions {
            if self.processes[index].reads.remove(partition) {
                self.pauses.since.insert(partition.clone(), self.now);
            }
        }
    }

    /// In a world in which nobody is taken for dead, nobody begins to read what another member reads.
    fn check_readers(&self, index: usize, partition: &TopicPartition) {
        if !self.was_always_fair || self.is_replaced(index) {
            return;
        }
        for (other, process) in self.processes.iter().enumerate() {
            let is_in_group =
                process.alive && process.member.generation().is_some() && !self.is_replaced(other);
            assert!(
                other == index || !is_in_group || !process.reads.contains(partition),
                "{partition} is read by two"
            );
        }
    }

    /// Whether another process took its instance id over, of which it hears in its next heartbeat.
    fn is_replaced(&self, index: usize) -> bool {
        let instance = &self.processes[index].instance;
        let mut later = self.processes.iter().skip(index + 1);
        instance.is_some() && later.any(|process| process.instance == *instance)
    }

    /// Within one generation no partition has two owners; a static member that comes back under its instance id is one.
    fn check_owners(&mut self, index: usize, generation: i32, all: &[TopicPartition]) {
        let process = &self.processes[index];
        let id = process.instance.clone().or(process.member.member_id().cloned());
        let id = id.expect("an assignment goes to a member");
        let owners = self.owners.entry(generation).or_default();
        for partition in all {
            let owner = owners.entry(partition.clone()).or_insert_with(|| id.clone());
            assert_eq!(*owner, id, "two owners of {partition} in generation {generation}");
        }
    }
}
