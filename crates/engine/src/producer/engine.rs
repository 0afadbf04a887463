//! The producer's machine: what it holds, and how records, network and time reach it. How a record gets into a batch lives in
//! `intake`, how batches are sent and answered in `sender`, where the producer id comes from in `identity`.

mod identity;
mod intake;
mod sender;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Backoff, Deadline, Instant, Machine, Outbox, Prng, Timers, Token};
use kohort_protocol::Uuid;

use self::identity::ProducerIds;
use super::accumulator::{Accumulator, Entry};
use super::config::ProducerConfig;
use super::error::SendError;
use super::event::{ProducerAction, ProducerEvent, ProducerRecord, RecordAck};
use super::partitioner::Sticky;
use crate::client::{Client, Cluster, NetAction, NetEvent, NetMachine, RequestId};

/// A partition that records were given for: its place in the list of accumulators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slot(usize);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// When the open batch of a partition has waited long enough for more records.
    Linger(Slot),
    /// When a partition whose batch failed may be tried again.
    Retry(Slot),
    /// When the oldest waiting batch of a partition is given up.
    Expire(Slot),
    /// When the oldest record that waits for this topic's metadata is given up.
    Metadata(Arc<str>),
    /// When the oldest record that waits for room is given up.
    Room,
    /// When a producer id may be asked for again.
    Identity,
    /// When a close does not wait any longer.
    Close,
}

/// A record that is in no batch yet.
#[derive(Debug)]
struct Waiting {
    record: Box<ProducerRecord>,
    entry: Entry,
    deadline: Instant,
}

#[derive(Debug, Default)]
struct TopicState {
    slots: BTreeMap<i32, Slot>,
    sticky: Sticky,
    /// Records that wait for metadata, in order.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Sent {
    node: i32,
    slots: Vec<(Slot, Uuid)>,
}

/// Collects records into batches and sends them to the leaders of their partitions, in order per partition.
///
/// ```
/// use kohort_engine::client::ClientConfig;
/// use kohort_engine::producer::{ProducerAction, ProducerConfig, ProducerEngine, ProducerEvent, ProducerRecord};
/// use kohort_machine::{Instant, Machine, Token};
///
/// let config = ProducerConfig::new(ClientConfig::new([("localhost".into(), 9092)]));
/// let mut producer = ProducerEngine::new(config, 7);
/// let record = ProducerRecord {
///     topic: "orders".into(),
///     partition: None,
///     timestamp: 1_700_000_000_000,
///     key: Some("customer".into()),
///     value: Some("order".into()),
///     headers: Vec::new(),
/// };
/// producer.handle(Instant::ZERO, ProducerEvent::Send { token: Token(0), record: Box::new(record) });
/// // It asks for the topic's metadata first.
/// assert!(matches!(producer.poll_action(), Some(ProducerAction::Net(_))));
/// ```
#[derive(Debug)]
pub struct ProducerEngine {
    config: ProducerConfig,
    client: Client,
    prng: Prng,
    backoff: Backoff,
    outbox: Outbox<ProducerAction>,
    timers: Timers<Timer>,
    topics: BTreeMap<Arc<str>, TopicState>,
    accumulators: Vec<Accumulator>,
    /// Partitions to look at: those that may have a batch to send.
    ready: BTreeSet<Slot>,
    sent: BTreeMap<RequestId, Sent>,
    in_flight: BTreeMap<i32, usize>,
    /// Bytes of `buffer.memory` in use.
    memory: usize,
    /// Records that wait for room, in order.
    blocked: VecDeque<Waiting>,
    flushes_begun: u64,
    /// Records without an answer, by how many flushes came before them.
    unanswered: BTreeMap<u64, usize>,
    /// Flushes that are not complete, each with the number of those before it.
    flushes: VecDeque<(u64, Token)>,
    closes: Vec<Token>,
    is_closed: bool,
    ids: ProducerIds,
    /// The metadata that was found to lack a leader, so that newer is asked for once.
    leaderless_in: Option<u64>,
}

impl ProducerEngine {
    /// A producer that connects when its first record comes.
    pub fn new(config: ProducerConfig, seed: u64) -> Self {
        let mut prng = Prng::from_seed(seed);
        Self {
            client: Client::new(config.client.clone(), prng.next_u64()),
            ids: ProducerIds::new(config.is_idempotent()),
            backoff: Backoff::new(config.client.retry_backoff, config.client.retry_backoff_max),
            config,
            prng,
            outbox: Outbox::new(),
            timers: Timers::new(),
            topics: BTreeMap::new(),
            accumulators: Vec::new(),
            ready: BTreeSet::new(),
            sent: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            memory: 0,
            blocked: VecDeque::new(),
            flushes_begun: 0,
            unanswered: BTreeMap::new(),
            flushes: VecDeque::new(),
            closes: Vec::new(),
            is_closed: false,
            leaderless_in: None,
        }
    }

    /// The newest metadata of the topics that records were sent to.
    pub fn cluster(&self) -> &Cluster {
        self.client.cluster()
    }

    /// Bytes of `buffer.memory` in use.
    pub fn memory_in_use(&self) -> usize {
        self.memory
    }

    /// Arms the timers of a partition whose waiting records changed, and looks whether there is something to send.
    fn watch(&mut self, now: Instant, slot: Slot) {
        let (is_hurried, idempotence) = (self.is_hurried(), self.ids.idempotence());
        let Some(accumulator) = self.accumulators.get(slot.0) else {
            return;
        };
        if let Some(at) = accumulator.expires_at(&self.config) {
            self.timers.set_no_later(Timer::Expire(slot), at);
        }
        if accumulator.is_sendable(now, is_hurried, idempotence, &self.config) {
            self.ready.insert(slot);
        } else if let Some(at) = accumulator.lingers_until(&self.config).filter(|at| *at > now) {
            self.timers.set_no_later(Timer::Linger(slot), at);
        }
    }

    /// Whether batches are sent without lingering.
    // Kafka: RecordAccumulator.batchReady
    fn is_hurried(&self) -> bool {
        !self.flushes.is_empty() || !self.closes.is_empty() || !self.blocked.is_empty()
    }

    fn hurry(&mut self) {
        let busy = self
            .accumulators
            .iter()
            .enumerate()
            .filter(|(_, it)| !it.is_idle());
        self.ready.extend(busy.map(|(index, _)| Slot(index)));
    }

    /// Answers a record that held memory.
    fn release(&mut self, entry: Entry, result: Result<RecordAck, SendError>) {
        self.memory = self.memory.saturating_sub(entry.size);
        self.answer(entry, result);
    }

    fn answer(&mut self, entry: Entry, result: Result<RecordAck, SendError>) {
        let token = entry.token;
        let result = result.map_err(Box::new);
        self.outbox.push(ProducerAction::Sent { token, result });
        if let Some(count) = self.unanswered.get_mut(&entry.flush) {
            *count -= 1;
            if *count == 0 {
                self.unanswered.remove(&entry.flush);
            }
        }
    }

    /// Lets records in that waited for room, and completes flushes and closes that have nothing left to wait for.
    fn settle(&mut self, now: Instant) {
        while let Some(first) = self.blocked.front()
            && self.has_room_for(first.entry.size)
            && let Some(waiting) = self.blocked.pop_front()
        {
            self.admit(now, waiting);
        }
        match self.blocked.front() {
            Some(first) => self.timers.set(Timer::Room, first.deadline),
            None => self.timers.cancel(&Timer::Room),
        }
        while let Some((before, token)) = self.flushes.front().copied()
            && self
                .unanswered
                .first_key_value()
                .is_none_or(|(oldest, _)| *oldest > before)
        {
            self.flushes.pop_front();
            self.outbox.push(ProducerAction::Done { token });
        }
        if !self.closes.is_empty() && self.unanswered.is_empty() {
            self.finish_close();
        }
    }

    fn on_flush(&mut self, token: Token) {
        self.flushes.push_back((self.flushes_begun, token));
        self.flushes_begun += 1;
        self.hurry();
    }

    fn on_close(&mut self, now: Instant, token: Token, timeout: Duration) {
        self.closes.push(token);
        self.timers.set_no_later(Timer::Close, now + timeout);
        self.hurry();
    }

    fn finish_close(&mut self) {
        self.is_closed = true;
        self.timers.clear();
        self.client.close();
        for token in core::mem::take(&mut self.closes) {
            self.outbox.push(ProducerAction::Done { token });
        }
    }

    fn expire_close(&mut self) {
        self.fail_all(&SendError::Closed);
    }

    /// Gives up every record.
    fn fail_all(&mut self, error: &SendError) {
        let mut held: Vec<Entry> = Vec::new();
        for accumulator in &mut self.accumulators {
            held.append(&mut accumulator.take_all());
        }
        for topic in self.topics.values_mut() {
            held.extend(topic.waiting.drain(..).map(|waiting| waiting.entry));
        }
        for entry in held {
            self.release(entry, Err(error.clone()));
        }
        while let Some(waiting) = self.blocked.pop_front() {
            self.answer(waiting.entry, Err(error.clone()));
        }
        self.sent.clear();
        self.in_flight.clear();
    }

    fn run(&mut self, now: Instant) {
        loop {
            let mut has_news = false;
            while let Some(reply) = self.client.poll_reply() {
                has_news = true;
                self.on_reply(now, reply);
            }
            while self.client.poll_cluster_change().is_some() {
                has_news = true;
                self.on_cluster_change(now);
            }
            self.settle(now);
            self.ask_for_id(now);
            self.mend_sequences(now);
            if !self.send_ready(now) && !has_news {
                break;
            }
        }
        while let Some(action) = self.client.poll_net() {
            self.outbox.push(ProducerAction::Net(action));
        }
    }
}

impl Machine for ProducerEngine {
    type Event = ProducerEvent;
    type Action = ProducerAction;

    fn handle(&mut self, now: Instant, event: ProducerEvent) {
        match event {
            ProducerEvent::Net(event) => self.client.handle_net(now, event),
            ProducerEvent::Send { token, record } => self.on_send(now, token, record),
            ProducerEvent::Flush { token } => self.on_flush(token),
            ProducerEvent::Close { token, timeout } => self.on_close(now, token, timeout),
        }
        self.run(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Linger(slot) | Timer::Retry(slot) => self.watch(now, slot),
                Timer::Expire(slot) => self.expire_batches(now, slot),
                Timer::Metadata(topic) => self.expire_metadata(now, &topic),
                Timer::Room => self.expire_room(now),
                // It is asked for below.
                Timer::Identity => {}
                Timer::Close => self.expire_close(),
            }
        }
        self.run(now);
    }

    fn poll_action(&mut self) -> Option<ProducerAction> {
        self.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        let own = self.timers.next_deadline(|timer| match timer {
            Timer::Linger(_) => "send a batch that has lingered",
            Timer::Retry(_) => "send a batch again",
            Timer::Expire(_) => "give up a batch",
            Timer::Metadata(_) => "give up waiting for a topic's metadata",
            Timer::Room => "give up waiting for room",
            Timer::Identity => "ask for a producer id again",
            Timer::Close => "close with records unanswered",
        });
        Deadline::earliest(own, self.client.next_deadline())
    }
}

impl NetMachine for ProducerEngine {
    fn net(event: NetEvent) -> ProducerEvent {
        ProducerEvent::Net(event)
    }

    fn split(action: ProducerAction) -> Result<NetAction, ProducerAction> {
        match action {
            ProducerAction::Net(action) => Ok(action),
            other => Err(other),
        }
    }
}
