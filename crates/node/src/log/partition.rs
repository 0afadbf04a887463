//! The log of one partition: gives offsets to what is appended, knows where it begins and ends, finds offsets by timestamp
//! and by leader epoch. The bytes are kept by a [`StoredLog`], what is synced by [`super::flush`], what is removed by age and size
//! is decided in [`super::segments`].

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_protocol::ErrorCode;
use kohort_records::{Batch, stored};

use super::epochs::LeaderEpochs;
use super::flush::{Flight, Flush};
use super::producer_state::{Produced, ProducerStates, Verdict};
use super::search::Search;
use super::segments::{Incoming, Segments};
use super::storage::{BatchPlace, StorageError, StoredLog};
use super::validate::{self, Checked, Origin, Rejection};
use crate::config::{LogConfig, TimestampType};

/// How long an idempotent producer that sends nothing is remembered, in milliseconds: the producers of older segments are not
/// read again at the start.
// Kafka: producer.id.expiration.ms
const PRODUCER_EXPIRATION_MS: i64 = 86_400_000;

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// The offset after its last record.
    pub(crate) next_offset: i64,
    /// The time of the append, in milliseconds, when the topic wants it; else -1.
    pub(crate) log_append_time: i64,
    /// Whether the batch was stored before, so that nothing was appended.
    pub(crate) is_duplicate: bool,
}

/// An offset found by [`PartitionLog::find`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

/// What ListOffsets may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Earliest,
    Latest,
    MaxTimestamp,
    /// The first record at or after this time, in milliseconds.
    AtOrAfter(i64),
}

/// The log of one partition.
pub(crate) struct PartitionLog {
    stored: Box<dyn StoredLog>,
    start_offset: i64,
    end_offset: i64,
    epochs: LeaderEpochs,
    producers: ProducerStates,
    segments: Segments,
    flush: Flush,
    /// Lines for the operator, of how it was opened.
    notes: Vec<String>,
}

impl PartitionLog {
    /// Takes a log up as the medium gives it: what is not kept beside the batches is read from them again. A log that was there
    /// before gets a new leader epoch.
    // Kafka: UnifiedLog.create, LogLoader.load, Partition.makeLeader
    pub(crate) fn open(
        mut stored: Box<dyn StoredLog>,
        is_lasting: bool,
        wall_ms: i64,
    ) -> Result<Self, StorageError> {
        let (start_offset, end_offset) = stored.bounds();
        let facts = stored.segments();
        let kept = stored.epochs();
        let is_new = kept.is_none() && start_offset == end_offset;
        let mut epochs = LeaderEpochs::default();
        for (number, start) in kept.iter().flatten() {
            // Kafka: LeaderEpochFileCache.truncateFromEnd
            if *start <= end_offset {
                epochs.assign(*number, *start);
            }
        }
        let is_remembered =
            |timestamp: i64| timestamp < 0 || wall_ms.saturating_sub(timestamp) < PRODUCER_EXPIRATION_MS;
        let read_from = facts
            .iter()
            .find(|segment| kept.is_none() || is_remembered(segment.max_timestamp))
            .map_or(end_offset, |segment| segment.base_offset);
        let mut producers = ProducerStates::default();
        let mut notes = Vec::new();
        let mut from = Some(read_from);
        while let Some(offset) = from.take() {
            let mut next_offset = offset;
            let read = stored.for_each(offset, &mut |batch| {
                next_offset = batch.next_offset();
                epochs.observe(batch.partition_leader_epoch(), batch.base_offset());
                if let Some(produced) = Produced::of(batch) {
                    producers.apply(&produced);
                }
            });
            if let Err(error) = read {
                notes.push(alloc::format!(
                    "{error}; what follows it up to the next segment cannot be read"
                ));
                let behind = facts.iter().map(|segment| segment.base_offset);
                from = behind.filter(|base| *base > next_offset).min();
            }
        }
        let mut log = Self {
            stored,
            start_offset,
            end_offset,
            epochs,
            producers,
            segments: Segments::new(facts, wall_ms),
            flush: Flush::new(is_lasting, end_offset),
            notes,
        };
        match is_new {
            true => log.assign_epoch(0)?,
            false => log.begin_epoch()?,
        }
        Ok(log)
    }

    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record gets.
    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// The offset up to which readers see records; without transactions the last stable offset, too. With one replica it is the
    /// end, unless records are shown only when they are synced.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.flush.high_watermark()
    }

    /// Whether everything below `offset` is on the medium, or there is none.
    pub(crate) fn is_synced(&self, offset: i64) -> bool {
        self.flush.synced() >= offset
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.epochs.latest()
    }

    /// The idempotent producers that wrote here.
    pub(crate) fn producers(&self) -> &ProducerStates {
        &self.producers
    }

    /// Forgets producers that have been silent for `expiration_ms`.
    pub(crate) fn expire_producers(&mut self, wall_ms: i64, expiration_ms: i64) {
        self.producers.expire(wall_ms, expiration_ms);
    }

    /// Checks a batch and appends it.
    pub(crate) fn append(
        &mut self,
        batch: &Batch,
        config: &LogConfig,
        mut origin: Origin<'_>,
        wall_ms: i64,
    ) -> Result<Appended, Rejection> {
        if let Some(reason) = self.flush.failure() {
            return Err(Rejection::new(ErrorCode::KafkaStorageError, reason));
        }
        let Checked { max_timestamp, open } = validate::check(batch, config, &mut origin, wall_ms)?;
        let produced = Produced::of(batch);
        let verdict = produced.map_or(Ok(Verdict::Append), |produced| self.producers.check(&produced));
        match verdict {
            Ok(Verdict::Append) => {}
            // Kafka: UnifiedLog.append takes offset and time from the batch that is stored.
            Ok(Verdict::Duplicate {
                base_offset,
                timestamp,
            }) => {
                return Ok(Appended {
                    base_offset,
                    next_offset: base_offset.saturating_add(i64::from(batch.records_count())),
                    log_append_time: timestamp,
                    is_duplicate: true,
                });
            }
            Err(code) => {
                return Err(Rejection::new(
                    code,
                    alloc::format!(
                        "epoch {} and sequence number {} of producer {} do not follow what it wrote before",
                        batch.producer_epoch(),
                        batch.base_sequence(),
                        batch.producer_id()
                    ),
                ));
            }
        }
        let base_offset = self.end_offset;
        let Some(end_offset) = base_offset.checked_add(i64::from(batch.records_count())) else {
            return Err(Rejection::new(
                ErrorCode::InvalidRecord,
                "the log has no offsets left",
            ));
        };
        let recompressed = match (&mut origin, open) {
            (Origin::Client(opened), Some(open)) => opened.recompress(batch, &open, config)?,
            _ => None,
        };
        let batch = recompressed.as_ref().unwrap_or(batch);
        let append_time = (config.timestamp_type == TimestampType::LogAppendTime).then_some(wall_ms);
        // Kafka: LogValidator sets what the header should have said.
        let is_mistaken = batch.max_timestamp() != max_timestamp
            || batch.timestamp_type() == kohort_records::TimestampType::LogAppendTime;
        let create_time = (append_time.is_none() && is_mistaken).then_some(max_timestamp);
        let leader_epoch = self.leader_epoch();
        let stamp = |kept: &mut [u8]| {
            let stamped = stored::set_base_offset(kept, base_offset)
                .and_then(|()| stored::set_partition_leader_epoch(kept, leader_epoch))
                .and_then(|()| append_time.map_or(Ok(()), |time| stored::set_log_append_time(kept, time)))
                .and_then(|()| create_time.map_or(Ok(()), |time| stored::set_create_time(kept, time)));
            debug_assert!(stamped.is_ok(), "a checked batch is whole: {stamped:?}");
        };
        let place = BatchPlace {
            base_offset,
            last_offset: end_offset.saturating_sub(1),
            max_timestamp: append_time.unwrap_or(max_timestamp),
        };
        let incoming = Incoming {
            bytes: batch.size(),
            last_offset: place.last_offset,
            max_timestamp: place.max_timestamp,
        };
        // Kafka: UnifiedLog.append
        if batch.size() as u64 > config.segment_bytes {
            return Err(Rejection::new(
                ErrorCode::RecordListTooLarge,
                alloc::format!(
                    "the batch has more than the {} bytes of segment.bytes",
                    config.segment_bytes
                ),
            ));
        }
        let failed = |error: StorageError| Rejection::new(ErrorCode::KafkaStorageError, error.to_string());
        let is_index_full = self.stored.is_index_full(config);
        if self.segments.must_roll(incoming, is_index_full, config, wall_ms) {
            self.roll(wall_ms).map_err(failed)?;
        }
        let whole = batch.bytes().get(..batch.size()).unwrap_or_default();
        self.stored.append(place, whole, config, &stamp).map_err(failed)?;
        self.end_offset = end_offset;
        self.segments.appended(incoming);
        let records = u64::from(batch.records_count());
        self.flush.appended(records, batch.size(), end_offset, config);
        if let Some(produced) = produced {
            self.producers.apply(&Produced {
                base_offset,
                timestamp: place.max_timestamp,
                ..produced
            });
        }
        Ok(Appended {
            base_offset,
            next_offset: end_offset,
            log_append_time: append_time.unwrap_or(-1),
            is_duplicate: false,
        })
    }

    /// Whether a consumer may fetch at `offset`: from the first record up to behind the last.
    pub(crate) fn has_position(&self, offset: i64) -> bool {
        (self.start_offset..=self.end_offset).contains(&offset)
    }

    /// Reads whole batches; see [`StoredLog::read`].
    pub(crate) fn read(
        &mut self,
        from: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Bytes, StorageError> {
        let until = self.high_watermark();
        self.stored.read(from, until, max_bytes, at_least_one)
    }

    /// How many bytes wait from `from` on.
    pub(crate) fn bytes_from(&mut self, from: i64) -> u64 {
        let until = self.high_watermark();
        self.stored.bytes_between(from, until)
    }

    /// How many bytes its segments have.
    // Kafka: UnifiedLog.size
    pub(crate) fn size(&self) -> u64 {
        self.segments.total_bytes()
    }

    /// Finds an offset; `None` when no record is as wanted.
    // Kafka: UnifiedLog.fetchOffsetByTimestamp
    pub(crate) fn find(
        &mut self,
        wanted: Wanted,
        search: &mut Search,
    ) -> Result<Option<Found>, StorageError> {
        let (bytes, timestamp) = match wanted {
            Wanted::Earliest => {
                return Ok(Some(Found {
                    offset: self.start_offset,
                    timestamp: -1,
                    leader_epoch: self.epochs.epoch_at(self.start_offset),
                }));
            }
            Wanted::Latest => {
                return Ok(Some(Found {
                    offset: self.high_watermark(),
                    timestamp: -1,
                    leader_epoch: self.leader_epoch(),
                }));
            }
            Wanted::MaxTimestamp => (self.stored.with_greatest_timestamp()?, None),
            Wanted::AtOrAfter(timestamp) => (
                self.stored.first_at_or_after(timestamp, self.start_offset)?,
                Some(timestamp),
            ),
        };
        let Some(batch) = bytes.and_then(|bytes| Batch::decode(bytes, 0).ok().flatten()) else {
            return Ok(None);
        };
        let at_least = timestamp.unwrap_or(batch.max_timestamp());
        let damaged = |error: kohort_records::BatchError| StorageError {
            operation: "reading a batch",
            reason: alloc::format!("{error}"),
        };
        let open = search.open(&batch).map_err(damaged)?;
        let record = open
            .iter()
            .find(|record| record.timestamp >= at_least && record.offset >= self.start_offset);
        Ok(record.map(|record| Found {
            offset: record.offset,
            timestamp: record.timestamp,
            leader_epoch: batch.partition_leader_epoch(),
        }))
    }

    /// The last epoch that is not above `epoch`, and the offset where it ended; `None` when there is none.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.epochs.end_of(epoch, self.end_offset)
    }

    /// Begins the next leader epoch, because the partition got a leader. It has begun, too, when the medium fails.
    // Kafka: Partition.makeLeader
    pub(crate) fn begin_epoch(&mut self) -> Result<(), StorageError> {
        self.assign_epoch(self.leader_epoch().saturating_add(1))
    }

    fn assign_epoch(&mut self, number: i32) -> Result<(), StorageError> {
        self.epochs.assign(number, self.end_offset);
        self.stored.keep_epochs(&self.epochs.entries())
    }

    /// Whether a request that names `epoch` (-1: none) may go on.
    // Kafka: Partition.checkCurrentLeaderEpoch
    pub(crate) fn check_epoch(&self, epoch: i32) -> Result<(), ErrorCode> {
        if epoch == -1 || epoch == self.leader_epoch() {
            Ok(())
        } else if epoch < self.leader_epoch() {
            Err(ErrorCode::FencedLeaderEpoch)
        } else {
            Err(ErrorCode::UnknownLeaderEpoch)
        }
    }

    /// Forgets the records below `offset`.
    // Kafka: UnifiedLog.maybeIncrementLogStartOffset, LeaderEpochFileCache.truncateFromStart
    pub(crate) fn remove_before(&mut self, offset: i64) -> Result<(), StorageError> {
        let offset = offset.clamp(self.start_offset, self.end_offset);
        self.stored.remove_before(offset)?;
        self.start_offset = offset;
        self.segments.remove_before(offset);
        if self.epochs.remove_before(offset) {
            self.stored.keep_epochs(&self.epochs.entries())?;
        }
        Ok(())
    }

    /// Removes the segments that are too old, or too much; gives whether there were any.
    pub(crate) fn expire(&mut self, config: &LogConfig, wall_ms: i64) -> Result<bool, StorageError> {
        let Some(until) = self.segments.expired(config, self.end_offset, wall_ms) else {
            return Ok(false);
        };
        // Kafka: UnifiedLog.deletableSegments: what no reader has seen yet stays.
        if until > self.high_watermark() {
            return Ok(false);
        }
        if until == self.end_offset {
            self.roll(wall_ms)?;
        }
        self.remove_before(until)?;
        Ok(true)
    }

    /// Whether any record is left that may grow too old.
    pub(crate) fn may_expire(&self, config: &LogConfig) -> bool {
        config.is_deleted
            && (config.retention_ms >= 0 || config.retention_bytes >= 0)
            && self.segments.has_bytes()
    }

    /// Ends the last segment.
    pub(crate) fn roll(&mut self, wall_ms: i64) -> Result<(), StorageError> {
        self.stored.roll(self.end_offset)?;
        self.segments.roll(self.end_offset, wall_ms);
        // Kafka: UnifiedLog.roll flushes what was rolled.
        self.flush.want();
        Ok(())
    }

    /// Where the log begins, if its first segment does not say so.
    pub(crate) fn start_within_segment(&self) -> Option<i64> {
        let first = self.segments.first_offset()?;
        (self.start_offset > first).then_some(self.start_offset)
    }

    /// Everything below it is on the medium.
    // Kafka: UnifiedLog.recoveryPoint
    pub(crate) fn recovery_point(&self) -> i64 {
        self.flush.synced()
    }

    /// The next sync begins as soon as none is in flight.
    pub(crate) fn want_sync(&mut self) {
        if self.flush.synced() < self.end_offset {
            self.flush.want();
        }
    }

    /// Begins a sync, when one is wanted and none is in flight.
    pub(crate) fn begin_sync(&mut self) -> Option<Flight> {
        if !self.flush.is_wanted() {
            return None;
        }
        let paths = self.stored.take_unsynced()?;
        Some(self.flush.begin(self.end_offset, paths))
    }

    /// A sync ended; gives how many bytes readers see now that they did not see before.
    pub(crate) fn end_sync(&mut self, flight: &Flight, result: Result<(), String>) -> usize {
        self.flush.ended(flight, result)
    }

    /// Whether a sync failed: what was appended since the last one may be lost.
    pub(crate) fn has_failed(&self) -> bool {
        self.flush.failure().is_some()
    }

    /// What has to be synced so that all of the log lasts. For the start and the end; see [`PartitionLog::begin_sync`].
    pub(crate) fn take_unsynced(&mut self) -> Vec<String> {
        self.stored.take_unsynced().unwrap_or_default()
    }

    /// All of the log was synced.
    pub(crate) fn synced(&mut self) {
        let flight = self.flush.begin(self.end_offset, Vec::new());
        self.flush.ended(&flight, Ok(()));
    }

    /// Writes what is written only at the end; then everything has to be synced.
    pub(crate) fn complete(&mut self) -> Result<(), StorageError> {
        match self.flush.failure() {
            None => self.stored.complete(),
            Some(reason) => Err(StorageError {
                operation: "closing a log",
                reason: reason.to_string(),
            }),
        }
    }

    /// Paths that are not needed any more.
    pub(crate) fn take_garbage(&mut self) -> Vec<String> {
        self.stored.take_garbage()
    }

    /// What an operator may want to know of how the log was opened.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        let mut notes = self.stored.take_notes();
        notes.append(&mut self.notes);
        notes
    }

    /// Shows every batch of the log.
    pub(crate) fn for_each(&mut self, each: &mut dyn FnMut(&Batch)) -> Result<(), StorageError> {
        self.stored.for_each(self.start_offset, each)
    }
}
