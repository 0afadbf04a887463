//! The machine: routes events to connections, handlers and waiting requests, and encodes replies. It holds no rule of an
//! API; those are in [`crate::handlers`].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::coordinator::Rebalance;
use kohort_machine::{Deadline, Instant, Machine, Outbox, Prng, Timers, Token};
use kohort_protocol::{ApiKey, RequestBody, ResponseBody, Uuid, frame};

use crate::cluster::{BrokerId, Cluster};
use crate::config::Config;
use crate::context::{Call, Cx, Outcome, Wake};
use crate::control::{self, Control};
use crate::durability::{Durability, Settled};
use crate::faults::{Fault, Faults, Spoil};
use crate::fetch_sessions::FetchSessions;
use crate::groups::Groups;
use crate::handlers;
use crate::interface::{Action, CloseReason, ConnId, Event, Level, LogLine};
use crate::log::{MemoryStorage, Storage, StorageError};
use crate::producer_ids::ProducerIds;
use crate::purgatory::Purgatory;
use crate::topics::{CONSUMER_OFFSETS, LogKey, Topics};

/// What a node waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// When to answer the waiting fetch of a connection with what there is.
    Fetch(ConnId),
    /// When to carry out the request of a connection that an injected fault delays.
    Delayed(ConnId),
    /// When to look for producers that have been silent for too long.
    Producers,
    /// When to sync a log.
    Flush(LogKey),
    /// When to look for segments that are too old.
    Retention,
    /// When to keep how far logs are synced.
    Checkpoint,
}

#[derive(Debug)]
struct Connection {
    broker: BrokerId,
    peer: Arc<str>,
}

/// A Kafka broker, or several of one cluster, as a machine. The crate's documentation shows how it is driven.
pub struct Node {
    config: Config,
    cluster: Cluster,
    topics: Topics,
    connections: BTreeMap<ConnId, Connection>,
    purgatory: Purgatory,
    fetch_sessions: FetchSessions,
    records_room: Option<usize>,
    durability: Durability,
    producer_ids: ProducerIds,
    groups: Groups,
    faults: Faults,
    delayed: BTreeMap<ConnId, (Call, RequestBody)>,
    prng: Prng,
    timers: Timers<Timer>,
    outbox: Outbox<Action>,
    wakes: Vec<Wake>,
    /// Wall time, in milliseconds, when the machine's time was zero; learnt from the last frame.
    wall_base_ms: i64,
}

impl Node {
    /// A node without topics, whose logs live in memory. `seed` decides the ids that it hands out.
    pub fn new(config: Config, cluster: Cluster, seed: u64) -> Self {
        let opened = Self::open(config, cluster, Box::new(MemoryStorage), seed, 0);
        opened.expect("memory does not fail")
    }

    /// A node with the topics and groups that `storage` holds: none, if it is new. What was torn is put right, and this waits for
    /// the medium. `wall_ms` is the wall time at the machine's time zero, in milliseconds; `seed` decides the ids that it
    /// hands out, together with how often the storage was opened.
    ///
    /// # Errors
    ///
    /// When the medium fails, or holds what this node cannot read.
    pub fn open(
        mut config: Config,
        cluster: Cluster,
        storage: Box<dyn Storage>,
        seed: u64,
        wall_ms: i64,
    ) -> Result<Self, StorageError> {
        let (topics, notes) = Topics::open(storage, &mut config, &cluster, seed, wall_ms)?;
        let mut prng = Prng::from_seed(seed.wrapping_add(topics.run().cast_unsigned().rotate_left(32)));
        let offsets = topics.get(CONSUMER_OFFSETS);
        let offsets_partitions = offsets.map(|topic| topic.partitions.len());
        let mut node = Self {
            groups: Groups::new(&config, offsets_partitions, &cluster, &mut prng),
            config,
            cluster,
            topics,
            connections: BTreeMap::new(),
            purgatory: Purgatory::default(),
            fetch_sessions: FetchSessions::default(),
            records_room: None,
            durability: Durability::default(),
            producer_ids: ProducerIds::default(),
            faults: Faults::default(),
            delayed: BTreeMap::new(),
            prng,
            timers: Timers::new(),
            outbox: Outbox::new(),
            wakes: Vec::new(),
            wall_base_ms: wall_ms,
        };
        let mut cx = node.cx(Instant::ZERO);
        for note in notes {
            cx.log(Level::Warn, note);
        }
        cx.host_groups();
        cx.expire_retention();
        cx.remove_garbage();
        node.run_groups(Instant::ZERO);
        Ok(node)
    }

    /// Ends in order: everything is synced, and the next start need not look for what is torn. This waits for the medium;
    /// nothing may be asked of the node afterwards.
    ///
    /// # Errors
    ///
    /// When the medium fails; the next start then looks for what is torn.
    pub fn close(&mut self) -> Result<(), StorageError> {
        self.topics.close()
    }

    /// How many replies and group records wait for a sync.
    pub fn waiting_for_sync(&self) -> usize {
        self.durability.waiting()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The cluster as clients see it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// How many fetches wait for data.
    pub fn waiting_fetches(&self) -> usize {
        self.purgatory.len()
    }

    /// How many requests wait for a group: joins for the end of the join phase, syncs for the assignment.
    pub fn waiting_group_requests(&self) -> usize {
        self.groups.waiting()
    }

    /// How many groups this node coordinates.
    pub fn group_count(&self) -> usize {
        self.groups.count()
    }

    /// The last rebalances of a group, oldest first, and behind them the one under way, as far as it has come at `now`. Those of
    /// an earlier start, and of groups that are gone, are records of the topic `__kohort_rebalances`.
    pub fn rebalances(&self, now: Instant, group_id: &str) -> Vec<Arc<Rebalance>> {
        self.groups.rebalances(now, group_id)
    }

    /// The id of a topic.
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.topics.get(name).map(|topic| topic.id)
    }

    /// As [`Machine::handle_timeout`], for the timers alone that were due at `due`, which is not after `now`: for a driver that was
    /// kept from its inputs for long, and has looked at those that came up to `due`.
    pub fn handle_timeout_of(&mut self, now: Instant, due: Instant) {
        while let Some(timer) = self.timers.pop_due(due) {
            match timer {
                Timer::Fetch(conn) => self.answer_fetch(now, conn),
                Timer::Delayed(conn) => {
                    if let Some((call, body)) = self.delayed.remove(&conn) {
                        self.carry_out(now, call, body);
                    }
                }
                Timer::Producers => self.cx(now).expire_producers(),
                Timer::Flush(log) => self.cx(now).expire_flush(log),
                Timer::Retention => self.cx(now).expire_retention(),
                Timer::Checkpoint => self.cx(now).keep_points(),
            }
        }
        self.cx(now).expire_groups(due);
        self.settle(now);
    }

    fn cx(&mut self, now: Instant) -> Cx<'_> {
        Cx {
            now,
            wall_ms: self.wall_base_ms.saturating_add(millis(now)),
            config: &mut self.config,
            cluster: &self.cluster,
            topics: &mut self.topics,
            purgatory: &mut self.purgatory,
            fetch_sessions: &mut self.fetch_sessions,
            records_room: self.records_room,
            durability: &mut self.durability,
            producer_ids: &mut self.producer_ids,
            groups: &mut self.groups,
            faults: &mut self.faults,
            prng: &mut self.prng,
            timers: &mut self.timers,
            outbox: &mut self.outbox,
            wakes: &mut self.wakes,
        }
    }

    fn handle_frame(&mut self, now: Instant, conn: ConnId, bytes: Bytes) {
        let Some(connection) = self.connections.get(&conn) else {
            // The node closed it; the driver had read the frame before it learnt of that.
            return;
        };
        let peeked = match frame::peek_request(&bytes) {
            Ok(peeked) => peeked,
            Err(error) => return self.close_connection(conn, CloseReason::Malformed(error.to_string())),
        };
        let Some(api) = ApiKey::from_i16(peeked.key).filter(|api| handlers::versions(*api).is_some()) else {
            return self.close_connection(conn, CloseReason::UnknownApi(peeked.key));
        };
        let mut call = Call {
            conn,
            broker: connection.broker,
            api,
            version: peeked.version,
            correlation_id: peeked.correlation_id,
            client_id: None,
            peer: connection.peer.clone(),
            spoil: None,
        };
        if !handlers::versions(api).is_some_and(|versions| versions.contains(peeked.version)) {
            if api == ApiKey::ApiVersions {
                call.version = 0;
                let outcome = handlers::unsupported_api_versions();
                return self.conclude(&call, outcome);
            }
            let reason = CloseReason::UnsupportedVersion {
                api,
                version: peeked.version,
            };
            return self.close_connection(conn, reason);
        }
        let (header, body) = match frame::decode_request(bytes) {
            Ok(decoded) => decoded,
            Err(error) => return self.close_connection(conn, CloseReason::Malformed(error.to_string())),
        };
        call.client_id = header.client_id;
        match self.faults.poll_fault(api) {
            None => self.carry_out(now, call, body),
            Some(Fault::Fail(code)) => {
                let outcome = handlers::refuse(&body, code);
                self.conclude(&call, outcome);
            }
            Some(Fault::Delay(by)) => {
                self.delayed.insert(conn, (call, body));
                self.timers.set(Timer::Delayed(conn), now + by);
            }
            Some(Fault::Drop) => {}
            Some(Fault::Cut { after }) => {
                call.spoil = Some(Spoil::Cut { after });
                self.carry_out(now, call, body);
            }
            Some(Fault::Lie(lie)) => {
                call.spoil = Some(Spoil::Lie(lie));
                self.carry_out(now, call, body);
            }
        }
    }

    fn carry_out(&mut self, now: Instant, call: Call, body: RequestBody) {
        let mut cx = self.cx(now);
        let journal_before = cx.topics.journal_end();
        let outcome = match handlers::dispatch(&mut cx, &call, body) {
            Outcome::Reply(body) => match cx.park_reply(&call, body, journal_before) {
                Some(body) => Outcome::Reply(body),
                None => Outcome::Later,
            },
            other => {
                cx.forget_waits();
                other
            }
        };
        self.conclude(&call, outcome);
    }

    fn conclude(&mut self, call: &Call, outcome: Outcome) {
        match outcome {
            Outcome::Reply(body) => self.finish(call, &body),
            Outcome::Later => {}
            Outcome::Nothing if matches!(call.spoil, Some(Spoil::Cut { .. })) => {
                self.close_connection(call.conn, CloseReason::Fault)
            }
            Outcome::Nothing => self.outbox.push(Action::Ready { conn: call.conn }),
            Outcome::Close(reason) => self.close_connection(call.conn, reason),
        }
    }

    /// Answers a request.
    fn finish(&mut self, call: &Call, body: &ResponseBody) {
        if !self.connections.contains_key(&call.conn) {
            // The client left while its request waited; Kafka, too, carries out what it has read.
            return;
        }
        let encoded = frame::encode_response_segmented(call.correlation_id, call.version, body);
        let segments = match encoded {
            Ok(segments) => segments,
            Err(error) => {
                let reason = CloseReason::Unencodable {
                    api: call.api,
                    version: call.version,
                    error: error.to_string(),
                };
                return self.close_connection(call.conn, reason);
            }
        };
        let conn = call.conn;
        let mut segments: Vec<Bytes> = segments.into_iter().collect();
        if let Some(spoil) = call.spoil {
            segments = spoil.apply(segments);
        }
        let records = handlers::records_of(body);
        if let Some(room) = &mut self.records_room {
            *room = room.saturating_sub(records);
        }
        self.outbox.push(Action::Write {
            conn,
            segments,
            records,
        });
        if matches!(call.spoil, Some(Spoil::Cut { .. })) {
            self.close_connection(conn, CloseReason::Fault);
        }
    }

    fn close_connection(&mut self, conn: ConnId, reason: CloseReason) {
        if let Some(connection) = self.forget(conn) {
            let level = match reason {
                CloseReason::Fault | CloseReason::Stopped => Level::Info,
                CloseReason::Malformed(_)
                | CloseReason::UnknownApi(_)
                | CloseReason::UnsupportedVersion { .. }
                | CloseReason::UnacknowledgedProduce(_)
                | CloseReason::Storage
                | CloseReason::Unencodable { .. } => Level::Warn,
            };
            self.outbox.push(Action::Log(Box::new(LogLine {
                level,
                message: alloc::format!("closing the connection of {}: {reason}", connection.peer),
            })));
            self.outbox.push(Action::Close {
                conn,
                reason: Box::new(reason),
            });
        }
    }

    fn forget(&mut self, conn: ConnId) -> Option<Connection> {
        if self.purgatory.unpark(conn).is_some() {
            self.timers.cancel(&Timer::Fetch(conn));
        }
        self.connections.remove(&conn)
    }

    /// Lets the coordinators do what they want and answers whom they answer.
    fn run_groups(&mut self, now: Instant) {
        for (call, body) in self.cx(now).run_groups() {
            self.finish(&call, &body);
        }
    }

    /// Answers the fetches that what just happened completes.
    fn wake(&mut self, now: Instant) {
        for wake in core::mem::take(&mut self.wakes) {
            for conn in self.purgatory.completed_by(wake) {
                self.timers.cancel(&Timer::Fetch(conn));
                self.answer_fetch(now, conn);
            }
        }
    }

    fn answer_fetch(&mut self, now: Instant, conn: ConnId) {
        if let Some(parked) = self.purgatory.unpark(conn) {
            let body = handlers::answer_fetch(&mut self.cx(now), &parked);
            self.finish(&parked.call, &body);
        }
    }

    /// Answers the requests whose records are synced, or lost.
    fn finish_settled(&mut self, settled: Vec<Settled>) {
        for settled in settled {
            match settled {
                Settled::Reply(call, body) => self.finish(&call, &body),
                Settled::Failed(call) => self.close_connection(call.conn, CloseReason::Storage),
            }
        }
    }

    /// What follows after each turn.
    fn settle(&mut self, now: Instant) {
        self.run_groups(now);
        self.wake(now);
        let mut cx = self.cx(now);
        let settled = cx.begin_syncs();
        cx.remove_garbage();
        self.finish_settled(settled);
    }

    fn handle_control(&mut self, now: Instant, token: Token, control: Control) {
        if let Control::Stop { broker } = control {
            let is_its = |(_, connection): &(&ConnId, &Connection)| connection.broker == broker;
            let open: Vec<ConnId> = self
                .connections
                .iter()
                .filter(is_its)
                .map(|(conn, _)| *conn)
                .collect();
            for conn in open {
                self.delayed.remove(&conn);
                self.close_connection(conn, CloseReason::Stopped);
            }
        }
        let mut cx = self.cx(now);
        let result = control::apply(&mut cx, control).map_err(Box::new);
        // Leaders may have moved, and the groups move with them.
        cx.host_groups();
        self.outbox.push(Action::Controlled { token, result });
    }
}

impl Machine for Node {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected { conn, broker, peer } => {
                self.connections.insert(conn, Connection { broker, peer });
                if self.groups.is_stopped(broker) {
                    self.close_connection(conn, CloseReason::Stopped);
                }
            }
            Event::Frame { conn, bytes, wall_ms } => {
                self.wall_base_ms = wall_ms.saturating_sub(millis(now));
                self.handle_frame(now, conn, bytes);
            }
            Event::Disconnected { conn } => {
                self.forget(conn);
            }
            Event::DiskDone { token, result } => {
                let settled = self.cx(now).disk_done(token, result.map_err(|error| *error));
                self.finish_settled(settled);
            }
            Event::Control { token, control } => self.handle_control(now, token, *control),
            Event::RecordsRoom { bytes } => {
                self.records_room = Some(bytes);
                return;
            }
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout_of(now, now);
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        let own = self.timers.next_deadline(|timer| match timer {
            Timer::Fetch(_) => "fetch.max.wait.ms",
            Timer::Delayed(_) => "injected delay",
            Timer::Producers => "producer.id.expiration.check.interval.ms",
            Timer::Flush(_) => "flush.ms",
            Timer::Retention => "log.retention.check.interval.ms",
            Timer::Checkpoint => "log.flush.offset.checkpoint.interval.ms",
        });
        Deadline::earliest(own, self.groups.next_deadline())
    }
}

fn millis(now: Instant) -> i64 {
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
