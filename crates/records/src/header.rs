//! The header of a record batch: its layout, and its fields once read. What follows the header lives in
//! [`crate::open`].

use bytes::Buf;

use crate::error::BatchError;

/// The bytes of a batch before its records.
pub const BATCH_OVERHEAD: usize = 61;

/// The bytes of a batch that its length field does not count: the base offset and the length itself.
pub const LOG_OVERHEAD: usize = 12;

// Kafka: DefaultRecordBatch
pub(crate) const BASE_OFFSET: usize = 0;
pub(crate) const LENGTH: usize = 8;
pub(crate) const PARTITION_LEADER_EPOCH: usize = 12;
pub(crate) const MAGIC: usize = 16;
pub(crate) const CRC: usize = 17;
pub(crate) const ATTRIBUTES: usize = 21;
pub(crate) const MAX_TIMESTAMP: usize = 35;
pub(crate) const PRODUCER_ID: usize = 43;
pub(crate) const PRODUCER_EPOCH: usize = 51;
pub(crate) const BASE_SEQUENCE: usize = 53;

pub(crate) const CODEC_MASK: i16 = 0x07;
pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
pub(crate) const TRANSACTIONAL: i16 = 0x10;
pub(crate) const CONTROL: i16 = 0x20;
pub(crate) const DELETE_HORIZON: i16 = 0x40;

/// The magic of the only format that is read and written.
pub(crate) const MAGIC_V2: i8 = 2;

/// The smallest size of a legacy message, after offset and size.
// Kafka: LegacyRecord.RECORD_OVERHEAD_V0
const SHORTEST_LEGACY: i32 = 14;

/// Which clock the timestamps of a batch come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// Each record has the timestamp its producer gave it.
    #[default]
    CreateTime,
    /// Each record has the time at which the broker appended the batch.
    LogAppendTime,
}

/// The fields of a batch's header, checked: the last offset does not overflow, and no count is negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) base_offset: i64,
    pub(crate) partition_leader_epoch: i32,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: u32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) records_count: u32,
}

impl Header {
    /// Reads the header at the beginning of `bytes`; gives it with the size of the batch. `None` if there are too
    /// few bytes for the header or for the batch. `position` is for errors.
    pub(crate) fn decode(bytes: &[u8], position: usize) -> Result<Option<(Self, usize)>, BatchError> {
        match Self::size(bytes, position)? {
            Some(size) if bytes.len() >= size => Self::peek(bytes, position),
            _ => Ok(None),
        }
    }

    /// As [`Header::decode`], but no more than the header has to be there.
    pub(crate) fn peek(bytes: &[u8], position: usize) -> Result<Option<(Self, usize)>, BatchError> {
        match (
            Self::size(bytes, position)?,
            bytes.first_chunk::<BATCH_OVERHEAD>(),
        ) {
            (Some(size), Some(header)) => Ok(Some((Self::read(header, position)?, size))),
            _ => Ok(None),
        }
    }

    /// The size of the batch, from the first fields of its header.
    // Kafka: ByteBufferLogInputStream.nextBatchSize
    fn size(bytes: &[u8], position: usize) -> Result<Option<usize>, BatchError> {
        let Some(mut length) = bytes.get(LENGTH..LOG_OVERHEAD) else {
            return Ok(None);
        };
        let length = length.get_i32();
        if length < SHORTEST_LEGACY {
            return Err(BatchError::InvalidLength { position, length });
        }
        let Some(&magic) = bytes.get(MAGIC) else {
            return Ok(None);
        };
        let magic = magic as i8;
        if magic != MAGIC_V2 {
            return Err(BatchError::UnsupportedMagic { position, magic });
        }
        let size = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .saturating_add(LOG_OVERHEAD);
        if size < BATCH_OVERHEAD {
            return Err(BatchError::InvalidLength { position, length });
        }
        Ok(Some(size))
    }

    fn read(bytes: &[u8; BATCH_OVERHEAD], position: usize) -> Result<Self, BatchError> {
        // The fields read here have 61 bytes together.
        let mut fields = &bytes[..];
        let base_offset = fields.get_i64();
        let _length = fields.get_i32();
        let partition_leader_epoch = fields.get_i32();
        let _magic = fields.get_i8();
        let crc = fields.get_u32();
        let attributes = fields.get_i16();
        let last_offset_delta = fields.get_i32();
        let base_timestamp = fields.get_i64();
        let max_timestamp = fields.get_i64();
        let producer_id = fields.get_i64();
        let producer_epoch = fields.get_i16();
        let base_sequence = fields.get_i32();
        let records_count = fields.get_i32();
        let impossible = |field, value| BatchError::InvalidHeader {
            position,
            field,
            value,
        };
        let delta = u32::try_from(last_offset_delta)
            .map_err(|_| impossible("LastOffsetDelta", i64::from(last_offset_delta)))?;
        if base_offset < 0 || base_offset.checked_add(i64::from(delta) + 1).is_none() {
            return Err(impossible("BaseOffset", base_offset));
        }
        let records_count =
            u32::try_from(records_count).map_err(|_| impossible("RecordsCount", i64::from(records_count)))?;
        Ok(Self {
            base_offset,
            partition_leader_epoch,
            crc,
            attributes,
            last_offset_delta: delta,
            base_timestamp,
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            records_count,
        })
    }

    pub(crate) const fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(self.last_offset_delta as i64)
    }

    pub(crate) const fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    pub(crate) const fn has(&self, flag: i16) -> bool {
        self.attributes & flag != 0
    }

    pub(crate) const fn timestamp_type(&self) -> TimestampType {
        if self.has(LOG_APPEND_TIME) {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    // Kafka: DefaultRecordBatch.incrementSequence
    pub(crate) const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let sum = self.base_sequence as i64 + self.last_offset_delta as i64;
        // Sequences wrap from the largest to 0.
        (sum % (i32::MAX as i64 + 1)) as i32
    }
}
