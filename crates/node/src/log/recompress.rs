//! What a topic with a codec of its own (`compression.type`) keeps of a batch: the same records in that codec.

use alloc::collections::VecDeque;
use alloc::string::ToString;

use kohort_protocol::ErrorCode;
use kohort_records::recompress::Recompressor;
use kohort_records::{BATCH_OVERHEAD, Batch, BuildError, Compression, OpenBatch};

use super::validate::{Opened, Rejection};
use crate::config::{LogConfig, TopicCompression};

/// What a batch that is written anew counts beside its records ([`Opened`]): a codec clears its tables for each, however small it
/// is.
const EACH: usize = 4 << 10;

/// What one more takes for which a codec must make its tables.
const TABLES: usize = 256 << 10;

/// How many codecs keep their tables while a request is carried out.
const KEPT: usize = 4;

/// What writes the batches of a request anew: a codec's tables cost more than a small batch, of which a request may have many
/// thousands.
#[derive(Debug, Default)]
pub(super) struct Recompression {
    kept: VecDeque<(TopicCompression, Recompressor)>,
}

impl Recompression {
    /// Takes out what writes this codec, where it is kept.
    fn take_out(&mut self, wanted: TopicCompression) -> Option<Recompressor> {
        let at = self.kept.iter().position(|(kept, _)| *kept == wanted)?;
        self.kept.remove(at).map(|(_, recompressor)| recompressor)
    }

    /// Keeps it, in the place of what was not used for the longest time.
    fn keep(&mut self, codec: TopicCompression, recompressor: Recompressor) {
        self.kept.truncate(KEPT - 1);
        self.kept.push_front((codec, recompressor));
    }
}

impl Opened {
    /// The batch as the topic keeps it, or `None` if that is as it is: one of the same codec stays, whatever its level.
    // Kafka: BrokerCompressionType.targetCompression, LogValidator.validateMessagesAndAssignOffsets, UnifiedLog.append
    pub(super) fn recompress(
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
        self.take(open.size().saturating_add(EACH), config)?;
        let mut recompressor = match self.recompression.take_out(wanted) {
            Some(recompressor) => recompressor,
            None => {
                if !matches!(wanted.codec, Compression::None | Compression::Lz4) {
                    self.take(TABLES, config)?;
                }
                Recompressor::new(wanted.codec, wanted.level)?
            }
        };
        let written = recompressor.run(batch, open)?;
        self.recompression.keep(wanted, recompressor);
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
    use super::super::validate::Origin;
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

    /// How many of these a request may have written anew, where each makes its codec's tables or none does.
    fn how_many(settings: &[&[(&str, &str)]], most: usize) -> usize {
        let mut topics: Vec<_> = settings.iter().map(|it| Topic::with(it)).collect();
        let mut opened = Opened::default();
        let mut builder = BatchBuilder::new(Compression::None, None).expect("the default level");
        builder.append(10, None, None, &[]).expect("room");
        let sent = Batch::decode(builder.build(0).expect("built"), 0);
        let sent = sent.expect("sound").expect("whole");
        let count = topics.len();
        for index in 0..most {
            let topic = &mut topics[index % count];
            topic.opened = core::mem::take(&mut opened);
            let done = topic.append(&sent);
            opened = core::mem::take(&mut topic.opened);
            if let Err(refused) = done {
                assert_eq!(refused.code, ErrorCode::MessageTooLarge);
                return index;
            }
        }
        most
    }

    #[test]
    fn batches_that_are_written_anew_take_of_what_a_request_may_take_however_small_they_are() {
        let written = how_many(&[&[("compression.type", "gzip")]], 60_000);
        let most = (200 << 20) / EACH;
        assert!((most * 9 / 10..most).contains(&written), "{written}");
    }

    #[test]
    fn codecs_that_take_turns_keep_their_tables_and_more_than_are_kept_take_of_what_a_request_may_take() {
        let four: [&[_]; 4] = [
            &[("compression.type", "gzip")],
            &[("compression.type", "snappy")],
            &[("compression.type", "lz4")],
            &[("compression.type", "zstd")],
        ];
        let written = how_many(&four, 60_000);
        let most = (200 << 20) / EACH;
        assert!((most * 9 / 10..most).contains(&written), "{written}");
        let levels: Vec<_> = (1..=9).map(|level| alloc::format!("{level}")).collect();
        let levels: Vec<_> = levels
            .iter()
            .map(|level| {
                [
                    ("compression.type", "gzip"),
                    ("compression.gzip.level", level.as_str()),
                ]
            })
            .collect();
        let levels: Vec<_> = levels.iter().map(|it| &it[..]).collect();
        let written = how_many(&levels, 60_000);
        let most = (200 << 20) / TABLES;
        assert!((most * 9 / 10..most).contains(&written), "{written}");
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
