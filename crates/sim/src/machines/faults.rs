//! What goes wrong: the outside does one thing to the world, chosen by the seed, and at the end it lets everything come to rest.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kohort_node::{ConnId, Control, Event as NodeEvent, Fault, FaultRule};
use kohort_protocol::messages::create_partitions::CreatePartitionsTopic;
use kohort_protocol::messages::{CreatePartitionsRequest, RequestHeader};
use kohort_protocol::{ApiKey, ErrorCode, frame};

use super::network::{Arrival, Cut};
use super::world::{Happening, World};
use crate::plan::Weather;

/// The connection over which the outside speaks to the broker.
const OUTSIDE: ConnId = ConnId(u64::MAX);

/// How often each thing went wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    counts: BTreeMap<&'static str, u64>,
    pub(super) is_over: bool,
    /// Nobody takes this place any more.
    pub(super) lost_slot: Option<usize>,
    /// The next commit of this member arrives late.
    late_commit: Option<usize>,
    /// The broker has answered the outside.
    is_answered: bool,
}

impl Faults {
    /// A reply came to this connection; whether it is the outside's.
    pub(super) fn note_reply(&mut self, conn: ConnId) -> bool {
        self.is_answered |= conn == OUTSIDE;
        conn == OUTSIDE
    }

    pub(crate) fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }
}

impl World {
    pub(super) fn any(&mut self, of: &[usize]) -> Option<usize> {
        let chosen = usize::try_from(self.prng.below(of.len() as u64)).unwrap_or(0);
        of.get(chosen).copied()
    }

    fn any_connection(&mut self) -> Option<ConnId> {
        let open = self.network.open();
        let chosen = usize::try_from(self.prng.below(open.len() as u64)).unwrap_or(0);
        open.get(chosen).copied()
    }

    pub(super) fn count(&mut self, what: &'static str, detail: impl FnOnce() -> String) {
        *self.faults.counts.entry(what).or_default() += 1;
        self.story.note(self.now, || format!("** {what} {}", detail()));
    }

    /// One thing goes wrong, and the next is arranged.
    pub(super) fn disturb(&mut self) {
        if self.faults.is_over {
            return;
        }
        let is_settled = self.is_settled();
        let mean = u64::try_from(self.plan.calm_between.as_millis()).unwrap_or(1_000);
        let most = if is_settled { mean } else { 2 * mean };
        let pause = Duration::from_millis(self.prng.below(most));
        self.happenings.push(self.now + pause, Happening::Disturbance);
        let members: Vec<usize> = self.members.keys().copied().collect();
        // A group at rest is to do something, so that rebalances are many; the others find it in any state.
        let kind = match is_settled && self.prng.chance(2, 3) {
            true => 1 + self.prng.below(6),
            false => self.prng.below(20),
        };
        match kind {
            kind @ 0..=7 => self.disturb_member(kind, &members),
            8 => self.grow_topic(),
            // Rebalances last: what is not part of them goes on all the while.
            _ if self.plan.weather == Weather::Fair => self.disturb_member(7, &members),
            9..=12 => self.disturb_network(),
            13 => {
                if let Some(no) = self.any(&members) {
                    self.faults.late_commit = Some(no);
                }
            }
            14 => self.freeze(&members),
            15 | 16 => self.refuse_requests(),
            17 => self.move_leader(),
            18 => self.stop_host(),
            _ => self.stop_broker(),
        }
    }

    fn disturb_member(&mut self, kind: u64, members: &[usize]) {
        let Some(no) = self.any(members) else { return };
        match kind {
            0 | 1 => {
                self.count("crash", || format!("m{no}"));
                self.crash_member(no);
            }
            2..=4 => {
                self.count("close", || format!("m{no}"));
                self.ask_to_close(no);
            }
            5 | 6 if self.plan.is_static => {}
            5 | 6 => {
                let topics = self.some_topics();
                self.count("other subscription", || format!("m{no}"));
                if let Some(member) = self.members.get_mut(&no) {
                    member.subscribe_next = Some(topics);
                }
                self.happenings.push(self.now, Happening::Wake(no));
            }
            _ => {
                let takes = self.plan.slow_poll(&mut self.prng);
                self.count("slow poll", || format!("m{no} {takes:?}"));
                if let Some(member) = self.members.get_mut(&no) {
                    member.slow = Some(takes);
                }
            }
        }
    }

    fn freeze(&mut self, members: &[usize]) {
        let Some(no) = self.any(members) else { return };
        let takes = Duration::from_millis(200 + self.prng.below(5_000));
        self.count("freeze", || format!("m{no} {takes:?}"));
        let until = self.now + takes;
        if let Some(member) = self.members.get_mut(&no) {
            member.frozen_until = until;
        }
        self.happenings.push(until, Happening::MemberThaws(no));
    }

    fn disturb_network(&mut self) {
        let Some(conn) = self.any_connection() else { return };
        let client = self.network.get(conn).map(|it| it.client);
        let cut = match self.prng.below(6) {
            0 => ("cut before the broker acted", Cut::BeforeTheBrokerActed),
            1 => ("cut after the broker acted", Cut::AfterTheBrokerActed),
            2 => ("cut, requests arrive late", Cut::LateRequests),
            3 => ("half-open", Cut::HalfOpen),
            _ => {
                let by = Duration::from_millis(20 + self.prng.below(2_000));
                let until = self.now + Duration::from_millis(self.prng.below(2_000));
                self.count("slow connection", || format!("{client:?} {by:?}"));
                return self.network.slow_down(conn, by, until);
            }
        };
        self.count(cut.0, || format!("{client:?}"));
        self.network.cut(self.now, &mut self.arrivals, conn, cut.1);
    }

    /// A member sends a commit: it may be the one that arrives after the next connection's requests, and after a rebalance.
    pub(super) fn commit_leaves(&mut self, no: usize, conn: ConnId) {
        if self.faults.is_over || self.faults.late_commit != Some(no) {
            return;
        }
        self.faults.late_commit = None;
        let late = Duration::from_millis(800 + self.prng.below(2_500));
        self.count("commit arrives late", || format!("of m{no} by {late:?}"));
        self.network.cut_late(self.now, &mut self.arrivals, conn, late);
        let others: Vec<usize> = self
            .members
            .keys()
            .copied()
            .filter(|other| *other != no)
            .collect();
        if let Some(other) = self.any(&others) {
            self.ask_to_close(other);
        }
    }

    fn ask_to_close(&mut self, no: usize) {
        if let Some(member) = self.members.get_mut(&no) {
            member.wants_to_close = true;
        }
        self.happenings.push(self.now, Happening::Wake(no));
    }

    fn refuse_requests(&mut self) {
        const APIS: &[ApiKey] = &[
            ApiKey::JoinGroup,
            ApiKey::SyncGroup,
            ApiKey::Heartbeat,
            ApiKey::OffsetCommit,
            ApiKey::OffsetFetch,
            ApiKey::Fetch,
            ApiKey::FindCoordinator,
        ];
        let chosen = usize::try_from(self.prng.below(APIS.len() as u64)).unwrap_or(0);
        let Some(api) = APIS.get(chosen).copied() else {
            return;
        };
        let fault = match (self.prng.below(4), api) {
            (0, _) => Fault::Delay(Duration::from_millis(self.prng.below(1_500))),
            (_, ApiKey::Fetch) => Fault::Fail(ErrorCode::NotLeaderOrFollower),
            (_, ApiKey::FindCoordinator) => Fault::Fail(ErrorCode::CoordinatorNotAvailable),
            (1, _) => Fault::Fail(ErrorCode::NotCoordinator),
            (2, _) => Fault::Fail(ErrorCode::CoordinatorLoadInProgress),
            _ => Fault::Fail(ErrorCode::CoordinatorNotAvailable),
        };
        let times = 1 + u32::try_from(self.prng.below(3)).unwrap_or(0);
        self.count("refused requests", || format!("{api} {fault:?} {times} times"));
        self.control(Control::Inject(FaultRule {
            api: Some(api),
            skip: 0,
            times,
            fault,
        }));
    }

    fn move_leader(&mut self) {
        let broker = i32::try_from(self.prng.below(u64::from(self.plan.brokers))).unwrap_or(0);
        let (topic, count) = match self.prng.below(3) {
            0 => ("t".to_owned(), self.partitions.get("t").copied().unwrap_or(1)),
            _ => ("__consumer_offsets".to_owned(), 3),
        };
        let partition = i32::try_from(self.prng.below(u64::try_from(count).unwrap_or(1))).unwrap_or(0);
        self.count("leader moved", || {
            format!("{topic}-{partition} to broker {broker}")
        });
        self.control(Control::MoveLeader {
            topic,
            partition,
            broker,
        });
    }

    /// One of the brokers stops; what it led is back with it.
    fn stop_host(&mut self) {
        let broker = i32::try_from(self.prng.below(u64::from(self.plan.brokers))).unwrap_or(0);
        self.count("broker stopped", || format!("{broker}"));
        self.control(Control::Stop { broker });
        let at = self.now + Duration::from_millis(self.prng.below(1_500));
        self.happenings.push(at, Happening::HostStarts(broker));
    }

    /// The process of all brokers dies, and starts again.
    fn stop_broker(&mut self) {
        if !self.broker.is_up() {
            return;
        }
        let power = (self.plan.is_synced && self.prng.chance(2, 3)).then(|| self.prng.next_u64());
        match power {
            Some(_) if self.prng.chance(2, 3) => {
                self.count("power lost in a write", String::new);
                self.power_fails = power;
            }
            Some(_) => {
                self.count("power lost", String::new);
                self.lose_process(power);
            }
            None => {
                self.count("broker killed", String::new);
                self.lose_process(None);
            }
        }
    }

    /// The process of all brokers ends here, and with a seed its machine is without power.
    pub(super) fn lose_process(&mut self, power: Option<u64>) {
        self.broker.stop(power);
        self.power_fails = None;
        for conn in self.network.open_at_broker() {
            if let Some(connection) = self.network.get_mut(conn) {
                connection.is_open_at_broker = false;
                connection.inbox.clear();
                connection.in_work = None;
            }
            // A machine without power says nothing; its clients learn of it when they next send.
            if power.is_none() || self.prng.chance(1, 2) {
                self.network
                    .send_down(self.now, &mut self.arrivals, conn, Arrival::BrokerGone(conn));
            }
        }
        let at = self.now + Duration::from_millis(20 + self.prng.below(1_000));
        self.happenings.push(at, Happening::BrokerStarts);
    }

    pub(super) fn start_broker(&mut self) {
        self.story.note(self.now, || "the brokers start".to_owned());
        self.broker.start(self.now, &mut self.ledger);
        self.drain_broker();
    }

    fn grow_topic(&mut self) {
        let topics: Vec<Arc<str>> = self.partitions.keys().cloned().collect();
        let chosen = usize::try_from(self.prng.below(topics.len() as u64)).unwrap_or(0);
        let Some(topic) = topics.get(chosen).cloned() else {
            return;
        };
        let count = self.partitions.get(&topic).copied().unwrap_or(1) + 1;
        // A static leader that returns does not learn of partitions that were added meanwhile, in Kafka neither (KIP-814).
        if count > 8 || !self.broker.is_up() || self.power_fails.is_some() || self.plan.is_static {
            return;
        }
        self.faults.is_answered = false;
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: topic.to_string(),
                count,
                assignments: None,
            }],
            timeout_ms: 1_000,
            ..Default::default()
        };
        let version = 3;
        let header = RequestHeader {
            request_api_key: ApiKey::CreatePartitions.code(),
            request_api_version: version,
            ..Default::default()
        };
        let Ok(frame) = frame::encode_request(&header, version, &request.into()) else {
            return;
        };
        let conn = OUTSIDE;
        let events = [
            NodeEvent::Connected {
                conn,
                broker: 0,
                peer: "/outside".into(),
            },
            NodeEvent::Frame {
                conn,
                bytes: frame.freeze().slice(4..),
                wall_ms: super::broker::Process::wall_ms(self.now),
            },
            NodeEvent::Disconnected { conn },
        ];
        for event in events {
            self.broker.handle(self.now, event, &mut self.ledger);
        }
        self.drain_broker();
        // A broker that is stopped does not answer.
        if self.faults.is_answered {
            self.count("partition added", || format!("{topic} has {count}"));
            self.partitions.insert(topic, count);
        }
    }

    /// Nothing goes wrong any more.
    pub(crate) fn calm_down(&mut self) {
        self.faults.is_over = true;
        let members: Vec<usize> = self.members.keys().copied().collect();
        if members.len() > 1
            && self.prng.chance(1, 3)
            && let Some(no) = self.any(&members)
        {
            // Only its session tells that it is gone.
            self.count("vanished for ever", || format!("m{no}"));
            self.faults.lost_slot = self.members.get(&no).map(|it| it.slot);
            self.silence_member(no);
        }
        self.story.note(self.now, || "** the last fault was".to_owned());
        if self.broker.is_up() {
            self.control(Control::ClearFaults);
        }
        self.power_fails = None;
        self.network.speed_up();
        for member in self.members.values_mut() {
            member.is_calm = true;
            member.slow = None;
        }
        for producer in self.producers.values_mut() {
            producer.is_calm = true;
        }
    }

    /// Things go wrong again; who is gone comes back.
    pub(super) fn rouse(&mut self) {
        if self.plan.weather == Weather::Foul {
            self.ledger.stop_measuring();
        }
        self.faults.is_over = false;
        self.faults.lost_slot = None;
        for member in self.members.values_mut() {
            member.is_calm = false;
        }
        for producer in self.producers.values_mut() {
            producer.is_calm = false;
        }
        let taken: BTreeSet<usize> = self.members.values().map(|member| member.slot).collect();
        for slot in (0..self.plan.slots).filter(|slot| !taken.contains(slot)) {
            self.happenings.push(self.now, Happening::MemberStarts(slot));
        }
        self.happenings.push(self.now, Happening::Disturbance);
    }
}
