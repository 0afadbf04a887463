//! What the caller asks of the engine and how it is answered. Changes that need no answer are in [`Change`](super::Change).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::{Identity, OffsetAndMetadata, TopicPartition};

use super::SlotId;

/// A question of the caller. Each time-out counts from the event that brings it.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Gives up the subscription or the manual assignment: callback, leave the group. Does not commit.
    // Kafka: ConsumerCoordinator.onLeavePrepare, ClassicKafkaConsumer.unsubscribe
    Unsubscribe {
        /// How long to wait for the broker's answer to LeaveGroup.
        timeout: Duration,
    },
    /// Waits until the partition has a position, and answers it.
    Position {
        /// Which partition.
        slot: SlotId,
        /// How long to wait.
        timeout: Duration,
    },
    /// The group's committed offsets.
    Committed {
        /// Of which partitions.
        partitions: Vec<TopicPartition>,
        /// How long to try.
        timeout: Duration,
    },
    /// Commits these offsets.
    Commit {
        /// The next offset to read of each partition.
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        /// Whether it is tried again.
        mode: CommitMode,
    },
    /// Offsets of partitions, whether assigned or not.
    ListOffsets {
        /// Each with what is looked for.
        partitions: Vec<(TopicPartition, OffsetSpec)>,
        /// How long to try.
        timeout: Duration,
    },
    /// The partitions of one topic.
    PartitionsFor {
        /// The topic's name.
        topic: Arc<str>,
        /// How long to try.
        timeout: Duration,
    },
    /// All topics that the caller may see.
    ListTopics {
        /// How long to try.
        timeout: Duration,
    },
    /// Who the member is in its group now.
    // Kafka: KafkaConsumer.groupMetadata
    GroupMetadata,
    /// Commits (with auto-commit), runs the callback, leaves the group. After its answer the engine does nothing more but refuse
    /// commands; the driver closes the connections.
    Close {
        /// How long all of that may take.
        timeout: Duration,
        /// Whether to leave the group.
        leave: LeaveGroup,
    },
}

/// How a commit behaves when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitMode {
    /// Retriable errors are tried again until this much time has passed.
    Sync {
        /// How long to try.
        timeout: Duration,
    },
    /// Nothing is tried again. Answers come in the order of the commits.
    Async,
}

/// Which offset of a partition is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OffsetSpec {
    /// The first offset of the log.
    Earliest,
    /// The end: the high watermark, or with `read_committed` the last stable offset.
    Latest,
    /// The first record with this timestamp (ms since 1970) or a later one.
    Timestamp(i64),
}

impl OffsetSpec {
    /// The timestamp as ListOffsets carries it.
    // Kafka: ListOffsetsRequest.EARLIEST_TIMESTAMP, LATEST_TIMESTAMP
    pub fn timestamp(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::Timestamp(timestamp) => timestamp,
        }
    }
}

/// `CloseOptions.GroupMembershipOperation` (KIP-1092).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LeaveGroup {
    /// Dynamic members leave, static ones stay.
    #[default]
    Default,
    /// Every member leaves.
    Leave,
    /// No member leaves.
    Remain,
}

/// The good answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandReply {
    /// It is done: `Unsubscribe`, `Commit`, `Close`, and `Position` (the position is in the caller's
    /// [`Delivery`](crate::delivery::Delivery) by then).
    Done,
    /// To `Committed`: partitions without a committed offset have `None`.
    Committed(Vec<(TopicPartition, Option<OffsetAndMetadata>)>),
    /// To `ListOffsets`: `None` when no record is that young.
    Offsets(Vec<(TopicPartition, Option<FoundOffset>)>),
    /// To `PartitionsFor`, ordered by number; empty when there is no such topic.
    Partitions(Vec<PartitionDescription>),
    /// To `GroupMetadata`: `None` outside of a generation.
    GroupMetadata(Option<Identity>),
    /// To `ListTopics`, ordered by name.
    Topics(Vec<(Arc<str>, Vec<PartitionDescription>)>),
}

/// An offset that ListOffsets found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: i64,
    /// The record's timestamp (ms since 1970); `None` for the ends of the log.
    pub timestamp: Option<i64>,
    /// The record's leader epoch, if known.
    pub leader_epoch: Option<i32>,
}

/// One partition in the cluster's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The leader; `None` while there is none.
    pub leader: Option<BrokerAddress>,
    /// All replicas.
    pub replicas: Vec<BrokerAddress>,
    /// Those that are in sync.
    pub in_sync_replicas: Vec<BrokerAddress>,
    /// Those that are offline.
    pub offline_replicas: Vec<BrokerAddress>,
}

/// A broker in the cluster's metadata. A broker that is known by number only has an empty host and port −1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Node id.
    pub id: i32,
    /// Host name or address. Shared, as each replica of each partition names its broker.
    pub host: Arc<str>,
    /// TCP port.
    pub port: i32,
    /// `broker.rack`.
    pub rack: Option<Arc<str>>,
}
