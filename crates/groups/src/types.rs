//! The words that both ends of a group share. No rule lives here.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

/// A partition of a topic. Cloning shares the topic's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    /// `topic-partition`, as Kafka's logs print it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A committed offset: where the group goes on reading a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetAndMetadata {
    /// The offset of the next record to read.
    pub offset: i64,
    /// The leader epoch of the last record read, if known (KIP-320).
    pub leader_epoch: Option<i32>,
    /// The application's own note, at most `offset.metadata.max.bytes` (4096) bytes on a broker with default settings.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// `offset` without leader epoch and note.
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            ..Self::default()
        }
    }
}

/// Who a member is to its coordinator: what a commit carries so that a member of an older generation is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The id that the coordinator gave.
    pub member_id: Arc<str>,
    /// The generation of a classic group.
    pub generation: i32,
    /// `group.instance.id` of a static member (KIP-345).
    pub group_instance_id: Option<Arc<str>>,
}

/// How a member gives up partitions in a rebalance (KIP-429).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RebalanceProtocol {
    /// All are revoked before the group is joined again.
    Eager,
    /// Only what moves is revoked, after the assignment is known.
    Cooperative,
}

/// What a member tells the leader: the content of its JoinGroup metadata.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscription {
    /// The topics it wants, in its own order.
    pub topics: Vec<Arc<str>>,
    /// What the assignor added on the member's side.
    pub user_data: Option<Bytes>,
    /// What it owned when it joined (subscription version 1 and later).
    pub owned: Vec<TopicPartition>,
    /// The generation in which it came to own that (version 2 and later).
    pub generation: Option<i32>,
    /// `client.rack` (version 3 and later).
    pub rack: Option<Arc<str>>,
    /// `group.instance.id`, which the coordinator tells the leader beside the subscription.
    pub group_instance_id: Option<Arc<str>>,
}

/// What a member is given: the content of its SyncGroup assignment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
    /// What the assignor added on the leader's side.
    pub user_data: Option<Bytes>,
}
