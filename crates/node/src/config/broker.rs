//! The configuration keys that this broker knows, with Kafka's defaults.

use super::definition::{Accepts, Definition, Kind};
use super::topic::COMPRESSION_TYPES;

const MAX: i64 = i64::MAX;

const fn key(name: &'static str, kind: Kind, default: &'static str, accepts: Accepts) -> Definition {
    Definition {
        name,
        kind,
        default,
        accepts,
        broker_key: None,
    }
}

/// The broker's keys. Those of the group coordinator are `group.*` and `offsets.*`; what Kafka has not is `kohort.*`. Keys of indexes and flushing are
/// accepted, so that settings written for Kafka work, and have no effect on a log in memory.
// Kafka: ServerConfigs, ServerLogConfigs, SocketServerConfigs, GroupCoordinatorConfig
pub const BROKER_KEYS: &[Definition] = &[
    key("auto.create.topics.enable", Kind::Boolean, "true", Accepts::All),
    key(
        "compression.gzip.level",
        Kind::Int,
        "-1",
        Accepts::RangeWithoutZero(-1, 9),
    ),
    key("compression.lz4.level", Kind::Int, "9", Accepts::Range(1, 17)),
    key(
        "compression.type",
        Kind::String,
        "producer",
        Accepts::OneOf(COMPRESSION_TYPES),
    ),
    key(
        "compression.zstd.level",
        Kind::Int,
        "3",
        Accepts::Range(-131_072, 22),
    ),
    key("connections.max.idle.ms", Kind::Long, "600000", Accepts::All),
    key(
        "default.replication.factor",
        Kind::Int,
        "1",
        Accepts::Range(1, 32767),
    ),
    key("delete.topic.enable", Kind::Boolean, "true", Accepts::All),
    key(
        "fetch.max.bytes",
        Kind::Int,
        "57671680",
        Accepts::Range(1024, MAX),
    ),
    key(
        "group.initial.rebalance.delay.ms",
        Kind::Int,
        "3000",
        Accepts::All,
    ),
    key("group.max.session.timeout.ms", Kind::Int, "1800000", Accepts::All),
    key("group.max.size", Kind::Int, "2147483647", Accepts::Range(1, MAX)),
    key("group.min.session.timeout.ms", Kind::Int, "6000", Accepts::All),
    key(
        "kohort.rebalances.topic.enable",
        Kind::Boolean,
        "true",
        Accepts::All,
    ),
    key(
        "log.cleanup.policy",
        Kind::List,
        "delete",
        Accepts::OneOf(&["compact", "delete"]),
    ),
    key(
        "log.flush.interval.messages",
        Kind::Long,
        "9223372036854775807",
        Accepts::Range(1, MAX),
    ),
    key(
        "log.flush.interval.ms",
        Kind::Long,
        "9223372036854775807",
        Accepts::Range(0, MAX),
    ),
    key(
        "log.flush.offset.checkpoint.interval.ms",
        Kind::Int,
        "60000",
        Accepts::Range(1, MAX),
    ),
    key(
        "log.index.interval.bytes",
        Kind::Int,
        "4096",
        Accepts::Range(0, MAX),
    ),
    key(
        "log.index.size.max.bytes",
        Kind::Int,
        "10485760",
        Accepts::Range(4, MAX),
    ),
    key(
        "log.message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        Accepts::Range(0, MAX),
    ),
    key(
        "log.message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        Accepts::Range(0, MAX),
    ),
    key(
        "log.message.timestamp.type",
        Kind::String,
        "CreateTime",
        Accepts::OneOf(&["CreateTime", "LogAppendTime"]),
    ),
    key("log.retention.bytes", Kind::Long, "-1", Accepts::All),
    key(
        "log.retention.check.interval.ms",
        Kind::Long,
        "300000",
        Accepts::Range(1, MAX),
    ),
    // Kafka: AbstractKafkaConfig.validateValues; logRetentionTimeMillis: less than nothing is without limit
    key(
        "log.retention.ms",
        Kind::Long,
        "604800000",
        Accepts::RangeWithoutZero(i64::MIN, MAX),
    ),
    key("log.roll.ms", Kind::Long, "604800000", Accepts::Range(1, MAX)),
    key(
        "log.segment.bytes",
        Kind::Int,
        "1073741824",
        Accepts::Range(1_048_576, MAX),
    ),
    key("max.connections", Kind::Int, "2147483647", Accepts::Range(0, MAX)),
    key(
        "max.incremental.fetch.session.cache.slots",
        Kind::Int,
        "1000",
        Accepts::Range(0, MAX),
    ),
    key(
        "max.request.partition.size.limit",
        Kind::Int,
        "2000",
        Accepts::Range(1, MAX),
    ),
    key("message.max.bytes", Kind::Int, "1048588", Accepts::Range(0, MAX)),
    key("min.insync.replicas", Kind::Int, "1", Accepts::Range(1, MAX)),
    key("num.partitions", Kind::Int, "1", Accepts::Range(1, MAX)),
    key("offset.metadata.max.bytes", Kind::Int, "4096", Accepts::All),
    key(
        "offsets.commit.timeout.ms",
        Kind::Int,
        "5000",
        Accepts::Range(1, MAX),
    ),
    key(
        "offsets.retention.check.interval.ms",
        Kind::Long,
        "600000",
        Accepts::Range(1, MAX),
    ),
    key(
        "offsets.retention.minutes",
        Kind::Int,
        "10080",
        Accepts::Range(1, MAX),
    ),
    key(
        "offsets.topic.num.partitions",
        Kind::Int,
        "50",
        Accepts::Range(1, MAX),
    ),
    key(
        "offsets.topic.segment.bytes",
        Kind::Int,
        "104857600",
        Accepts::Range(1, MAX),
    ),
    key("queued.max.request.bytes", Kind::Long, "-1", Accepts::All),
    key(
        "producer.id.expiration.ms",
        Kind::Int,
        "86400000",
        Accepts::Range(1, MAX),
    ),
    key(
        "socket.request.max.bytes",
        Kind::Int,
        "104857600",
        Accepts::Range(1, MAX),
    ),
];
