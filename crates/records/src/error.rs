//! What can be wrong with a batch that is read ([`BatchError`]) or built ([`BuildError`]).

use crate::codec::Compression;

/// Why a record batch cannot be read.
///
/// A batch that fails once fails each time: none of these is worth a retry on the same bytes. Fetching the batch
/// again helps if it was damaged on the way; otherwise seek past [`BatchError::base_offset`]'s batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The length field of a batch is smaller than a batch can be.
    #[error("the batch at byte {position} announces {length} bytes, fewer than a batch header needs")]
    InvalidLength {
        /// Where the batch begins in the bytes given.
        position: usize,
        /// The value of the length field: the bytes after it.
        length: i32,
    },
    /// The batch is in a format older or newer than version 2.
    #[error("the batch at byte {position} has magic {magic}; only record batches of magic 2 are read")]
    UnsupportedMagic {
        /// Where the batch begins in the bytes given.
        position: usize,
        /// The magic found.
        magic: i8,
    },
    /// A field of the header has a value that no batch can have.
    #[error("the batch at byte {position} has the impossible {field} {value}")]
    InvalidHeader {
        /// Where the batch begins in the bytes given.
        position: usize,
        /// The field, in Kafka's name.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// The checksum in the header is not that of the bytes.
    #[error(
        "the batch at offset {base_offset} is corrupt: it says its CRC-32C is {stored:#010x}, it is {computed:#010x}"
    )]
    CrcMismatch {
        /// The base offset of the batch.
        base_offset: i64,
        /// The checksum stored in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The attributes name a codec that does not exist.
    #[error("the batch at offset {base_offset} is compressed with the unknown codec {id}")]
    UnknownCompression {
        /// The base offset of the batch.
        base_offset: i64,
        /// The codec's number in the attributes.
        id: u8,
    },
    /// The batch holds more than the caller allows, once decompressed. Decompression stopped at the limit.
    #[error(
        "the batch at offset {base_offset} ({compression}) holds more than {limit} bytes; allow more, or seek past it"
    )]
    TooLarge {
        /// The base offset of the batch.
        base_offset: i64,
        /// The codec.
        compression: Compression,
        /// The limit given, in bytes.
        limit: usize,
    },
    /// The compressed bytes are not what the codec writes.
    #[error(
        "the batch at offset {base_offset} cannot be decompressed ({compression}), near byte {position} of the batch: {reason}"
    )]
    Decompress {
        /// The base offset of the batch.
        base_offset: i64,
        /// The codec.
        compression: Compression,
        /// How far the codec got, in bytes from the beginning of the batch. Codecs read ahead, so the fault is at or
        /// before it.
        position: usize,
        /// What the codec says.
        reason: Box<str>,
    },
    /// The header announces more records than its bytes can hold.
    #[error("the batch at offset {base_offset} announces {count} records in {bytes} bytes")]
    RecordsCount {
        /// The base offset of the batch.
        base_offset: i64,
        /// The number of records announced.
        count: u32,
        /// The bytes that should hold them.
        bytes: usize,
    },
    /// A record is not well formed.
    #[error(
        "record {index} of the batch at offset {base_offset} is malformed at byte {position} of its records: {problem}"
    )]
    Record {
        /// The base offset of the batch.
        base_offset: i64,
        /// Which record of the batch, from 0.
        index: u32,
        /// Where, in bytes from the beginning of the (decompressed) records.
        position: usize,
        /// What is wrong.
        problem: RecordProblem,
    },
    /// Bytes follow the last record.
    #[error(
        "{bytes} bytes follow the last record of the batch at offset {base_offset}, at byte {position} of its records"
    )]
    TrailingBytes {
        /// The base offset of the batch.
        base_offset: i64,
        /// Where they begin, in bytes from the beginning of the (decompressed) records.
        position: usize,
        /// How many there are.
        bytes: usize,
    },
}

impl BatchError {
    /// The base offset of the batch in question, if its header was readable.
    pub fn base_offset(&self) -> Option<i64> {
        match self {
            Self::InvalidLength { .. } | Self::UnsupportedMagic { .. } | Self::InvalidHeader { .. } => None,
            Self::CrcMismatch { base_offset, .. }
            | Self::UnknownCompression { base_offset, .. }
            | Self::TooLarge { base_offset, .. }
            | Self::Decompress { base_offset, .. }
            | Self::RecordsCount { base_offset, .. }
            | Self::Record { base_offset, .. }
            | Self::TrailingBytes { base_offset, .. } => Some(*base_offset),
        }
    }
}

/// What is wrong with one record of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordProblem {
    /// A field reaches past the end of its record, or the record past the end of the batch.
    #[error("it is cut short")]
    Cut,
    /// A variable-length integer has more bytes than its type allows.
    #[error("a variable-length integer is too long")]
    VarintTooLong,
    /// The length of the record is negative.
    #[error("its length is negative")]
    NegativeLength,
    /// The record has bytes left after its last header.
    #[error("its length does not match its fields")]
    LengthMismatch,
    /// The number of headers is negative, or more than the record's bytes can hold.
    #[error("it announces an impossible number of headers")]
    HeadersCount,
    /// The key of a header is null.
    #[error("a header has no key")]
    NullHeaderKey,
    /// The offset is outside of the range the batch's header announces.
    #[error("its offset is outside of the batch")]
    OffsetOutOfRange,
}

/// Why a record batch cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The batch would be larger than its 31-bit length field can say.
    #[error("the batch would have {bytes} bytes, more than a record batch can have; build it earlier")]
    TooLarge {
        /// The size it would have, in bytes.
        bytes: usize,
    },
    /// The batch holds as many records, or as large an offset delta, as the format allows.
    #[error("the batch is full; build it and begin another")]
    Full,
    /// The offset delta is not above the one before.
    #[error("the offset delta {delta} does not come after {last}")]
    OffsetNotIncreasing {
        /// The delta given.
        delta: u32,
        /// The delta before.
        last: u32,
    },
    /// A timestamp is negative and not -1, which stands for none.
    #[error("the timestamp {timestamp} is invalid: it is milliseconds since the epoch, or -1 for none")]
    InvalidTimestamp {
        /// The timestamp given.
        timestamp: i64,
    },
    /// The base offset is negative, or so large that the last offset would overflow.
    #[error("the base offset {base_offset} is invalid")]
    InvalidBaseOffset {
        /// The base offset given.
        base_offset: i64,
    },
    /// The codec has no such level.
    #[error("{compression} has no level {level}; {hint}")]
    InvalidLevel {
        /// The codec.
        compression: Compression,
        /// The level given.
        level: i32,
        /// Which levels there are.
        hint: &'static str,
    },
    /// The codec failed.
    #[error("the records could not be compressed ({compression}): {reason}")]
    Compress {
        /// The codec.
        compression: Compression,
        /// What the codec says.
        reason: Box<str>,
    },
}
