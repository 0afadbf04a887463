//! How batches get to the leaders, and what follows from an answer.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Instant;
use kohort_protocol::messages::ProduceResponse;
use kohort_protocol::messages::produce::PartitionProduceResponse;
use kohort_protocol::{ApiKey, ErrorCode};

use super::{ProducerEngine, Sent, Slot, Timer};
use crate::client::{Reply, Target};
use crate::producer::accumulator::Batch;
use crate::producer::config::Acks;
use crate::producer::error::SendError;
use crate::producer::event::RecordAck;
use crate::producer::produce::{self, Outcomes, Part, Words};

impl ProducerEngine {
    /// Sends what can be sent; whether a request was made.
    // Kafka: Sender.sendProducerData
    pub(super) fn send_ready(&mut self, now: Instant) -> bool {
        let (is_hurried, idempotence) = (self.is_hurried(), self.ids.idempotence());
        let mut by_node: BTreeMap<i32, Vec<Slot>> = BTreeMap::new();
        let mut is_leaderless = false;
        let (accumulators, config, cluster) = (&self.accumulators, &self.config, self.client.cluster());
        self.ready.retain(|slot| {
            let Some(accumulator) = accumulators.get(slot.0) else {
                return false;
            };
            if !accumulator.is_sendable(now, is_hurried, idempotence, config) {
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
                && self.in_flight.get(&node).copied().unwrap_or_default() < self.config.in_flight_limit()
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
        let idempotence = self.ids.idempotence();
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
            if let Some(batch) = accumulator.take_next(idempotence) {
                bytes += size;
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
                taken.push((slot, topic_id, batch));
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
        let has_ids = parts.iter().all(|part| !part.topic_id.is_zero());
        let request = produce::request(self.config.acks, timeout_ms, parts);
        let target = Target::Broker(node);
        let id = match has_ids {
            true => self.client.request(now, target, request.into(), timeout),
            // From version 13 on topics are named by their ids (KIP-516).
            false => {
                let build = Box::new(move |version| (version < 13).then(|| request.clone().into()));
                self.client
                    .request_with(now, target, ApiKey::Produce, build, timeout)
            }
        };
        *self.in_flight.entry(node).or_default() += 1;
        let mut slots = Vec::with_capacity(taken.len());
        for (slot, topic_id, batch) in taken {
            slots.push((slot, topic_id));
            if let Some(accumulator) = self.accumulators.get_mut(slot.0) {
                accumulator.fly(id, batch);
            }
            // More of the partition may be in flight beside it.
            self.watch(now, slot);
        }
        self.sent.insert(id, Sent { node, slots });
        true
    }

    // Kafka: Sender.handleProduceResponse
    pub(super) fn on_reply(&mut self, now: Instant, reply: Reply) {
        let Some(Sent { node, slots }) = self.sent.remove(&reply.id) else {
            return self.on_id(now, reply);
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
            let Some(batch) = accumulator.land(reply.id) else {
                continue;
            };
            match &mut outcomes {
                Ok(_) if self.config.acks == Acks::None => self.acknowledge(slot, batch, partition, None),
                Ok(outcomes) => match outcomes.take(&topic, topic_id, partition) {
                    Some(outcome) => {
                        let leader = &outcome.current_leader;
                        if leader.leader_id >= 0 {
                            let endpoint = outcomes.endpoint(leader.leader_id);
                            let (id, epoch) = (leader.leader_id, leader.leader_epoch);
                            self.client
                                .update_leader(now, &topic, partition, id, epoch, endpoint);
                        }
                        self.on_outcome(now, slot, batch, outcome, node);
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
                    self.break_sequences(slot, &batch);
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
        outcome: PartitionProduceResponse,
        node: i32,
    ) {
        let error = ErrorCode::from_code(outcome.error_code);
        // A batch that the log has had for so long that the broker does not know its offset any more.
        if !error.is_error() || error == ErrorCode::DuplicateSequenceNumber {
            return self.acknowledge(slot, batch, outcome.index, Some(&outcome));
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
        if self.can_retry(slot, &batch, error, outcome.log_start_offset) {
            let message = outcome.error_message.map(Arc::from);
            return self.retry(now, slot, batch, node, |topic, partition| {
                refused(topic, partition, message)
            });
        }
        let Some(topic) = self.accumulators.get(slot.0).map(|it| it.topic.clone()) else {
            return;
        };
        self.break_sequences(slot, &batch);
        let (partition, words) = (outcome.index, Words::of(outcome));
        for (index, entry) in batch.entries.into_iter().enumerate() {
            self.release(entry, Err(refused(topic.clone(), partition, words.about(index))));
        }
    }

    fn acknowledge(
        &mut self,
        slot: Slot,
        batch: Batch,
        partition: i32,
        outcome: Option<&PartitionProduceResponse>,
    ) {
        if let (Some(stamp), Some(accumulator)) = (batch.stamp, self.accumulators.get_mut(slot.0)) {
            accumulator.sequences.on_acked(stamp);
        }
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
                last: Some(error.to_string().into()),
            };
            return self.give_up(slot, batch, &error);
        }
        if batch.attempts > self.config.retries {
            return self.give_up(slot, batch, &error);
        }
        // KIP-951: a leader that is new since the attempt is asked at once.
        let leader = self.client.cluster().leader(&topic, partition);
        if leader.is_none_or(|leader| leader == node) {
            accumulator.not_before = now + self.backoff.delay(batch.attempts, &mut self.prng);
            self.timers.set(Timer::Retry(slot), accumulator.not_before);
        }
        batch.last_failure = Some(error.to_string().into());
        accumulator.put_back(batch);
    }

    pub(super) fn fail_batch(&mut self, batch: Batch, error: &SendError) {
        for entry in batch.entries {
            self.release(entry, Err(error.clone()));
        }
    }

    pub(super) fn expire_batches(&mut self, now: Instant, slot: Slot) {
        let Some(accumulator) = self.accumulators.get_mut(slot.0) else {
            return;
        };
        let (topic, partition) = (accumulator.topic.clone(), accumulator.partition);
        let mut expired = Vec::new();
        while let Some(taken) = accumulator.take_expired(now, &self.config) {
            expired.push(taken);
        }
        if accumulator.sequences.is_unresolved() {
            self.ids.note_unresolved(slot);
        }
        if let Some(at) = accumulator.expires_at(&self.config) {
            self.timers.set(Timer::Expire(slot), at);
        }
        for (entries, last) in expired {
            let error = SendError::Expired {
                topic: topic.clone(),
                partition,
                timeout: self.config.delivery_timeout,
                last: last.or_else(|| self.ids.last_failure()),
            };
            for entry in entries {
                self.release(entry, Err(error.clone()));
            }
        }
    }
}
