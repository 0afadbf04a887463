//! Requests of every version, and the responses that members must survive.

use alloc::boxed::Box;

use bytes::Bytes;
use kohort_protocol::messages::join_group::JoinGroupResponseMember;
use kohort_protocol::messages::leave_group::MemberResponse as LeftMember;
use kohort_protocol::messages::{HeartbeatResponse, MetadataResponse};
use kohort_protocol::{ApiKey, Reader};

use super::*;
use crate::member::HeartbeatRequest as Beat;
use crate::{Assignment, Identity, Subscription, TopicPartition};

fn join(group_instance_id: Option<&str>) -> MemberRequest {
    let subscription = Subscription {
        topics: vec!["t".into()],
        ..Subscription::default()
    };
    MemberRequest::Join(Box::new(JoinRequest {
        group_id: "g".into(),
        session_timeout: Duration::from_secs(45),
        rebalance_timeout: Duration::MAX,
        member_id: "m".into(),
        group_instance_id: group_instance_id.map(Arc::from),
        protocols: vec![("range".into(), subscription)],
        reason: "why".into(),
    }))
}

fn identity(group_instance_id: Option<&str>) -> Identity {
    Identity {
        member_id: "m".into(),
        generation: 3,
        group_instance_id: group_instance_id.map(Arc::from),
    }
}

fn sync(group_instance_id: Option<&str>) -> MemberRequest {
    let assignment = Assignment {
        partitions: vec![TopicPartition::new("t", 1)],
        user_data: None,
    };
    MemberRequest::Sync(Box::new(SyncRequest {
        group_id: "g".into(),
        identity: identity(group_instance_id),
        protocol: "range".into(),
        assignments: BTreeMap::from([("m".to_string(), assignment)]),
    }))
}

fn heartbeat(group_instance_id: Option<&str>) -> MemberRequest {
    MemberRequest::Heartbeat(Box::new(Beat {
        group_id: "g".into(),
        identity: identity(group_instance_id),
    }))
}

fn leave() -> MemberRequest {
    MemberRequest::Leave(Box::new(LeaveRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        reason: "why".into(),
    }))
}

/// The request as the coordinator reads it.
fn sent(of: &MemberRequest, key: ApiKey, version: i16) -> RequestBody {
    let body = request(of, version).expect("the version can say it");
    let mut out = bytes::BytesMut::new();
    body.encode(version, &mut out).expect("the version can say it");
    RequestBody::decode(key, version, &mut Reader::new(out.freeze())).expect("just written")
}

#[test]
fn each_request_is_said_in_each_version() {
    for version in 0..=9 {
        let RequestBody::JoinGroup(message) = sent(&join(None), ApiKey::JoinGroup, version) else {
            panic!("not a JoinGroup");
        };
        assert_eq!(
            (
                &*message.group_id,
                &*message.member_id,
                message.session_timeout_ms
            ),
            ("g", "m", 45_000)
        );
        assert_eq!(
            message.rebalance_timeout_ms,
            if version == 0 { -1 } else { i32::MAX }
        );
        assert_eq!(message.reason.as_deref(), (version >= 8).then_some("why"));
        let metadata = message.protocols[0].metadata.clone();
        assert_eq!(
            decode_subscription(metadata).expect("a subscription").topics,
            [Arc::from("t")]
        );
    }
    for version in 0..=5 {
        let RequestBody::SyncGroup(message) = sent(&sync(None), ApiKey::SyncGroup, version) else {
            panic!("not a SyncGroup");
        };
        assert_eq!((message.generation_id, message.assignments.len()), (3, 1));
        assert_eq!(
            message.protocol_name.as_deref(),
            (version >= 5).then_some("range")
        );
        let RequestBody::LeaveGroup(message) = sent(&leave(), ApiKey::LeaveGroup, version) else {
            panic!("not a LeaveGroup");
        };
        if version < 3 {
            assert_eq!(message.member_id, "m");
        } else {
            assert_eq!(message.members[0].member_id, "m");
            assert_eq!(
                message.members[0].reason.as_deref(),
                (version >= 5).then_some("why")
            );
        }
    }
    for version in 0..=4 {
        let RequestBody::Heartbeat(message) = sent(&heartbeat(None), ApiKey::Heartbeat, version) else {
            panic!("not a Heartbeat");
        };
        assert_eq!((message.generation_id, &*message.member_id), (3, "m"));
    }
}

#[test]
fn a_static_member_needs_versions_that_can_name_it() {
    for (of, key, since) in [
        (join(Some("i")), ApiKey::JoinGroup, 5),
        (sync(Some("i")), ApiKey::SyncGroup, 3),
        (heartbeat(Some("i")), ApiKey::Heartbeat, 3),
    ] {
        assert!(matches!(
            request(&of, since - 1),
            Err(Failure::Unsupported { .. })
        ));
        sent(&of, key, since);
    }
}

fn join_response(metadata: Bytes) -> ResponseBody {
    let member = JoinGroupResponseMember {
        member_id: "n".into(),
        group_instance_id: Some("i".into()),
        metadata,
    };
    let message = JoinGroupResponse {
        generation_id: 3,
        protocol_name: Some("range".into()),
        leader: "m".into(),
        member_id: "m".into(),
        members: vec![member],
        ..JoinGroupResponse::default()
    };
    message.into()
}

#[test]
fn a_join_tells_the_leader_who_the_members_are() {
    let subscription = Subscription {
        topics: vec!["t".into()],
        ..Subscription::default()
    };
    let metadata = encode_subscription(&subscription).expect("short strings");
    let Ok(MemberResponse::Join(joined)) = response(join_response(metadata)) else {
        panic!("not joined");
    };
    assert_eq!(
        (joined.generation, &*joined.protocol, joined.protocol_type),
        (3, "range", None)
    );
    assert_eq!(joined.members["n"].topics, [Arc::from("t")]);
    assert_eq!(joined.members["n"].group_instance_id.as_deref(), Some("i"));
}

#[test]
fn the_malformed_subscription_of_another_member_is_an_error_that_names_it() {
    let Err(Failure::Malformed { detail }) = response(join_response(Bytes::from_static(&[0, 1, 0x7f])))
    else {
        panic!("it was read");
    };
    assert!(detail.contains("member n"), "{detail}");
}

#[test]
fn a_member_that_its_leader_forgot_gets_an_error() {
    let forgotten = SyncGroupResponse::default();
    assert!(matches!(
        response(forgotten.into()),
        Err(Failure::Malformed { .. })
    ));
}

#[test]
fn an_assignment_is_read() {
    let assignment = Assignment {
        partitions: vec![TopicPartition::new("t", 1)],
        user_data: None,
    };
    let message = SyncGroupResponse {
        assignment: encode_assignment(&assignment).expect("short strings"),
        ..SyncGroupResponse::default()
    };
    let expected = SyncResponse {
        assignment,
        ..SyncResponse::default()
    };
    assert_eq!(response(message.into()), Ok(MemberResponse::Sync(expected)));
}

#[test]
fn the_id_to_join_with_is_part_of_the_refusal() {
    let message = JoinGroupResponse {
        error_code: 79,
        member_id: "c-1".into(),
        ..JoinGroupResponse::default()
    };
    let member_id = "c-1".into();
    assert_eq!(
        response(message.into()),
        Err(Failure::Refused(Refusal::MemberIdRequired { member_id }))
    );
}

#[test]
fn error_codes_are_told_apart() {
    let beat = |error_code| {
        response(
            HeartbeatResponse {
                error_code,
                ..HeartbeatResponse::default()
            }
            .into(),
        )
    };
    assert_eq!(beat(0), Ok(MemberResponse::Heartbeat));
    for (code, refusal) in [
        (14, Refusal::CoordinatorLoadInProgress),
        (15, Refusal::CoordinatorNotAvailable),
        (16, Refusal::NotCoordinator),
        (22, Refusal::IllegalGeneration),
        (23, Refusal::InconsistentGroupProtocol),
        (24, Refusal::InvalidGroupId),
        (25, Refusal::UnknownMemberId),
        (26, Refusal::InvalidSessionTimeout),
        (27, Refusal::RebalanceInProgress),
        (30, Refusal::GroupAuthorizationFailed),
        (35, Refusal::UnsupportedVersion),
        (81, Refusal::GroupMaxSizeReached),
        (82, Refusal::FencedInstanceId),
        (-1, Refusal::Other(-1)),
        (12_345, Refusal::Other(12_345)),
    ] {
        assert_eq!(beat(code), Err(Failure::Refused(refusal)));
    }
}

#[test]
fn leaving_is_refused_for_the_group_or_for_the_member() {
    let left = |error_code, of_member| {
        let member = LeftMember {
            error_code: of_member,
            ..LeftMember::default()
        };
        let message = LeaveGroupResponse {
            error_code,
            members: vec![member],
            ..LeaveGroupResponse::default()
        };
        response(message.into())
    };
    assert_eq!(left(0, 0), Ok(MemberResponse::Leave));
    assert_eq!(left(16, 0), Err(Failure::Refused(Refusal::NotCoordinator)));
    assert_eq!(left(0, 25), Err(Failure::Refused(Refusal::UnknownMemberId)));
}

#[test]
fn the_answer_to_another_api_is_malformed() {
    let body = MetadataResponse::default().into();
    assert!(matches!(response(body), Err(Failure::Malformed { .. })));
}
