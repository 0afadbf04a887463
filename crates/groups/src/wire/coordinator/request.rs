//! Requests from Kafka's messages. What a version can or cannot do becomes a named capability here.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_protocol::RequestBody;
use kohort_protocol::messages;

use super::{offsets, shared};
use crate::coordinator::{
    DeleteRequest, DescribeRequest, GroupRequest, HeartbeatRequest, JoinProtocol, JoinRequest, LeaveRequest,
    LeavingMember, ListRequest, SyncRequest,
};

/// The request to the coordinator, as its version means it; `None` when the API is not one of the coordinator's.
pub fn request(body: RequestBody, version: i16) -> Option<GroupRequest> {
    Some(match body {
        RequestBody::JoinGroup(message) => GroupRequest::Join(join(*message, version)),
        RequestBody::SyncGroup(message) => GroupRequest::Sync(sync(*message)),
        RequestBody::Heartbeat(message) => GroupRequest::Heartbeat(heartbeat(*message)),
        RequestBody::LeaveGroup(message) => GroupRequest::Leave(leave(*message, version)),
        RequestBody::OffsetCommit(message) => GroupRequest::CommitOffsets(offsets::commit(*message, version)),
        RequestBody::OffsetFetch(message) => GroupRequest::FetchOffsets(offsets::fetch(*message, version)),
        RequestBody::OffsetDelete(message) => GroupRequest::DeleteOffsets(offsets::delete(*message)),
        RequestBody::DescribeGroups(message) => GroupRequest::Describe(DescribeRequest {
            groups: once_each(message.groups),
            names_missing_group: version >= 6,
        }),
        RequestBody::ListGroups(message) => GroupRequest::List(ListRequest {
            states: message.states_filter,
            types: message.types_filter,
        }),
        // Kafka: DeleteGroupsRequest names are a set in effect: each group has one result
        RequestBody::DeleteGroups(message) => GroupRequest::Delete(DeleteRequest {
            groups: once_each(message.groups_names),
        }),
        _ => return None,
    })
}

/// Each group once, in the order asked for. Kafka describes a group as often as it is named; here a few bytes must not buy another
/// copy of a large answer.
fn once_each(names: Vec<String>) -> Vec<Arc<str>> {
    let mut seen = BTreeSet::new();
    let names = names.into_iter().map(Arc::<str>::from);
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// Bytes in memory of their own: what a group keeps of a request must not hold all of its frame, which may be much larger.
fn apart(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn join(message: messages::JoinGroupRequest, version: i16) -> JoinRequest {
    // Kafka: JoinGroupRequest.maybeOverrideRebalanceTimeout
    let rebalance_timeout_ms = match version {
        0 => message.session_timeout_ms,
        _ => message.rebalance_timeout_ms,
    };
    // A name that comes twice counts once, as in Kafka's keyed collections.
    let mut seen = BTreeSet::new();
    let protocols = message.protocols.into_iter();
    let protocols = protocols
        .filter(|protocol| seen.insert(protocol.name.clone()))
        .map(|protocol| JoinProtocol {
            name: protocol.name.into(),
            metadata: apart(&protocol.metadata),
        })
        .collect();
    JoinRequest {
        group_id: message.group_id.into(),
        member_id: message.member_id.into(),
        group_instance_id: shared(message.group_instance_id),
        session_timeout_ms: message.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: message.protocol_type.into(),
        protocols,
        reason: message.reason.filter(|reason| !reason.is_empty()),
        requires_known_member_id: version >= 4,
        supports_skipping_assignment: version >= 9,
    }
}

fn sync(message: messages::SyncGroupRequest) -> SyncRequest {
    let assignments = message.assignments.into_iter();
    SyncRequest {
        group_id: message.group_id.into(),
        generation: message.generation_id,
        member_id: message.member_id.into(),
        group_instance_id: shared(message.group_instance_id),
        protocol_type: shared(message.protocol_type),
        protocol: shared(message.protocol_name),
        assignments: assignments
            .map(|one| (one.member_id.into(), apart(&one.assignment)))
            .collect(),
    }
}

fn heartbeat(message: messages::HeartbeatRequest) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: message.group_id.into(),
        generation: message.generation_id,
        member_id: message.member_id.into(),
        group_instance_id: shared(message.group_instance_id),
    }
}

// Kafka: LeaveGroupRequest.members
fn leave(message: messages::LeaveGroupRequest, version: i16) -> LeaveRequest {
    let members = match version {
        ..3 => Vec::from([LeavingMember {
            member_id: message.member_id.into(),
            group_instance_id: None,
            reason: None,
        }]),
        _ => message
            .members
            .into_iter()
            .map(|member| LeavingMember {
                member_id: member.member_id.into(),
                group_instance_id: shared(member.group_instance_id),
                reason: member.reason,
            })
            .collect(),
    };
    LeaveRequest {
        group_id: message.group_id.into(),
        members,
    }
}
