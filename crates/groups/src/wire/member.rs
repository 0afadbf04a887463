//! A classic member's requests and responses as Kafka's messages: JoinGroup 0-9, SyncGroup 0-5, Heartbeat and LeaveGroup.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_protocol::messages::join_group::JoinGroupRequestProtocol;
use kohort_protocol::messages::leave_group::MemberIdentity;
use kohort_protocol::messages::sync_group::SyncGroupRequestAssignment;
use kohort_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kohort_protocol::{EncodeError, ErrorCode, RequestBody, ResponseBody};

use super::consumer_protocol::{
    decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};
use crate::member::{
    Failure, JoinRequest, JoinResponse, LeaveRequest, MemberRequest, MemberResponse, PROTOCOL_TYPE, Refusal,
    SyncRequest, SyncResponse,
};

/// The first version of LeaveGroup that names its members in a list.
const LEAVE_GROUP_BATCH: i16 = 3;

/// The request in `version` of its API, which the connection to the coordinator has agreed on.
///
/// # Errors
///
/// [`Failure::Unsupported`] when the version cannot name a static member, [`Failure::Malformed`] when a string is too long.
pub fn request(request: &MemberRequest, version: i16) -> Result<RequestBody, Failure> {
    match request {
        MemberRequest::Join(join) => {
            instance_fits(join.group_instance_id.as_ref(), version, 5)?;
            join_group(join).map(RequestBody::from)
        }
        MemberRequest::Sync(sync) => {
            instance_fits(sync.identity.group_instance_id.as_ref(), version, 3)?;
            sync_group(sync).map(RequestBody::from)
        }
        MemberRequest::Heartbeat(heartbeat) => {
            let identity = &heartbeat.identity;
            instance_fits(identity.group_instance_id.as_ref(), version, 3)?;
            let message = HeartbeatRequest {
                group_id: heartbeat.group_id.to_string(),
                generation_id: identity.generation,
                member_id: identity.member_id.to_string(),
                group_instance_id: owned(identity.group_instance_id.as_ref()),
            };
            Ok(message.into())
        }
        MemberRequest::Leave(leave) => Ok(leave_group(leave, version).into()),
    }
}

// KIP-345
fn instance_fits(instance: Option<&Arc<str>>, version: i16, since: i16) -> Result<(), Failure> {
    if instance.is_some() && version < since {
        let detail = "static members (group.instance.id)".into();
        return Err(Failure::Unsupported { detail });
    }
    Ok(())
}

fn join_group(join: &JoinRequest) -> Result<JoinGroupRequest, Failure> {
    let protocol = |(name, subscription): &(Arc<str>, _)| {
        Ok(JoinGroupRequestProtocol {
            name: name.to_string(),
            metadata: encode_subscription(subscription).map_err(too_long)?,
        })
    };
    Ok(JoinGroupRequest {
        group_id: join.group_id.to_string(),
        session_timeout_ms: millis(join.session_timeout),
        rebalance_timeout_ms: millis(join.rebalance_timeout),
        member_id: join.member_id.to_string(),
        group_instance_id: owned(join.group_instance_id.as_ref()),
        protocol_type: PROTOCOL_TYPE.into(),
        protocols: join.protocols.iter().map(protocol).collect::<Result<_, _>>()?,
        reason: Some(join.reason.to_string()),
    })
}

fn sync_group(sync: &SyncRequest) -> Result<SyncGroupRequest, Failure> {
    let assignment = |(member, assignment): (&String, _)| {
        Ok(SyncGroupRequestAssignment {
            member_id: member.clone(),
            assignment: encode_assignment(assignment).map_err(too_long)?,
        })
    };
    Ok(SyncGroupRequest {
        group_id: sync.group_id.to_string(),
        generation_id: sync.identity.generation,
        member_id: sync.identity.member_id.to_string(),
        group_instance_id: owned(sync.identity.group_instance_id.as_ref()),
        protocol_type: Some(PROTOCOL_TYPE.into()),
        protocol_name: Some(sync.protocol.to_string()),
        assignments: sync
            .assignments
            .iter()
            .map(assignment)
            .collect::<Result<_, _>>()?,
    })
}

// Kafka: LeaveGroupRequest.Builder.build
fn leave_group(leave: &LeaveRequest, version: i16) -> LeaveGroupRequest {
    let member_id = leave.member_id.to_string();
    let group_id = leave.group_id.to_string();
    if version < LEAVE_GROUP_BATCH {
        return LeaveGroupRequest {
            group_id,
            member_id,
            members: Vec::new(),
        };
    }
    let member = MemberIdentity {
        member_id,
        group_instance_id: None,
        reason: Some(leave.reason.to_string()),
    };
    LeaveGroupRequest {
        group_id,
        member_id: String::new(),
        members: vec![member],
    }
}

fn owned(text: Option<&Arc<str>>) -> Option<String> {
    text.map(|text| text.to_string())
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn too_long(error: EncodeError) -> Failure {
    Failure::Malformed {
        detail: error.to_string().into(),
    }
}

/// What the coordinator's answer says, whatever its version.
///
/// # Errors
///
/// The coordinator's refusal; [`Failure::Malformed`] when the body belongs to another API, or what another member or the
/// leader put into it cannot be read.
pub fn response(body: ResponseBody) -> Result<MemberResponse, Failure> {
    match body {
        ResponseBody::JoinGroup(message) => joined(*message).map(MemberResponse::Join),
        ResponseBody::SyncGroup(message) => synced(*message).map(MemberResponse::Sync),
        ResponseBody::Heartbeat(message) => accepted(message.error_code).map(|()| MemberResponse::Heartbeat),
        ResponseBody::LeaveGroup(message) => left(&message).map(|()| MemberResponse::Leave),
        other => Err(malformed(format!("the answer is of {}", other.api_key()))),
    }
}

fn joined(message: JoinGroupResponse) -> Result<JoinResponse, Failure> {
    if ErrorCode::from_code(message.error_code) == ErrorCode::MemberIdRequired {
        let member_id = message.member_id.into();
        return Err(Failure::Refused(Refusal::MemberIdRequired { member_id }));
    }
    accepted(message.error_code)?;
    let mut members = BTreeMap::new();
    for member in message.members {
        let mut subscription = decode_subscription(member.metadata).map_err(|error| {
            malformed(format!(
                "the subscription of member {}: {error}",
                member.member_id
            ))
        })?;
        subscription.group_instance_id = member.group_instance_id.map(Arc::from);
        members.insert(member.member_id, subscription);
    }
    Ok(JoinResponse {
        generation: message.generation_id,
        member_id: message.member_id.into(),
        leader: message.leader.into(),
        protocol_type: message.protocol_type.map(Arc::from),
        protocol: message.protocol_name.unwrap_or_default().into(),
        skip_assignment: message.skip_assignment,
        members,
    })
}

fn synced(message: SyncGroupResponse) -> Result<SyncResponse, Failure> {
    accepted(message.error_code)?;
    let assignment = decode_assignment(message.assignment)
        .map_err(|error| malformed(format!("the leader's assignment: {error}")))?;
    Ok(SyncResponse {
        protocol_type: message.protocol_type.map(Arc::from),
        protocol: message.protocol_name.map(Arc::from),
        assignment,
    })
}

// Kafka: LeaveGroupResponse.error: the group's error, else that of the one member
fn left(message: &LeaveGroupResponse) -> Result<(), Failure> {
    accepted(message.error_code)?;
    message
        .members
        .iter()
        .try_for_each(|member| accepted(member.error_code))
}

fn malformed(detail: String) -> Failure {
    Failure::Malformed {
        detail: detail.into(),
    }
}

fn accepted(code: i16) -> Result<(), Failure> {
    match refusal(ErrorCode::from_code(code)) {
        None => Ok(()),
        Some(refusal) => Err(Failure::Refused(refusal)),
    }
}

/// The refusal that an error code is; `None` for NONE. Also for the answers to commits.
pub fn refusal(code: ErrorCode) -> Option<Refusal> {
    Some(match code {
        ErrorCode::None => return None,
        ErrorCode::CoordinatorNotAvailable => Refusal::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator => Refusal::NotCoordinator,
        ErrorCode::CoordinatorLoadInProgress => Refusal::CoordinatorLoadInProgress,
        ErrorCode::UnknownMemberId => Refusal::UnknownMemberId,
        ErrorCode::IllegalGeneration => Refusal::IllegalGeneration,
        ErrorCode::RebalanceInProgress => Refusal::RebalanceInProgress,
        ErrorCode::FencedInstanceId => Refusal::FencedInstanceId,
        ErrorCode::InconsistentGroupProtocol => Refusal::InconsistentGroupProtocol,
        ErrorCode::InvalidSessionTimeout => Refusal::InvalidSessionTimeout,
        ErrorCode::InvalidGroupId => Refusal::InvalidGroupId,
        ErrorCode::GroupAuthorizationFailed => Refusal::GroupAuthorizationFailed,
        ErrorCode::GroupMaxSizeReached => Refusal::GroupMaxSizeReached,
        ErrorCode::UnsupportedVersion => Refusal::UnsupportedVersion,
        other => Refusal::Other(other.code()),
    })
}

#[cfg(test)]
mod tests;
