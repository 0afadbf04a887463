//! What a group does one after the other, and how each is refused. A work that comes while an append of the group is open
//! waits in the group's inbox.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Token;

use super::cx::Cx;
use super::gather::{Part, PartOf};
use super::{
    Client, CommitOffsetsRequest, CoordinatorRecord, DeleteOffsetsRequest, DeletedGroup, FetchGroup,
    FetchedGroup, GroupResponse, JoinRequest, JoinResponse, LeaveRequest, LeftMember, PartitionOutcome,
    Refusal, SyncRequest, TopicId, TopicPartitions,
};
use crate::coordinator::classic::Replacement;

/// One thing for one group to do.
#[derive(Debug)]
pub(super) enum Work {
    Join(Token, Client, JoinRequest),
    Sync(Token, SyncRequest),
    Leave(Token, LeaveRequest),
    CommitOffsets(Token, CommitOffsetsRequest),
    FetchOffsets(PartOf, FetchGroup),
    DeleteOffsets(Token, DeleteOffsetsRequest),
    Delete(PartOf),
    /// Tombstones for the offsets of deleted topics.
    ForgetTopics(Arc<[(Arc<str>, TopicId)]>),
    /// Tombstones for expired offsets, and for the group when nothing is left of it.
    CleanUp,
}

impl Work {
    /// Answers that it is not done.
    pub(super) fn refuse(self, cx: &mut Cx, group_id: &Arc<str>, refusal: Refusal) {
        match self {
            Self::Join(token, _, request) => {
                let member_id = request.member_id;
                let outcome = Err(refusal);
                cx.reply(token, GroupResponse::Join(JoinResponse { member_id, outcome }));
            }
            Self::Sync(token, _) => cx.reply(token, GroupResponse::Sync(Err(refusal))),
            Self::Leave(token, request) => {
                cx.reply(token, GroupResponse::Leave(refuse_leave(request, refusal)))
            }
            Self::CommitOffsets(token, request) => {
                let topics = outcomes(request.topics, |partition| (partition.partition, Err(refusal)));
                cx.reply(token, GroupResponse::CommitOffsets(topics));
            }
            Self::FetchOffsets(of, FetchGroup { group_id, topics }) => {
                let fetched = FetchedGroup {
                    group_id,
                    outcome: Err(refusal),
                    asked: topics,
                };
                cx.answer_part(of, Part::Fetched(fetched));
            }
            Self::DeleteOffsets(token, _) => cx.reply(token, GroupResponse::DeleteOffsets(Err(refusal))),
            Self::Delete(of) => {
                let group_id = group_id.clone();
                let outcome = Err(refusal);
                cx.answer_part(of, Part::Deleted(DeletedGroup { group_id, outcome }));
            }
            Self::ForgetTopics(_) | Self::CleanUp => {}
        }
    }
}

// Kafka: GroupCoordinatorService.leaveGroup: an unknown group is told member by member
fn refuse_leave(request: LeaveRequest, refusal: Refusal) -> Result<Vec<LeftMember>, Refusal> {
    if refusal != Refusal::UnknownMemberId {
        return Err(refusal);
    }
    let left = |member: super::LeavingMember| LeftMember {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        outcome: Err(refusal),
    };
    Ok(request.members.into_iter().map(left).collect())
}

/// The outcome of every partition of a request.
pub(super) fn outcomes<P>(
    topics: Vec<TopicPartitions<P>>,
    mut outcome: impl FnMut(P) -> (i32, Result<(), Refusal>),
) -> Vec<TopicPartitions<PartitionOutcome>> {
    let mut partition_outcome = |asked| {
        let (partition, outcome) = outcome(asked);
        PartitionOutcome { partition, outcome }
    };
    topics
        .into_iter()
        .map(|topic| TopicPartitions {
            name: topic.name,
            id: topic.id,
            partitions: topic.partitions.into_iter().map(&mut partition_outcome).collect(),
        })
        .collect()
}

/// Records to append, and what follows when they are.
#[derive(Debug)]
#[must_use]
pub(super) struct Write {
    pub(super) records: Vec<CoordinatorRecord>,
    pub(super) then: Then,
}

/// What follows an append.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing more than the records applied; a failure is made good by the next append.
    Nothing,
    /// The first record of a new group.
    Created,
    /// The leader's assignment: the group is Stable.
    Assigned(Vec<(Arc<str>, bytes::Bytes)>),
    /// A static member has a new id.
    Replaced(alloc::boxed::Box<Replacement>),
    /// Offsets were committed.
    Committed(Token, Vec<TopicPartitions<PartitionOutcome>>),
    /// Offsets were deleted.
    OffsetsDeleted(Token, Vec<TopicPartitions<PartitionOutcome>>),
    /// The group was deleted.
    Deleted(PartOf),
}
