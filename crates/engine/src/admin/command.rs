//! What can be asked.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::{OffsetAndMetadata, TopicPartition};

use super::resource::{AlterConfigOp, ConfigResource};
use crate::consumer::IsolationLevel;

/// What can be asked of an [`AdminEngine`](super::AdminEngine). Each says which [`AdminReply`](super::AdminReply) answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminCommand {
    /// Create topics: [`AdminReply::TopicsCreated`](super::AdminReply::TopicsCreated).
    CreateTopics {
        /// The topics, each name once.
        topics: Vec<NewTopic>,
        /// Only say whether it could be done.
        validate_only: bool,
    },
    /// Delete topics: [`AdminReply::Topics`](super::AdminReply::Topics).
    DeleteTopics {
        /// Their names.
        topics: Vec<Arc<str>>,
    },
    /// Add partitions to topics: [`AdminReply::Topics`](super::AdminReply::Topics).
    CreatePartitions {
        /// The topics, each name once.
        topics: Vec<NewPartitions>,
        /// Only say whether it could be done.
        validate_only: bool,
    },
    /// List all topics: [`AdminReply::TopicsListed`](super::AdminReply::TopicsListed).
    ListTopics {
        /// Whether Kafka's own, such as `__consumer_offsets`, are listed too.
        include_internal: bool,
    },
    /// Describe topics: [`AdminReply::TopicsDescribed`](super::AdminReply::TopicsDescribed).
    DescribeTopics {
        /// Their names.
        topics: Vec<Arc<str>>,
    },
    /// Describe the cluster: [`AdminReply::ClusterDescribed`](super::AdminReply::ClusterDescribed).
    DescribeCluster,
    /// List the groups of all brokers: [`AdminReply::GroupsListed`](super::AdminReply::GroupsListed).
    ListGroups {
        /// Only those in these states, in Kafka's words (`Stable`, `Empty`, …); empty: all.
        states: Vec<String>,
        /// Only those of these types, in Kafka's words (`classic`, `consumer`, …); empty: all.
        types: Vec<String>,
    },
    /// Describe classic groups: [`AdminReply::GroupsDescribed`](super::AdminReply::GroupsDescribed).
    DescribeGroups {
        /// Their ids.
        groups: Vec<Arc<str>>,
    },
    /// Delete groups without members: [`AdminReply::GroupsDeleted`](super::AdminReply::GroupsDeleted).
    DeleteGroups {
        /// Their ids.
        groups: Vec<Arc<str>>,
    },
    /// Find offsets in partitions: [`AdminReply::OffsetsFound`](super::AdminReply::OffsetsFound).
    ListOffsets {
        /// What to find in each partition.
        partitions: BTreeMap<TopicPartition, OffsetSpec>,
        /// With `read_committed` the end is the last stable offset.
        isolation: IsolationLevel,
    },
    /// List the committed offsets of a group: [`AdminReply::GroupOffsets`](super::AdminReply::GroupOffsets).
    ListGroupOffsets {
        /// The group.
        group: Arc<str>,
        /// Of these partitions; none: all that it has committed.
        partitions: Option<Vec<TopicPartition>>,
        /// Wait for open transactions that commit offsets.
        require_stable: bool,
    },
    /// Commit offsets for a group without members: [`AdminReply::GroupOffsetsAltered`](super::AdminReply::GroupOffsetsAltered).
    AlterGroupOffsets {
        /// The group.
        group: Arc<str>,
        /// The offsets.
        offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
    },
    /// Forget offsets that a group has committed: [`AdminReply::GroupOffsetsDeleted`](super::AdminReply::GroupOffsetsDeleted).
    DeleteGroupOffsets {
        /// The group. Its members must not be subscribed to the topics.
        group: Arc<str>,
        /// Of these partitions.
        partitions: BTreeSet<TopicPartition>,
    },
    /// Remove static members from a group: [`AdminReply::MembersRemoved`](super::AdminReply::MembersRemoved).
    RemoveMembers {
        /// The group.
        group: Arc<str>,
        /// Their `group.instance.id`s.
        instances: BTreeSet<Arc<str>>,
        /// Why, for the broker's log.
        reason: Option<String>,
    },
    /// Delete the records before an offset: [`AdminReply::RecordsDeleted`](super::AdminReply::RecordsDeleted).
    DeleteRecords {
        /// What to delete in each partition.
        partitions: BTreeMap<TopicPartition, RecordsToDelete>,
    },
    /// Read settings: [`AdminReply::ConfigsDescribed`](super::AdminReply::ConfigsDescribed).
    DescribeConfigs {
        /// Of what.
        resources: BTreeSet<ConfigResource>,
        /// Whether every place is told where a setting is set.
        include_synonyms: bool,
        /// Whether the broker explains the settings.
        include_documentation: bool,
    },
    /// Change settings: [`AdminReply::ConfigsAltered`](super::AdminReply::ConfigsAltered).
    AlterConfigs {
        /// The changes; all of a resource are done, or none.
        changes: BTreeMap<ConfigResource, Vec<AlterConfigOp>>,
        /// Only say whether it could be done.
        validate_only: bool,
    },
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions; none: `num.partitions` of the broker (KIP-464).
    pub partitions: Option<i32>,
    /// How many replicas of each; none: `default.replication.factor` of the broker (KIP-464).
    pub replication_factor: Option<i16>,
    /// The topic's own configuration, in Kafka's keys.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            partitions: None,
            replication_factor: None,
            configs: BTreeMap::new(),
        }
    }
}

/// How many partitions a topic is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub topic: Arc<str>,
    /// All its partitions, old and new.
    pub total: i32,
}

/// Which offset to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OffsetSpec {
    /// The first offset of the log.
    Earliest,
    /// The offset after the last record.
    Latest,
    /// That of the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// That of the first record whose timestamp, in ms since the epoch, is this or later.
    Timestamp(i64),
}

/// Which records of a partition to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordsToDelete {
    /// Those before this offset, which must not be past the high watermark.
    Before(i64),
    /// All up to the high watermark.
    All,
}
