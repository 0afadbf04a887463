//! What each key is for, in a sentence: DescribeConfigs shows it to who asks for it.

/// The documentation of a key of a topic or of the broker; `None` for a key that there is not.
pub fn documentation(key: &str) -> Option<&'static str> {
    Some(match key {
        "auto.create.topics.enable" => {
            "Whether a topic that a client asks for is created when it is not there."
        }
        "cleanup.policy" | "log.cleanup.policy" => {
            "What becomes of old records: \"delete\" drops them by age and size, \"compact\" keeps the last of each key."
        }
        "compression.gzip.level" => {
            "The level of batches that compression.type has compressed by gzip; -1 for its default."
        }
        "compression.lz4.level" => {
            "The level of batches that compression.type has compressed by lz4; all levels compress alike here."
        }
        "compression.type" => {
            "The codec of stored batches; \"producer\" keeps them as they came. Batches of another codec are compressed anew."
        }
        "compression.zstd.level" => {
            "The level of batches that compression.type has compressed by zstd; levels below -7 and above 4 compress as those."
        }
        "connections.max.idle.ms" => {
            "How long a connection may be idle before it is closed, in milliseconds; -1 for no limit."
        }
        "default.replication.factor" => "How many replicas a topic has for which none are asked.",
        "delete.retention.ms" => "How long a tombstone stays in a compacted log, in milliseconds.",
        "delete.topic.enable" => "Whether topics may be deleted.",
        "fetch.max.bytes" => "The largest answer to one Fetch, in bytes; a first batch may be larger.",
        "file.delete.delay.ms" => "How long a file stays after it was given up, in milliseconds.",
        "flush.messages" | "log.flush.interval.messages" => {
            "After how many records a log is synced to the disk; with 1 a record is acknowledged when it is synced."
        }
        "flush.ms" | "log.flush.interval.ms" => {
            "How long after a record was written its log is synced to the disk, in milliseconds."
        }
        "group.initial.rebalance.delay.ms" => {
            "How long an empty group waits for more members before it first assigns partitions, in milliseconds."
        }
        "group.max.session.timeout.ms" => "The largest session.timeout.ms that a member may ask for.",
        "group.max.size" => "How many members a group may have.",
        "group.min.session.timeout.ms" => "The smallest session.timeout.ms that a member may ask for.",
        "index.interval.bytes" | "log.index.interval.bytes" => {
            "After how many bytes of records an index gets its next entry."
        }
        "kohort.rebalances.topic.enable" => {
            "Whether the rebalances of groups are written to the topic __kohort_rebalances."
        }
        "log.segment.bytes" | "segment.bytes" => {
            "The size at which a log goes on in a new segment, in bytes."
        }
        "max.compaction.lag.ms" => "How long a record may stay uncompacted at most, in milliseconds.",
        "max.connections" => {
            "How many connections the broker has at most; for one more, the connection that has asked nothing for the longest time is closed."
        }
        "max.incremental.fetch.session.cache.slots" => {
            "How many incremental fetch sessions the broker keeps."
        }
        "max.message.bytes" | "message.max.bytes" => "The largest record batch that is accepted, in bytes.",
        "max.request.partition.size.limit" => {
            "How many partitions one answer to DescribeTopicPartitions holds."
        }
        "log.message.timestamp.after.max.ms" | "message.timestamp.after.max.ms" => {
            "How far ahead of the broker's clock a record's timestamp may be, in milliseconds."
        }
        "log.message.timestamp.before.max.ms" | "message.timestamp.before.max.ms" => {
            "How far behind the broker's clock a record's timestamp may be, in milliseconds."
        }
        "log.message.timestamp.type" | "message.timestamp.type" => {
            "Whose time a record carries: the producer's (CreateTime) or the broker's (LogAppendTime)."
        }
        "min.cleanable.dirty.ratio" => {
            "Which part of a log must be uncompacted before it is compacted again."
        }
        "min.compaction.lag.ms" => "How long a record stays uncompacted at least, in milliseconds.",
        "min.insync.replicas" => "How many replicas must have a batch that is produced with acks=all.",
        "num.partitions" => "How many partitions a topic has for which no number is asked.",
        "offset.metadata.max.bytes" => "The longest note that a member may commit with an offset, in bytes.",
        "offsets.commit.timeout.ms" => "How long a commit may take until it is stored, in milliseconds.",
        "offsets.retention.check.interval.ms" => {
            "How often old committed offsets are looked for, in milliseconds."
        }
        "offsets.retention.minutes" => {
            "How long the offsets of a group without members are kept, in minutes."
        }
        "offsets.topic.num.partitions" => "How many partitions __consumer_offsets is created with.",
        "offsets.topic.segment.bytes" => "The size of a segment of __consumer_offsets, in bytes.",
        "preallocate" => "Whether a segment's file has its full size from the beginning.",
        "producer.id.expiration.ms" => {
            "How long an idempotent producer is remembered after its last batch, in milliseconds."
        }
        "queued.max.request.bytes" => {
            "How many bytes requests may hold that are not yet answered, together, how many answers that are not yet read, and how many the members of groups by what they say of themselves; -1 for no limit."
        }
        "log.retention.bytes" | "retention.bytes" => {
            "The size of a partition above which its oldest segments are deleted, in bytes; -1 for no limit."
        }
        "log.retention.ms" | "retention.ms" => {
            "The age at which a segment is deleted, in milliseconds; -1 for no limit."
        }
        "log.flush.offset.checkpoint.interval.ms" => {
            "How often it is written down up to where logs are synced, in milliseconds."
        }
        "log.retention.check.interval.ms" => "How often old segments are looked for, in milliseconds.",
        "log.index.size.max.bytes" | "segment.index.bytes" => "The size of an index file, in bytes.",
        "segment.jitter.ms" => "By how much at most segment.ms is shortened at random, in milliseconds.",
        "log.roll.ms" | "segment.ms" => "The age at which a log goes on in a new segment, in milliseconds.",
        "socket.request.max.bytes" => "The largest request that the broker reads, in bytes.",
        "unclean.leader.election.enable" => {
            "Whether a replica that is not in sync may become leader when no other is left."
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BROKER_KEYS, TOPIC_KEYS};

    #[test]
    fn every_key_is_documented() {
        for key in BROKER_KEYS.iter().chain(TOPIC_KEYS) {
            assert!(documentation(key.name).is_some(), "{}", key.name);
        }
    }
}
