//! How a record gets into its partition's batch: room, metadata, partitioner. When batches are sent lives in `sender`.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{Instant, Token};
use kohort_records::{BATCH_OVERHEAD, BatchBuilder};

use super::{ProducerEngine, Slot, Timer, Waiting};
use crate::producer::accumulator::{Accumulator, Entry};
use crate::producer::error::SendError;
use crate::producer::event::ProducerRecord;
use crate::producer::partitioner::partition_for_key;

impl ProducerEngine {
    // Kafka: KafkaProducer.doSend
    pub(super) fn on_send(&mut self, now: Instant, token: Token, record: Box<ProducerRecord>) {
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

    pub(super) fn has_room_for(&self, size: usize) -> bool {
        self.memory.saturating_add(size) <= self.config.buffer_memory
    }

    pub(super) fn admit(&mut self, now: Instant, waiting: Waiting) {
        self.memory += waiting.entry.size;
        self.route(now, waiting);
    }

    /// Puts a record into its partition's batch, or lets it wait for metadata. Those that wait hold up none of another
    /// partition: either the topic cannot be used, and then all wait, or their own partition is missing.
    fn route(&mut self, now: Instant, waiting: Waiting) {
        let topic = waiting.record.topic.clone();
        let state = self.topics.entry(topic.clone()).or_default();
        let known = self.client.cluster().topic(&topic);
        let partition = match known {
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
                let is_partition_missing = known.is_some_and(|known| known.error.is_none());
                state.waiting.push_back(waiting);
                self.client.track_topic(now, topic);
                // Kafka: KafkaProducer.waitOnMetadata asks until the partition is there; it may have been added.
                if is_partition_missing {
                    self.client.refresh_metadata(now);
                }
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

    pub(super) fn on_cluster_change(&mut self, now: Instant) {
        let waiting = self.topics.iter().filter(|(_, topic)| !topic.waiting.is_empty());
        let names: Vec<Arc<str>> = waiting.map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(topic) = self.topics.get_mut(&name) else {
                continue;
            };
            self.timers.cancel(&Timer::Metadata(name));
            let waiting = core::mem::take(&mut topic.waiting);
            for waiting in waiting {
                self.route(now, waiting);
            }
        }
    }

    pub(super) fn expire_metadata(&mut self, now: Instant, name: &Arc<str>) {
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

    pub(super) fn expire_room(&mut self, now: Instant) {
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
}
