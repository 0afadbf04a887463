//! The records of a batch, decompressed and checked once, so that iterating them cannot fail. What a record is lives
//! in
//! [`crate::record`].

use std::sync::Arc;

use bytes::Bytes;

use crate::error::BatchError;
use crate::header::{CONTROL, Header, TRANSACTIONAL, TimestampType};
use crate::record::{Fields, RecordView, SHORTEST_RECORD, diagnose};
use crate::wire::take_nullable;

/// A batch whose records are decompressed and known to be well formed.
///
/// `Send`, `'static`, and cheap to clone: clones share the bytes. It is one pointer, as it is moved with each poll.
#[derive(Debug, Clone)]
pub struct OpenBatch {
    opened: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    header: Header,
    /// The records; a slice of the batch if that was not compressed.
    records: Bytes,
    /// How many records there are up to the first malformed one.
    count: u32,
    next_offset: i64,
    incremental: bool,
}

impl OpenBatch {
    /// A hostile number of records must not reach anyone who counts on it.
    pub(crate) fn check_count(header: &Header, bytes: usize) -> Result<(), BatchError> {
        let count = header.records_count;
        if count as usize > bytes / SHORTEST_RECORD {
            return Err(BatchError::RecordsCount {
                base_offset: header.base_offset,
                count,
                bytes,
            });
        }
        Ok(())
    }

    /// Walks the records; gives the batch of the well-formed ones and what ended it, if not the end.
    pub(crate) fn walk(header: Header, records: Bytes) -> (Self, Option<BatchError>) {
        let mut opened = Opened {
            header,
            records,
            count: 0,
            next_offset: header.next_offset(),
            incremental: true,
        };
        let error = opened.check().err();
        if error.is_some() {
            opened.next_offset = opened.last_read().map_or(header.base_offset, |offset| offset + 1);
        }
        (Self::of(opened), error)
    }

    fn of(opened: Opened) -> Self {
        Self {
            opened: Arc::new(opened),
        }
    }

    /// The memory that the batch holds, in bytes: its decompressed records or, if it was not compressed, its part of
    /// the bytes it was decoded from.
    pub fn size(&self) -> usize {
        self.opened.records.len()
    }

    /// The records as they lie there, one after another, without compression.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.opened.records
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.opened.count as usize
    }

    /// Whether there are no records, as in a batch that was compacted away.
    pub fn is_empty(&self) -> bool {
        self.opened.count == 0
    }

    /// The base offset of the batch.
    pub fn base_offset(&self) -> i64 {
        self.opened.header.base_offset
    }

    /// The last offset of the batch, as its header says; that record may be compacted away.
    pub fn last_offset(&self) -> i64 {
        self.opened.header.last_offset()
    }

    /// The offset after the batch.
    pub fn next_offset(&self) -> i64 {
        self.opened.next_offset
    }

    /// The epoch of the leader that appended the batch, or -1.
    pub fn partition_leader_epoch(&self) -> i32 {
        self.opened.header.partition_leader_epoch
    }

    /// The producer's id, or -1.
    pub fn producer_id(&self) -> i64 {
        self.opened.header.producer_id
    }

    /// Whether the batch holds a control record.
    pub fn is_control(&self) -> bool {
        self.opened.header.has(CONTROL)
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.opened.header.has(TRANSACTIONAL)
    }

    /// Which clock the timestamps come from.
    pub fn timestamp_type(&self) -> TimestampType {
        self.opened.header.timestamp_type()
    }

    /// Whether the records' offsets begin with the base offset and have no gap, as those of a batch that a producer
    /// sends. Kafka's broker writes a compressed batch anew that has others; consumers take what is there.
    // Kafka: LogValidator.validateMessagesAndAssignOffsetsCompressed, "inPlaceAssignment"
    pub fn has_incremental_offsets(&self) -> bool {
        self.opened.incremental
    }

    /// The position of the first record.
    pub const fn cursor(&self) -> Cursor {
        Cursor {
            position: 0,
            index: 0,
        }
    }

    /// The record at the cursor, which moves behind it; `None` at the end. Nothing is allocated.
    #[inline(always)]
    pub fn record_at<'a>(&'a self, cursor: &mut Cursor) -> Option<RecordView<'a>> {
        self.opened.record_at(cursor)
    }

    /// The record at the cursor, which moves behind it, as a batch of its own whose bytes are copied: it does not keep this one
    /// in memory. `wrap` makes a handle of the bytes. `None` at the end.
    pub fn copy_at(&self, cursor: &mut Cursor, wrap: impl FnOnce(Vec<u8>) -> Bytes) -> Option<Self> {
        let begin = cursor.position;
        self.record_at(cursor)?;
        let whole = &self.opened;
        let bytes = whole.records.get(begin..cursor.position)?;
        Some(Self::of(Opened {
            header: whole.header,
            records: wrap(bytes.to_vec()),
            count: 1,
            next_offset: whole.next_offset,
            incremental: whole.incremental,
        }))
    }

    /// All records.
    pub fn iter(&self) -> Records<'_> {
        self.opened.iter()
    }

    /// Moves the cursor forward to the first record at or after the offset; to the end if there is none.
    pub fn skip_to(&self, cursor: &mut Cursor, offset: i64) {
        if offset > self.opened.header.last_offset() {
            *cursor = Cursor {
                position: self.opened.records.len(),
                index: self.opened.count,
            };
            return;
        }
        let mut next = *cursor;
        while self
            .record_at(&mut next)
            .is_some_and(|record| record.offset < offset)
        {
            *cursor = next;
        }
    }

    /// The next records, at most `max`, as a chunk that is iterated on its own; the cursor moves behind them.
    ///
    /// Takes the rest of the batch without looking at it if that is not more than `max`, and walks the records taken
    /// otherwise.
    pub fn take(&self, cursor: &mut Cursor, max: usize) -> Chunk {
        let start = *cursor;
        let left = self.opened.count.saturating_sub(start.index);
        let count = u32::try_from(max).map_or(left, |max| left.min(max));
        let next_offset = if count == left {
            *cursor = Cursor {
                position: self.opened.records.len(),
                index: self.opened.count,
            };
            self.opened.next_offset
        } else {
            self.skip(cursor, count).unwrap_or(self.opened.header.base_offset)
        };
        Chunk {
            batch: self.clone(),
            start,
            count,
            next_offset,
        }
    }

    /// Moves the cursor by some records; gives the offset after the last of them, or that of the next record if
    /// there are none.
    fn skip(&self, cursor: &mut Cursor, count: u32) -> Option<i64> {
        let Some(before_last) = count.checked_sub(1) else {
            return self.record_at(&mut cursor.clone()).map(|record| record.offset);
        };
        let is_known = self.opened.incremental;
        let passed = if is_known { count } else { before_last };
        let mut rest = self.opened.records.get(cursor.position..)?;
        for _ in 0..passed {
            take_nullable(&mut rest)?;
        }
        *cursor = Cursor {
            position: self.opened.records.len() - rest.len(),
            index: cursor.index.saturating_add(passed),
        };
        if is_known {
            let next = self.opened.header.base_offset;
            return Some(next.saturating_add(i64::from(cursor.index)));
        }
        self.record_at(cursor)
            .map(|record| record.offset.saturating_add(1))
    }
}

impl Opened {
    const fn iter(&self) -> Records<'_> {
        Records {
            batch: self,
            cursor: Cursor {
                position: 0,
                index: 0,
            },
            left: self.count,
        }
    }

    #[inline(always)]
    fn record_at<'a>(&'a self, cursor: &mut Cursor) -> Option<RecordView<'a>> {
        if cursor.index >= self.count {
            return None;
        }
        // The records were walked when the batch was opened, so each can be taken.
        let (fields, after) = Fields::take(self.records.get(cursor.position..)?)?;
        cursor.position = self.records.len() - after.len();
        cursor.index += 1;
        let offset = self
            .header
            .base_offset
            .wrapping_add(i64::from(fields.offset_delta));
        let timestamp_type = self.header.timestamp_type();
        let timestamp = match timestamp_type {
            TimestampType::CreateTime => self.header.base_timestamp.wrapping_add(fields.timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        Some(RecordView::new(
            fields,
            offset,
            timestamp,
            timestamp_type,
            &self.records,
        ))
    }

    fn check(&mut self) -> Result<(), BatchError> {
        let base_offset = self.header.base_offset;
        let last_delta = self.header.last_offset_delta;
        let mut rest = &self.records[..];
        let mut incremental = true;
        for index in 0..self.header.records_count {
            let Some((delta, after)) = check_record(rest, last_delta) else {
                self.count = index;
                self.incremental = false;
                let (at, problem) = diagnose(rest);
                let position = self.records.len() - rest.len() + at;
                return Err(BatchError::Record {
                    base_offset,
                    index,
                    position,
                    problem,
                });
            };
            incremental &= delta == index;
            rest = after;
        }
        self.count = self.header.records_count;
        self.incremental = incremental;
        match rest.len() {
            0 => Ok(()),
            bytes => {
                let position = self.records.len() - bytes;
                Err(BatchError::TrailingBytes {
                    base_offset,
                    position,
                    bytes,
                })
            }
        }
    }

    fn last_read(&self) -> Option<i64> {
        self.iter().last().map(|record| record.offset)
    }
}

impl<'a> IntoIterator for &'a OpenBatch {
    type Item = RecordView<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

/// Checks the first record; gives its offset delta and what follows it.
#[inline(always)]
fn check_record(bytes: &[u8], last_offset_delta: u32) -> Option<(u32, &[u8])> {
    let (fields, after) = Fields::take(bytes)?;
    let delta = u32::try_from(fields.offset_delta)
        .ok()
        .filter(|delta| *delta <= last_offset_delta)?;
    fields.headers.are_whole().then_some((delta, after))
}

/// The position of a record inside of an opened batch. A cursor belongs to the batch that it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    position: usize,
    index: u32,
}

impl Cursor {
    /// How many records of the batch lie before the cursor.
    pub const fn index(&self) -> usize {
        self.index as usize
    }
}

/// The records of an opened batch, or of a chunk of it.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    batch: &'a Opened,
    cursor: Cursor,
    left: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = RecordView<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<RecordView<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.batch.record_at(&mut self.cursor)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Records<'_> {}
impl std::iter::FusedIterator for Records<'_> {}

/// Some consecutive records of an opened batch, which it keeps alive.
#[derive(Debug, Clone)]
pub struct Chunk {
    batch: OpenBatch,
    start: Cursor,
    count: u32,
    next_offset: i64,
}

impl Chunk {
    /// The records.
    pub fn iter(&self) -> Records<'_> {
        Records {
            batch: &self.batch.opened,
            cursor: self.start,
            left: self.count,
        }
    }

    /// Where they begin in their batch.
    pub const fn start(&self) -> Cursor {
        self.start
    }

    /// The number of records.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no records.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The position after these records: the offset after the last of them or, if they are the last of their batch,
    /// the offset after the batch.
    // Kafka: CompletedFetch.fetchRecords
    pub const fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The batch.
    pub const fn batch(&self) -> &OpenBatch {
        &self.batch
    }
}

impl<'a> IntoIterator for &'a Chunk {
    type Item = RecordView<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
