//! Logs in memory. Batches are copied once, at append, into a growing tail; full tails become shared chunks, out of which
//! fetches are sliced without copying.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use kohort_records::Batch;

use super::segments::SegmentFacts;
use super::storage::{BatchPlace, LogName, Point, Storage, StorageError, StoredLog};
use crate::config::LogConfig;

/// The tail becomes a chunk before it grows beyond this many bytes: as much as a consumer with default settings fetches of
/// a partition at once.
const CHUNK_BYTES: usize = 1 << 20;
/// A read of fewer bytes of the tail is copied; one of more makes the tail a chunk, so that nothing is copied.
const SHARED_FROM: usize = 64 << 10;

/// Keeps logs in memory, for as long as they are open.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryStorage;

impl Storage for MemoryStorage {
    fn open(&mut self, _name: &LogName, _config: &LogConfig) -> Result<Box<dyn StoredLog>, StorageError> {
        Ok(Box::new(MemoryLog::default()))
    }

    fn remove(&mut self, _name: &LogName) -> Result<(), StorageError> {
        Ok(())
    }

    fn is_lasting(&self) -> bool {
        false
    }

    fn found(&mut self) -> Result<Vec<LogName>, StorageError> {
        Ok(Vec::new())
    }

    fn set_aside(&mut self, _name: &LogName) -> Result<(), StorageError> {
        Ok(())
    }

    fn keep(&mut self, _point: Point, _offsets: &[(LogName, i64)]) -> Result<(), StorageError> {
        Ok(())
    }

    fn take_unsynced(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn take_garbage(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn sync(&mut self, _paths: &[String]) -> Result<(), StorageError> {
        Ok(())
    }

    fn close(&mut self, _epoch: i64) -> Result<(), StorageError> {
        Ok(())
    }
}

/// One log in memory. Positions count the bytes ever appended; a batch never lies in two chunks.
#[derive(Debug, Default)]
struct MemoryLog {
    batches: VecDeque<Kept>,
    chunks: VecDeque<Chunk>,
    tail: BytesMut,
    tail_position: u64,
    start_offset: i64,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    place: BatchPlace,
    position: u64,
}

#[derive(Debug)]
struct Chunk {
    position: u64,
    bytes: Bytes,
}

impl MemoryLog {
    /// The index of the batch that holds `offset`, or of the first after it.
    fn index_of(&self, offset: i64) -> usize {
        self.batches
            .partition_point(|kept| kept.place.last_offset < offset)
    }

    fn end_position(&self) -> u64 {
        self.tail_position.saturating_add(self.tail.len() as u64)
    }

    /// Where the batch of this index begins; the end of the log behind the last.
    fn position(&self, index: usize) -> u64 {
        self.batches
            .get(index)
            .map_or(self.end_position(), |kept| kept.position)
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            let bytes = self.tail.split().freeze();
            let position = self.tail_position;
            self.tail_position = position.saturating_add(bytes.len() as u64);
            self.chunks.push_back(Chunk { position, bytes });
        }
    }

    /// The bytes from `start` to `end`, or to the end of the chunk in which `start` lies.
    fn slice(&mut self, start: u64, end: u64) -> Bytes {
        if start >= self.tail_position {
            let range = within(start, end, self.tail_position, self.tail.len());
            if range.len() < SHARED_FROM {
                return Bytes::copy_from_slice(self.tail.get(range).unwrap_or_default());
            }
            self.seal_tail();
        }
        let after = self.chunks.partition_point(|chunk| chunk.position <= start);
        match after.checked_sub(1).and_then(|index| self.chunks.get(index)) {
            Some(chunk) => chunk
                .bytes
                .slice(within(start, end, chunk.position, chunk.bytes.len())),
            None => Bytes::new(),
        }
    }

    fn batch(&mut self, index: usize) -> Option<Bytes> {
        let start = self.batches.get(index)?.position;
        let end = self.position(index.saturating_add(1));
        Some(self.slice(start, end))
    }
}

/// The part of `len` bytes at `position` that lies from `start` to `end`.
fn within(start: u64, end: u64, position: u64, len: usize) -> core::ops::Range<usize> {
    let relative = |at: u64| {
        usize::try_from(at.saturating_sub(position))
            .unwrap_or(len)
            .min(len)
    };
    relative(start)..relative(end).max(relative(start))
}

impl StoredLog for MemoryLog {
    fn append(
        &mut self,
        place: BatchPlace,
        batch: &[u8],
        _config: &LogConfig,
        stamp: &dyn Fn(&mut [u8]),
    ) -> Result<(), StorageError> {
        if self.tail.len().saturating_add(batch.len()) > CHUNK_BYTES {
            self.seal_tail();
        }
        let position = self.end_position();
        let start = self.tail.len();
        self.tail.extend_from_slice(batch);
        if let Some(kept) = self.tail.get_mut(start..) {
            stamp(kept);
        }
        self.batches.push_back(Kept { place, position });
        Ok(())
    }

    fn bounds(&self) -> (i64, i64) {
        let end = self
            .batches
            .back()
            .map(|kept| kept.place.last_offset.saturating_add(1));
        (self.start_offset, end.unwrap_or(self.start_offset))
    }

    fn read(
        &mut self,
        from: i64,
        until: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Bytes, StorageError> {
        let first = self.index_of(from);
        let start = self.position(first);
        let limit = start.saturating_add(max_bytes as u64);
        let bound = self
            .batches
            .partition_point(|kept| kept.place.base_offset < until);
        // The batches that end within the limit are those before the last one that begins within it.
        let begin_within = self.batches.partition_point(|kept| kept.position <= limit);
        let fitting = match self.end_position() <= limit {
            true => self.batches.len(),
            false => begin_within.saturating_sub(1),
        };
        let mut end = fitting.min(bound);
        if end <= first && at_least_one && first < bound {
            end = first.saturating_add(1);
        }
        if end <= first {
            return Ok(Bytes::new());
        }
        let end = self.position(end);
        Ok(self.slice(start, end))
    }

    fn bytes_between(&mut self, from: i64, until: i64) -> u64 {
        let end = self
            .batches
            .partition_point(|kept| kept.place.base_offset < until);
        self.position(end)
            .saturating_sub(self.position(self.index_of(from)))
    }

    fn first_at_or_after(&mut self, timestamp: i64, from: i64) -> Result<Option<Bytes>, StorageError> {
        let first = self.index_of(from);
        let found = self
            .batches
            .range(first..)
            .position(|kept| kept.place.max_timestamp >= timestamp);
        Ok(found.and_then(|offset| self.batch(first.saturating_add(offset))))
    }

    fn with_greatest_timestamp(&mut self) -> Result<Option<Bytes>, StorageError> {
        let mut greatest: Option<(usize, i64)> = None;
        for (index, Kept { place, .. }) in self.batches.iter().enumerate() {
            if greatest.is_none_or(|(_, so_far)| place.max_timestamp > so_far) {
                greatest = Some((index, place.max_timestamp));
            }
        }
        Ok(greatest.and_then(|(index, _)| self.batch(index)))
    }

    fn remove_before(&mut self, offset: i64) -> Result<(), StorageError> {
        let keep_from = self.index_of(offset);
        let position = self.position(keep_from);
        self.batches.drain(..keep_from);
        while self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.position.saturating_add(chunk.bytes.len() as u64) <= position)
        {
            self.chunks.pop_front();
        }
        self.start_offset = self.start_offset.max(offset);
        Ok(())
    }

    fn segments(&self) -> Vec<SegmentFacts> {
        Vec::from([SegmentFacts {
            base_offset: self.start_offset,
            bytes: 0,
            first_timestamp: None,
            max_timestamp: -1,
            created_ms: None,
        }])
    }

    fn is_index_full(&self, _config: &LogConfig) -> bool {
        false
    }

    fn roll(&mut self, _base_offset: i64) -> Result<(), StorageError> {
        Ok(())
    }

    fn for_each(&mut self, _from: i64, _each: &mut dyn FnMut(&Batch)) -> Result<(), StorageError> {
        // It is empty when it is opened.
        Ok(())
    }

    fn epochs(&self) -> Option<Vec<(i32, i64)>> {
        None
    }

    fn keep_epochs(&mut self, _epochs: &[(i32, i64)]) -> Result<(), StorageError> {
        Ok(())
    }

    fn take_unsynced(&mut self) -> Option<Vec<String>> {
        None
    }

    fn take_garbage(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn complete(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, TopicConfig};

    /// Batches of ten records and the given sizes, filled with their index, with timestamps 100, 200, ….
    fn log(sizes: &[usize]) -> MemoryLog {
        let mut log = MemoryLog::default();
        for (index, size) in sizes.iter().enumerate() {
            let base_offset = index as i64 * 10;
            let place = BatchPlace {
                base_offset,
                last_offset: base_offset + 9,
                max_timestamp: (index as i64 + 1) * 100,
            };
            let stamp = |batch: &mut [u8]| batch.fill(index as u8);
            let config = TopicConfig::default().log_config(&Config::default());
            log.append(place, &alloc::vec![0xff; *size], &config, &stamp)
                .expect("memory does not fail");
        }
        log
    }

    /// Which batches a read gives, each by its filling.
    fn read(log: &mut MemoryLog, from: i64, until: i64, max: usize, at_least_one: bool) -> Vec<u8> {
        let mut bytes = log
            .read(from, until, max, at_least_one)
            .expect("memory does not fail")
            .to_vec();
        bytes.dedup();
        bytes
    }

    #[test]
    fn a_read_begins_with_the_batch_that_holds_the_offset() {
        let mut log = log(&[5, 5, 5]);
        assert_eq!(read(&mut log, 15, 30, 100, false), [1, 2]);
        assert_eq!(read(&mut log, 30, 30, 100, true), b"");
    }

    #[test]
    fn a_read_gives_whole_batches_within_the_limit() {
        let mut log = log(&[5, 5, 5]);
        assert_eq!(read(&mut log, 0, 30, 14, false), [0, 1]);
        assert_eq!(read(&mut log, 0, 30, 15, false), [0, 1, 2]);
        assert_eq!(read(&mut log, 0, 30, 10, false), [0, 1]);
        assert_eq!(read(&mut log, 0, 30, 4, false), b"");
    }

    #[test]
    fn a_first_batch_larger_than_the_limit_is_given_alone_when_one_is_wanted() {
        assert_eq!(read(&mut log(&[50, 5]), 0, 20, 4, true), [0]);
    }

    #[test]
    fn a_read_ends_before_the_bound() {
        assert_eq!(read(&mut log(&[5, 5, 5]), 0, 20, 100, false), [0, 1]);
    }

    #[test]
    fn a_read_ends_with_its_chunk() {
        let mut log = log(&[CHUNK_BYTES - 10, 20, 20]);
        assert_eq!(log.chunks.len(), 1);
        assert_eq!(read(&mut log, 0, 30, usize::MAX, false), [0]);
        assert_eq!(read(&mut log, 10, 30, usize::MAX, false), [1, 2]);
    }

    #[test]
    fn a_large_read_of_the_tail_is_shared_with_the_log() {
        let mut log = log(&[SHARED_FROM, 5]);
        let first = log.read(0, 20, usize::MAX, false).expect("memory does not fail");
        let second = log.read(0, 20, usize::MAX, false).expect("memory does not fail");
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!(first.len(), SHARED_FROM + 5);
    }

    #[test]
    fn bytes_between_counts_whole_batches() {
        let mut log = log(&[5, 6, 7]);
        assert_eq!(log.bytes_between(0, 30), 18);
        assert_eq!(log.bytes_between(15, 20), 6);
        assert_eq!(log.bytes_between(30, 30), 0);
        log.remove_before(10).expect("memory does not fail");
        assert_eq!(log.bytes_between(0, 30), 13);
    }

    #[test]
    fn removing_keeps_a_batch_that_reaches_over_the_offset() {
        let mut log = log(&[CHUNK_BYTES, 5, 5]);
        log.remove_before(15).expect("memory does not fail");
        assert!(log.chunks.is_empty());
        assert_eq!(read(&mut log, 0, 30, 100, false), [1, 2]);
        assert_eq!(log.bounds(), (15, 30));
    }

    #[test]
    fn the_first_batch_at_or_after_a_timestamp_is_found() {
        let mut log = log(&[5, 5, 5]);
        let mut found = |timestamp, from| {
            log.first_at_or_after(timestamp, from)
                .expect("memory does not fail")
                .map(|bytes| bytes[0])
        };
        assert_eq!(found(101, 0), Some(1));
        assert_eq!(found(0, 20), Some(2));
        assert_eq!(found(301, 0), None);
    }

    #[test]
    fn the_first_of_the_newest_batches_is_found() {
        assert_eq!(
            log(&[5, 5])
                .with_greatest_timestamp()
                .expect("memory does not fail")
                .map(|bytes| bytes[0]),
            Some(1)
        );
    }
}
