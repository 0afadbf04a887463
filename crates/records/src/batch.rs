//! A record batch as it lies in a log or a Fetch response: header read, records still compressed. Its records, once
//! opened, live in [`crate::open`].

use bytes::Bytes;

use crate::codec::{Compression, Decompressor, Failure};
use crate::error::BatchError;
use crate::header::{
    ATTRIBUTES, BATCH_OVERHEAD, CODEC_MASK, CONTROL, DELETE_HORIZON, Header, TRANSACTIONAL, TimestampType,
};
use crate::open::OpenBatch;

/// Splits the `records` field of a Fetch response, or any run of batches, into its batches. Nothing is copied.
///
/// An incomplete last batch ends the iteration silently, since a broker may cut it: [`Batches::rest`] has its bytes.
/// An error ends the iteration too, for nothing says where the next batch begins.
pub const fn batches(records: Bytes) -> Batches {
    Batches {
        records,
        at: 0,
        failed: false,
    }
}

/// The batches of a run of batches; see [`batches`].
#[derive(Debug, Clone)]
pub struct Batches {
    records: Bytes,
    at: usize,
    failed: bool,
}

impl Batches {
    /// Where the next batch begins, in bytes.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Goes back to a [`position`](Self::position) that was there before.
    pub fn rewind(&mut self, position: usize) {
        self.at = self.at.min(position);
        self.failed = false;
    }

    /// The bytes not yet iterated; after the last batch, the part of a batch that was cut.
    pub fn rest(&self) -> Bytes {
        self.records.slice(self.at.min(self.records.len())..)
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match Batch::read(&self.records, self.at) {
            Ok(batch) => {
                let batch = batch?;
                self.at += batch.size();
                Some(Ok(batch))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl std::iter::FusedIterator for Batches {}

/// A record batch: its header is read, its records are not.
///
/// Cheap to clone: it shares the bytes it was decoded from. See the crate's documentation for an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    bytes: Bytes,
    header: Header,
}

impl Batch {
    /// Reads the header of the batch that begins at byte `at`. `None` if the bytes end before the batch does.
    ///
    /// # Errors
    ///
    /// [`BatchError::InvalidLength`], [`BatchError::UnsupportedMagic`] (only magic 2 is read: Kafka 4 returns
    /// nothing older) and
    /// [`BatchError::InvalidHeader`].
    pub fn decode(bytes: Bytes, at: usize) -> Result<Option<Self>, BatchError> {
        Self::read(&bytes, at)
    }

    fn read(bytes: &Bytes, at: usize) -> Result<Option<Self>, BatchError> {
        let Some(rest) = bytes.get(at..) else {
            return Ok(None);
        };
        let Some((header, size)) = Header::decode(rest, at)? else {
            return Ok(None);
        };
        // `Header::decode` gives a size only if so many bytes are there.
        Ok(Some(Self {
            bytes: bytes.slice(at..at + size),
            header,
        }))
    }

    /// The offset of the first record, or of where it was before the log was compacted.
    pub const fn base_offset(&self) -> i64 {
        self.header.base_offset
    }

    /// The offset of the last record, or of where it was before the log was compacted.
    pub const fn last_offset(&self) -> i64 {
        self.header.last_offset()
    }

    /// The offset after the batch: the last offset plus one, also if the last records were compacted away.
    pub const fn next_offset(&self) -> i64 {
        self.header.next_offset()
    }

    /// The epoch of the leader that appended the batch, or -1.
    pub const fn partition_leader_epoch(&self) -> i32 {
        self.header.partition_leader_epoch
    }

    /// The timestamp that the records' are relative to, in milliseconds since the epoch.
    pub const fn base_timestamp(&self) -> i64 {
        self.header.base_timestamp
    }

    /// The largest timestamp of the records, in milliseconds since the epoch; with [`TimestampType::LogAppendTime`]
    /// that of all.
    pub const fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp
    }

    /// When tombstones in this batch may be removed, in milliseconds since the epoch, if compaction has set it
    /// (KIP-534).
    pub const fn delete_horizon(&self) -> Option<i64> {
        if self.header.has(DELETE_HORIZON) {
            Some(self.header.base_timestamp)
        } else {
            None
        }
    }

    /// The producer's id, or -1.
    pub const fn producer_id(&self) -> i64 {
        self.header.producer_id
    }

    /// The producer's epoch, or -1.
    pub const fn producer_epoch(&self) -> i16 {
        self.header.producer_epoch
    }

    /// The sequence number of the first record, or -1.
    pub const fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    /// The sequence number of the last record, or -1. Sequences wrap to 0 after the largest.
    pub const fn last_sequence(&self) -> i32 {
        self.header.last_sequence()
    }

    /// The number of records that the header announces. It is not checked before the batch is opened: never allocate
    /// by it.
    pub const fn records_count(&self) -> u32 {
        self.header.records_count
    }

    /// The largest offset delta of the batch; without compaction, one less than the number of records.
    pub const fn last_offset_delta(&self) -> u32 {
        self.header.last_offset_delta
    }

    /// The attributes as they stand in the header.
    pub(crate) const fn attributes(&self) -> i16 {
        self.header.attributes
    }

    /// The codec of the records.
    ///
    /// # Errors
    ///
    /// [`BatchError::UnknownCompression`].
    pub fn compression(&self) -> Result<Compression, BatchError> {
        // The mask leaves three bits.
        let id = (self.header.attributes & CODEC_MASK) as u8;
        Compression::from_id(id).ok_or(BatchError::UnknownCompression {
            base_offset: self.base_offset(),
            id,
        })
    }

    /// Which clock the timestamps come from.
    pub const fn timestamp_type(&self) -> TimestampType {
        self.header.timestamp_type()
    }

    /// Whether the batch holds a control record (a transaction marker) instead of records for consumers.
    pub const fn is_control(&self) -> bool {
        self.header.has(CONTROL)
    }

    /// Whether the batch is part of a transaction.
    pub const fn is_transactional(&self) -> bool {
        self.header.has(TRANSACTIONAL)
    }

    /// The size of the whole batch, header included, in bytes.
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The whole batch, header included.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The checksum that the header holds (CRC-32C).
    pub const fn crc(&self) -> u32 {
        self.header.crc
    }

    /// Checks the checksum of the batch. It covers the bytes from the attributes to the end: neither base offset nor
    /// leader epoch.
    ///
    /// # Errors
    ///
    /// [`BatchError::CrcMismatch`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c::crc32c(self.bytes.get(ATTRIBUTES..).unwrap_or_default());
        let stored = self.header.crc;
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::CrcMismatch {
                base_offset: self.base_offset(),
                stored,
                computed,
            })
        }
    }

    /// Decompresses the records once, and walks and checks each of them once, so that iterating them cannot fail.
    ///
    /// `limit` is the most bytes that decompression may yield; decompression stops there. A batch that is not
    /// compressed is in memory already, so it has no limit. The checksum is not looked at.
    ///
    /// # Errors
    ///
    /// [`BatchError::UnknownCompression`], [`BatchError::TooLarge`], [`BatchError::Decompress`], and
    /// [`BatchError::RecordsCount`], [`BatchError::Record`] or [`BatchError::TrailingBytes`] for records that are
    /// not well formed.
    pub fn open(&self, limit: usize) -> Result<OpenBatch, BatchError> {
        self.open_with(&mut Decompressor::new(), limit)
    }

    /// [`Batch::open`] with a decompressor that is kept from batch to batch.
    ///
    /// # Errors
    ///
    /// As [`Batch::open`].
    pub fn open_with(&self, decompressor: &mut Decompressor, limit: usize) -> Result<OpenBatch, BatchError> {
        match self.open_prefix(decompressor, limit)? {
            (open, None) => Ok(open),
            (_, Some(error)) => Err(error),
        }
    }

    /// Opens as much as can be read: the records before the first malformed one, and what is wrong with that.
    ///
    /// The opened batch ends before the malformed record: its last [`OpenBatch::next_offset`] is that after its last
    /// good record, so that a consumer that hands out the good records first stays in front of the bad one.
    ///
    /// # Errors
    ///
    /// As [`Batch::open`] where no record can be read: unknown codec, too large, not decompressible, an impossible
    /// number of records.
    pub fn open_prefix(
        &self,
        decompressor: &mut Decompressor,
        limit: usize,
    ) -> Result<(OpenBatch, Option<BatchError>), BatchError> {
        if self.header.records_count == 0 {
            // Kafka: DefaultRecordBatch.iterator; compaction leaves such batches for the producer's sequence numbers.
            return Ok(OpenBatch::walk(self.header, Bytes::new()));
        }
        let compression = self.compression()?;
        let body = self.bytes.slice(BATCH_OVERHEAD.min(self.bytes.len())..);
        let records = match compression {
            Compression::None => body,
            codec => decompressor
                .run(codec, &body, limit)
                .map_err(|f| self.not_decompressed(f, codec, limit))?,
        };
        OpenBatch::check_count(&self.header, records.len())?;
        Ok(OpenBatch::walk(self.header, records))
    }

    #[cold]
    fn not_decompressed(&self, failure: Failure, compression: Compression, limit: usize) -> BatchError {
        let base_offset = self.base_offset();
        match failure {
            Failure::TooLarge => BatchError::TooLarge {
                base_offset,
                compression,
                limit,
            },
            Failure::Corrupt { position, reason } => BatchError::Decompress {
                base_offset,
                compression,
                position: BATCH_OVERHEAD.saturating_add(position),
                reason: reason.into(),
            },
        }
    }
}
