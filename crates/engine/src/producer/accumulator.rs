//! The records of one partition that wait: an open batch that grows, closed ones before it, and those in flight. When they are
//! sent is decided in `engine`.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use kohort_machine::{Instant, Token};
use kohort_records::{BatchBuilder, BuildError, stored};

use super::config::ProducerConfig;
use super::event::ProducerRecord;
use super::sequences::{Idempotence, Identity, Sequences, Stamp};
use crate::client::RequestId;

/// What is kept of a record while its bytes are in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) token: Token,
    pub(super) timestamp: i64,
    /// Bytes of `buffer.memory` that it holds.
    pub(super) size: usize,
    /// How many flushes came before it.
    pub(super) flush: u64,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Bytes,
    /// In the order of their offsets.
    pub(super) entries: Vec<Entry>,
    pub(super) deadline: Instant,
    /// How often it was sent.
    pub(super) attempts: u32,
    pub(super) last_failure: Option<Arc<str>>,
    /// Its place among the batches of its partition.
    order: u64,
    /// With idempotence, from the first attempt on.
    pub(super) stamp: Option<Stamp>,
    /// The stamp that `bytes` carry.
    written: Option<Stamp>,
}

impl Batch {
    /// Whether it got another stamp since it was sent.
    // Kafka: ProducerBatch.sequenceHasBeenReset
    pub(super) fn is_rewritten(&self) -> bool {
        self.stamp != self.written
    }

    fn write_stamp(&mut self) {
        let Some(stamp) = self.stamp.filter(|_| self.stamp != self.written) else {
            return;
        };
        let bytes = core::mem::take(&mut self.bytes);
        // An attempt that is under way still holds the bytes; else they are changed in place.
        let mut bytes = bytes
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&*shared));
        let Identity { id, epoch } = stamp.identity;
        let written = stored::set_producer(&mut bytes, id, epoch, stamp.first);
        debug_assert!(written.is_ok(), "the builder made a whole batch");
        self.bytes = bytes.freeze();
        self.written = Some(stamp);
    }
}

#[derive(Debug)]
pub(super) struct Accumulator {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    builder: BatchBuilder,
    open: Vec<Entry>,
    open_since: Instant,
    /// In order; those that were sent before and are to be sent again come first.
    closed: VecDeque<Batch>,
    in_flight: Vec<(RequestId, Batch)>,
    batches: u64,
    pub(super) sequences: Sequences,
    /// Until when a failed batch, and with it the partition, waits.
    pub(super) not_before: Instant,
}

/// Records whose batch could not be written.
pub(super) type Unwritten = (Vec<Entry>, BuildError);

impl Accumulator {
    pub(super) fn new(topic: Arc<str>, partition: i32, config: &ProducerConfig) -> Result<Self, BuildError> {
        Ok(Self {
            topic,
            partition,
            builder: BatchBuilder::new(config.compression, config.compression_level)?,
            open: Vec::new(),
            open_since: Instant::ZERO,
            closed: VecDeque::new(),
            in_flight: Vec::new(),
            batches: 0,
            sequences: Sequences::default(),
            not_before: Instant::ZERO,
        })
    }

    /// Whether there is nothing to send and nothing in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty() && self.in_flight.is_empty()
    }

    /// Whether the open batch has no room for a record of this size.
    pub(super) fn is_full_for(&self, size: usize, config: &ProducerConfig) -> bool {
        !self.open.is_empty() && self.builder.size().saturating_add(size) > config.batch_size
    }

    /// Adds a record to the open batch; an error leaves the batch as it was.
    pub(super) fn append(
        &mut self,
        now: Instant,
        record: &ProducerRecord,
        entry: Entry,
    ) -> Result<(), BuildError> {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        self.builder
            .append(record.timestamp, key, value, &record.headers)?;
        if self.open.is_empty() {
            self.open_since = now;
        }
        self.open.push(entry);
        Ok(())
    }

    /// Closes the open batch, if there is one.
    pub(super) fn close_open(&mut self, config: &ProducerConfig) -> Result<(), Unwritten> {
        if self.open.is_empty() {
            return Ok(());
        }
        let entries = core::mem::take(&mut self.open);
        match self.builder.build(0) {
            Ok(bytes) => {
                self.batches += 1;
                self.closed.push_back(Batch {
                    bytes,
                    entries,
                    deadline: self.open_since + config.delivery_timeout,
                    attempts: 0,
                    last_failure: None,
                    order: self.batches,
                    stamp: None,
                    written: None,
                });
                Ok(())
            }
            Err(error) => {
                self.builder.clear();
                Err((entries, error))
            }
        }
    }

    /// Whether a batch may be sent now; `is_hurried`: without lingering.
    pub(super) fn is_sendable(
        &self,
        now: Instant,
        is_hurried: bool,
        idempotence: Idempotence,
        config: &ProducerConfig,
    ) -> bool {
        if self.not_before > now || !self.is_in_turn(idempotence) {
            return false;
        }
        let is_done_lingering = || is_hurried || self.lingers_until(config).is_some_and(|until| until <= now);
        !self.closed.is_empty() || is_done_lingering()
    }

    /// Whether the next batch may be sent beside those in flight. Without sequences one at a time keeps their order.
    // Kafka: RecordAccumulator.shouldStopDrainBatchesForPartition
    fn is_in_turn(&self, idempotence: Idempotence) -> bool {
        match idempotence {
            Idempotence::Off => self.in_flight.is_empty(),
            Idempotence::Waiting => false,
            Idempotence::On(identity) => match self.closed.front() {
                // What is sent again waits until everything before it has its answer.
                Some(batch) if batch.stamp.is_some() => {
                    self.in_flight.iter().all(|(_, other)| other.order > batch.order)
                }
                // The first batch of an identity goes alone: a broker takes a producer that it does not know at any sequence
                // (Kafka: ProducerAppendInfo.checkSequence), so a second batch that overtakes a refused first one would shut
                // it out for good.
                _ => {
                    let is_beside = self.sequences.is_of(identity) && self.sequences.has_begun();
                    (self.in_flight.is_empty() || is_beside) && !self.sequences.is_unresolved()
                }
            },
        }
    }

    /// When the open batch has lingered enough.
    pub(super) fn lingers_until(&self, config: &ProducerConfig) -> Option<Instant> {
        if self.open.is_empty() {
            return None;
        }
        let is_full = self.builder.size() >= config.batch_size;
        Some(if is_full {
            self.open_since
        } else {
            self.open_since + config.linger
        })
    }

    /// Takes the batch to send next off the queue: counts the attempt, and gives it its sequence at the first.
    pub(super) fn take_next(&mut self, idempotence: Idempotence) -> Option<Batch> {
        let mut batch = self.closed.pop_front()?;
        batch.attempts = batch.attempts.saturating_add(1);
        if let Idempotence::On(identity) = idempotence {
            if batch.stamp.is_none() {
                // Nothing of another identity is in flight, see `is_in_turn`.
                if !self.sequences.is_of(identity) {
                    self.sequences.restart(identity);
                }
                batch.stamp = Some(self.sequences.stamp(identity, batch.entries.len()));
            }
            batch.write_stamp();
        }
        Some(batch)
    }

    /// Bytes of the batch to send next.
    pub(super) fn next_size(&self) -> usize {
        self.closed.front().map_or(0, |batch| batch.bytes.len())
    }

    /// A batch was sent by this request.
    pub(super) fn fly(&mut self, request: RequestId, batch: Batch) {
        self.in_flight.push((request, batch));
    }

    /// The batch that this request sent.
    pub(super) fn land(&mut self, request: RequestId) -> Option<Batch> {
        let index = self.in_flight.iter().position(|(id, _)| *id == request)?;
        Some(self.in_flight.remove(index).1)
    }

    /// Puts a batch back that is to be sent again, where it was: order is kept.
    pub(super) fn put_back(&mut self, batch: Batch) {
        let earlier = self.closed.iter().take_while(|other| other.order < batch.order);
        let index = earlier.count();
        self.closed.insert(index, batch);
    }

    /// Whether every batch that was sent has been acknowledged or given up.
    pub(super) fn is_drained(&self) -> bool {
        self.in_flight.is_empty() && self.closed.front().is_none_or(|batch| batch.stamp.is_none())
    }

    /// Gives the batches that were sent sequences from 0 on, of another identity.
    // Kafka: TransactionManager.bumpIdempotentProducerEpoch
    pub(super) fn restart(&mut self, identity: Identity) {
        self.sequences.restart(identity);
        let mut sent: Vec<&mut Batch> = self.in_flight.iter_mut().map(|(_, batch)| batch).collect();
        sent.extend(self.closed.iter_mut().filter(|batch| batch.stamp.is_some()));
        sent.sort_by_key(|batch| batch.order);
        for batch in sent {
            batch.stamp = Some(self.sequences.stamp(identity, batch.entries.len()));
        }
    }

    /// When the oldest waiting record is given up.
    pub(super) fn expires_at(&self, config: &ProducerConfig) -> Option<Instant> {
        match self.closed.front() {
            Some(batch) => Some(batch.deadline),
            None if self.open.is_empty() => None,
            None => Some(self.open_since + config.delivery_timeout),
        }
    }

    /// Takes the waiting records that are given up by now, oldest first, with what their last attempt failed with.
    pub(super) fn take_expired(&mut self, now: Instant, config: &ProducerConfig) -> Option<Taken> {
        if self.expires_at(config)? > now {
            return None;
        }
        match self.closed.pop_front() {
            Some(batch) => {
                // Kafka: Sender.sendProducerData: a batch that expires between two attempts
                if let Some(stamp) = batch.stamp {
                    self.sequences.mark_unresolved(stamp);
                }
                Some((batch.entries, batch.last_failure))
            }
            None => {
                self.builder.clear();
                Some((core::mem::take(&mut self.open), None))
            }
        }
    }

    /// Takes everything, whatever its state.
    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        let in_flight = self.in_flight.drain(..);
        let mut entries: Vec<Entry> = in_flight.flat_map(|(_, batch)| batch.entries).collect();
        entries.extend(self.closed.drain(..).flat_map(|batch| batch.entries));
        entries.append(&mut self.open);
        self.builder.clear();
        entries
    }
}

/// Records, and what their last attempt failed with.
pub(super) type Taken = (Vec<Entry>, Option<Arc<str>>);
