//! Control records: the markers that end a transaction (KIP-98). Consumers do not see them. The batch that carries
//! one lives in [`crate::batch`].

use bytes::{Buf, BufMut, Bytes};

use crate::builder::BatchBuilder;
use crate::codec::Compression;
use crate::error::BuildError;
use crate::record::RecordView;

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// What a control record says.
// Kafka: ControlRecordType, EndTransactionMarker
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlRecord {
    /// The transaction of the batch's producer was aborted.
    Abort {
        /// The epoch of the transaction coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// The transaction of the batch's producer was committed.
    Commit {
        /// The epoch of the transaction coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// A control record that is no transaction marker, to be ignored.
    Other {
        /// Kafka's number of its type.
        type_id: i16,
    },
}

/// The control record is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the control record at offset {offset} has a malformed {field}")]
pub struct ControlError {
    /// The offset of the record.
    pub offset: i64,
    /// Which part of it: `key` or `value`.
    pub field: &'static str,
}

impl ControlRecord {
    /// Reads the record of a control batch.
    ///
    /// # Errors
    ///
    /// [`ControlError`] if key or value are too short, or of a negative version. Versions above those known are read
    /// as those, as Kafka does.
    pub fn decode(record: &RecordView<'_>) -> Result<Self, ControlError> {
        let malformed = |field| ControlError {
            offset: record.offset,
            field,
        };
        let type_id = after_version(record.key)
            .and_then(|mut key| key.try_get_i16().ok())
            .ok_or_else(|| malformed("key"))?;
        let coordinator_epoch = || {
            after_version(record.value)
                .and_then(|mut value| value.try_get_i32().ok())
                .ok_or_else(|| malformed("value"))
        };
        Ok(match type_id {
            ABORT => Self::Abort {
                coordinator_epoch: coordinator_epoch()?,
            },
            COMMIT => Self::Commit {
                coordinator_epoch: coordinator_epoch()?,
            },
            type_id => Self::Other { type_id },
        })
    }

    const fn type_id(self) -> i16 {
        match self {
            Self::Abort { .. } => ABORT,
            Self::Commit { .. } => COMMIT,
            Self::Other { type_id } => type_id,
        }
    }

    const fn coordinator_epoch(self) -> i32 {
        match self {
            Self::Abort { coordinator_epoch } | Self::Commit { coordinator_epoch } => coordinator_epoch,
            Self::Other { .. } => -1,
        }
    }
}

/// What follows a version that is not negative.
fn after_version(bytes: Option<&[u8]>) -> Option<&[u8]> {
    let mut bytes = bytes?;
    (bytes.try_get_i16().ok()? >= 0).then_some(bytes)
}

/// Writes the batch of a transaction marker, as a transaction coordinator does. `timestamp` is in milliseconds since
/// the epoch.
///
/// # Errors
///
/// [`BuildError::InvalidTimestamp`] and [`BuildError::InvalidBaseOffset`].
// Kafka: MemoryRecords.withEndTransactionMarker
pub fn build_marker(
    base_offset: i64,
    timestamp: i64,
    partition_leader_epoch: i32,
    producer_id: i64,
    producer_epoch: i16,
    marker: ControlRecord,
) -> Result<Bytes, BuildError> {
    let mut key = [0; 4];
    // Version 0, then the type.
    (&mut key[2..]).put_i16(marker.type_id());
    let mut value = [0; 6];
    // Version 0, then the coordinator's epoch.
    (&mut value[2..]).put_i32(marker.coordinator_epoch());
    let mut builder = BatchBuilder::new(Compression::None, None)?;
    builder
        .set_producer(producer_id, producer_epoch, -1)
        .set_transactional(true)
        .set_control(true)
        .set_partition_leader_epoch(partition_leader_epoch)
        .append(timestamp, Some(&key), Some(&value), &[])?;
    builder.build(base_offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, OpenBatch};

    fn open(bytes: Bytes) -> OpenBatch {
        let batch = Batch::decode(bytes, 0).unwrap().unwrap();
        assert!(batch.is_control() && batch.is_transactional());
        batch.verify_crc().unwrap();
        batch.open(0).unwrap()
    }

    #[test]
    fn a_marker_is_read_back() {
        for marker in [
            ControlRecord::Abort { coordinator_epoch: 3 },
            ControlRecord::Commit {
                coordinator_epoch: -7,
            },
        ] {
            let open = open(build_marker(42, 1_000, 5, 9, 2, marker).unwrap());
            assert_eq!(
                (open.base_offset(), open.next_offset(), open.producer_id()),
                (42, 43, 9)
            );
            let record = open.iter().next().unwrap();
            assert_eq!(ControlRecord::decode(&record), Ok(marker));
        }
    }

    #[test]
    fn a_short_key_or_value_is_an_error_and_an_unknown_type_is_not() {
        let decode = |key: Option<&[u8]>, value: Option<&[u8]>| {
            let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
            builder
                .set_control(true)
                .set_transactional(true)
                .append(0, key, value, &[])
                .unwrap();
            let open = open(builder.build(8).unwrap());
            ControlRecord::decode(&open.iter().next().unwrap())
        };
        let commit = Some(&[0, 0, 0, 1][..]);
        assert_eq!(
            decode(None, None),
            Err(ControlError {
                offset: 8,
                field: "key"
            })
        );
        assert_eq!(
            decode(Some(&[0, 0, 0]), None),
            Err(ControlError {
                offset: 8,
                field: "key"
            })
        );
        assert_eq!(
            decode(Some(&[0xff, 0xff, 0, 1]), None),
            Err(ControlError {
                offset: 8,
                field: "key"
            })
        );
        assert_eq!(
            decode(commit, None),
            Err(ControlError {
                offset: 8,
                field: "value"
            })
        );
        assert_eq!(
            decode(commit, Some(&[0, 0, 0, 0, 0])),
            Err(ControlError {
                offset: 8,
                field: "value"
            })
        );
        assert_eq!(
            decode(Some(&[0, 0, 0, 2]), None),
            Ok(ControlRecord::Other { type_id: 2 })
        );
    }
}
