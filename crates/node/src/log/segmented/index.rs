//! The sparse indexes of a segment: from offsets to positions (`.index`: 4 bytes offset, 4 bytes position) and from times to
//! offsets (`.timeindex`: 8 bytes timestamp, 4 bytes offset). Offsets are relative to the segment's base. This file knows
//! when an entry is due and how entries are found; the segment writes them.

use alloc::vec::Vec;

use super::head::Head;
use crate::log::disk::Disk;
use crate::log::storage::StorageError;

/// The bytes of an entry of the offset index.
pub(super) const OFFSET_ENTRY: usize = 8;
/// The bytes of an entry of the time index.
pub(super) const TIME_ENTRY: usize = 12;
/// How many entries are read at once when little is left to search.
const SEARCHED_AT_ONCE: u64 = 128;

/// A time, and the last offset of the first batch that has it as its greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimedOffset {
    pub(super) timestamp: i64,
    pub(super) offset: i64,
}

/// How far the indexes of a segment have come.
#[derive(Debug, Clone)]
pub(super) struct Indexed {
    base_offset: i64,
    /// How many entries the offset index has.
    pub(super) offsets: u64,
    /// How many entries the time index has.
    pub(super) times: u64,
    /// The last entry of the time index.
    last_time: TimedOffset,
    /// The greatest timestamp so far.
    pub(super) greatest: TimedOffset,
    /// Bytes of the batches since the last entry of the offset index, the batch of that entry included.
    bytes_since: u64,
}

/// What a batch adds to the indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Additions {
    pub(super) offset: Option<[u8; OFFSET_ENTRY]>,
    pub(super) time: Option<[u8; TIME_ENTRY]>,
}

impl Indexed {
    /// Nothing yet.
    pub(super) fn new(base_offset: i64) -> Self {
        let none = TimedOffset {
            timestamp: -1,
            offset: base_offset,
        };
        Self {
            base_offset,
            offsets: 0,
            times: 0,
            last_time: none,
            greatest: none,
            bytes_since: 0,
        }
    }

    /// Indexes that are there; `last_time` is the last entry of the time index.
    pub(super) fn existing(
        base_offset: i64,
        offsets: u64,
        times: u64,
        last_time: Option<TimedOffset>,
    ) -> Self {
        let mut indexed = Self::new(base_offset);
        indexed.offsets = offsets;
        indexed.times = times;
        if let Some(last_time) = last_time {
            indexed.last_time = last_time;
            indexed.greatest = last_time;
        }
        indexed
    }

    /// Counts a batch that is in the offset index already, or behind its last entry and not due for one.
    pub(super) fn skip(&mut self, batch: &Head) {
        self.note_time(batch);
        self.bytes_since = self.bytes_since.saturating_add(batch.size as u64);
    }

    /// Counts a batch at `position` and gives what it adds. Nothing changes but by what is given: a caller that cannot write
    /// it goes back to a copy.
    // Kafka: LogSegment.append
    pub(super) fn add(&mut self, batch: &Head, position: u64, interval: u64) -> Additions {
        self.note_time(batch);
        let mut additions = Additions::default();
        if self.bytes_since > interval {
            additions.offset = self.offset_entry(batch.last_offset, position);
            self.offsets = self.offsets.saturating_add(u64::from(additions.offset.is_some()));
            additions.time = self.add_time();
            self.bytes_since = 0;
        }
        self.bytes_since = self.bytes_since.saturating_add(batch.size as u64);
        additions
    }

    /// The entry for the greatest time so far, unless it is there.
    // Kafka: LogSegment.onBecomeInactiveSegment, TimeIndex.maybeAppend
    pub(super) fn add_time(&mut self) -> Option<[u8; TIME_ENTRY]> {
        if self.greatest.timestamp <= self.last_time.timestamp {
            return None;
        }
        let relative = self.relative(self.greatest.offset)?;
        let mut entry = [0; TIME_ENTRY];
        let (time, offset) = entry.split_at_mut(8);
        time.copy_from_slice(&self.greatest.timestamp.to_be_bytes());
        offset.copy_from_slice(&relative.to_be_bytes());
        self.last_time = self.greatest;
        self.times = self.times.saturating_add(1);
        Some(entry)
    }

    /// Whether an index has reached `segment.index.bytes`.
    // Kafka: LogSegment.shouldRoll, OffsetIndex.isFull, TimeIndex.isFull
    pub(super) fn is_full(&self, index_bytes: u64) -> bool {
        let room = |entry: usize| index_bytes.checked_div(entry as u64).unwrap_or(0);
        self.offsets >= room(OFFSET_ENTRY) || self.times >= room(TIME_ENTRY).saturating_sub(1)
    }

    fn note_time(&mut self, batch: &Head) {
        if batch.max_timestamp > self.greatest.timestamp {
            self.greatest = TimedOffset {
                timestamp: batch.max_timestamp,
                offset: batch.last_offset,
            };
        }
    }

    fn offset_entry(&self, offset: i64, position: u64) -> Option<[u8; OFFSET_ENTRY]> {
        let relative = self.relative(offset)?;
        let position = i32::try_from(position).ok()?;
        let mut entry = [0; OFFSET_ENTRY];
        let (first, second) = entry.split_at_mut(4);
        first.copy_from_slice(&relative.to_be_bytes());
        second.copy_from_slice(&position.to_be_bytes());
        Some(entry)
    }

    fn relative(&self, offset: i64) -> Option<i32> {
        i32::try_from(offset.checked_sub(self.base_offset)?)
            .ok()
            .filter(|relative| *relative >= 0)
    }
}

/// An entry of the offset index: relative offset and position.
pub(super) fn read_offset_entry(bytes: &[u8]) -> Option<(i64, u64)> {
    let (offset, position) = bytes.split_at_checked(4)?;
    let offset = i32::from_be_bytes(offset.try_into().ok()?);
    let position = i32::from_be_bytes(position.get(..4)?.try_into().ok()?);
    Some((i64::from(offset), u64::try_from(position).ok()?))
}

/// An entry of the time index: timestamp and relative offset.
pub(super) fn read_time_entry(bytes: &[u8]) -> Option<(i64, i64)> {
    let (time, offset) = bytes.split_at_checked(8)?;
    let time = i64::from_be_bytes(time.try_into().ok()?);
    let offset = i32::from_be_bytes(offset.get(..4)?.try_into().ok()?);
    Some((time, i64::from(offset)))
}

/// The last of `count` ascending entries for which `is_before` holds.
pub(super) fn last_before<T>(
    disk: &mut dyn Disk,
    path: &str,
    entry_bytes: usize,
    count: u64,
    read: impl Fn(&[u8]) -> Option<T>,
    is_before: impl Fn(&T) -> bool,
) -> Result<Option<T>, StorageError> {
    let entries = |disk: &mut dyn Disk, first: u64, count: u64| -> Result<Vec<u8>, StorageError> {
        let at = first.saturating_mul(entry_bytes as u64);
        let len = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_mul(entry_bytes);
        disk.read(path, at, len)
    };
    let (mut low, mut high) = (0u64, count);
    // All before `low` hold, none from `high` on does.
    while high.saturating_sub(low) > SEARCHED_AT_ONCE {
        let middle = low.midpoint(high);
        match read(&entries(disk, middle, 1)?) {
            Some(entry) if is_before(&entry) => low = middle,
            _ => high = middle,
        }
    }
    let bytes = entries(disk, low, high.saturating_sub(low))?;
    let holding = bytes
        .chunks_exact(entry_bytes)
        .map_while(|bytes| read(bytes).filter(&is_before));
    Ok(holding.last())
}
