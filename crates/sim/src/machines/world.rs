//! The world of one seed: members, producers, the broker, the network between them, and one clock. Everything happens in one thread
//! and in one order; what goes wrong is in [`super::faults`].

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kohort_engine::client::{NetAction, NetEvent};
use kohort_engine::consumer::Event as MemberEvent;
use kohort_engine::producer::ProducerEvent;
use kohort_groups::TopicPartition;
use kohort_machine::{Instant, Prng, Token};
use kohort_node::log::DiskTask;
use kohort_node::{Action as NodeAction, ConnId, Control, Event as NodeEvent};
use kohort_protocol::{ApiKey, RequestBody, ResponseBody, Uuid, frame};

use super::application::Around;
use super::broker::{PORT, Process};
use super::faults::Faults;
use super::member::Member;
use super::network::{Arrival, Client, Network};
use super::producer::Producer;
use super::schedule::Schedule;
use super::tamper::Tamper;
use crate::ledger::{CommitRequest, Ledger};
use crate::mutants::Mutant;
use crate::plan::Plan;
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
    pub(super) broker: Process,
    pub(super) network: Network,
    pub(super) arrivals: Schedule<Arrival>,
    pub(super) happenings: Schedule<Happening>,
    pub(super) members: BTreeMap<usize, Member>,
    pub(super) producers: BTreeMap<usize, Producer>,
    pub(super) partitions: BTreeMap<Arc<str>, i32>,
    pub(super) faults: Faults,
    topic_ids: BTreeMap<[u8; 16], Arc<str>>,
    pub(super) issued_members: usize,
    pub(super) issued_ids: u64,
    pub(super) steps: u64,
    frozen: Vec<(usize, Arrival)>,
    /// What the commit that the broker works on for a connection would store.
    commits_in_work: BTreeMap<ConnId, Vec<(TopicPartition, i64)>>,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, mutant: Option<Mutant>, story: Story) -> Self {
        let mut prng = Prng::from_seed(seed);
        let topics = plan.topics.iter().map(|(name, count)| (Arc::from(*name), *count));
        let mut world = Self {
            now: Instant::ZERO,
            network: Network::new(prng.next_u64(), plan.delay),
            broker: Process::new(&plan, prng.next_u64(), mutant),
            tamper: Tamper::new(mutant, prng.next_u64()),
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
            topic_ids: BTreeMap::new(),
            issued_members: 0,
            issued_ids: 0,
            steps: 0,
            frozen: Vec::new(),
            commits_in_work: BTreeMap::new(),
        };
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
                self.topic_ids.insert(id.0, topic);
            }
        }
        for slot in 0..self.plan.slots {
            let at = self.now + Duration::from_millis(self.prng.below(3_000));
            self.happenings.push(at, Happening::MemberStarts(slot));
        }
        for no in 0..2 {
            self.start_producer(no);
        }
        let at = self.now + Duration::from_secs(3);
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

    fn perform(&mut self, client: Client, action: NetAction) {
        match action {
            NetAction::Connect { link, port, .. } => {
                let broker = i32::from(port.saturating_sub(PORT));
                self.network
                    .connect(self.now, &mut self.arrivals, client, link, broker);
            }
            NetAction::Send { link, segments } => {
                let Some(conn) = self.network.conn_of(client, link) else {
                    return;
                };
                let frame = whole(segments);
                self.network
                    .send_up(self.now, &mut self.arrivals, conn, Arrival::Up(conn, frame));
            }
            NetAction::Disconnect { link } => {
                if let Some(conn) = self.network.conn_of(client, link) {
                    if let Some(connection) = self.network.get_mut(conn) {
                        connection.is_open_at_client = false;
                    }
                    self.network
                        .send_up(self.now, &mut self.arrivals, conn, Arrival::ClientGone(conn));
                }
            }
            NetAction::Warn { message } => self
                .story
                .note(self.now, || format!("{client:?} warns: {message}")),
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Knock(conn) => self.knock(conn),
            Arrival::Up(conn, frame) => {
                if self.network.passes_up(conn)
                    && let Some(connection) = self.network.get_mut(conn)
                {
                    match connection.is_open_at_broker {
                        true => {
                            connection.inbox.push_back(frame);
                            self.serve(conn);
                        }
                        false => self.network.send_down(
                            self.now,
                            &mut self.arrivals,
                            conn,
                            Arrival::BrokerGone(conn),
                        ),
                    }
                }
            }
            Arrival::ClientGone(conn) => {
                if let Some(connection) = self.network.get_mut(conn)
                    && core::mem::take(&mut connection.is_open_at_broker)
                {
                    self.broker
                        .handle(self.now, NodeEvent::Disconnected { conn }, &mut self.ledger);
                    self.drain_broker();
                }
                self.network.forget(conn);
            }
            Arrival::Stands(conn)
            | Arrival::Refused(conn)
            | Arrival::Down(conn, _)
            | Arrival::BrokerGone(conn) => {
                self.arrive_at_client(conn, arrival);
            }
        }
    }

    fn knock(&mut self, conn: ConnId) {
        if !self.network.passes_up(conn) {
            return;
        }
        let Some(connection) = self.network.get_mut(conn) else {
            return;
        };
        let answer = match self.broker.is_up() {
            true => {
                connection.is_open_at_broker = true;
                let (broker, peer) = (connection.broker, Arc::from("/sim"));
                let event = NodeEvent::Connected { conn, broker, peer };
                self.broker.handle(self.now, event, &mut self.ledger);
                Arrival::Stands(conn)
            }
            false => Arrival::Refused(conn),
        };
        self.network.send_down(self.now, &mut self.arrivals, conn, answer);
        self.drain_broker();
    }

    fn arrive_at_client(&mut self, conn: ConnId, arrival: Arrival) {
        let is_end = matches!(arrival, Arrival::BrokerGone(_) | Arrival::Refused(_));
        let Some(connection) = self.network.get_mut(conn) else {
            return;
        };
        let (client, link) = (connection.client, connection.link);
        if let Client::Member(no) = client
            && let Some(member) = self.members.get(&no)
            && member.is_frozen(self.now)
        {
            self.frozen.push((no, arrival));
            return;
        }
        if is_end {
            if !core::mem::take(&mut connection.is_open_at_client) {
                return;
            }
        } else if !self.network.passes_down(conn) {
            return;
        }
        let reason = || "the connection ended".to_owned();
        let event = match arrival {
            Arrival::Stands(_) => NetEvent::Connected { link },
            Arrival::Refused(_) => NetEvent::ConnectFailed {
                link,
                reason: reason(),
            },
            Arrival::Down(_, frame) => NetEvent::Received { link, frame },
            _ => NetEvent::Disconnected {
                link,
                reason: reason(),
            },
        };
        self.network.forget(conn);
        match client {
            Client::Member(no) => {
                if let Some(member) = self.members.get_mut(&no) {
                    member.tell(self.now, MemberEvent::Net(event));
                    self.drain_member(no);
                }
            }
            Client::Producer(no) => {
                if let Some(producer) = self.producers.get_mut(&no) {
                    producer.handle(self.now, ProducerEvent::Net(event));
                    self.drain_producer(no);
                }
            }
        }
    }

    /// What came for a process while it stood still.
    pub(super) fn thaw(&mut self, no: usize) {
        let (own, others) = core::mem::take(&mut self.frozen)
            .into_iter()
            .partition(|(frozen, _)| *frozen == no);
        self.frozen = others;
        for (_, arrival) in own {
            self.arrivals.push(self.now, arrival);
        }
        self.happenings.push(self.now, Happening::Wake(no));
    }

    /// Gives the broker the next request of a connection, unless it works on one.
    fn serve(&mut self, conn: ConnId) {
        let Some(connection) = self.network.get_mut(conn) else {
            return;
        };
        if connection.in_work.is_some() {
            return;
        }
        let Some(frame) = connection.inbox.pop_front() else {
            return;
        };
        let peeked = frame::peek_request(&frame).ok();
        connection.in_work = peeked;
        let api = peeked.and_then(|peeked| ApiKey::from_i16(peeked.key));
        let bytes = match api.filter(|api| self.tamper.reads_request(*api)) {
            Some(_) => self.pass_request(conn, frame),
            None => frame,
        };
        let wall_ms = Process::wall_ms(self.now);
        self.broker.handle(
            self.now,
            NodeEvent::Frame { conn, bytes, wall_ms },
            &mut self.ledger,
        );
        self.drain_broker();
    }

    /// A topic's name, which newer messages tell by its id.
    fn name_of(&self, name: &str, id: Uuid) -> Arc<str> {
        let known = self.topic_ids.get(&id.0).filter(|_| name.is_empty());
        known.map_or_else(|| Arc::from(name), Arc::clone)
    }

    /// Reads a request for the ledger and the mutant.
    fn pass_request(&mut self, conn: ConnId, bytes: Bytes) -> Bytes {
        let Ok((header, body)) = frame::decode_request(bytes.clone()) else {
            return bytes;
        };
        if let RequestBody::OffsetCommit(commit) = &body {
            let each = commit.topics.iter().flat_map(|topic| {
                let name = self.name_of(&topic.name, topic.topic_id);
                let each = topic.partitions.iter();
                each.map(move |it| {
                    (
                        TopicPartition::new(Arc::clone(&name), it.partition_index),
                        it.committed_offset,
                    )
                })
            });
            let request = CommitRequest {
                member_id: commit.member_id.clone(),
                generation: commit.generation_id_or_member_epoch,
                offsets: each.collect(),
            };
            self.story.note(self.now, || {
                let each = request.offsets.iter();
                let each: Vec<String> = each
                    .map(|(partition, offset)| format!("{partition}@{offset}"))
                    .collect();
                format!(
                    "broker: commit in {} of {}: {}",
                    request.generation,
                    request.member_id,
                    each.join(" ")
                )
            });
            self.commits_in_work.insert(conn, request.offsets.clone());
            self.ledger.commit_requested(request);
        }
        if self.tamper.mutant.is_none() {
            return bytes;
        }
        let version = header.request_api_version;
        let body = self.tamper.request(&self.ledger, body);
        match frame::encode_request(&header, version, &body) {
            Ok(frame) => frame.freeze().slice(4..),
            Err(_) => bytes,
        }
    }

    pub(super) fn drain_broker(&mut self) {
        while let Some(action) = self.broker.poll_action() {
            match action {
                NodeAction::Write { conn, .. } if self.faults.note_reply(conn) => {}
                NodeAction::Write { conn, segments } => {
                    let reply = self.pass_reply(conn, whole(segments));
                    self.network
                        .send_down(self.now, &mut self.arrivals, conn, Arrival::Down(conn, reply));
                    self.serve(conn);
                }
                NodeAction::Ready { conn } => {
                    if let Some(connection) = self.network.get_mut(conn) {
                        connection.in_work = None;
                    }
                    self.serve(conn);
                }
                NodeAction::Close { conn, .. } => {
                    if let Some(connection) = self.network.get_mut(conn) {
                        connection.is_open_at_broker = false;
                    }
                    self.network
                        .send_down(self.now, &mut self.arrivals, conn, Arrival::BrokerGone(conn));
                }
                NodeAction::Disk { token, task } => {
                    let nanos = u64::try_from(self.plan.sync.as_nanos()).unwrap_or(0);
                    let at = self.now + Duration::from_nanos(self.prng.below(nanos + 1));
                    let life = self.broker.life;
                    self.happenings
                        .push(at, Happening::DiskDone { life, token, task });
                }
                NodeAction::Log(line) => self.story.note(self.now, || format!("broker: {}", line.message)),
                NodeAction::Controlled { .. } => {}
            }
        }
    }

    /// Reads a reply for the ledger and the mutant.
    fn pass_reply(&mut self, conn: ConnId, bytes: Bytes) -> Bytes {
        let Some(connection) = self.network.get_mut(conn) else {
            return bytes;
        };
        let client = connection.client;
        let Some(asked) = connection.in_work.take() else {
            return bytes;
        };
        let Some(api) = ApiKey::from_i16(asked.key) else {
            return bytes;
        };
        if api != ApiKey::OffsetCommit && !self.tamper.reads_reply(api) {
            return bytes;
        }
        let Ok((correlation, body)) = frame::decode_response(bytes.clone(), api, asked.version) else {
            return bytes;
        };
        if let ResponseBody::OffsetCommit(commit) = &body {
            let asked = self.commits_in_work.remove(&conn).unwrap_or_default();
            let refused = |partition: &TopicPartition| {
                let is_its = |name: &str, id| *self.name_of(name, id) == *partition.topic;
                let topics = commit
                    .topics
                    .iter()
                    .filter(|topic| is_its(&topic.name, topic.topic_id));
                let mut each = topics.flat_map(|topic| &topic.partitions);
                each.any(|it| it.partition_index == partition.partition && it.error_code != 0)
            };
            let stored: Vec<_> = asked
                .into_iter()
                .filter(|(partition, _)| !refused(partition))
                .collect();
            self.ledger.commit_acknowledged(stored);
        }
        if !self.tamper.reads_reply(api) {
            return bytes;
        }
        let body = self.tamper.reply(client, conn, api, body);
        match frame::encode_response(correlation, asked.version, &body) {
            Ok(frame) => frame.freeze().slice(4..),
            Err(_) => bytes,
        }
    }
}

/// One frame without its length.
fn whole(segments: Vec<Bytes>) -> Bytes {
    let mut frame = BytesMut::new();
    for segment in segments {
        frame.extend_from_slice(&segment);
    }
    let frame = frame.freeze();
    frame.slice(4.min(frame.len())..)
}
