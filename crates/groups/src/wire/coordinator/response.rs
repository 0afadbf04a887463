//! Responses to Kafka's messages, shaped as their version wants them.

use alloc::format;
use alloc::string::{String, ToString};

use kohort_protocol::messages;
use kohort_protocol::messages::delete_groups::DeletableGroupResult;
use kohort_protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use kohort_protocol::messages::join_group::JoinGroupResponseMember;
use kohort_protocol::messages::leave_group::MemberResponse;
use kohort_protocol::messages::list_groups::ListedGroup;
use kohort_protocol::{ResponseBody, error_message};

use super::{code, error_code, offsets, owned};
use crate::coordinator::{
    self, GroupDescription, GroupResponse, JoinResponse, JoinedGroup, LeftMember, Refusal, SyncedMember,
};

/// The state of a group that does not exist.
// Kafka: ClassicGroupState.DEAD
const DEAD: &str = "Dead";

/// The generation in a response that has none.
// Kafka: JoinGroupRequest.UNKNOWN_GENERATION_ID
const NO_GENERATION: i32 = -1;

/// The response in `version` of its API.
pub fn response(response: GroupResponse, version: i16) -> ResponseBody {
    match response {
        GroupResponse::Join(joined) => join(joined, version).into(),
        GroupResponse::Sync(result) => sync(result).into(),
        GroupResponse::Heartbeat(result) => messages::HeartbeatResponse {
            error_code: code(result),
            ..Default::default()
        }
        .into(),
        GroupResponse::Leave(result) => leave(result, version).into(),
        GroupResponse::CommitOffsets(topics) => offsets::committed(topics).into(),
        GroupResponse::FetchOffsets(groups) => offsets::fetched(groups, version).into(),
        GroupResponse::DeleteOffsets(result) => offsets::deleted(result).into(),
        GroupResponse::Describe(groups) => messages::DescribeGroupsResponse {
            groups: groups.into_iter().map(described).collect(),
            ..Default::default()
        }
        .into(),
        GroupResponse::List(result) => list(result).into(),
        GroupResponse::Delete(groups) => messages::DeleteGroupsResponse {
            results: groups
                .into_iter()
                .map(|group| DeletableGroupResult {
                    group_id: group.group_id.to_string(),
                    error_code: code(group.outcome),
                })
                .collect(),
            ..Default::default()
        }
        .into(),
    }
}

fn join(response: JoinResponse, version: i16) -> messages::JoinGroupResponse {
    let member_id = response.member_id.to_string();
    let mut message = match response.outcome {
        Ok(joined) => joined_group(joined),
        Err(refusal) => messages::JoinGroupResponse {
            error_code: error_code(refusal).code(),
            generation_id: NO_GENERATION,
            protocol_name: None,
            ..Default::default()
        },
    };
    message.member_id = member_id;
    // Kafka: JoinGroupResponse: null cannot be told before version 7
    if version < 7 && message.protocol_name.is_none() {
        message.protocol_name = Some(String::new());
    }
    message
}

fn joined_group(joined: JoinedGroup) -> messages::JoinGroupResponse {
    let members = joined.members.into_iter();
    messages::JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: owned(joined.protocol_type),
        protocol_name: owned(joined.protocol),
        leader: owned(joined.leader).unwrap_or_default(),
        skip_assignment: joined.skip_assignment,
        members: members
            .map(|member| JoinGroupResponseMember {
                member_id: member.member_id.to_string(),
                group_instance_id: owned(member.group_instance_id),
                metadata: member.metadata,
            })
            .collect(),
        ..Default::default()
    }
}

fn sync(result: Result<SyncedMember, Refusal>) -> messages::SyncGroupResponse {
    match result {
        Ok(synced) => messages::SyncGroupResponse {
            protocol_type: owned(synced.protocol_type),
            protocol_name: owned(synced.protocol),
            assignment: synced.assignment,
            ..Default::default()
        },
        Err(refusal) => messages::SyncGroupResponse {
            error_code: error_code(refusal).code(),
            ..Default::default()
        },
    }
}

/// Before version 3 the one member's outcome is that of the request.
// Kafka: LeaveGroupResponse
fn leave(result: Result<alloc::vec::Vec<LeftMember>, Refusal>, version: i16) -> messages::LeaveGroupResponse {
    let mut message = messages::LeaveGroupResponse::default();
    match result {
        Err(refusal) => message.error_code = error_code(refusal).code(),
        Ok(left) if version < 3 => {
            let failed = left.into_iter().find_map(|member| member.outcome.err());
            message.error_code = code(failed.map_or(Ok(()), Err));
        }
        Ok(left) => {
            let member = |member: LeftMember| MemberResponse {
                member_id: member.member_id.to_string(),
                group_instance_id: owned(member.group_instance_id),
                error_code: code(member.outcome),
            };
            message.members = left.into_iter().map(member).collect();
        }
    }
    message
}

fn described(group: coordinator::DescribedGroup) -> DescribedGroup {
    let group_id = group.group_id.to_string();
    match group.outcome {
        Ok(Some(description)) => description_of(group_id, description),
        Ok(None) => DescribedGroup {
            group_id,
            group_state: DEAD.into(),
            ..Default::default()
        },
        // Kafka: GroupMetadataManager.describeGroups
        Err(Refusal::GroupIdNotFound) => DescribedGroup {
            error_code: error_code(Refusal::GroupIdNotFound).code(),
            error_message: error_message(format!("Group {group_id} not found.")),
            group_id,
            group_state: DEAD.into(),
            ..Default::default()
        },
        Err(refusal) => DescribedGroup {
            error_code: error_code(refusal).code(),
            group_id,
            ..Default::default()
        },
    }
}

fn description_of(group_id: String, description: GroupDescription) -> DescribedGroup {
    let members = description.members.into_iter();
    DescribedGroup {
        group_id,
        group_state: description.state.into(),
        protocol_type: owned(description.protocol_type).unwrap_or_default(),
        protocol_data: owned(description.protocol).unwrap_or_default(),
        members: members
            .map(|member| DescribedGroupMember {
                member_id: member.member_id.to_string(),
                group_instance_id: owned(member.group_instance_id),
                client_id: member.client_id.to_string(),
                client_host: member.client_host.to_string(),
                member_metadata: member.metadata,
                member_assignment: member.assignment,
            })
            .collect(),
        ..Default::default()
    }
}

fn list(result: Result<alloc::vec::Vec<coordinator::ListedGroup>, Refusal>) -> messages::ListGroupsResponse {
    let groups = match result {
        Ok(groups) => groups,
        Err(refusal) => {
            return messages::ListGroupsResponse {
                error_code: error_code(refusal).code(),
                ..Default::default()
            };
        }
    };
    messages::ListGroupsResponse {
        groups: groups
            .into_iter()
            .map(|group| ListedGroup {
                group_id: group.group_id.to_string(),
                protocol_type: owned(group.protocol_type).unwrap_or_default(),
                group_state: group.state.into(),
                group_type: group.group_type.into(),
            })
            .collect(),
        ..Default::default()
    }
}
