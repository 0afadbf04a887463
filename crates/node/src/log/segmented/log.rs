//! The log of one partition in Kafka's segment layout. How a segment's files are read and written is in [`super::segment`];
//! when a segment ends, and which are removed, is decided by the partition.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_records::{Batch, batches};

use super::checkpoint;
use super::head::Head;
use super::recovery::Recovered;
use super::segment::{Failed, Segment};
use crate::config::LogConfig;
use crate::log::disk::Disk;
use crate::log::segments::SegmentFacts;
use crate::log::storage::{BatchPlace, StorageError, StoredLog};

/// A read gives no more bytes than this at once, so that one reader does not hold the others up; a larger batch is given
/// whole.
const LARGEST_READ: usize = 4 << 20;
/// The bytes of a larger batch are not kept room for.
const LARGEST_SCRATCH: usize = 64 << 10;
/// How many places are remembered where reads ended or batches were appended.
const REMEMBERED: usize = 64;

/// The name of the file of leader epochs.
const EPOCHS: &str = "leader-epoch-checkpoint";

/// A partition's log on disk.
pub(super) struct SegmentedLog {
    disk: Box<dyn Disk>,
    directory: String,
    /// At least one; the last is appended to.
    segments: Vec<Segment>,
    start_offset: i64,
    epochs: Option<Vec<(i32, i64)>>,
    /// The bytes of a batch while it is stamped.
    scratch: Vec<u8>,
    remembered: VecDeque<Remembered>,
    /// Whether the last segment's batches were written since they were synced.
    is_written: bool,
    /// Whether batches were appended since the indexes were completed.
    is_appended: bool,
    /// Other files and directories that were written since they were synced.
    changed: Vec<String>,
    garbage: Vec<String>,
    notes: Vec<String>,
    /// Set when the end of the log is not known any more.
    is_torn: bool,
}

/// A batch's place.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    base_offset: i64,
    last_offset: i64,
    segment: i64,
    position: u64,
}

impl SegmentedLog {
    pub(super) fn new(
        mut disk: Box<dyn Disk>,
        directory: String,
        start_offset: i64,
        recovered: Recovered,
    ) -> Self {
        let first = recovered
            .segments
            .first()
            .map_or(0, |segment| segment.base_offset);
        let epochs = checkpoint::read_text(disk.as_mut(), &format!("{directory}/{EPOCHS}"));
        let mut log = Self {
            epochs: epochs.as_deref().and_then(checkpoint::parse_epochs),
            disk,
            segments: recovered.segments,
            start_offset: start_offset.max(first),
            scratch: Vec::new(),
            remembered: VecDeque::new(),
            is_written: false,
            is_appended: false,
            changed: Vec::new(),
            garbage: Vec::new(),
            notes: recovered.notes,
            is_torn: false,
            directory,
        };
        if recovered.is_changed {
            for segment in &log.segments {
                log.changed.extend(files(segment));
            }
            log.changed.push(log.directory.clone());
        }
        log
    }

    /// The index of the segment in which the batch with `offset` lies, or would lie.
    fn segment_of(&self, offset: i64) -> usize {
        let after = self
            .segments
            .partition_point(|segment| segment.base_offset <= offset);
        after.saturating_sub(1)
    }

    /// The batch that holds `offset`, or the first after it: the index of its segment, where it begins there, and its head.
    fn locate(&mut self, offset: i64) -> Result<Option<(usize, u64)>, StorageError> {
        let is_here = |place: &&Remembered| (place.base_offset..=place.last_offset).contains(&offset);
        if let Some(place) = self.remembered.iter().rev().find(is_here)
            && let Ok(index) = self
                .segments
                .binary_search_by_key(&place.segment, |segment| segment.base_offset)
        {
            return Ok(Some((index, place.position)));
        }
        for index in self.segment_of(offset)..self.segments.len() {
            if let Some(segment) = self.segments.get(index)
                && segment.next_offset > offset
                && let Some((position, head)) = segment.locate(self.disk.as_mut(), offset)?
            {
                let base = segment.base_offset;
                self.remember(&head, base, position);
                return Ok(Some((index, position)));
            }
        }
        Ok(None)
    }

    fn remember(&mut self, head: &Head, segment: i64, position: u64) {
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Remembered {
            base_offset: head.base_offset,
            last_offset: head.last_offset,
            segment,
            position,
        });
    }

    /// The one batch at a position.
    fn batch_at(&mut self, index: usize, position: u64, size: usize) -> Result<Option<Bytes>, StorageError> {
        let Some(segment) = self.segments.get(index) else {
            return Ok(None);
        };
        let bytes = self.disk.read(&segment.log_path, position, size)?;
        Ok((bytes.len() == size).then(|| Bytes::from(bytes)))
    }

    fn refuse_torn(&self, operation: &'static str) -> Result<(), StorageError> {
        match self.is_torn {
            true => Err(StorageError {
                operation,
                reason: format!(
                    "{}: an earlier write failed and could not be taken back; restart the broker",
                    self.directory
                ),
            }),
            false => Ok(()),
        }
    }
}

fn files(segment: &Segment) -> [String; 3] {
    [
        segment.log_path.clone(),
        segment.index_path.clone(),
        segment.time_path.clone(),
    ]
}

/// Where a run of bytes that begins with a batch ends with a whole one, of those that begin below `until`.
fn whole_batches(bytes: &[u8], until: i64) -> usize {
    let mut end = 0usize;
    while let Some(head) = bytes.get(end..).and_then(Head::read) {
        let after = end.saturating_add(head.size);
        if head.base_offset >= until || after > bytes.len() {
            break;
        }
        end = after;
    }
    end
}

impl StoredLog for SegmentedLog {
    fn append(
        &mut self,
        place: BatchPlace,
        batch: &[u8],
        config: &LogConfig,
        stamp: &dyn Fn(&mut [u8]),
    ) -> Result<(), StorageError> {
        self.refuse_torn("appending")?;
        self.scratch.clear();
        self.scratch.extend_from_slice(batch);
        stamp(&mut self.scratch);
        let head = Head::new(place, self.scratch.len());
        let Some(active) = self.segments.last_mut() else {
            return Ok(());
        };
        let (segment, position) = (active.base_offset, active.len);
        match active.append(self.disk.as_mut(), &head, &self.scratch, config) {
            Ok(()) => {}
            Err(Failed::Undone(error)) => return Err(error),
            Err(Failed::Torn(error)) => {
                self.is_torn = true;
                return Err(error);
            }
        }
        self.scratch.clear();
        self.scratch.shrink_to(LARGEST_SCRATCH);
        self.is_written = true;
        self.is_appended = true;
        self.remember(&head, segment, position);
        Ok(())
    }

    fn bounds(&self) -> (i64, i64) {
        let end = self.segments.last().map_or(0, |segment| segment.next_offset);
        (self.start_offset, end.max(self.start_offset))
    }

    fn segments(&self) -> Vec<SegmentFacts> {
        let facts = self.segments.iter().map(|segment| SegmentFacts {
            base_offset: segment.base_offset,
            bytes: segment.len,
            first_timestamp: segment.first_timestamp,
            max_timestamp: segment.greatest().timestamp,
            created_ms: None,
        });
        facts.collect()
    }

    fn is_index_full(&self, config: &LogConfig) -> bool {
        let active = self.segments.last();
        active.is_some_and(|segment| segment.indexed.is_full(config.segment_index_bytes))
    }

    fn roll(&mut self, base_offset: i64) -> Result<(), StorageError> {
        self.refuse_torn("rolling a segment")?;
        let Some(active) = self.segments.last_mut() else {
            return Ok(());
        };
        if active.base_offset == base_offset {
            return Ok(());
        }
        active.complete(self.disk.as_mut())?;
        let rolled = files(active);
        let next = Segment::new(&self.directory, base_offset);
        if let Err(error) = next.create(self.disk.as_mut()) {
            // None of it may be taken for a segment when the log is opened again.
            for path in files(&next) {
                self.is_torn |= self.disk.remove(&path).is_err();
            }
            return Err(error);
        }
        self.changed.extend(rolled);
        self.changed.push(self.directory.clone());
        self.is_written = true;
        self.segments.push(next);
        Ok(())
    }

    fn read(
        &mut self,
        from: i64,
        until: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Bytes, StorageError> {
        if from >= until {
            return Ok(Bytes::new());
        }
        let Some((index, position)) = self.locate(from)? else {
            return Ok(Bytes::new());
        };
        let Some(segment) = self.segments.get(index) else {
            return Ok(Bytes::new());
        };
        let left = usize::try_from(segment.len.saturating_sub(position)).unwrap_or(usize::MAX);
        let path = segment.log_path.as_str();
        let mut bytes = self
            .disk
            .read(path, position, max_bytes.min(LARGEST_READ).min(left))?;
        let mut end = whole_batches(&bytes, until);
        if end == 0 {
            // The first batch is larger than what was read, or begins behind what may be read.
            if bytes.len() < kohort_records::BATCH_OVERHEAD {
                bytes = self.disk.read(path, position, kohort_records::BATCH_OVERHEAD)?;
            }
            let Some(head) = Head::read(&bytes) else {
                return Err(segment.damaged(position));
            };
            if position.saturating_add(head.size as u64) > segment.len {
                return Err(segment.damaged(position));
            }
            if head.base_offset >= until {
                return Ok(Bytes::new());
            }
            if head.size > max_bytes && !at_least_one {
                return Ok(Bytes::new());
            }
            bytes = self.disk.read(path, position, head.size)?;
            end = whole_batches(&bytes, until);
            if end == 0 {
                return Err(segment.damaged(position));
            }
        }
        let (base, after) = (segment.base_offset, position.saturating_add(end as u64));
        if after < segment.len
            && let Some(head) = bytes.get(end..).and_then(Head::read)
        {
            // Where the reader goes on.
            self.remember(&head, base, after);
        }
        Ok(Bytes::from(bytes).slice(..end))
    }

    fn bytes_between(&mut self, from: i64, until: i64) -> u64 {
        let position = |log: &mut Self, offset: i64| -> Option<u64> {
            let located = match offset >= log.bounds().1 {
                true => None,
                false => log.locate(offset).ok()?,
            };
            let (index, within) = located.unwrap_or((log.segments.len(), 0));
            let before = log.segments.get(..index)?;
            let whole = before
                .iter()
                .fold(0u64, |sum, segment| sum.saturating_add(segment.len));
            Some(whole.saturating_add(within))
        };
        if from >= until {
            return 0;
        }
        // A medium that fails says so when it is read.
        let end = position(self, until).unwrap_or(0);
        end.saturating_sub(position(self, from).unwrap_or(end))
    }

    fn first_at_or_after(&mut self, timestamp: i64, from: i64) -> Result<Option<Bytes>, StorageError> {
        for index in self.segment_of(from)..self.segments.len() {
            let Some(segment) = self.segments.get(index) else {
                break;
            };
            if segment.greatest().timestamp < timestamp {
                continue;
            }
            if let Some((position, head)) = segment.locate_time(self.disk.as_mut(), timestamp, from)? {
                return self.batch_at(index, position, head.size);
            }
        }
        Ok(None)
    }

    fn with_greatest_timestamp(&mut self) -> Result<Option<Bytes>, StorageError> {
        let mut newest: Option<usize> = None;
        for (index, segment) in self.segments.iter().enumerate() {
            let so_far = newest.and_then(|index| self.segments.get(index));
            if segment.len > 0
                && so_far.is_none_or(|so_far| segment.greatest().timestamp > so_far.greatest().timestamp)
            {
                newest = Some(index);
            }
        }
        let Some((index, segment)) = newest.and_then(|index| Some((index, self.segments.get(index)?))) else {
            return Ok(None);
        };
        match segment.locate(self.disk.as_mut(), segment.greatest().offset)? {
            Some((position, head)) => self.batch_at(index, position, head.size),
            None => Ok(None),
        }
    }

    fn remove_before(&mut self, offset: i64) -> Result<(), StorageError> {
        self.start_offset = self.start_offset.max(offset);
        let keeps = self.segment_of(offset);
        self.remembered.retain(|place| place.last_offset >= offset);
        for _ in 0..keeps {
            let Some(files) = self.segments.first().map(files) else {
                break;
            };
            // The batches first: without them the segment is gone, and its indexes are removed at the next start.
            let mut left = Ok(());
            for (nth, path) in files.iter().enumerate() {
                let removed = format!("{path}.deleted");
                match self.disk.rename(path, &removed) {
                    Ok(()) => self.garbage.push(removed),
                    Err(error) if nth == 0 => return Err(error),
                    Err(error) => left = Err(error),
                }
            }
            self.changed.retain(|path| !files.contains(path));
            self.segments.remove(0);
            left?;
        }
        Ok(())
    }

    fn for_each(&mut self, from: i64, each: &mut dyn FnMut(&Batch)) -> Result<(), StorageError> {
        let (start, end) = self.bounds();
        let mut next = from.max(start);
        while next < end {
            let bytes = self.read(next, end, LARGEST_READ, true)?;
            if bytes.is_empty() {
                // What a cleaner of Kafka removed leaves no trace.
                break;
            }
            let before = next;
            for batch in batches(bytes).map_while(Result::ok) {
                next = batch.next_offset();
                each(&batch);
            }
            if next <= before {
                return Err(StorageError {
                    operation: "reading a log",
                    reason: format!("{}: the batch at offset {before} cannot be read", self.directory),
                });
            }
        }
        Ok(())
    }

    fn epochs(&self) -> Option<Vec<(i32, i64)>> {
        self.epochs.clone()
    }

    fn keep_epochs(&mut self, epochs: &[(i32, i64)]) -> Result<(), StorageError> {
        let path = format!("{}/{EPOCHS}", self.directory);
        checkpoint::replace(self.disk.as_mut(), &path, &checkpoint::epochs_to_text(epochs))?;
        self.changed.push(path);
        self.changed.push(self.directory.clone());
        Ok(())
    }

    fn take_unsynced(&mut self) -> Option<Vec<String>> {
        let mut paths = core::mem::take(&mut self.changed);
        if core::mem::take(&mut self.is_written)
            && let Some(active) = self.segments.last()
        {
            paths.insert(0, active.log_path.clone());
        }
        // What is written twice is synced once; directories come after what is in them.
        let mut unique: Vec<String> = Vec::with_capacity(paths.len());
        for path in paths {
            if !unique.contains(&path) {
                unique.push(path);
            }
        }
        unique.sort_by_key(|path| *path == self.directory);
        Some(unique)
    }

    fn take_garbage(&mut self) -> Vec<String> {
        core::mem::take(&mut self.garbage)
    }

    fn take_notes(&mut self) -> Vec<String> {
        core::mem::take(&mut self.notes)
    }

    fn complete(&mut self) -> Result<(), StorageError> {
        // What is behind the end that is known must be looked for at the next start.
        self.refuse_torn("closing a log")?;
        if !core::mem::take(&mut self.is_appended) {
            return Ok(());
        }
        if let Some(active) = self.segments.last_mut() {
            active.complete(self.disk.as_mut())?;
            self.changed.extend(files(active));
        }
        Ok(())
    }
}
