//! What is asked of the coordinator, by capability and not by API version.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::TopicId;
use crate::OffsetAndMetadata;

/// The member id of one that has none yet.
// Kafka: JoinGroupRequest.UNKNOWN_MEMBER_ID
pub const UNKNOWN_MEMBER_ID: &str = "";

/// A request to the coordinator.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GroupRequest {
    /// JoinGroup.
    Join(JoinRequest),
    /// SyncGroup.
    Sync(SyncRequest),
    /// Heartbeat.
    Heartbeat(HeartbeatRequest),
    /// LeaveGroup.
    Leave(LeaveRequest),
    /// OffsetCommit.
    CommitOffsets(CommitOffsetsRequest),
    /// OffsetFetch.
    FetchOffsets(FetchOffsetsRequest),
    /// OffsetDelete.
    DeleteOffsets(DeleteOffsetsRequest),
    /// DescribeGroups.
    Describe(DescribeRequest),
    /// ListGroups.
    List(ListRequest),
    /// DeleteGroups.
    Delete(DeleteRequest),
}

/// A member joins or joins again.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The member, or [`UNKNOWN_MEMBER_ID`].
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member (KIP-345).
    pub group_instance_id: Option<Arc<str>>,
    /// `session.timeout.ms`.
    pub session_timeout_ms: i32,
    /// `max.poll.interval.ms`.
    pub rebalance_timeout_ms: i32,
    /// `consumer` for consumers.
    pub protocol_type: Arc<str>,
    /// The member's assignors, the most wanted first, each name once.
    pub protocols: Vec<JoinProtocol>,
    /// Why it joins (KIP-800).
    pub reason: Option<String>,
    /// A new dynamic member first gets an id and joins again with it (KIP-394; JoinGroup 4 and later).
    pub requires_known_member_id: bool,
    /// A returning static leader may be told to assign nothing (KIP-814; JoinGroup 9 and later).
    pub supports_skipping_assignment: bool,
}

/// One assignor that a member can work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinProtocol {
    /// Its name.
    pub name: Arc<str>,
    /// The member's metadata for it: for consumers the subscription.
    pub metadata: Bytes,
}

/// A member asks for its assignment; the leader brings all.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The generation that it joined.
    pub generation: i32,
    /// The member.
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// What it takes the group's protocol type to be (SyncGroup 5 and later).
    pub protocol_type: Option<Arc<str>>,
    /// What it takes the group's assignor to be (SyncGroup 5 and later).
    pub protocol: Option<Arc<str>>,
    /// The leader's assignment, by member.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

/// A member says that it is alive.
#[derive(Debug, Clone, PartialEq)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The member's generation.
    pub generation: i32,
    /// The member.
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
}

/// Members leave.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaveRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Who leaves: one before LeaveGroup 3.
    pub members: Vec<LeavingMember>,
}

/// A member that leaves: by its id, or a static one by its instance id alone.
#[derive(Debug, Clone, PartialEq)]
pub struct LeavingMember {
    /// The member, or [`UNKNOWN_MEMBER_ID`].
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// Why (KIP-800).
    pub reason: Option<String>,
}

/// Offsets are committed, by a member or (generation −1, no member id) by a client that assigns itself.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitOffsetsRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// The member's generation, or −1.
    pub generation: i32,
    /// The member, or [`UNKNOWN_MEMBER_ID`].
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// How long to keep the offsets, in ms, instead of the broker's retention (OffsetCommit before version 5).
    pub retention_ms: Option<i64>,
    /// A missing group is GROUP_ID_NOT_FOUND, not ILLEGAL_GENERATION (OffsetCommit 9 and later).
    pub names_missing_group: bool,
    /// What is committed.
    pub topics: Vec<TopicPartitions<CommittedPartition>>,
}

/// A topic and something per partition of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicPartitions<P> {
    /// The topic's name.
    pub name: Arc<str>,
    /// The topic's id, when it is known.
    pub id: Option<TopicId>,
    /// One for each partition asked about, in the request's order.
    pub partitions: Vec<P>,
}

/// An offset to commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommittedPartition {
    /// The partition.
    pub partition: i32,
    /// What to commit.
    pub offset: OffsetAndMetadata,
}

/// Committed offsets of groups are read.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchOffsetsRequest {
    /// The groups: one before OffsetFetch 8.
    pub groups: Vec<FetchGroup>,
    /// Offsets of open transactions are errors (KIP-447).
    pub require_stable: bool,
}

/// Which committed offsets of a group are read.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// The partitions; `None` asks for all.
    pub topics: Option<Vec<TopicPartitions<i32>>>,
}

/// Committed offsets are deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteOffsetsRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Whose offsets go.
    pub topics: Vec<TopicPartitions<i32>>,
}

/// Groups are described.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeRequest {
    /// The groups.
    pub groups: Vec<Arc<str>>,
    /// A missing group is GROUP_ID_NOT_FOUND, not just Dead (DescribeGroups 6 and later).
    pub names_missing_group: bool,
}

/// Groups are listed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListRequest {
    /// Only groups in one of these states, in any case; all when empty.
    pub states: Vec<String>,
    /// Only groups of one of these types (`classic`, `consumer`), in any case; all when empty.
    pub types: Vec<String>,
}

/// Groups are deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct DeleteRequest {
    /// The groups.
    pub groups: Vec<Arc<str>>,
}
