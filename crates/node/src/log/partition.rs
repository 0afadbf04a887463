//! The log of one partition: gives offsets to what is appended, knows where it begins and ends, finds offsets by timestamp
//! and by leader epoch. The bytes are kept by a [`StoredLog`].

use alloc::boxed::Box;

use bytes::Bytes;
use kohort_protocol::ErrorCode;
use kohort_records::{Batch, stored};

use super::epochs::LeaderEpochs;
use super::producer_state::{Produced, ProducerStates, Verdict};
use super::storage::{BatchPlace, StorageError, StoredLog};
use super::validate::{self, Origin, Rejection};
use crate::config::{LogConfig, TimestampType};

/// How many bytes a batch may hold once decompressed when it is searched for a timestamp. It was appended within that bound.
const LARGEST_DECOMPRESSED: usize = usize::MAX;

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
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
}

impl PartitionLog {
    pub(crate) fn new(stored: Box<dyn StoredLog>) -> Self {
        let (start_offset, end_offset) = stored.bounds();
        let mut epochs = LeaderEpochs::default();
        epochs.assign(0, start_offset);
        Self {
            stored,
            start_offset,
            end_offset,
            epochs,
            producers: ProducerStates::default(),
        }
    }

    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// The offset that the next record gets. With one replica it is the high watermark, too, and without transactions the
    /// last stable offset.
    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
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
        origin: Origin,
        wall_ms: i64,
    ) -> Result<Appended, Rejection> {
        let max_timestamp = validate::check(batch, config, origin, wall_ms)?;
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
        let whole = batch.bytes().get(..batch.size()).unwrap_or_default();
        self.stored
            .append(place, whole, &stamp)
            .map_err(|error| Rejection::new(ErrorCode::KafkaStorageError, alloc::format!("{error}")))?;
        self.end_offset = end_offset;
        if let Some(produced) = produced {
            self.producers.apply(&Produced {
                base_offset,
                timestamp: place.max_timestamp,
                ..produced
            });
        }
        Ok(Appended {
            base_offset,
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
        self.stored.read(from, self.end_offset, max_bytes, at_least_one)
    }

    /// How many bytes wait from `from` on.
    pub(crate) fn bytes_from(&self, from: i64) -> u64 {
        self.stored.bytes_between(from, self.end_offset)
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.bytes_from(self.start_offset)
    }

    /// Finds an offset; `None` when no record is as wanted.
    // Kafka: UnifiedLog.fetchOffsetByTimestamp
    pub(crate) fn find(&mut self, wanted: Wanted) -> Result<Option<Found>, StorageError> {
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
                    offset: self.end_offset,
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
        let open = batch.open(LARGEST_DECOMPRESSED).map_err(damaged)?;
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

    /// Begins the next leader epoch, because the partition got a leader.
    // Kafka: Partition.makeLeader
    pub(crate) fn begin_epoch(&mut self) {
        let next = self.leader_epoch().saturating_add(1);
        self.epochs.assign(next, self.end_offset);
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
    pub(crate) fn remove_before(&mut self, offset: i64) -> Result<(), StorageError> {
        let offset = offset.clamp(self.start_offset, self.end_offset);
        self.stored.remove_before(offset)?;
        self.start_offset = offset;
        self.epochs.remove_before(offset);
        Ok(())
    }
}
