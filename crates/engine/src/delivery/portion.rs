//! What one turn may hand out of an open batch, and who takes it. Whose turn it is lives in [`super::opening`].

use alloc::sync::Arc;
use core::ops::ControlFlow;

use kohort_groups::TopicPartition;
use kohort_records::{Chunk, Cursor, RecordView, Tally};

use super::fetched::Open;
use super::memory::Memory;
use crate::consumer::Position;

/// Who takes the records that [`Delivery::hand_out`](super::Delivery::hand_out) hands out.
pub trait Sink {
    /// Takes records of the portion, from its beginning on. What is left of it is handed out next: in this call or, if this breaks
    /// or takes none, in the next one.
    fn take(&mut self, portion: &mut Portion<'_>) -> ControlFlow<()>;
}

/// Consecutive records of one batch, at least one, that may be taken now.
#[derive(Debug)]
pub struct Portion<'a> {
    partition: &'a Arc<TopicPartition>,
    open: &'a mut Open,
    max: usize,
    taken: usize,
    /// What the records' copies count in, if records that are kept should not keep the batch.
    copied: Option<(&'a Memory, &'a Tally)>,
    /// The offset after what was taken; `None` while nothing is.
    next_offset: Option<i64>,
    /// The record that was not taken.
    stopped_at: Option<i64>,
}

impl<'a> Portion<'a> {
    pub(super) fn new(partition: &'a Arc<TopicPartition>, open: &'a mut Open, max: usize) -> Self {
        let max = max.min(open.batch.len() - open.cursor.index());
        Self {
            partition,
            open,
            max,
            taken: 0,
            copied: None,
            next_offset: None,
            stopped_at: None,
        }
    }

    /// Records are copied out, unless one has memory of its own in any case.
    pub(super) fn copy_out(&mut self, memory: &'a Memory, share: &'a Tally) {
        let is_its_own = self.open.is_decompressed && self.open.batch.len() == 1;
        self.copied = (!is_its_own).then_some((memory, share));
    }

    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    pub(super) fn stopped_at(&self) -> Option<i64> {
        self.stopped_at
    }

    pub(super) fn next_position(&self) -> Option<Position> {
        Some(Position {
            offset: self.next_offset?,
            leader_epoch: self.leader_epoch(),
        })
    }

    /// The partition; clones of the handle are cheap.
    pub fn partition(&self) -> &'a Arc<TopicPartition> {
        self.partition
    }

    /// The leader epoch of the records, if the batch has one (KIP-320).
    pub fn leader_epoch(&self) -> Option<i32> {
        known_epoch(self.open.batch.partition_leader_epoch())
    }

    /// How many records may be taken.
    pub fn left(&self) -> usize {
        self.max - self.taken
    }

    /// The position after the records that were taken: the offset after the last of them or, if they are the last of their
    /// batch, the offset after the batch. `None` while none is taken.
    // Kafka: CompletedFetch.fetchRecords
    pub fn next_offset(&self) -> Option<i64> {
        self.next_offset
    }

    /// Takes all that are left, as a chunk that keeps the batch.
    pub fn chunk(&mut self) -> Chunk {
        let left = self.left();
        let chunk = self.open.batch.take(&mut self.open.cursor, left);
        self.taken += chunk.len();
        if !chunk.is_empty() {
            self.next_offset = Some(chunk.next_offset());
        }
        chunk
    }

    /// Takes one record after the other, until `each` fails: that record and those after it are not taken. When records that
    /// are kept hold much memory, each is copied out of its batch first.
    ///
    /// # Errors
    ///
    /// That of `each`.
    #[inline(always)]
    pub fn try_for_each<E>(
        &mut self,
        mut each: impl FnMut(&RecordView<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.copied.is_some() {
            return self.copy_each(&mut each);
        }
        let batch = &self.open.batch;
        let mut done = Done::at(self.open.cursor);
        for _ in 0..self.left() {
            let mut after = done.cursor;
            let Some(record) = batch.record_at(&mut after) else {
                break;
            };
            if let Err(error) = each(&record) {
                self.stopped_at = Some(record.offset);
                self.take(done);
                return Err(error);
            }
            done.record(record.offset, after);
        }
        self.take(done);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn copy_each<E>(&mut self, each: &mut dyn FnMut(&RecordView<'_>) -> Result<(), E>) -> Result<(), E> {
        let Some((memory, share)) = self.copied else {
            return Ok(());
        };
        let batch = &self.open.batch;
        let mut done = Done::at(self.open.cursor);
        for _ in 0..self.left() {
            let mut after = done.cursor;
            let Some(copy) = batch.copy_at(&mut after, |bytes| memory.copied(bytes, share)) else {
                break;
            };
            let Some(record) = copy.record_at(&mut copy.cursor()) else {
                break;
            };
            if let Err(error) = each(&record) {
                self.stopped_at = Some(record.offset);
                self.take(done);
                return Err(error);
            }
            done.record(record.offset, after);
        }
        self.take(done);
        Ok(())
    }

    fn take(&mut self, done: Done) {
        let Open { batch, cursor, .. } = &mut *self.open;
        self.taken += done.cursor.index() - cursor.index();
        *cursor = done.cursor;
        self.next_offset = match done.next_offset {
            Some(_) if cursor.index() == batch.len() => Some(batch.next_offset()),
            next_offset => next_offset.or(self.next_offset),
        };
    }
}

/// How far taking has come. It counts at the end, so that a panic in between takes nothing.
struct Done {
    cursor: Cursor,
    next_offset: Option<i64>,
}

impl Done {
    const fn at(cursor: Cursor) -> Self {
        Self {
            cursor,
            next_offset: None,
        }
    }

    const fn record(&mut self, offset: i64, after: Cursor) {
        self.cursor = after;
        self.next_offset = Some(offset.saturating_add(1));
    }
}

pub(super) fn known_epoch(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}
