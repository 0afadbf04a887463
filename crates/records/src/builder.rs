//! Building a record batch. What a log changes in a batch it stores lives in [`crate::stored`].

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{Compression, Compressor};
use crate::error::BuildError;
use crate::header::{
    ATTRIBUTES, BATCH_OVERHEAD, CONTROL, CRC, DELETE_HORIZON, LOG_APPEND_TIME, LOG_OVERHEAD, MAGIC_V2,
    TRANSACTIONAL,
};
use crate::record::Header;
use crate::wire::{put_varlong, varlong_size};

/// The timestamp that stands for none.
const NO_TIMESTAMP: i64 = -1;

/// Collects records and writes them as a batch.
///
/// [`BatchBuilder::build`] leaves the builder empty and its settings as they are, so that one builder makes batch
/// after batch. See the crate's documentation for an example.
#[derive(Debug)]
pub struct BatchBuilder {
    compressor: Compressor,
    /// Room for the header, then the records, not compressed.
    buffer: BytesMut,
    count: u32,
    last_delta: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: Producer,
    partition_leader_epoch: i32,
    log_append_time: Option<i64>,
    delete_horizon: Option<i64>,
    /// The batch's last offset delta where it is not that of the last record.
    at_least_last_delta: u32,
    flags: i16,
}

#[derive(Debug, Clone, Copy)]
struct Producer {
    id: i64,
    epoch: i16,
    base_sequence: i32,
}

impl BatchBuilder {
    /// A builder of batches compressed at a level, or at the codec's default level.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidLevel`] if Kafka knows no such level of the codec.
    pub fn new(compression: Compression, level: Option<i32>) -> Result<Self, BuildError> {
        Ok(Self {
            compressor: Compressor::new(compression, level)?,
            buffer: BytesMut::new(),
            count: 0,
            last_delta: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer: Producer {
                id: -1,
                epoch: -1,
                base_sequence: -1,
            },
            partition_leader_epoch: -1,
            log_append_time: None,
            delete_horizon: None,
            at_least_last_delta: 0,
            flags: 0,
        })
    }

    /// Sets the producer's id, epoch and the sequence number of the first record (KIP-98); -1 each for none, the
    /// default.
    pub const fn set_producer(&mut self, id: i64, epoch: i16, base_sequence: i32) -> &mut Self {
        self.producer = Producer {
            id,
            epoch,
            base_sequence,
        };
        self
    }

    /// Sets whether the batch is part of a transaction.
    pub const fn set_transactional(&mut self, transactional: bool) -> &mut Self {
        self.flag(TRANSACTIONAL, transactional)
    }

    /// Sets whether the records are control records; see [`crate::control`].
    pub const fn set_control(&mut self, control: bool) -> &mut Self {
        self.flag(CONTROL, control)
    }

    /// Sets the epoch of the partition's leader; -1 for none, the default, as producers send it.
    pub const fn set_partition_leader_epoch(&mut self, epoch: i32) -> &mut Self {
        self.partition_leader_epoch = epoch;
        self
    }

    /// Gives all records the time of the append, in milliseconds since the epoch; `None`, the default, leaves them
    /// their own.
    pub const fn set_log_append_time(&mut self, time: Option<i64>) -> &mut Self {
        self.log_append_time = time;
        self.flag(LOG_APPEND_TIME, time.is_some())
    }

    /// Sets when tombstones in the batch may be removed, in milliseconds since the epoch, as compaction does
    /// (KIP-534). To be set before the first record, whose timestamp it replaces as the batch's base timestamp.
    pub const fn set_delete_horizon(&mut self, time: Option<i64>) -> &mut Self {
        self.delete_horizon = time;
        self.flag(DELETE_HORIZON, time.is_some())
    }

    /// Sets the smallest last offset delta of the next batch: compaction keeps that of the original batch although
    /// its last records are gone.
    pub const fn set_last_offset_delta(&mut self, delta: u32) -> &mut Self {
        self.at_least_last_delta = delta;
        self
    }

    const fn flag(&mut self, flag: i16, on: bool) -> &mut Self {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
        self
    }

    /// Appends a record at the next offset. The timestamp is in milliseconds since the epoch, or -1.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidTimestamp`], [`BuildError::Full`] and [`BuildError::TooLarge`]; the record is then not
    /// appended.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BuildError> {
        let delta = if self.count == 0 {
            Some(0)
        } else {
            self.last_delta.checked_add(1)
        };
        self.append_at(delta.ok_or(BuildError::Full)?, timestamp, key, value, headers)
    }

    /// Appends a record at an offset relative to the base offset, above the record before. Compaction leaves gaps;
    /// producers do not.
    ///
    /// # Errors
    ///
    /// As [`BatchBuilder::append`], and [`BuildError::OffsetNotIncreasing`].
    // Kafka: DefaultRecord.writeTo
    pub fn append_at(
        &mut self,
        offset_delta: u32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BuildError> {
        if timestamp < NO_TIMESTAMP {
            return Err(BuildError::InvalidTimestamp { timestamp });
        }
        if self.count > 0 && offset_delta <= self.last_delta {
            return Err(BuildError::OffsetNotIncreasing {
                delta: offset_delta,
                last: self.last_delta,
            });
        }
        // So that last offset delta and records count fit in 31 bits.
        if offset_delta >= i32::MAX as u32 {
            return Err(BuildError::Full);
        }
        let base_timestamp = match (self.count, self.delete_horizon) {
            (0, horizon) => horizon.unwrap_or(timestamp),
            _ => self.base_timestamp,
        };
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let delta = i64::from(offset_delta);
        let length = 1
            + varlong_size(timestamp_delta)
            + varlong_size(delta)
            + nullable_size(key)
            + nullable_size(value)
            + varlong_size(headers.len() as i64)
            + headers
                .iter()
                .map(|h| nullable_size(Some(&h.key)) + nullable_size(h.value.as_deref()))
                .sum::<usize>();
        let bytes = self
            .size()
            .saturating_add(varlong_size(length as i64))
            .saturating_add(length);
        if bytes > i32::MAX as usize {
            return Err(BuildError::TooLarge { bytes });
        }
        if self.buffer.is_empty() {
            self.buffer.put_bytes(0, BATCH_OVERHEAD);
        }
        let mut prefix = Prefix::default();
        prefix.varlong(length as i64);
        prefix.byte(0);
        prefix.varlong(timestamp_delta);
        prefix.varlong(delta);
        self.buffer.extend_from_slice(prefix.bytes());
        self.put_nullable(key);
        self.put_nullable(value);
        self.put_length(headers.len() as i64);
        for header in headers {
            self.put_nullable(Some(&header.key));
            self.put_nullable(header.value.as_deref());
        }
        self.base_timestamp = base_timestamp;
        self.max_timestamp = if self.count == 0 {
            timestamp
        } else {
            self.max_timestamp.max(timestamp)
        };
        self.last_delta = offset_delta;
        self.count += 1;
        Ok(())
    }

    fn put_length(&mut self, length: i64) {
        let mut prefix = Prefix::default();
        prefix.varlong(length);
        self.buffer.extend_from_slice(prefix.bytes());
    }

    fn put_nullable(&mut self, bytes: Option<&[u8]>) {
        self.put_length(bytes.map_or(-1, |bytes| bytes.len() as i64));
        self.buffer.extend_from_slice(bytes.unwrap_or_default());
    }

    /// The number of records appended.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether no record was appended.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size that the batch would have without compression, header included, in bytes. With compression it is most
    /// often smaller.
    pub fn size(&self) -> usize {
        self.buffer.len().max(BATCH_OVERHEAD)
    }

    /// By how much a record would let [`BatchBuilder::size`] grow at most, in bytes.
    pub fn size_upper_bound(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> usize {
        /// Length, attributes, timestamp and offset delta at their longest.
        // Kafka: DefaultRecord.MAX_RECORD_OVERHEAD
        const MAX_RECORD_OVERHEAD: usize = 21;
        headers
            .iter()
            .map(|h| nullable_size(Some(&h.key)).saturating_add(nullable_size(h.value.as_deref())))
            .fold(
                MAX_RECORD_OVERHEAD + varlong_size(headers.len() as i64),
                usize::saturating_add,
            )
            .saturating_add(nullable_size(key))
            .saturating_add(nullable_size(value))
    }

    /// Drops the records appended.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.count = 0;
        self.last_delta = 0;
        self.base_timestamp = NO_TIMESTAMP;
        self.max_timestamp = NO_TIMESTAMP;
        self.at_least_last_delta = 0;
    }

    /// Writes the batch, and leaves the builder empty with its settings kept. Producers send the base offset 0: the
    /// broker sets it.
    ///
    /// A batch without records is a header alone, as compaction may leave one.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidBaseOffset`], [`BuildError::TooLarge`] and [`BuildError::Compress`]; the records are
    /// then still there.
    // Kafka: DefaultRecordBatch.writeHeader
    pub fn build(&mut self, base_offset: i64) -> Result<Bytes, BuildError> {
        let last_delta = self.last_delta.max(self.at_least_last_delta);
        if base_offset < 0 || base_offset.checked_add(i64::from(last_delta) + 1).is_none() {
            return Err(BuildError::InvalidBaseOffset { base_offset });
        }
        let last_delta = i32::try_from(last_delta).map_err(|_| BuildError::Full)?;
        let records = self.buffer.get(BATCH_OVERHEAD..).unwrap_or_default();
        let codec = if self.count == 0 {
            Compression::None
        } else {
            self.compressor.codec()
        };
        let mut batch = if codec == Compression::None {
            if self.buffer.is_empty() {
                self.buffer.put_bytes(0, BATCH_OVERHEAD);
            }
            self.buffer.split()
        } else {
            let mut compressed = Vec::with_capacity(BATCH_OVERHEAD + records.len() / 2);
            compressed.resize(BATCH_OVERHEAD, 0);
            self.compressor.run(records, &mut compressed)?;
            Bytes::from(compressed).into()
        };
        let too_large = BuildError::TooLarge { bytes: batch.len() };
        let length = i32::try_from(batch.len() - LOG_OVERHEAD).map_err(|_| too_large)?;
        // `batch` begins with room for the header, which is as long as the fields written here.
        let mut header = batch.get_mut(..BATCH_OVERHEAD).unwrap_or_default();
        header.put_i64(base_offset);
        header.put_i32(length);
        header.put_i32(self.partition_leader_epoch);
        header.put_i8(MAGIC_V2);
        header.put_u32(0);
        header.put_i16(self.flags | i16::from(codec.id()));
        header.put_i32(last_delta);
        header.put_i64(if self.count == 0 {
            self.delete_horizon.unwrap_or(NO_TIMESTAMP)
        } else {
            self.base_timestamp
        });
        header.put_i64(self.log_append_time.unwrap_or(self.max_timestamp));
        header.put_i64(self.producer.id);
        header.put_i16(self.producer.epoch);
        header.put_i32(self.producer.base_sequence);
        // Fewer than the offset deltas, which fit.
        header.put_i32(self.count as i32);
        write_crc(&mut batch);
        self.clear();
        Ok(batch.freeze())
    }
}

/// Computes the checksum of a whole batch and writes it into the header.
pub(crate) fn write_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(batch.get(ATTRIBUTES..).unwrap_or_default());
    if let Some(field) = batch.get_mut(CRC..ATTRIBUTES) {
        field.copy_from_slice(&crc.to_be_bytes());
    }
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| {
        varlong_size(bytes.len() as i64).saturating_add(bytes.len())
    })
}

/// The few bytes before a key, written at once.
#[derive(Default)]
struct Prefix {
    bytes: [u8; 32],
    length: usize,
}

impl Prefix {
    fn byte(&mut self, byte: u8) {
        self.put(|room| {
            room.first_mut().map_or(0, |slot| {
                *slot = byte;
                1
            })
        });
    }

    fn varlong(&mut self, value: i64) {
        self.put(|room| put_varlong(value, room));
    }

    fn put(&mut self, write: impl FnOnce(&mut [u8]) -> usize) {
        self.length += write(self.bytes.get_mut(self.length..).unwrap_or_default());
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
