//! What the coordinator answers.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Refusal, TopicPartitions};
use crate::OffsetAndMetadata;

/// The answer to a [`super::GroupRequest`], of the same name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GroupResponse {
    /// To [`super::GroupRequest::Join`].
    Join(JoinResponse),
    /// To [`super::GroupRequest::Sync`].
    Sync(Result<SyncedMember, Refusal>),
    /// To [`super::GroupRequest::Heartbeat`].
    Heartbeat(Result<(), Refusal>),
    /// To [`super::GroupRequest::Leave`].
    Leave(Result<Vec<LeftMember>, Refusal>),
    /// To [`super::GroupRequest::CommitOffsets`].
    CommitOffsets(Vec<TopicPartitions<PartitionOutcome>>),
    /// To [`super::GroupRequest::FetchOffsets`], in the request's order.
    FetchOffsets(Vec<FetchedGroup>),
    /// To [`super::GroupRequest::DeleteOffsets`].
    DeleteOffsets(Result<Vec<TopicPartitions<PartitionOutcome>>, Refusal>),
    /// To [`super::GroupRequest::Describe`], in the request's order.
    Describe(Vec<DescribedGroup>),
    /// To [`super::GroupRequest::List`].
    List(Result<Vec<ListedGroup>, Refusal>),
    /// To [`super::GroupRequest::Delete`], in the request's order.
    Delete(Vec<DeletedGroup>),
}

/// The answer to a join.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinResponse {
    /// The member's id: the new one with MEMBER_ID_REQUIRED and on success.
    pub member_id: Arc<str>,
    /// The generation joined.
    pub outcome: Result<JoinedGroup, Refusal>,
}

/// The generation that a member has joined.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedGroup {
    /// Its number.
    pub generation: i32,
    /// `consumer` for consumers.
    pub protocol_type: Option<Arc<str>>,
    /// The assignor chosen.
    pub protocol: Option<Arc<str>>,
    /// The member that assigns.
    pub leader: Option<Arc<str>>,
    /// The leader need not assign: the assignment stands (KIP-814).
    pub skip_assignment: bool,
    /// For the leader: all members; for others none.
    pub members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// Its metadata for the assignor chosen.
    pub metadata: Bytes,
}

/// A member's assignment.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncedMember {
    /// `consumer` for consumers.
    pub protocol_type: Option<Arc<str>>,
    /// The assignor that made it.
    pub protocol: Option<Arc<str>>,
    /// The assignment; empty when the leader assigned the member nothing.
    pub assignment: Bytes,
}

/// What became of a leaving member.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftMember {
    /// The id, as asked.
    pub member_id: Arc<str>,
    /// The instance id, as asked.
    pub group_instance_id: Option<Arc<str>>,
    /// Whether it left.
    pub outcome: Result<(), Refusal>,
}

/// What became of one partition of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionOutcome {
    /// The partition.
    pub partition: i32,
    /// Whether it was done.
    pub outcome: Result<(), Refusal>,
}

/// The committed offsets of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// The offsets; a group that does not exist has none.
    pub outcome: Result<Vec<TopicPartitions<FetchedPartition>>, Refusal>,
    /// What was asked, to answer partition by partition where the version has no error of the group (OffsetFetch 1).
    pub asked: Option<Vec<TopicPartitions<i32>>>,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: i32,
    /// What is committed, if anything.
    pub committed: Option<OffsetAndMetadata>,
}

/// A group as it is described.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// The group, or why it is not described. `None` in a success is a group that does not exist, told as state Dead.
    pub outcome: Result<Option<GroupDescription>, Refusal>,
}

/// What is told about a group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupDescription {
    /// Kafka's name of the state.
    pub state: &'static str,
    /// `consumer` for consumers.
    pub protocol_type: Option<Arc<str>>,
    /// The assignor, once the group is Stable.
    pub protocol: Option<Arc<str>>,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// What is told about a member.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// The address it joined from.
    pub client_host: Arc<str>,
    /// Its metadata for the assignor, once the group is Stable.
    pub metadata: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// A group as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// `consumer` for consumers; `None` for a group that only commits.
    pub protocol_type: Option<Arc<str>>,
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Kafka's name of the type.
    pub group_type: &'static str,
}

/// What became of a group to delete.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletedGroup {
    /// The group.
    pub group_id: Arc<str>,
    /// Whether it is gone.
    pub outcome: Result<(), Refusal>,
}
