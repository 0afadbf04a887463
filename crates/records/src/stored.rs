//! What is changed in a batch that is built already: by a log that stores it, base offset, leader epoch, and timestamps where
//! the topic says so; by a producer that sends it, the sequence. The batch is not decompressed for it, and its records stay.

use crate::builder::write_crc;
use crate::error::BatchError;
use crate::header::{
    ATTRIBUTES, BASE_OFFSET, BASE_SEQUENCE, Header, LENGTH, LOG_APPEND_TIME, MAX_TIMESTAMP,
    PARTITION_LEADER_EPOCH, PRODUCER_EPOCH, PRODUCER_ID,
};

/// What the header of a stored batch says of its place, read without the rest of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The offset of its first record.
    pub base_offset: i64,
    /// The offset of its last record.
    pub last_offset: i64,
    /// The greatest timestamp in it, in milliseconds since the epoch; -1 for none.
    pub max_timestamp: i64,
    /// The bytes of the whole batch.
    pub size: usize,
}

impl Placed {
    /// Reads the header that begins with the first byte; `None` if it is cut short.
    ///
    /// # Errors
    ///
    /// [`BatchError`] if the bytes are no header of a batch.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, BatchError> {
        let header = Header::peek(bytes, 0)?;
        Ok(header.map(|(header, size)| Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            size,
        }))
    }
}

/// Sets the base offset of the batch that begins with the first byte. The checksum does not cover it.
///
/// # Errors
///
/// [`BatchError`] if the bytes are no whole batch, or if its last offset would overflow.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) -> Result<(), BatchError> {
    let (header, _) = whole(batch)?;
    if base_offset < 0
        || base_offset
            .checked_add(i64::from(header.last_offset_delta) + 1)
            .is_none()
    {
        return Err(BatchError::InvalidHeader {
            position: 0,
            field: "BaseOffset",
            value: base_offset,
        });
    }
    write(batch, BASE_OFFSET, base_offset.to_be_bytes());
    Ok(())
}

/// Sets the partition leader epoch of the batch that begins with the first byte. The checksum does not cover it.
///
/// # Errors
///
/// [`BatchError`] if the bytes are no whole batch.
pub fn set_partition_leader_epoch(batch: &mut [u8], epoch: i32) -> Result<(), BatchError> {
    whole(batch)?;
    write(batch, PARTITION_LEADER_EPOCH, epoch.to_be_bytes());
    Ok(())
}

/// Gives all records of the batch the time of the append, in milliseconds since the epoch, and computes the checksum
/// again.
///
/// # Errors
///
/// [`BatchError`] if the bytes are no whole batch.
// Kafka: DefaultRecordBatch.setMaxTimestamp
pub fn set_log_append_time(batch: &mut [u8], time: i64) -> Result<(), BatchError> {
    let (header, size) = whole(batch)?;
    write(
        batch,
        ATTRIBUTES,
        (header.attributes | LOG_APPEND_TIME).to_be_bytes(),
    );
    write(batch, MAX_TIMESTAMP, time.to_be_bytes());
    write_crc(batch.get_mut(..size).unwrap_or_default());
    Ok(())
}

/// Says that the records carry the timestamps of their producer, of which `max_timestamp` is the greatest, and computes the
/// checksum again: for a header that says otherwise.
///
/// # Errors
///
/// [`BatchError`] if the bytes are no whole batch.
// Kafka: DefaultRecordBatch.setMaxTimestamp
pub fn set_create_time(batch: &mut [u8], max_timestamp: i64) -> Result<(), BatchError> {
    let (header, size) = whole(batch)?;
    write(
        batch,
        ATTRIBUTES,
        (header.attributes & !LOG_APPEND_TIME).to_be_bytes(),
    );
    write(batch, MAX_TIMESTAMP, max_timestamp.to_be_bytes());
    write_crc(batch.get_mut(..size).unwrap_or_default());
    Ok(())
}

/// Says who produced the batch and which sequence its first record has, and computes the checksum again (KIP-98).
///
/// # Errors
///
/// [`BatchError`] if the bytes are no whole batch.
// Kafka: DefaultRecordBatch.writeHeader
pub fn set_producer(
    batch: &mut [u8],
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
) -> Result<(), BatchError> {
    let (_, size) = whole(batch)?;
    write(batch, PRODUCER_ID, producer_id.to_be_bytes());
    write(batch, PRODUCER_EPOCH, producer_epoch.to_be_bytes());
    write(batch, BASE_SEQUENCE, base_sequence.to_be_bytes());
    write_crc(batch.get_mut(..size).unwrap_or_default());
    Ok(())
}

fn whole(batch: &[u8]) -> Result<(Header, usize), BatchError> {
    let cut = || {
        let length = batch
            .get(LENGTH..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |length| i32::from_be_bytes(*length));
        BatchError::InvalidLength { position: 0, length }
    };
    Header::decode(batch, 0)?.ok_or_else(cut)
}

pub(crate) fn write<const N: usize>(batch: &mut [u8], at: usize, bytes: [u8; N]) {
    // A whole batch is longer than its header.
    if let Some(field) = batch.get_mut(at..at + N) {
        field.copy_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::{Batch, BatchBuilder, Compression, TimestampType};

    fn stored() -> BytesMut {
        let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
        builder.append(1_000, None, Some(b"one"), &[]).unwrap();
        builder.append(2_000, None, Some(b"two"), &[]).unwrap();
        BytesMut::from(&builder.build(0).unwrap()[..])
    }

    fn read(bytes: BytesMut) -> Batch {
        Batch::decode(bytes.freeze(), 0).unwrap().unwrap()
    }

    #[test]
    fn the_producer_changes_with_the_checksum() {
        let mut bytes = stored();
        set_producer(&mut bytes, 77, 3, 1_000).unwrap();
        let batch = read(bytes);
        batch.verify_crc().unwrap();
        assert_eq!(
            (
                batch.producer_id(),
                batch.producer_epoch(),
                batch.base_sequence(),
                batch.last_sequence()
            ),
            (77, 3, 1_000, 1_001)
        );
        assert_eq!(batch.open(1 << 20).unwrap().len(), 2);
    }

    #[test]
    fn offset_and_epoch_change_without_the_checksum() {
        let mut bytes = stored();
        let crc = read(bytes.clone()).crc();
        set_base_offset(&mut bytes, 100).unwrap();
        set_partition_leader_epoch(&mut bytes, 7).unwrap();
        let batch = read(bytes);
        batch.verify_crc().unwrap();
        assert_eq!(
            (
                batch.base_offset(),
                batch.next_offset(),
                batch.partition_leader_epoch()
            ),
            (100, 102, 7)
        );
        assert_eq!(batch.crc(), crc);
        let offsets: Vec<_> = batch
            .open(0)
            .unwrap()
            .iter()
            .map(|record| record.offset)
            .collect();
        assert_eq!(offsets, [100, 101]);
    }

    #[test]
    fn with_log_append_time_all_records_have_the_time_of_the_append() {
        let mut bytes = stored();
        set_log_append_time(&mut bytes, 5_000).unwrap();
        let batch = read(bytes);
        batch.verify_crc().unwrap();
        assert_eq!(
            (batch.timestamp_type(), batch.max_timestamp()),
            (TimestampType::LogAppendTime, 5_000)
        );
        let open = batch.open(0).unwrap();
        let timestamps: Vec<_> = open
            .iter()
            .map(|record| (record.timestamp_type, record.timestamp))
            .collect();
        assert_eq!(timestamps, [(TimestampType::LogAppendTime, 5_000); 2]);
    }

    #[test]
    fn with_create_time_the_records_have_their_own_timestamps_again() {
        let mut bytes = stored();
        let before = bytes.clone();
        set_log_append_time(&mut bytes, 5_000).unwrap();
        set_create_time(&mut bytes, 2_000).unwrap();
        assert_eq!(bytes, before);
    }

    #[test]
    fn what_is_no_whole_batch_is_refused_and_left_alone() {
        let bytes = stored();
        for length in 0..bytes.len() {
            let mut cut = bytes.get(..length).unwrap().to_vec();
            let before = cut.clone();
            assert!(set_base_offset(&mut cut, 1).is_err());
            assert!(set_partition_leader_epoch(&mut cut, 1).is_err());
            assert!(set_log_append_time(&mut cut, 1).is_err());
            assert_eq!(cut, before);
        }
    }

    #[test]
    fn an_offset_that_would_overflow_is_refused() {
        let mut bytes = stored();
        assert!(set_base_offset(&mut bytes, i64::MAX - 1).is_err());
        assert!(set_base_offset(&mut bytes, -1).is_err());
        set_base_offset(&mut bytes, i64::MAX - 2).unwrap();
        assert_eq!(
            Batch::decode(Bytes::from(bytes), 0)
                .unwrap()
                .unwrap()
                .next_offset(),
            i64::MAX
        );
    }
}
