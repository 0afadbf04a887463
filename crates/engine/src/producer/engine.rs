//! The producer's machine: where records wait, when batches are sent, what follows from an answer.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Backoff, Deadline, Instant, Machine, Outbox, Prng, Timers, Token};
use kohort_protocol::messages::ProduceResponse;
use kohort_protocol::messages::produce::PartitionProduceResponse;
use kohort_protocol::{ErrorCode, Uuid};
use kohort_records::{BATCH_OVERHEAD, BatchBuilder};

use super::accumulator::{Accumulator, Batch, Entry};
use super::config::{Acks, ProducerConfig};
use super::error::SendError;
use super::event::{ProducerAction, ProducerEvent, ProducerRecord, RecordAck};
use super::partitioner::{Sticky, partition_for_key};
use super::produce::{self, Outcomes, Part};
use crate::client::{Client, Cluster, NetAction, NetEvent, NetMachine, Reply, RequestId, Target};

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
    /// The metadata that was found to lack a leader, so that newer is asked for once.
    leaderless_in: Option<u64>,
}

impl ProducerEngine {
    /// A producer that connects when its first record comes.
    pub fn new(config: ProducerConfig, seed: u64) -> Self {
        let mut prng = Prng::from_seed(seed);
        Self {
            client: Client::new(config.client.clone(), prng.next_u64()),
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

    // Kafka: KafkaProducer.doSend
    fn on_send(&mut self, now: Instant, token: Token, record: Box<ProducerRecord>) {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let size = BatchBuilder::size_upper_bound(key, value, &record.headers).saturating_add(BATCH_OVERHEAD);
        let entry = Entry {
            token,
            timestamp: record.timestamp,
            size,
            flush: self.flushes_begun,
        };
        *self.unanswered.entry(entry.flush).or_default() += 1;
        if self.is_closed || !self.closes.is_empty() {
            return self.answer(entry, Err(SendError::Closed));
        }
        let bounds = [
            ("max.request.size", self.config.max_request_size),
            ("buffer.memory", self.config.buffer_memory),
        ];
        if let Some((key, max)) = bounds.into_iter().find(|(_, max)| size > *max) {
            let topic = record.topic.clone();
            return self.answer(
                entry,
                Err(SendError::TooLarge {
                    topic,
                    size,
                    key,
                    max,
                }),
            );
        }
        let waiting = Waiting {
            record,
            entry,
            deadline: now + self.config.max_block,
        };
        if self.blocked.is_empty() && self.has_room_for(size) {
            self.admit(now, waiting);
        } else {
            let is_first = self.blocked.is_empty();
            if is_first {
                self.timers.set(Timer::Room, waiting.deadline);
            }
            self.blocked.push_back(waiting);
            if is_first {
                self.hurry();
            }
        }
    }

    fn has_room_for(&self, size: usize) -> bool {
        self.memory.saturating_add(size) <= self.config.buffer_memory
    }

    fn admit(&mut self, now: Instant, waiting: Waiting) {
        self.memory += waiting.entry.size;
        self.route(now, waiting, false);
    }

    /// Puts a record into its partition's batch, or lets it wait for metadata. `is_first`: it waited, and none is before it.
    fn route(&mut self, now: Instant, waiting: Waiting, is_first: bool) {
        let topic = waiting.record.topic.clone();
        let state = self.topics.entry(topic.clone()).or_default();
        let known = self.client.cluster().topic(&topic);
        let partition = match known {
            _ if !is_first && !state.waiting.is_empty() => None,
            None => None,
            Some(known) => match (known.error, waiting.record.partition) {
                (Some(error), _) if error.is_retriable() => None,
                (Some(error), _) => {
                    return self.release(waiting.entry, Err(SendError::Topic { topic, error }));
                }
                (None, Some(partition)) => Some(partition).filter(|it| known.partitions.contains_key(it)),
                (None, None) => match &waiting.record.key {
                    _ if known.partitions.is_empty() => None,
                    Some(key) => {
                        let count = i32::try_from(known.partitions.len()).unwrap_or(i32::MAX);
                        Some(partition_for_key(key, count))
                    }
                    None => {
                        let (size, batch_size) = (waiting.entry.size, self.config.batch_size);
                        Some(state.sticky.partition(known, size, batch_size, &mut self.prng))
                    }
                },
            },
        };
        match partition {
            Some(partition) => self.append(now, partition, waiting),
            None => {
                if state.waiting.is_empty() {
                    self.timers.set(Timer::Metadata(topic.clone()), waiting.deadline);
                }
                state.waiting.push_back(waiting);
                self.client.track_topic(now, topic);
            }
        }
    }

    fn append(&mut self, now: Instant, partition: i32, waiting: Waiting) {
        let Waiting { record, entry, .. } = waiting;
        let topic = record.topic.clone();
        let unwritable = |error| SendError::Unwritable {
            topic: topic.clone(),
            partition,
            error,
        };
        let slots = &mut self.topics.entry(topic.clone()).or_default().slots;
        let slot = match slots.get(&partition) {
            Some(slot) => *slot,
            None => match Accumulator::new(topic.clone(), partition, &self.config) {
                Ok(accumulator) => {
                    let slot = Slot(self.accumulators.len());
                    self.accumulators.push(accumulator);
                    slots.insert(partition, slot);
                    slot
                }
                Err(error) => return self.release(entry, Err(unwritable(error))),
            },
        };
        let Some(accumulator) = self.accumulators.get_mut(slot.0) else {
            return;
        };
        let mut unwritten = Ok(());
        if accumulator.is_full_for(entry.size.saturating_sub(BATCH_OVERHEAD), &self.config) {
            unwritten = accumulator.close_open(&self.config);
        }
        let appended = accumulator.append(now, &record, entry);
        if let Err((entries, error)) = unwritten {
            for entry in entries {
                self.release(entry, Err(unwritable(error.clone())));
            }
        }
        match appended {
            Ok(()) => self.watch(now, slot),
            Err(error) => self.release(entry, Err(unwritable(error))),
        }
    }

    /// Arms the timers of a partition whose waiting records changed, and looks whether there is something to send.
    fn watch(&mut self, now: Instant, slot: Slot) {
        let is_hurried = self.is_hurried();
        let Some(accumulator) = self.accumulators.get(slot.0) else {
            return;
        };
        if let Some(at) = accumulator.expires_at(&self.config) {
            self.timers.set_no_later(Timer::Expire(slot), at);
        }
        if accumulator.is_sendable(now, is_hurried, &self.config) {
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

    /// Sends what can be sent; whether a request was made.
    // Kafka: Sender.sendProducerData
    fn send_ready(&mut self, now: Instant) -> bool {
        let is_hurried = self.is_hurried();
        let mut by_node: BTreeMap<i32, Vec<Slot>> = BTreeMap::new();
        let mut is_leaderless = false;
        let (accumulators, config, cluster) = (&self.accumulators, &self.config, self.client.cluster());
        self.ready.retain(|slot| {
            let Some(accumulator) = accumulators.get(slot.0) else {
                return false;
            };
            if !accumulator.is_sendable(now, is_hurried, config) {
                return false;
            }
            match cluster.leader(&accumulator.topic, accumulator.partition) {
                Some(node) => by_node.entry(node).or_default().push(*slot),
                None => is_leaderless = true,
            }
            true
        });
        if is_leaderless && self.leaderless_in != Some(cluster.version()) {
            self.leaderless_in = Some(cluster.version());
            self.client.refresh_metadata(now);
        }
        let mut has_sent = false;
        for (node, slots) in by_node {
            let mut slots = slots.into_iter().peekable();
            while slots.peek().is_some()
                && self.in_flight.get(&node).copied().unwrap_or_default() < self.config.max_in_flight
            {
                has_sent |= self.send_to(now, node, &mut slots);
            }
        }
        has_sent
    }

    /// Makes one request for a leader out of the next of `slots`.
    // Kafka: RecordAccumulator.drainBatchesForOneNode
    fn send_to(
        &mut self,
        now: Instant,
        node: i32,
        slots: &mut core::iter::Peekable<impl Iterator<Item = Slot>>,
    ) -> bool {
        let (mut parts, mut taken, mut bytes) = (Vec::new(), Vec::new(), 0usize);
        while let Some(slot) = slots.peek().copied() {
            let Some(accumulator) = self.accumulators.get_mut(slot.0) else {
                slots.next();
                continue;
            };
            let mut unwritten = Ok(());
            if accumulator.next_size() == 0 {
                unwritten = accumulator.close_open(&self.config);
                self.timers.cancel(&Timer::Linger(slot));
            }
            let size = accumulator.next_size();
            if size > 0 && !parts.is_empty() && bytes + size > self.config.max_request_size {
                break;
            }
            slots.next();
            self.ready.remove(&slot);
            let (topic, partition) = (accumulator.topic.clone(), accumulator.partition);
            if let Some(mut batch) = accumulator.take_next() {
                bytes += size;
                batch.attempts = batch.attempts.saturating_add(1);
                let topic_id = self
                    .client
                    .cluster()
                    .topic(&topic)
                    .and_then(|it| it.id)
                    .unwrap_or_default();
                parts.push(Part {
                    topic: topic.clone(),
                    topic_id,
                    partition,
                    bytes: batch.bytes.clone(),
                });
                taken.push((slot, topic_id));
                accumulator.in_flight = Some(batch);
            }
            if let Err((entries, error)) = unwritten {
                let topic = &topic;
                for entry in entries {
                    let (topic, error) = (topic.clone(), error.clone());
                    self.release(
                        entry,
                        Err(SendError::Unwritable {
                            topic,
                            partition,
                            error,
                        }),
                    );
                }
            }
        }
        if parts.is_empty() {
            return false;
        }
        let timeout = self.config.client.request_timeout;
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let request = produce::request(self.config.acks, timeout_ms, parts);
        let id = self
            .client
            .request(now, Target::Broker(node), request.into(), timeout);
        *self.in_flight.entry(node).or_default() += 1;
        self.sent.insert(id, Sent { node, slots: taken });
        true
    }

    // Kafka: Sender.handleProduceResponse
    fn on_reply(&mut self, now: Instant, reply: Reply) {
        let Some(Sent { node, slots }) = self.sent.remove(&reply.id) else {
            return;
        };
        if let Some(count) = self.in_flight.get_mut(&node) {
            *count = count.saturating_sub(1);
        }
        // The next requests may go out now.
        self.ready_for(node);
        let response = reply
            .result
            .map(|body| ProduceResponse::try_from(body).unwrap_or_default());
        let mut outcomes = match response {
            Ok(response) => Ok(Outcomes::new(response)),
            Err(failure) => Err(failure),
        };
        for (slot, topic_id) in slots {
            let Some(accumulator) = self.accumulators.get_mut(slot.0) else {
                continue;
            };
            let (topic, partition) = (accumulator.topic.clone(), accumulator.partition);
            let Some(batch) = accumulator.in_flight.take() else {
                continue;
            };
            match &mut outcomes {
                Ok(_) if self.config.acks == Acks::None => self.acknowledge(batch, partition, None),
                Ok(outcomes) => match outcomes.take(&topic, topic_id, partition) {
                    Some(outcome) => {
                        let leader = &outcome.current_leader;
                        if leader.leader_id >= 0 {
                            let endpoint = outcomes.endpoint(leader.leader_id);
                            let (id, epoch) = (leader.leader_id, leader.leader_epoch);
                            self.client
                                .update_leader(now, &topic, partition, id, epoch, endpoint);
                        }
                        self.on_outcome(now, slot, batch, &outcome, node);
                    }
                    None => self.retry(now, slot, batch, node, |topic, partition| SendError::Refused {
                        topic,
                        partition,
                        error: ErrorCode::UnknownServerError,
                        message: Some("the broker left the partition out of its answer".into()),
                    }),
                },
                Err(failure) if failure.is_retriable() => {
                    self.retry(now, slot, batch, node, |topic, partition| SendError::Failed {
                        topic,
                        partition,
                        failure: failure.clone(),
                    });
                }
                Err(failure) => {
                    let error = SendError::Failed {
                        topic,
                        partition,
                        failure: failure.clone(),
                    };
                    self.fail_batch(batch, &error);
                }
            }
            self.watch(now, slot);
        }
    }

    fn ready_for(&mut self, node: i32) {
        let cluster = self.client.cluster();
        let waiting = self
            .accumulators
            .iter()
            .enumerate()
            .filter(|(_, it)| !it.is_idle() && cluster.leader(&it.topic, it.partition) == Some(node));
        self.ready.extend(waiting.map(|(index, _)| Slot(index)));
    }

    // Kafka: Sender.completeBatch
    fn on_outcome(
        &mut self,
        now: Instant,
        slot: Slot,
        batch: Batch,
        outcome: &PartitionProduceResponse,
        node: i32,
    ) {
        let error = ErrorCode::from_code(outcome.error_code);
        if !error.is_error() {
            return self.acknowledge(batch, outcome.index, Some(outcome));
        }
        if error.refreshes_metadata() {
            self.client.refresh_metadata(now);
        }
        let refused = |topic: Arc<str>, partition, message| SendError::Refused {
            topic,
            partition,
            error,
            message,
        };
        if error.is_retriable() {
            let message = outcome.error_message.clone();
            return self.retry(now, slot, batch, node, |topic, partition| {
                refused(topic, partition, message)
            });
        }
        let Some(topic) = self.accumulators.get(slot.0).map(|it| it.topic.clone()) else {
            return;
        };
        for (index, entry) in batch.entries.into_iter().enumerate() {
            let message = produce::message_for(outcome, index);
            self.release(entry, Err(refused(topic.clone(), outcome.index, message)));
        }
    }

    fn acknowledge(&mut self, batch: Batch, partition: i32, outcome: Option<&PartitionProduceResponse>) {
        let base = outcome.map(|it| it.base_offset).filter(|offset| *offset >= 0);
        let append_time = outcome.map(|it| it.log_append_time_ms).filter(|time| *time >= 0);
        for (index, entry) in batch.entries.into_iter().enumerate() {
            let ack = RecordAck {
                partition,
                offset: base.map(|base| base.saturating_add_unsigned(index as u64)),
                timestamp: append_time.unwrap_or(entry.timestamp),
            };
            self.release(entry, Ok(ack));
        }
    }

    /// Sends a batch again after a backoff, unless it was tried too often or for too long.
    fn retry(
        &mut self,
        now: Instant,
        slot: Slot,
        mut batch: Batch,
        node: i32,
        error: impl FnOnce(Arc<str>, i32) -> SendError,
    ) {
        let Some(accumulator) = self.accumulators.get_mut(slot.0) else {
            return;
        };
        let (topic, partition) = (accumulator.topic.clone(), accumulator.partition);
        let error = error(topic.clone(), partition);
        if batch.deadline <= now {
            let error = SendError::Expired {
                topic,
                partition,
                timeout: self.config.delivery_timeout,
                last: Some(error.to_string()),
            };
            return self.fail_batch(batch, &error);
        }
        if batch.attempts > self.config.retries {
            return self.fail_batch(batch, &error);
        }
        // KIP-951: a leader that is new since the attempt is asked at once.
        let leader = self.client.cluster().leader(&topic, partition);
        if leader.is_none_or(|leader| leader == node) {
            accumulator.not_before = now + self.backoff.delay(batch.attempts, &mut self.prng);
            self.timers.set(Timer::Retry(slot), accumulator.not_before);
        }
        batch.last_failure = Some(error.to_string());
        accumulator.put_back(batch);
    }

    fn fail_batch(&mut self, batch: Batch, error: &SendError) {
        for entry in batch.entries {
            self.release(entry, Err(error.clone()));
        }
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

    fn on_cluster_change(&mut self, now: Instant) {
        let waiting = self.topics.iter().filter(|(_, topic)| !topic.waiting.is_empty());
        let names: Vec<Arc<str>> = waiting.map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(topic) = self.topics.get_mut(&name) else {
                continue;
            };
            self.timers.cancel(&Timer::Metadata(name));
            let waiting = core::mem::take(&mut topic.waiting);
            for waiting in waiting {
                self.route(now, waiting, true);
            }
        }
    }

    fn expire_metadata(&mut self, now: Instant, name: &Arc<str>) {
        let known = self.client.cluster().partition_count(name);
        let waited = self.config.max_block;
        while let Some(topic) = self.topics.get_mut(name)
            && let Some(first) = topic.waiting.front()
        {
            if first.deadline > now {
                self.timers.set(Timer::Metadata(name.clone()), first.deadline);
                return;
            }
            let Some(Waiting { record, entry, .. }) = topic.waiting.pop_front() else {
                return;
            };
            let topic = name.clone();
            let error = match (known, record.partition) {
                (Some(count), Some(partition)) => SendError::UnknownPartition {
                    topic,
                    partition,
                    count,
                    waited,
                },
                _ => SendError::UnknownTopic { topic, waited },
            };
            self.release(entry, Err(error));
        }
    }

    fn expire_room(&mut self, now: Instant) {
        let (buffer_memory, waited) = (self.config.buffer_memory, self.config.max_block);
        while let Some(first) = self.blocked.front()
            && first.deadline <= now
            && let Some(waiting) = self.blocked.pop_front()
        {
            self.answer(
                waiting.entry,
                Err(SendError::BufferFull {
                    buffer_memory,
                    waited,
                }),
            );
        }
    }

    fn expire_batches(&mut self, now: Instant, slot: Slot) {
        let Some(accumulator) = self.accumulators.get_mut(slot.0) else {
            return;
        };
        let (topic, partition) = (accumulator.topic.clone(), accumulator.partition);
        let mut expired = Vec::new();
        while let Some(taken) = accumulator.take_expired(now, &self.config) {
            expired.push(taken);
        }
        if let Some(at) = accumulator.expires_at(&self.config) {
            self.timers.set(Timer::Expire(slot), at);
        }
        for (entries, last) in expired {
            let error = SendError::Expired {
                topic: topic.clone(),
                partition,
                timeout: self.config.delivery_timeout,
                last,
            };
            for entry in entries {
                self.release(entry, Err(error.clone()));
            }
        }
    }

    fn expire_close(&mut self) {
        let mut held: Vec<Entry> = Vec::new();
        for accumulator in &mut self.accumulators {
            held.append(&mut accumulator.take_all());
        }
        for topic in self.topics.values_mut() {
            held.extend(topic.waiting.drain(..).map(|waiting| waiting.entry));
        }
        for entry in held {
            self.release(entry, Err(SendError::Closed));
        }
        while let Some(waiting) = self.blocked.pop_front() {
            self.answer(waiting.entry, Err(SendError::Closed));
        }
        self.sent.clear();
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
