//! A batch in another codec, as a log keeps it whose topic names one. Its records stay as they are, byte for byte, so that none of
//! them is read for it.

use bytes::Bytes;

use crate::batch::Batch;
use crate::builder::write_crc;
use crate::codec::{Compression, Compressor};
use crate::error::BuildError;
use crate::header::{ATTRIBUTES, BATCH_OVERHEAD, CODEC_MASK, LENGTH, LOG_OVERHEAD};
use crate::open::OpenBatch;
use crate::stored;

/// Writes batches in one codec, whatever theirs was, and keeps the codec's tables between them.
///
/// ```
/// use kohort_records::recompress::Recompressor;
/// use kohort_records::{Batch, BatchBuilder, Compression};
///
/// let mut builder = BatchBuilder::new(Compression::None, None)?;
/// builder.append(1_700_000_000_000, None, Some(&[7; 1000]), &[])?;
/// let batch = Batch::decode(builder.build(0)?, 0)?.unwrap();
///
/// let smaller = Recompressor::new(Compression::Lz4, None)?.run(&batch, &batch.open(1 << 20)?)?;
/// let smaller = Batch::decode(smaller, 0)?.unwrap();
/// assert!(smaller.size() < batch.size());
/// smaller.verify_crc()?;
/// assert_eq!(smaller.open(1 << 20)?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recompressor {
    compressor: Compressor,
}

impl Recompressor {
    /// One that writes this codec, at a level or at the codec's default level.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidLevel`] if Kafka knows no such level of the codec.
    pub fn new(compression: Compression, level: Option<i32>) -> Result<Self, BuildError> {
        Ok(Self {
            compressor: Compressor::new(compression, level)?,
        })
    }

    /// The batch in this codec. `open` is what `batch` was opened to; all else that its header says is kept.
    ///
    /// # Errors
    ///
    /// [`BuildError::TooLarge`] and [`BuildError::Compress`].
    // Kafka: LogValidator.buildRecordsAndAssignOffsets
    pub fn run(&mut self, batch: &Batch, open: &OpenBatch) -> Result<Bytes, BuildError> {
        let records = open.bytes();
        let codec = self.compressor.codec();
        let room = match codec {
            Compression::None => records.len(),
            _ => records.len() / 2,
        };
        let mut written = Vec::with_capacity(BATCH_OVERHEAD.saturating_add(room));
        written.extend_from_slice(batch.bytes().get(..BATCH_OVERHEAD).unwrap_or_default());
        self.compressor.run(records, &mut written)?;
        let too_large = BuildError::TooLarge { bytes: written.len() };
        let length = i32::try_from(written.len().saturating_sub(LOG_OVERHEAD)).map_err(|_| too_large)?;
        let attributes = (batch.attributes() & !CODEC_MASK) | i16::from(codec.id());
        stored::write(&mut written, LENGTH, length.to_be_bytes());
        stored::write(&mut written, ATTRIBUTES, attributes.to_be_bytes());
        write_crc(&mut written);
        Ok(written.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchBuilder, Header, TimestampType};

    const LIMIT: usize = 1 << 20;

    fn batch(codec: Compression) -> Batch {
        let mut builder = BatchBuilder::new(codec, None).unwrap();
        builder.set_producer(7, 3, 40).set_transactional(true);
        builder
            .append(1_000, Some(b"key"), Some(b"value"), &[Header::null("h")])
            .unwrap();
        builder.append(900, None, None, &[]).unwrap();
        builder
            .append_at(5, 2_000, None, Some(&[b'x'; 500]), &[])
            .unwrap();
        Batch::decode(builder.build(0).unwrap(), 0).unwrap().unwrap()
    }

    #[test]
    fn a_batch_of_any_codec_becomes_one_of_any_other_with_the_same_records_and_header() {
        for from in Compression::ALL {
            let before = batch(from);
            let records = before.open(LIMIT).unwrap();
            for to in Compression::ALL {
                let written = Recompressor::new(to, None)
                    .unwrap()
                    .run(&before, &records)
                    .unwrap();
                let length = written.len();
                let after = Batch::decode(written, 0).unwrap().unwrap();
                after.verify_crc().unwrap();
                assert_eq!(after.size(), length);
                assert_eq!(after.compression(), Ok(to), "from {from}");
                assert_eq!(
                    after.open(LIMIT).unwrap().bytes(),
                    records.bytes(),
                    "{from} to {to}"
                );
                assert_eq!(
                    (after.producer_id(), after.producer_epoch(), after.base_sequence()),
                    (7, 3, 40)
                );
                assert!(after.is_transactional());
                assert_eq!(after.timestamp_type(), TimestampType::CreateTime);
                assert_eq!((after.base_timestamp(), after.max_timestamp()), (1_000, 2_000));
                assert_eq!((after.records_count(), after.last_offset_delta()), (3, 5));
            }
        }
    }

    #[test]
    fn a_batch_becomes_what_a_builder_of_that_codec_makes_of_its_records() {
        for to in Compression::ALL {
            let before = batch(Compression::Gzip);
            let records = before.open(LIMIT).unwrap();
            let written = Recompressor::new(to, None)
                .unwrap()
                .run(&before, &records)
                .unwrap();
            assert_eq!(&written, batch(to).bytes(), "{to}");
        }
    }

    #[test]
    fn a_level_that_the_codec_has_not_is_refused() {
        assert!(matches!(
            Recompressor::new(Compression::Gzip, Some(0)),
            Err(BuildError::InvalidLevel { level: 0, .. })
        ));
    }
}
