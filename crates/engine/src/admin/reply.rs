//! What is answered.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_protocol::Uuid;

use super::error::AdminError;
use super::resource::{ConfigEntry, ConfigResource};
use crate::client::{Broker, Topic};

/// One result per item.
pub type Results<K, V> = BTreeMap<K, Result<V, AdminError>>;

/// The answer to an [`AdminCommand`](super::AdminCommand).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AdminReply {
    /// To CreateTopics.
    TopicsCreated(Results<Arc<str>, CreatedTopic>),
    /// To DeleteTopics and CreatePartitions.
    Topics(Results<Arc<str>, ()>),
    /// To ListTopics, by name.
    TopicsListed(Result<Vec<TopicListing>, AdminError>),
    /// To DescribeTopics.
    TopicsDescribed(Results<Arc<str>, Topic>),
    /// To DescribeCluster.
    ClusterDescribed(Result<ClusterDescription, AdminError>),
    /// To ListGroups: what the brokers listed, by group id, and those that could not be asked.
    GroupsListed {
        /// The groups, by id.
        groups: Vec<GroupListing>,
        /// Why brokers, by node id, are missing; their groups are then missing too. Id −1: no broker is known.
        failed: BTreeMap<i32, AdminError>,
    },
    /// To DescribeGroups.
    GroupsDescribed(Results<Arc<str>, GroupDescription>),
    /// To DeleteGroups.
    GroupsDeleted(Results<Arc<str>, ()>),
    /// To ListOffsets; `None` where no record has such a timestamp.
    OffsetsFound(Results<TopicPartition, Option<FoundOffset>>),
    /// To ListGroupOffsets; `None` where nothing is committed.
    GroupOffsets(Result<Results<TopicPartition, Option<OffsetAndMetadata>>, AdminError>),
    /// To AlterGroupOffsets.
    GroupOffsetsAltered(Results<TopicPartition, ()>),
    /// To DeleteGroupOffsets.
    GroupOffsetsDeleted(Results<TopicPartition, ()>),
    /// To RemoveMembers, by `group.instance.id`.
    MembersRemoved(Results<Arc<str>, ()>),
    /// To DeleteRecords: the first offset that is still there.
    RecordsDeleted(Results<TopicPartition, i64>),
    /// To DescribeConfigs: the settings by key.
    ConfigsDescribed(Results<ConfigResource, BTreeMap<String, ConfigEntry>>),
    /// To AlterConfigs.
    ConfigsAltered(Results<ConfigResource, ()>),
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id, if the broker says it.
    pub id: Option<String>,
    /// Node id of the controller; in a KRaft cluster a broker that stands for it.
    pub controller: Option<i32>,
    /// All brokers, by node id.
    pub brokers: Vec<Broker>,
}

/// A topic that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id, if the broker says it.
    pub id: Option<Uuid>,
    /// How many partitions it got, if the broker says it.
    pub partitions: Option<i32>,
    /// How many replicas of each, if the broker says it.
    pub replication_factor: Option<i16>,
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, if the broker says it.
    pub id: Option<Uuid>,
    /// Whether it is one of Kafka's own.
    pub is_internal: bool,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub id: Arc<str>,
    /// `consumer` for consumers, empty for a group that only committed offsets.
    pub protocol_type: String,
    /// Its state in Kafka's words; empty from a broker that does not say it (before KIP-518).
    pub state: String,
    /// Its type in Kafka's words; empty from a broker that does not say it (before KIP-848).
    pub group_type: String,
    /// Node id of its coordinator.
    pub coordinator: i32,
}

/// A classic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub id: Arc<str>,
    /// Its state in Kafka's words: `PreparingRebalance`, `CompletingRebalance`, `Stable`, `Dead`, `Empty`.
    pub state: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// The name of the assignor that was chosen.
    pub assignor: String,
    /// Node id of its coordinator, if it is known.
    pub coordinator: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a classic group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id`.
    pub client_id: String,
    /// From where it is connected.
    pub host: String,
    /// What is assigned to it; empty when the group has no stable assignment, or is not one of consumers.
    pub assigned: Vec<TopicPartition>,
    /// Its subscription as bytes, in the form of its protocol.
    pub metadata: Bytes,
    /// Its assignment as bytes, in the form of its protocol.
    pub assignment: Bytes,
}

/// An offset that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: i64,
    /// Its record's timestamp in ms since the epoch; none for the log's ends.
    pub timestamp: Option<i64>,
    /// The epoch of the leader that had it, if the broker says it.
    pub leader_epoch: Option<i32>,
}
