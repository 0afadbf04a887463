//! The broker's storage: logs in memory whose batches are watched as they are appended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kohort_node::config::LogConfig;
use kohort_node::log::{
    BatchPlace, LogName, MemoryStorage, Point, SegmentFacts, Storage, StorageError, StoredLog,
};
use kohort_records::Batch;

use crate::logs::Written;

/// What was seen of the logs.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) written: Vec<Written>,
    /// Topics that logs were opened for, by their ids.
    pub(super) topics: Vec<([u8; 16], Arc<str>)>,
}

impl Seen {
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.topics.is_empty()
    }
}

/// A handle of what is seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen since the last call.
    pub(super) fn take(&self) -> Seen {
        core::mem::take(&mut *self.lock())
    }
}

/// Logs in memory, watched.
#[derive(Debug)]
pub(super) struct WatchedStorage {
    inner: MemoryStorage,
    watch: Watch,
}

impl WatchedStorage {
    pub(super) fn new(watch: Watch) -> Self {
        let inner = MemoryStorage;
        Self { inner, watch }
    }
}

impl Storage for WatchedStorage {
    fn open(&mut self, name: &LogName, config: &LogConfig) -> Result<Box<dyn StoredLog>, StorageError> {
        let topic = (name.topic_id, Arc::clone(&name.topic));
        self.watch.lock().topics.push(topic);
        Ok(Box::new(WatchedLog {
            inner: self.inner.open(name, config)?,
            name: format!("{}-{}", name.topic, name.partition),
            watch: self.watch.clone(),
        }))
    }

    fn remove(&mut self, name: &LogName) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn is_lasting(&self) -> bool {
        self.inner.is_lasting()
    }

    fn found(&mut self) -> Result<Vec<LogName>, StorageError> {
        self.inner.found()
    }

    fn set_aside(&mut self, name: &LogName) -> Result<(), StorageError> {
        self.inner.set_aside(name)
    }

    fn keep(&mut self, point: Point, offsets: &[(LogName, i64)]) -> Result<(), StorageError> {
        self.inner.keep(point, offsets)
    }

    fn take_unsynced(&mut self) -> Vec<String> {
        self.inner.take_unsynced()
    }

    fn take_garbage(&mut self) -> Vec<String> {
        self.inner.take_garbage()
    }

    fn sync(&mut self, paths: &[String]) -> Result<(), StorageError> {
        self.inner.sync(paths)
    }

    fn close(&mut self, epoch: i64) -> Result<(), StorageError> {
        self.inner.close(epoch)
    }
}

struct WatchedLog {
    inner: Box<dyn StoredLog>,
    name: String,
    watch: Watch,
}

impl StoredLog for WatchedLog {
    fn append(
        &mut self,
        place: BatchPlace,
        batch: &[u8],
        config: &LogConfig,
        stamp: &dyn Fn(&mut [u8]),
    ) -> Result<(), StorageError> {
        self.inner.append(place, batch, config, stamp)?;
        let mut bytes = batch.to_vec();
        stamp(&mut bytes);
        let written = Written {
            log: self.name.clone(),
            bytes: Bytes::from(bytes),
        };
        self.watch.lock().written.push(written);
        Ok(())
    }

    fn bounds(&self) -> (i64, i64) {
        self.inner.bounds()
    }

    fn read(
        &mut self,
        from: i64,
        until: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Bytes, StorageError> {
        self.inner.read(from, until, max_bytes, at_least_one)
    }

    fn bytes_between(&mut self, from: i64, until: i64) -> u64 {
        self.inner.bytes_between(from, until)
    }

    fn first_at_or_after(&mut self, timestamp: i64, from: i64) -> Result<Option<Bytes>, StorageError> {
        self.inner.first_at_or_after(timestamp, from)
    }

    fn with_greatest_timestamp(&mut self) -> Result<Option<Bytes>, StorageError> {
        self.inner.with_greatest_timestamp()
    }

    fn remove_before(&mut self, offset: i64) -> Result<(), StorageError> {
        self.inner.remove_before(offset)
    }

    fn segments(&self) -> Vec<SegmentFacts> {
        self.inner.segments()
    }

    fn is_index_full(&self, config: &LogConfig) -> bool {
        self.inner.is_index_full(config)
    }

    fn roll(&mut self, base_offset: i64) -> Result<(), StorageError> {
        self.inner.roll(base_offset)
    }

    fn for_each(&mut self, from: i64, each: &mut dyn FnMut(&Batch)) -> Result<(), StorageError> {
        self.inner.for_each(from, each)
    }

    fn epochs(&self) -> Option<Vec<(i32, i64)>> {
        self.inner.epochs()
    }

    fn keep_epochs(&mut self, epochs: &[(i32, i64)]) -> Result<(), StorageError> {
        self.inner.keep_epochs(epochs)
    }

    fn take_unsynced(&mut self) -> Option<Vec<String>> {
        self.inner.take_unsynced()
    }

    fn take_garbage(&mut self) -> Vec<String> {
        self.inner.take_garbage()
    }

    fn take_notes(&mut self) -> Vec<String> {
        self.inner.take_notes()
    }

    fn complete(&mut self) -> Result<(), StorageError> {
        self.inner.complete()
    }
}
