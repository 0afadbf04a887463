//! One segment of a log: a `.log` file of record batches and its two indexes. Which segments a log has, and when one ends, is
//! not known here.

use alloc::format;
use alloc::string::String;

use super::head::{Head, Walk};
use super::index::{self, Indexed, OFFSET_ENTRY, TIME_ENTRY, TimedOffset};
use super::names::segment_file;
use crate::config::LogConfig;
use crate::log::disk::Disk;
use crate::log::storage::StorageError;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base_offset: i64,
    /// The offset after its last batch.
    pub(super) next_offset: i64,
    /// The bytes of its batches.
    pub(super) len: u64,
    pub(super) indexed: Indexed,
    /// The greatest timestamp of its first batch, by which its age is counted.
    pub(super) first_timestamp: Option<i64>,
    pub(super) log_path: String,
    pub(super) index_path: String,
    pub(super) time_path: String,
}

impl Segment {
    /// An empty segment, not yet on disk.
    pub(super) fn new(directory: &str, base_offset: i64) -> Self {
        Self {
            base_offset,
            next_offset: base_offset,
            len: 0,
            indexed: Indexed::new(base_offset),
            first_timestamp: None,
            log_path: segment_file(directory, base_offset, "log"),
            index_path: segment_file(directory, base_offset, "index"),
            time_path: segment_file(directory, base_offset, "timeindex"),
        }
    }

    /// Creates its files.
    pub(super) fn create(&self, disk: &mut dyn Disk) -> Result<(), StorageError> {
        for path in [&self.index_path, &self.time_path, &self.log_path] {
            disk.write(path, 0, &[])?;
        }
        Ok(())
    }

    /// Adds a batch. After an error the segment is as before, unless the error says that it is not: see [`Failed`].
    pub(super) fn append(
        &mut self,
        disk: &mut dyn Disk,
        head: &Head,
        bytes: &[u8],
        config: &LogConfig,
    ) -> Result<(), Failed> {
        let mut indexed = self.indexed.clone();
        let written = disk.write(&self.log_path, self.len, bytes).and_then(|()| {
            let additions = indexed.add(head, self.len, config.index_interval_bytes);
            if let Some(entry) = additions.offset {
                let at = self.indexed.offsets.saturating_mul(OFFSET_ENTRY as u64);
                disk.write(&self.index_path, at, &entry)?;
            }
            if let Some(entry) = additions.time {
                let at = self.indexed.times.saturating_mul(TIME_ENTRY as u64);
                disk.write(&self.time_path, at, &entry)?;
            }
            Ok(())
        });
        if let Err(error) = written {
            return Err(match self.take_back(disk) {
                Ok(()) => Failed::Undone(error),
                Err(_) => Failed::Torn(error),
            });
        }
        self.indexed = indexed;
        self.first_timestamp.get_or_insert(head.max_timestamp);
        self.len = self.len.saturating_add(bytes.len() as u64);
        self.next_offset = head.last_offset.saturating_add(1);
        Ok(())
    }

    /// Cuts the files off where they were before a write that failed.
    fn take_back(&self, disk: &mut dyn Disk) -> Result<(), StorageError> {
        disk.truncate(&self.log_path, self.len)?;
        disk.truncate(
            &self.index_path,
            self.indexed.offsets.saturating_mul(OFFSET_ENTRY as u64),
        )?;
        disk.truncate(
            &self.time_path,
            self.indexed.times.saturating_mul(TIME_ENTRY as u64),
        )
    }

    /// Completes the indexes, because nothing more is appended for now.
    // Kafka: LogSegment.onBecomeInactiveSegment
    pub(super) fn complete(&mut self, disk: &mut dyn Disk) -> Result<(), StorageError> {
        let at = self.indexed.times.saturating_mul(TIME_ENTRY as u64);
        let mut indexed = self.indexed.clone();
        if let Some(entry) = indexed.add_time() {
            disk.write(&self.time_path, at, &entry)?;
            self.indexed = indexed;
        }
        Ok(())
    }

    /// The batch that holds `offset`, or the first after it, and where it begins.
    // Kafka: LogSegment.translateOffset
    pub(super) fn locate(
        &self,
        disk: &mut dyn Disk,
        offset: i64,
    ) -> Result<Option<(u64, Head)>, StorageError> {
        let wanted = offset.saturating_sub(self.base_offset);
        let entry = index::last_before(
            disk,
            &self.index_path,
            OFFSET_ENTRY,
            self.indexed.offsets,
            index::read_offset_entry,
            |(relative, _)| *relative <= wanted,
        )?;
        let from = entry.map_or(0, |(_, position)| position).min(self.len);
        self.walk_to(disk, from, |head| head.last_offset >= offset)
    }

    /// The first batch from `offset` on whose greatest timestamp is at or after `timestamp`.
    // Kafka: LogSegment.findOffsetByTimestamp
    pub(super) fn locate_time(
        &self,
        disk: &mut dyn Disk,
        timestamp: i64,
        offset: i64,
    ) -> Result<Option<(u64, Head)>, StorageError> {
        let entry = index::last_before(
            disk,
            &self.time_path,
            TIME_ENTRY,
            self.indexed.times,
            index::read_time_entry,
            |(time, _)| *time < timestamp,
        )?;
        // All batches up to the one of the entry are older.
        let relative = entry.map_or(0, |(_, relative)| relative);
        let from = self.base_offset.saturating_add(relative).max(offset);
        let Some((position, _)) = self.locate(disk, from)? else {
            return Ok(None);
        };
        self.walk_to(disk, position, |head| {
            head.max_timestamp >= timestamp && head.last_offset >= offset
        })
    }

    /// The first batch from a position on that is as wanted.
    pub(super) fn walk_to(
        &self,
        disk: &mut dyn Disk,
        from: u64,
        is_wanted: impl Fn(&Head) -> bool,
    ) -> Result<Option<(u64, Head)>, StorageError> {
        let mut walk = Walk::new(&self.log_path, from, self.len);
        while let Some((position, head)) = walk.next(disk)? {
            if head.base_offset < self.base_offset || head.last_offset >= self.next_offset {
                return Err(self.damaged(position));
            }
            if is_wanted(&head) {
                return Ok(Some((position, head)));
            }
        }
        match walk.position() < self.len {
            true => Err(self.damaged(walk.position())),
            false => Ok(None),
        }
    }

    /// What there is to say of bytes that should be a batch.
    pub(super) fn damaged(&self, position: u64) -> StorageError {
        StorageError {
            operation: "reading a log",
            reason: format!("{}: no whole batch begins at byte {position}", self.log_path),
        }
    }

    /// The greatest timestamp of the segment, and the last offset of the first batch that has it.
    pub(super) fn greatest(&self) -> TimedOffset {
        self.indexed.greatest
    }
}

/// Why nothing was appended.
#[derive(Debug)]
pub(super) enum Failed {
    /// The write failed, and its parts were taken back.
    Undone(StorageError),
    /// The write failed, and so did taking it back: the end of the file is unknown.
    Torn(StorageError),
}
