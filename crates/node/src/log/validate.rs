//! What a broker checks of a batch before it is appended. Sequence numbers are judged in [`super::producers`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_protocol::ErrorCode;
use kohort_records::codec::Compression;
use kohort_records::{Batch, BatchError, Decompressor, OpenBatch};

use super::recompress::Recompression;
use crate::config::{LogConfig, TimestampType};

/// How many times `max.message.bytes` a batch may hold once decompressed, and how many bytes it may hold in any case: a bound
/// against small batches that decompress without end. Kafka has none, but its producers hold no more than 32 MiB
/// (`buffer.memory`).
const LARGEST_GROWTH: usize = 64;
const ALWAYS_DECOMPRESSED: usize = 64 << 20;

/// How many bytes all batches of a request may hold once decompressed, or as many as one of them where that is more: so one
/// request does not keep a node of one thread from the others for long. The most that a known client puts into a request is what
/// franz-go does: it counts batches before they are compressed, up to its `BrokerMaxWriteBytes`.
const REQUEST_DECOMPRESSED: usize = 100 << 20;

/// What a batch that cannot be opened took at least: a codec unpacks a block before it is seen to be too large, and those of LZ4
/// have up to 4 MiB.
const LARGEST_BLOCK: usize = 4 << 20;

/// How many records at fault are named. Kafka names all; a small batch may decompress to millions of empty records.
const NAMED_FAULTS: usize = 10_000;

/// Where a batch comes from.
#[derive(Debug)]
pub(crate) enum Origin<'a> {
    /// A Produce request, and what its batches before this one took.
    Client(&'a mut Opened),
    /// The node itself, for an internal topic.
    Coordinator,
}

/// What the compressed batches of a request took so far, in bytes once decompressed, and what opens them: a codec's tables cost
/// more than a small batch, of which a request may have a million.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    decompressor: Decompressor,
    /// By those that could be opened.
    held: usize,
    /// By those that could not, at most.
    wasted: usize,
    /// By those that were written anew, each in its bytes and what it costs besides.
    rewritten: usize,
    pub(super) recompression: Recompression,
}

impl Opened {
    /// How much the next batch may hold, where it alone may hold `bound`. One that cannot be opened takes nothing from the others,
    /// until twice the bound of all was spent on all of them.
    fn left(&self, bound: usize) -> usize {
        let together = bound.max(REQUEST_DECOMPRESSED);
        let all = together.saturating_mul(2).saturating_sub(self.wasted);
        all.min(together).saturating_sub(self.held).min(bound)
    }

    /// Counts what writing a batch anew costs. Together that may be twice what the batches may hold, which is what those cost that
    /// come compressed; the last one may take more than there is.
    pub(super) fn take(&mut self, cost: usize, config: &LogConfig) -> Result<(), Rejection> {
        let together = largest_decompressed(config).max(REQUEST_DECOMPRESSED);
        if self.rewritten >= together.saturating_mul(2) {
            return Err(Rejection::new(
                ErrorCode::MessageTooLarge,
                "the batches of the request cost too much to write in the topics' codecs",
            ));
        }
        self.rewritten = self.rewritten.saturating_add(cost);
        Ok(())
    }

    /// Opens a batch; one that is not compressed takes nothing.
    fn open(&mut self, batch: &Batch, config: &LogConfig) -> Result<OpenBatch, Rejection> {
        let bound = largest_decompressed(config);
        if batch.compression()? == Compression::None {
            return Ok(batch.open_with(&mut self.decompressor, bound)?);
        }
        let left = self.left(bound);
        if left == 0 {
            return Err(Rejection::new(
                ErrorCode::MessageTooLarge,
                "the batches of the request hold too much once they are decompressed",
            ));
        }
        let opened = batch.open_with(&mut self.decompressor, left);
        match &opened {
            Ok(open) => self.held = self.held.saturating_add(open.size()),
            Err(_) => self.wasted = self.wasted.saturating_add(left.max(LARGEST_BLOCK)),
        }
        Ok(opened?)
    }
}

/// What a check found out of a batch.
pub(crate) struct Checked {
    /// The greatest timestamp of its records, which its header may get wrong.
    pub(crate) max_timestamp: i64,
    /// Its records, if a client sent them.
    pub(crate) open: Option<OpenBatch>,
}

/// Why a batch is not appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    /// The records that are at fault: index in the batch and what is wrong.
    pub(crate) records: Vec<(i32, String)>,
    /// Where the log begins, if the client is told.
    pub(crate) log_start_offset: i64,
}

impl Rejection {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            records: Vec::new(),
            log_start_offset: -1,
        }
    }

    /// Tells the client where the log begins, with the errors for which Kafka does.
    // Kafka: ReplicaManager.appendToLocalLog
    pub(crate) fn at(mut self, log_start_offset: i64) -> Self {
        let is_told = !matches!(
            self.code,
            ErrorCode::MessageTooLarge | ErrorCode::CorruptMessage | ErrorCode::KafkaStorageError
        );
        self.log_start_offset = if is_told { log_start_offset } else { -1 };
        self
    }
}

impl From<BatchError> for Rejection {
    fn from(error: BatchError) -> Self {
        let code = match error {
            // Kafka: DefaultRecordBatch is of magic 2; what claims to be newer is damaged.
            BatchError::UnsupportedMagic { magic: 0..2, .. } => ErrorCode::InvalidRecord,
            BatchError::UnknownCompression { .. } => ErrorCode::UnsupportedCompressionType,
            BatchError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            _ => ErrorCode::CorruptMessage,
        };
        Self::new(code, error.to_string())
    }
}

/// The one batch of a Produce request's records.
// Kafka: ProduceRequest.validateRecords
pub(crate) fn one_batch(records: &Bytes, allow_zstd: bool) -> Result<Batch, Rejection> {
    let Some(batch) = Batch::decode(records.clone(), 0)? else {
        return Err(Rejection::new(
            ErrorCode::InvalidRecord,
            "there must be one whole record batch for each partition",
        ));
    };
    if batch.size() < records.len() {
        return Err(Rejection::new(
            ErrorCode::InvalidRecord,
            "there may be only one record batch for each partition",
        ));
    }
    if batch.compression()? == Compression::Zstd && !allow_zstd {
        return Err(Rejection::new(
            ErrorCode::UnsupportedCompressionType,
            "zstd needs Produce version 7 or later",
        ));
    }
    Ok(batch)
}

/// Checks a batch against the rules of the log; `wall_ms` is the broker's clock.
// Kafka: UnifiedLog.analyzeAndValidateRecords, LogValidator.validateBatch
pub(crate) fn check(
    batch: &Batch,
    config: &LogConfig,
    origin: &mut Origin<'_>,
    wall_ms: i64,
) -> Result<Checked, Rejection> {
    if batch.base_offset() != 0 {
        return Err(Rejection::new(
            ErrorCode::InvalidRecord,
            alloc::format!("the base offset must be 0, it is {}", batch.base_offset()),
        ));
    }
    if batch.size() > config.max_message_bytes {
        return Err(Rejection::new(
            ErrorCode::MessageTooLarge,
            alloc::format!(
                "the batch has {} bytes, more than the {} of max.message.bytes",
                batch.size(),
                config.max_message_bytes
            ),
        ));
    }
    batch.verify_crc()?;
    let count = i64::from(batch.records_count());
    let range = batch
        .last_offset()
        .saturating_sub(batch.base_offset())
        .saturating_add(1);
    if count == 0 || count != range {
        return Err(Rejection::new(
            ErrorCode::InvalidRecord,
            alloc::format!("the batch has {count} records in a range of {range} offsets"),
        ));
    }
    let Origin::Client(opened) = origin else {
        return Ok(Checked {
            max_timestamp: batch.max_timestamp(),
            open: None,
        });
    };
    if batch.is_control() {
        return Err(Rejection::new(
            ErrorCode::InvalidRecord,
            "clients may not write control records",
        ));
    }
    if batch.producer_id() >= 0 && batch.base_sequence() < 0 {
        return Err(Rejection::new(
            ErrorCode::InvalidRecord,
            alloc::format!(
                "the sequence number {} of producer {} is invalid",
                batch.base_sequence(),
                batch.producer_id()
            ),
        ));
    }
    let open = opened.open(batch, config)?;
    Ok(Checked {
        max_timestamp: check_records(batch, &open, config, wall_ms)?,
        open: Some(open),
    })
}

fn largest_decompressed(config: &LogConfig) -> usize {
    let grown = config.max_message_bytes.saturating_mul(LARGEST_GROWTH);
    grown.clamp(ALWAYS_DECOMPRESSED, 256 << 20)
}

// Kafka: LogValidator.validateRecord, validateTimestamp, processRecordErrors
fn check_records(
    batch: &Batch,
    open: &OpenBatch,
    config: &LogConfig,
    wall_ms: i64,
) -> Result<i64, Rejection> {
    let mut faults = Vec::new();
    let mut code = ErrorCode::InvalidRecord;
    let mut max_timestamp = -1;
    let has_append_time = batch.timestamp_type() == kohort_records::TimestampType::LogAppendTime;
    let is_create_time = config.timestamp_type == TimestampType::CreateTime;
    let oldest = wall_ms.saturating_sub(config.timestamp_before_max_ms);
    let newest = wall_ms.saturating_add(config.timestamp_after_max_ms);
    for (index, record) in (0i32..).zip(open.iter()) {
        let timestamp = record.timestamp;
        max_timestamp = timestamp.max(max_timestamp);
        let fault = if config.is_compacted && record.key.is_none() {
            Some("a compacted topic accepts no record without a key".to_string())
        } else if is_create_time && timestamp != -1 {
            let is_accepted = (oldest..=newest).contains(&timestamp);
            (!is_accepted).then(|| {
                code = ErrorCode::InvalidTimestamp;
                alloc::format!("the timestamp {timestamp} is not within {oldest} and {newest}")
            })
        } else {
            has_append_time.then(|| {
                code = ErrorCode::InvalidTimestamp;
                "producers may not set the timestamp type LogAppendTime".to_string()
            })
        };
        faults.extend(fault.map(|fault| (index, fault)));
        if faults.len() == NAMED_FAULTS {
            break;
        }
    }
    if faults.is_empty() {
        return Ok(max_timestamp);
    }
    let message = match code {
        ErrorCode::InvalidTimestamp => "records were rejected for their timestamps",
        _ => "records were rejected",
    };
    Err(Rejection {
        code,
        message: message.into(),
        records: faults,
        log_start_offset: -1,
    })
}
