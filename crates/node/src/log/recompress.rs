//! What a topic with a codec of its own (`compression.type`) keeps of a batch: the same records in that codec.

use alloc::string::ToString;

use kohort_protocol::ErrorCode;
use kohort_records::recompress::Recompressor;
use kohort_records::{BATCH_OVERHEAD, Batch, BuildError, Compression, OpenBatch};

use super::validate::Rejection;
use crate::config::{LogConfig, TopicCompression};

/// Writes the batches of a request anew. What wrote the last one is kept: a codec's tables cost more than a small batch, of which
/// a request may have a million.
#[derive(Debug, Default)]
pub(crate) struct Recompression {
    last: Option<(TopicCompression, Recompressor)>,
}

impl Recompression {
    /// The batch as the topic keeps it, or `None` if that is as it is: one of the same codec stays, whatever its level.
    // Kafka: BrokerCompressionType.targetCompression, LogValidator.validateMessagesAndAssignOffsets, UnifiedLog.append
    pub(crate) fn run(
        &mut self,
        batch: &Batch,
        open: &OpenBatch,
        config: &LogConfig,
    ) -> Result<Option<Batch>, Rejection> {
        let Some(wanted) = config.compression else {
            return Ok(None);
        };
        if batch.compression()? == wanted.codec {
            return Ok(None);
        }
        // What stays uncompressed needs no copy to be known to be too large.
        if wanted.codec == Compression::None {
            check_size(BATCH_OVERHEAD.saturating_add(open.size()), config)?;
        }
        let mut recompressor = match self.last.take() {
            Some((last, recompressor)) if last == wanted => recompressor,
            _ => Recompressor::new(wanted.codec, wanted.level)?,
        };
        let written = recompressor.run(batch, open)?;
        self.last = Some((wanted, recompressor));
        check_size(written.len(), config)?;
        Ok(Batch::decode(written, 0)?)
    }
}

fn check_size(bytes: usize, config: &LogConfig) -> Result<(), Rejection> {
    let most = config.max_message_bytes;
    if bytes <= most {
        return Ok(());
    }
    Err(Rejection::new(
        ErrorCode::MessageTooLarge,
        alloc::format!(
            "as the topic's compression.type has it, the batch has {bytes} bytes, more than the {most} of max.message.bytes"
        ),
    ))
}

impl From<BuildError> for Rejection {
    fn from(error: BuildError) -> Self {
        let code = match error {
            BuildError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            _ => ErrorCode::UnknownServerError,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use bytes::Bytes;
    use kohort_records::{BatchBuilder, TimestampType};

    use super::super::memory::MemoryStorage;
    use super::super::partition::{Appended, PartitionLog};
    use super::super::storage::{LogName, Storage};
    use super::super::validate::{Opened, Origin};
    use super::*;
    use crate::config::{Config, TopicConfig};

    const NOW: i64 = 50;

    struct Topic {
        log: PartitionLog,
        config: LogConfig,
        opened: Opened,
    }

    impl Topic {
        fn with(settings: &[(&str, &str)]) -> Self {
            let mut topic = TopicConfig::default();
            for (key, value) in settings {
                topic.set(key, value).expect("a setting");
            }
            let config = topic.log_config(&Config::default());
            let name = LogName {
                topic: "t".into(),
                topic_id: [0; 16],
                partition: 0,
            };
            let stored = MemoryStorage.open(&name, &config).expect("memory does not fail");
            Self {
                log: PartitionLog::open(stored, false, NOW).expect("memory does not fail"),
                config,
                opened: Opened::default(),
            }
        }

        fn append(&mut self, batch: &Batch) -> Result<Appended, Rejection> {
            let origin = Origin::Client(&mut self.opened);
            self.log.append(batch, &self.config, origin, NOW)
        }

        fn kept(&mut self) -> Vec<Batch> {
            let bytes = self.log.read(0, 1 << 20, false).expect("memory does not fail");
            kohort_records::batches(bytes)
                .map(|batch| {
                    let batch = batch.expect("sound");
                    batch.verify_crc().expect("the checksum is that of the bytes");
                    batch
                })
                .collect()
        }
    }

    fn batch(codec: Compression, sequence: i32, value: &[u8]) -> Batch {
        let mut builder = BatchBuilder::new(codec, None).expect("the default level");
        builder.set_producer(7, 0, sequence);
        builder.append(10, Some(b"k"), Some(value), &[]).expect("room");
        builder.append(20, None, None, &[]).expect("room");
        let bytes: Bytes = builder.build(0).expect("built");
        Batch::decode(bytes, 0).expect("sound").expect("whole")
    }

    // Kafka: BrokerCompressionTypeTest.testBrokerSideCompression
    #[test]
    fn a_topic_keeps_every_batch_in_its_codec_and_in_that_of_the_producer_if_it_names_none() {
        for (kept, codec) in [
            ("uncompressed", Some(Compression::None)),
            ("gzip", Some(Compression::Gzip)),
            ("snappy", Some(Compression::Snappy)),
            ("lz4", Some(Compression::Lz4)),
            ("zstd", Some(Compression::Zstd)),
            ("producer", None),
        ] {
            let mut topic = Topic::with(&[("compression.type", kept)]);
            for (sent, sequence) in Compression::ALL.into_iter().zip([0, 2, 4, 6, 8]) {
                topic.append(&batch(sent, sequence, b"value")).expect("appended");
            }
            for (sent, batch) in Compression::ALL.into_iter().zip(topic.kept()) {
                assert_eq!(batch.compression(), Ok(codec.unwrap_or(sent)), "{sent} in {kept}");
                let open = batch.open(1 << 20).expect("sound records");
                let records: Vec<_> = open
                    .iter()
                    .map(|it| (it.offset, it.timestamp, it.value))
                    .collect();
                let base = batch.base_offset();
                assert_eq!(records, [(base, 10, Some(&b"value"[..])), (base + 1, 20, None)]);
            }
            assert_eq!(topic.log.end_offset(), 10);
        }
    }

    #[test]
    fn a_batch_that_has_the_codec_stays_byte_for_byte_whatever_its_level() {
        let mut topic = Topic::with(&[("compression.type", "gzip"), ("compression.gzip.level", "9")]);
        let sent = batch(Compression::Gzip, 0, &[b'a'; 5_000]);
        topic.append(&sent).expect("appended");
        let kept = topic.kept().remove(0);
        assert_eq!(kept.bytes().get(61..kept.size()), sent.bytes().get(61..));
    }

    #[test]
    fn what_compression_type_makes_too_large_is_refused_and_nothing_is_appended() {
        // Kafka: UnifiedLog.append checks sizes again where they may have changed.
        let mut topic = Topic::with(&[
            ("compression.type", "uncompressed"),
            ("max.message.bytes", "1000"),
        ]);
        let refused = topic.append(&batch(Compression::Zstd, 0, &[b'a'; 1_000]));
        assert_eq!(refused.map_err(|it| it.code), Err(ErrorCode::MessageTooLarge));
        assert_eq!(topic.log.end_offset(), 0);
        topic
            .append(&batch(Compression::Zstd, 0, &[b'a'; 500]))
            .expect("it is small enough");
    }

    #[test]
    fn what_is_sent_too_large_is_refused_though_compression_would_make_it_small_enough() {
        let mut topic = Topic::with(&[("compression.type", "zstd"), ("max.message.bytes", "1000")]);
        let refused = topic.append(&batch(Compression::None, 0, &[b'a'; 1_000]));
        assert_eq!(refused.map_err(|it| it.code), Err(ErrorCode::MessageTooLarge));
    }

    #[test]
    fn a_batch_that_comes_again_is_known_though_it_was_stored_in_another_codec() {
        let mut topic = Topic::with(&[("compression.type", "lz4")]);
        let sent = batch(Compression::Gzip, 0, b"value");
        topic.append(&sent).expect("appended");
        let again = topic.append(&sent).expect("known");
        assert!(again.is_duplicate);
        assert_eq!((again.base_offset, topic.log.end_offset()), (0, 2));
    }

    #[test]
    fn the_time_of_the_append_stands_in_a_batch_written_anew() {
        let mut topic = Topic::with(&[
            ("compression.type", "snappy"),
            ("message.timestamp.type", "LogAppendTime"),
        ]);
        topic
            .append(&batch(Compression::None, 0, b"value"))
            .expect("appended");
        let kept = topic.kept().remove(0);
        assert_eq!(
            (kept.timestamp_type(), kept.max_timestamp(), kept.compression()),
            (TimestampType::LogAppendTime, NOW, Ok(Compression::Snappy))
        );
    }
}
