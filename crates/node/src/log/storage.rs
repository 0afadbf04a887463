//! Where the bytes of partition logs are kept: the border between the rules of a log and its medium. No rule of Kafka lives
//! here.
//!
//! # The contract
//!
//! * A [`Storage`] opens logs by name. A log that was not there is created empty; one that was is returned as it was left:
//!   whole batches, ascending offsets, anything torn cut off.
//! * A [`StoredLog`] keeps whole record batches in the order of their offsets. It never looks into them: what it needs to
//!   find them again is beside them in [`BatchPlace`].
//! * `append` makes the batch readable at once. It is durable when what [`StoredLog::take_unsynced`] gave after it was synced;
//!   a log in memory has nothing to sync.
//! * Reads give the bytes that were appended and stamped, as one piece.
//! * Writes do not wait, but where a log begins is synced when it changes: a medium that can block keeps them to what the
//!   operating system takes without waiting. Reads may wait for the medium, and everyone with them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use alloc::vec::Vec;

use bytes::Bytes;
use kohort_records::Batch;

use super::segments::SegmentFacts;
use crate::config::LogConfig;

/// Which log: a partition of one incarnation of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogName {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id, which differs when a topic is deleted and created again.
    pub topic_id: [u8; 16],
    /// The partition's number.
    pub partition: i32,
}

/// Where a record batch stands in its log: what is needed to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlace {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The offset of its last record.
    pub last_offset: i64,
    /// The greatest timestamp in it, in milliseconds since the epoch; -1 for none.
    pub max_timestamp: i64,
}

/// Why a medium failed. The partition answers KAFKA_STORAGE_ERROR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} failed: {reason}")]
pub struct StorageError {
    /// What was tried.
    pub operation: &'static str,
    /// What the medium said.
    pub reason: String,
}

/// Offsets that are kept for all logs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Everything below it was synced.
    Recovery,
    /// Where a log begins.
    Start,
}

/// A place for logs.
pub trait Storage: Send {
    /// Opens a log, creating it when it is not there.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn open(&mut self, name: &LogName, config: &LogConfig) -> Result<Box<dyn StoredLog>, StorageError>;

    /// Removes a log and all that it holds.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn remove(&mut self, name: &LogName) -> Result<(), StorageError>;

    /// Where the logs are, as DescribeLogDirs names it: the path of a directory, or `memory`.
    fn location(&self) -> String {
        "memory".into()
    }
    /// Whether what is stored outlives the process.
    fn is_lasting(&self) -> bool;

    /// The logs that are there. A log whose topic's id is unknown has the id zero.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn found(&mut self) -> Result<Vec<LogName>, StorageError>;

    /// Puts a log that no topic has out of the way, for an operator to look at.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn set_aside(&mut self, name: &LogName) -> Result<(), StorageError>;

    /// Keeps a point of every log, in the place of what was kept before.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn keep(&mut self, point: Point, offsets: &[(LogName, i64)]) -> Result<(), StorageError>;

    /// What was written beside the logs since the last call and is not synced: paths for [`super::DiskTask::Sync`].
    fn take_unsynced(&mut self) -> Vec<String>;

    /// What [`Storage::keep`] wrote since the last call and is not synced, on which no acknowledgement rests: paths for
    /// [`super::DiskTask::Sync`].
    fn take_unsynced_points(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// What is not needed any more: paths for [`super::DiskTask::Remove`].
    fn take_garbage(&mut self) -> Vec<String>;

    /// Waits until these paths are on the medium. Called at the start and at the end only.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn sync(&mut self, paths: &[String]) -> Result<(), StorageError>;

    /// Notes that all logs are synced and nothing more will be written, in the `epoch`th run.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn close(&mut self, epoch: i64) -> Result<(), StorageError>;
}

/// The batches of one partition.
pub trait StoredLog: Send {
    /// Adds a batch behind all others; its offsets are above theirs. `stamp` then writes what the broker sets in the header,
    /// into the bytes where they are kept.
    ///
    /// # Errors
    ///
    /// When the medium fails; the batch is then not in the log.
    fn append(
        &mut self,
        place: BatchPlace,
        batch: &[u8],
        config: &LogConfig,
        stamp: &dyn Fn(&mut [u8]),
    ) -> Result<(), StorageError>;

    /// The first and the next offset, where the log was left; both 0 in a new one.
    fn bounds(&self) -> (i64, i64);

    /// Whole batches in order, from the one that holds `from` (or the first after it) up to the last that begins below
    /// `until`, as many as fit in `max_bytes` (nothing, where the log has none between them); with `at_least_one` the first is given even when it is larger. Fewer are
    /// given where the medium keeps them apart (Kafka's reads end with a segment), but at least one that fits.
    ///
    /// # Errors
    ///
    /// When the medium fails, or is damaged there.
    fn read(
        &mut self,
        from: i64,
        until: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Bytes, StorageError>;

    /// How many bytes the batches from `from` to `until` have.
    fn bytes_between(&mut self, from: i64, until: i64) -> u64;

    /// The first batch, from the one that holds `from`, whose greatest timestamp is at or after `timestamp`.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn first_at_or_after(&mut self, timestamp: i64, from: i64) -> Result<Option<Bytes>, StorageError>;

    /// The first of the batches with the greatest timestamp of the log.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn with_greatest_timestamp(&mut self) -> Result<Option<Bytes>, StorageError>;

    /// Forgets the batches that lie wholly below `offset`.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn remove_before(&mut self, offset: i64) -> Result<(), StorageError>;

    /// The segments of the log, oldest first; at least one.
    fn segments(&self) -> Vec<SegmentFacts>;

    /// Whether an index of the last segment takes no more.
    fn is_index_full(&self, config: &LogConfig) -> bool;

    /// Ends the last segment; the next begins at `base_offset`, which is where the log ends.
    ///
    /// # Errors
    ///
    /// When the medium fails; the last segment then goes on.
    fn roll(&mut self, base_offset: i64) -> Result<(), StorageError>;

    /// Shows every batch from the one that holds `from` on, to the end.
    ///
    /// # Errors
    ///
    /// When the medium fails, or is damaged before the end.
    fn for_each(&mut self, from: i64, each: &mut dyn FnMut(&Batch)) -> Result<(), StorageError>;

    /// The leader epochs that were kept, with their first offsets; `None` when they are lost or there are none.
    fn epochs(&self) -> Option<Vec<(i32, i64)>>;

    /// Keeps the leader epochs.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn keep_epochs(&mut self, epochs: &[(i32, i64)]) -> Result<(), StorageError>;

    /// What was written since the last call and is not synced: paths for [`super::DiskTask::Sync`]. `None` for a log that has
    /// nothing to sync, ever.
    fn take_unsynced(&mut self) -> Option<Vec<String>>;

    /// What is not needed any more: paths for [`super::DiskTask::Remove`].
    fn take_garbage(&mut self) -> Vec<String>;

    /// What an operator may want to know of how the log was opened.
    fn take_notes(&mut self) -> Vec<String>;

    /// Writes what is written only when nothing more is appended.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn complete(&mut self) -> Result<(), StorageError>;
}
