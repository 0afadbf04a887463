//! The records of one partition that wait: an open batch that grows, closed ones behind it, at most one in flight. When they
//! are sent is decided in `engine`.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_machine::{Instant, Token};
use kohort_records::{BatchBuilder, BuildError};

use super::config::ProducerConfig;
use super::event::ProducerRecord;

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
    pub(super) last_failure: Option<alloc::string::String>,
}

#[derive(Debug)]
pub(super) struct Accumulator {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    builder: BatchBuilder,
    open: Vec<Entry>,
    open_since: Instant,
    closed: VecDeque<Batch>,
    pub(super) in_flight: Option<Batch>,
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
            in_flight: None,
            not_before: Instant::ZERO,
        })
    }

    /// Whether there is nothing to send and nothing in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty() && self.in_flight.is_none()
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
                self.closed.push_back(Batch {
                    bytes,
                    entries,
                    deadline: self.open_since + config.delivery_timeout,
                    attempts: 0,
                    last_failure: None,
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
    pub(super) fn is_sendable(&self, now: Instant, is_hurried: bool, config: &ProducerConfig) -> bool {
        if self.in_flight.is_some() || self.not_before > now {
            return false;
        }
        let is_done_lingering = || is_hurried || self.lingers_until(config).is_some_and(|until| until <= now);
        !self.closed.is_empty() || is_done_lingering()
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

    /// The batch to send next, taken off the queue.
    pub(super) fn take_next(&mut self) -> Option<Batch> {
        self.closed.pop_front()
    }

    /// Bytes of the batch to send next.
    pub(super) fn next_size(&self) -> usize {
        self.closed.front().map_or(0, |batch| batch.bytes.len())
    }

    /// Puts a batch back that is to be sent again, before all others: order is kept.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.closed.push_front(batch);
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
            Some(batch) => Some((batch.entries, batch.last_failure)),
            None => {
                self.builder.clear();
                Some((core::mem::take(&mut self.open), None))
            }
        }
    }

    /// Takes everything, whatever its state.
    pub(super) fn take_all(&mut self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self
            .in_flight
            .take()
            .into_iter()
            .flat_map(|batch| batch.entries)
            .collect();
        entries.extend(self.closed.drain(..).flat_map(|batch| batch.entries));
        entries.append(&mut self.open);
        self.builder.clear();
        entries
    }
}

/// Records, and what their last attempt failed with.
pub(super) type Taken = (Vec<Entry>, Option<alloc::string::String>);
