//! The configuration keys of a topic, with Kafka's defaults, and the typed part of them that the log obeys.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use kohort_records::Compression;

use super::definition::{Accepts, Definition, Kind, Source};
use super::{Config, ConfigError};

const MAX: i64 = i64::MAX;

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    accepts: Accepts,
    broker_key: &'static str,
) -> Definition {
    Definition {
        name,
        kind,
        default,
        accepts,
        broker_key: if broker_key.is_empty() {
            None
        } else {
            Some(broker_key)
        },
    }
}

/// The values of `compression.type`.
// Kafka: BrokerCompressionType
pub(super) const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

/// The keys of a topic.
///
/// Keys that concern cleaning (compaction), preallocation, jitter and other replicas are accepted, so that scripts written for
/// Kafka run, and have no effect; those that concern indexes and flushing have none on a log in memory.
// Kafka: LogConfig
pub const TOPIC_KEYS: &[Definition] = &[
    key(
        "cleanup.policy",
        Kind::List,
        "delete",
        Accepts::OneOf(&["compact", "delete"]),
        "log.cleanup.policy",
    ),
    key(
        "compression.gzip.level",
        Kind::Int,
        "-1",
        Accepts::RangeWithoutZero(-1, 9),
        "compression.gzip.level",
    ),
    key(
        "compression.lz4.level",
        Kind::Int,
        "9",
        Accepts::Range(1, 17),
        "compression.lz4.level",
    ),
    key(
        "compression.type",
        Kind::String,
        "producer",
        Accepts::OneOf(COMPRESSION_TYPES),
        "compression.type",
    ),
    key(
        "compression.zstd.level",
        Kind::Int,
        "3",
        Accepts::Range(-131_072, 22),
        "compression.zstd.level",
    ),
    key(
        "delete.retention.ms",
        Kind::Long,
        "86400000",
        Accepts::Range(0, MAX),
        "",
    ),
    key(
        "file.delete.delay.ms",
        Kind::Long,
        "60000",
        Accepts::Range(0, MAX),
        "",
    ),
    key(
        "flush.messages",
        Kind::Long,
        "9223372036854775807",
        Accepts::Range(1, MAX),
        "log.flush.interval.messages",
    ),
    key(
        "flush.ms",
        Kind::Long,
        "9223372036854775807",
        Accepts::Range(0, MAX),
        "log.flush.interval.ms",
    ),
    key(
        "index.interval.bytes",
        Kind::Int,
        "4096",
        Accepts::Range(0, MAX),
        "log.index.interval.bytes",
    ),
    key(
        "max.compaction.lag.ms",
        Kind::Long,
        "9223372036854775807",
        Accepts::Range(1, MAX),
        "",
    ),
    key(
        "max.message.bytes",
        Kind::Int,
        "1048588",
        Accepts::Range(0, MAX),
        "message.max.bytes",
    ),
    key(
        "message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        Accepts::Range(0, MAX),
        "log.message.timestamp.after.max.ms",
    ),
    key(
        "message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        Accepts::Range(0, MAX),
        "log.message.timestamp.before.max.ms",
    ),
    key(
        "message.timestamp.type",
        Kind::String,
        "CreateTime",
        Accepts::OneOf(&["CreateTime", "LogAppendTime"]),
        "log.message.timestamp.type",
    ),
    key("min.cleanable.dirty.ratio", Kind::Double, "0.5", Accepts::All, ""),
    key(
        "min.compaction.lag.ms",
        Kind::Long,
        "0",
        Accepts::Range(0, MAX),
        "",
    ),
    key(
        "min.insync.replicas",
        Kind::Int,
        "1",
        Accepts::Range(1, MAX),
        "min.insync.replicas",
    ),
    key("preallocate", Kind::Boolean, "false", Accepts::All, ""),
    key(
        "retention.bytes",
        Kind::Long,
        "-1",
        Accepts::All,
        "log.retention.bytes",
    ),
    key(
        "retention.ms",
        Kind::Long,
        "604800000",
        Accepts::Range(-1, MAX),
        "log.retention.ms",
    ),
    key(
        "segment.bytes",
        Kind::Int,
        "1073741824",
        Accepts::Range(1_048_576, MAX),
        "log.segment.bytes",
    ),
    key(
        "segment.index.bytes",
        Kind::Int,
        "10485760",
        Accepts::Range(4, MAX),
        "log.index.size.max.bytes",
    ),
    key("segment.jitter.ms", Kind::Long, "0", Accepts::Range(0, MAX), ""),
    key(
        "segment.ms",
        Kind::Long,
        "604800000",
        Accepts::Range(1, MAX),
        "log.roll.ms",
    ),
    key(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        Accepts::All,
        "",
    ),
];

/// When a record's timestamp is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// By the producer.
    #[default]
    CreateTime,
    /// By the broker, at append.
    LogAppendTime,
}

/// A codec in which a topic wants its batches, whatever the producer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicCompression {
    /// The codec.
    pub codec: Compression,
    /// Its level, if it has levels.
    pub level: Option<i32>,
}

/// What a partition's log obeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The largest batch that is appended, in bytes.
    pub max_message_bytes: usize,
    /// How batches are stored; `None`: as the producer compressed them.
    pub compression: Option<TopicCompression>,
    /// Who sets the timestamps.
    pub timestamp_type: TimestampType,
    /// How much older than the broker's clock a CreateTime may be, in milliseconds.
    pub timestamp_before_max_ms: i64,
    /// How much newer than the broker's clock a CreateTime may be, in milliseconds.
    pub timestamp_after_max_ms: i64,
    /// How large a segment may grow, in bytes.
    pub segment_bytes: u64,
    /// How long a segment is appended to, in milliseconds.
    pub segment_ms: i64,
    /// How many bytes lie between two entries of an index.
    pub index_interval_bytes: u64,
    /// How large an index may grow, in bytes.
    pub segment_index_bytes: u64,
    /// How old the newest record of a segment may grow before the segment is removed, in milliseconds; -1 for no limit.
    pub retention_ms: i64,
    /// How many bytes of a log are kept at least when segments are removed; -1 for no limit.
    pub retention_bytes: i64,
    /// After how many records a sync begins; 1: they are acknowledged when they are synced.
    pub flush_messages: u64,
    /// How long after an append a sync begins, in milliseconds.
    pub flush_ms: u64,
    /// Whether old records are deleted.
    pub is_deleted: bool,
    /// Whether each record needs a key, because the topic is compacted.
    pub is_compacted: bool,
}

impl LogConfig {
    /// Whether a record is acknowledged, and shown to readers, only when it is synced: `flush.messages` is 1.
    pub fn acknowledges_synced(&self) -> bool {
        self.flush_messages <= 1
    }

    /// When a sync begins after an append, if ever.
    pub(crate) fn flush_after(&self) -> Option<Duration> {
        (self.flush_ms < i64::MAX.unsigned_abs()).then(|| Duration::from_millis(self.flush_ms))
    }
}

/// The settings of one topic: what was set for it, over the broker's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicConfig {
    overrides: BTreeMap<&'static str, String>,
}

impl TopicConfig {
    /// Sets a key.
    ///
    /// # Errors
    ///
    /// When the key is unknown or does not accept the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let definition = find(key).ok_or_else(|| ConfigError::UnknownKey { key: key.into() })?;
        self.overrides.insert(definition.name, definition.parse(value)?);
        Ok(())
    }

    /// Takes a key back to the broker's default.
    pub fn unset(&mut self, key: &str) {
        self.overrides.remove(key);
    }

    /// All that is set for the topic itself.
    pub fn overrides(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.overrides.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// What is set for the topic itself, of one key.
    pub fn overridden(&self, key: &str) -> Option<&str> {
        self.overrides.get(key).map(String::as_str)
    }

    /// The value in force: the topic's, else the broker's, else Kafka's default.
    pub fn effective<'a>(&'a self, definition: &Definition, broker: &'a Config) -> &'a str {
        if let Some(value) = self.overridden(definition.name) {
            return value;
        }
        definition
            .broker_key
            .and_then(|key| broker.overridden(key))
            .unwrap_or(definition.default)
    }

    /// Where the value in force comes from.
    pub fn source(&self, definition: &Definition, broker: &Config) -> Source {
        if self.overridden(definition.name).is_some() {
            return Source::Topic;
        }
        let set = definition.broker_key.and_then(|key| broker.layers(key).next());
        set.map_or(Source::Default, |(source, _)| source)
    }

    /// The typed part that the log obeys.
    pub fn log_config(&self, broker: &Config) -> LogConfig {
        let text = |key: &str| find(key).map_or("", |definition| self.effective(definition, broker));
        let number = |key: &str| text(key).parse::<i64>().unwrap_or(0);
        let count = |key: &str| u64::try_from(number(key)).unwrap_or(0);
        let has_policy = |policy: &str| text("cleanup.policy").split(',').any(|set| set.trim() == policy);
        let with_level = |codec, key| TopicCompression {
            codec,
            level: i32::try_from(number(key)).ok(),
        };
        let without_level = |codec| TopicCompression { codec, level: None };
        LogConfig {
            max_message_bytes: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            compression: match text("compression.type") {
                "uncompressed" => Some(without_level(Compression::None)),
                "gzip" => Some(with_level(Compression::Gzip, "compression.gzip.level")),
                "snappy" => Some(without_level(Compression::Snappy)),
                "lz4" => Some(with_level(Compression::Lz4, "compression.lz4.level")),
                "zstd" => Some(with_level(Compression::Zstd, "compression.zstd.level")),
                _ => None,
            },
            timestamp_type: match text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            segment_bytes: count("segment.bytes"),
            segment_ms: number("segment.ms"),
            index_interval_bytes: count("index.interval.bytes"),
            segment_index_bytes: count("segment.index.bytes"),
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            flush_messages: count("flush.messages"),
            flush_ms: count("flush.ms"),
            is_deleted: has_policy("delete"),
            is_compacted: has_policy("compact"),
        }
    }
}

fn find(key: &str) -> Option<&'static Definition> {
    TOPIC_KEYS.iter().find(|definition| definition.name == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_key_accepts() {
        for definition in TOPIC_KEYS {
            assert_eq!(
                definition.parse(definition.default).as_deref(),
                Ok(definition.default),
                "{}",
                definition.name
            );
        }
    }

    #[test]
    fn a_topic_without_settings_has_the_brokers() {
        let mut broker = Config::default();
        broker.set("message.max.bytes", "77").expect("a known key");
        let mut topic = TopicConfig::default();
        assert_eq!(topic.log_config(&broker).max_message_bytes, 77);
        topic.set("max.message.bytes", "99").expect("a known key");
        assert_eq!(topic.log_config(&broker).max_message_bytes, 99);
    }

    #[test]
    fn a_topic_has_the_codec_and_the_level_that_it_or_the_broker_names() {
        let mut broker = Config::default();
        let mut topic = TopicConfig::default();
        assert_eq!(topic.log_config(&broker).compression, None);
        broker.set("compression.type", "gzip").expect("a codec");
        broker.set("compression.zstd.level", "5").expect("a level");
        let compression = |codec, level| Some(TopicCompression { codec, level });
        assert_eq!(
            topic.log_config(&broker).compression,
            compression(Compression::Gzip, Some(-1))
        );
        topic.set("compression.type", "zstd").expect("a codec");
        assert_eq!(
            topic.log_config(&broker).compression,
            compression(Compression::Zstd, Some(5))
        );
        topic.set("compression.type", "uncompressed").expect("none");
        assert_eq!(
            topic.log_config(&broker).compression,
            compression(Compression::None, None)
        );
        topic.set("compression.type", "producer").expect("the producer's");
        assert_eq!(topic.log_config(&broker).compression, None);
    }

    // Kafka: CompressionType.levelValidator
    #[test]
    fn every_level_that_a_key_accepts_is_one_of_its_codec() {
        for (key, codec) in [
            ("compression.gzip.level", Compression::Gzip),
            ("compression.lz4.level", Compression::Lz4),
            ("compression.zstd.level", Compression::Zstd),
        ] {
            for level in [-131_073, -131_072, -2, -1, 0, 1, 9, 10, 17, 18, 22, 23] {
                let is_accepted = TopicConfig::default()
                    .set(key, &alloc::format!("{level}"))
                    .is_ok();
                assert_eq!(
                    is_accepted,
                    codec.check_level(Some(level)).is_ok(),
                    "{key}={level}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(matches!(
            TopicConfig::default().set("max.mesage.bytes", "1"),
            Err(ConfigError::UnknownKey { .. })
        ));
    }

    #[test]
    fn a_list_accepts_only_its_elements() {
        let mut topic = TopicConfig::default();
        topic
            .set("cleanup.policy", "compact,delete")
            .expect("both are policies");
        assert!(topic.log_config(&Config::default()).is_compacted);
        assert!(topic.set("cleanup.policy", "compact,shrink").is_err());
    }

    #[test]
    fn a_list_is_kept_as_its_elements_alone() {
        let mut topic = TopicConfig::default();
        for given in [
            "delete,\ncompact",
            " delete ,, compact,delete,",
            "delete\t,\r\ncompact",
        ] {
            topic.set("cleanup.policy", given).expect("both are policies");
            assert_eq!(
                topic.overridden("cleanup.policy"),
                Some("delete,compact"),
                "{given:?}"
            );
        }
    }

    #[test]
    fn control_characters_within_a_value_are_refused() {
        let mut topic = TopicConfig::default();
        for definition in TOPIC_KEYS {
            let given = alloc::format!("{0}\n{0}", definition.default);
            assert!(topic.set(definition.name, &given).is_err(), "{}", definition.name);
        }
    }
}
