//! The member's words in the coordinator's and back, as a client and a broker of the newest version would.

use std::collections::BTreeMap;

use kohort_groups::coordinator::{self as broker, GroupRequest, GroupResponse};
use kohort_groups::member::{
    Failure, JoinResponse, MemberRequest, MemberResponse, PROTOCOL_TYPE, Refusal, SyncResponse,
};
use kohort_groups::wire::consumer_protocol::{
    decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};

pub(crate) fn request(request: MemberRequest) -> GroupRequest {
    match request {
        MemberRequest::Join(join) => {
            let protocols = join
                .protocols
                .into_iter()
                .map(|(name, subscription)| broker::JoinProtocol {
                    name,
                    metadata: encode_subscription(&subscription).expect("short strings"),
                });
            GroupRequest::Join(broker::JoinRequest {
                group_id: join.group_id,
                member_id: join.member_id,
                group_instance_id: join.group_instance_id,
                session_timeout_ms: join.session_timeout.as_millis() as i32,
                rebalance_timeout_ms: join.rebalance_timeout.as_millis() as i32,
                protocol_type: PROTOCOL_TYPE.into(),
                protocols: protocols.collect(),
                reason: Some(join.reason.to_string()),
                requires_known_member_id: true,
                supports_skipping_assignment: true,
            })
        }
        MemberRequest::Sync(sync) => {
            let assignments = sync.assignments.iter().map(|(member, assignment)| {
                let bytes = encode_assignment(assignment).expect("short strings");
                (member.as_str().into(), bytes)
            });
            GroupRequest::Sync(broker::SyncRequest {
                group_id: sync.group_id,
                generation: sync.identity.generation,
                member_id: sync.identity.member_id,
                group_instance_id: sync.identity.group_instance_id,
                protocol_type: Some(PROTOCOL_TYPE.into()),
                protocol: Some(sync.protocol),
                assignments: assignments.collect(),
            })
        }
        MemberRequest::Heartbeat(beat) => GroupRequest::Heartbeat(broker::HeartbeatRequest {
            group_id: beat.group_id,
            generation: beat.identity.generation,
            member_id: beat.identity.member_id,
            group_instance_id: beat.identity.group_instance_id,
        }),
        MemberRequest::Leave(leave) => GroupRequest::Leave(broker::LeaveRequest {
            group_id: leave.group_id,
            members: vec![broker::LeavingMember {
                member_id: leave.member_id,
                group_instance_id: None,
                reason: Some(leave.reason.to_string()),
            }],
        }),
    }
}

pub(crate) fn response(response: GroupResponse) -> Result<MemberResponse, Failure> {
    match response {
        GroupResponse::Join(join) => {
            if join.outcome == Err(broker::Refusal::MemberIdRequired) {
                let member_id = join.member_id;
                return Err(Failure::Refused(Refusal::MemberIdRequired { member_id }));
            }
            let joined = join.outcome.map_err(refusal)?;
            let mut members = BTreeMap::new();
            for member in joined.members {
                let mut subscription = decode_subscription(member.metadata).expect("written by a member");
                subscription.group_instance_id = member.group_instance_id;
                members.insert(member.member_id.to_string(), subscription);
            }
            Ok(MemberResponse::Join(JoinResponse {
                generation: joined.generation,
                member_id: join.member_id,
                leader: joined.leader.expect("a generation has a leader"),
                protocol_type: joined.protocol_type,
                protocol: joined.protocol.expect("a generation has an assignor"),
                skip_assignment: joined.skip_assignment,
                members,
            }))
        }
        GroupResponse::Sync(result) => {
            let synced = result.map_err(refusal)?;
            Ok(MemberResponse::Sync(SyncResponse {
                protocol_type: synced.protocol_type,
                protocol: synced.protocol,
                assignment: decode_assignment(synced.assignment).expect("written by the leader"),
            }))
        }
        GroupResponse::Heartbeat(result) => result.map(|()| MemberResponse::Heartbeat).map_err(refusal),
        GroupResponse::Leave(result) => {
            for left in result.map_err(refusal)? {
                left.outcome.map_err(refusal)?;
            }
            Ok(MemberResponse::Leave)
        }
        other => panic!("no member asked for {other:?}"),
    }
}

fn refusal(refusal: broker::Refusal) -> Failure {
    Failure::Refused(match refusal {
        broker::Refusal::LoadInProgress => Refusal::CoordinatorLoadInProgress,
        broker::Refusal::NotAvailable => Refusal::CoordinatorNotAvailable,
        broker::Refusal::NotCoordinator => Refusal::NotCoordinator,
        broker::Refusal::UnknownMemberId => Refusal::UnknownMemberId,
        broker::Refusal::FencedInstanceId => Refusal::FencedInstanceId,
        broker::Refusal::IllegalGeneration => Refusal::IllegalGeneration,
        broker::Refusal::RebalanceInProgress => Refusal::RebalanceInProgress,
        other => panic!("a member is refused with {other:?}"),
    })
}
