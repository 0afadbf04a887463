//! Writes the last record of each key again at the end of a log, so that what comes before can be removed: what stands in for
//! Kafka's cleaner for the broker's own topics, at the start, when nobody waits for them. Unlike there the records get new
//! offsets.

use alloc::collections::BTreeMap;
use alloc::string::ToString;

use bytes::Bytes;
use kohort_records::codec::Compression;
use kohort_records::{Batch, BatchBuilder};

use super::partition::PartitionLog;
use super::storage::StorageError;
use super::validate::Origin;
use crate::config::LogConfig;

/// A log of fewer bytes is left as it is.
const SMALLEST: u64 = 8 << 20;
/// How large a batch of what is kept grows, in bytes.
const BATCH_BYTES: usize = 256 << 10;
/// No batch holds more, decompressed.
const LARGEST_DECOMPRESSED: usize = usize::MAX;

/// The last record of a key.
struct Latest {
    timestamp: i64,
    value: Bytes,
}

/// Writes a log's last records again, when they are less than half of it. Gives the offset from which on the log holds all; what
/// is before it may be removed once the log is synced.
pub(crate) fn rewrite(
    log: &mut PartitionLog,
    config: &LogConfig,
    wall_ms: i64,
) -> Result<Option<i64>, StorageError> {
    let total = log.size();
    if total < SMALLEST {
        return Ok(None);
    }
    let mut latest: BTreeMap<Bytes, Latest> = BTreeMap::new();
    let mut is_readable = true;
    let read = log.for_each(&mut |batch| is_readable &= note(batch, &mut latest));
    let kept = latest.iter().fold(0u64, |sum, (key, record)| {
        sum.saturating_add(key.len() as u64)
            .saturating_add(record.value.len() as u64)
    });
    // What cannot be read is not thrown away.
    if read.is_err() || !is_readable || kept > total / 2 {
        return Ok(None);
    }
    let first = log.end_offset();
    log.roll(wall_ms)?;
    let mut builder = BatchBuilder::new(Compression::None, None).map_err(failed)?;
    for (key, record) in &latest {
        builder
            .append(record.timestamp, Some(key), Some(&record.value), &[])
            .map_err(failed)?;
        if builder.size() >= BATCH_BYTES {
            append(log, &mut builder, config, wall_ms)?;
        }
    }
    if !builder.is_empty() {
        append(log, &mut builder, config, wall_ms)?;
    }
    Ok(Some(first))
}

/// Takes note of a batch's records; false when they cannot be read, or are of a producer's transaction.
fn note(batch: &Batch, latest: &mut BTreeMap<Bytes, Latest>) -> bool {
    if batch.is_control() || batch.is_transactional() || batch.verify_crc().is_err() {
        return false;
    }
    let Ok(open) = batch.open(LARGEST_DECOMPRESSED) else {
        return false;
    };
    for record in open.iter() {
        let Some(key) = record.key else { return false };
        match record.value {
            Some(value) => {
                let value = Bytes::copy_from_slice(value);
                let timestamp = record.timestamp;
                match latest.get_mut(key) {
                    Some(known) => *known = Latest { timestamp, value },
                    None => {
                        latest.insert(Bytes::copy_from_slice(key), Latest { timestamp, value });
                    }
                }
            }
            None => {
                latest.remove(key);
            }
        }
    }
    true
}

fn append(
    log: &mut PartitionLog,
    builder: &mut BatchBuilder,
    config: &LogConfig,
    wall_ms: i64,
) -> Result<(), StorageError> {
    let bytes = builder.build(0).map_err(failed)?;
    let Some(batch) = Batch::decode(bytes, 0).map_err(failed)? else {
        return Ok(());
    };
    match log.append(&batch, config, Origin::Coordinator, wall_ms) {
        Ok(_) => Ok(()),
        Err(rejection) => Err(failed(rejection.message)),
    }
}

fn failed(error: impl core::fmt::Display) -> StorageError {
    StorageError {
        operation: "rewriting a log",
        reason: error.to_string(),
    }
}
