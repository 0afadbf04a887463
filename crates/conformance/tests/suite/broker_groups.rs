//! The classic coordinator: joining, syncing, heartbeats, leaving, and what lists and descriptions say.

use kohort_conformance::unique;
use kohort_protocol::ErrorCode;
use kohort_protocol::consumer_protocol::{ConsumerProtocolSubscription, encode_versioned};
use kohort_protocol::messages::{
    DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, LeaveGroupRequest, ListGroupsRequest,
    describe_groups::DescribedGroup, leave_group::MemberIdentity,
};

use crate::setup::{Member, code, coordinator_ready, pair, wire};

fn heartbeat_request(member: &Member, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: member.group.clone(),
        generation_id: generation,
        member_id: member.id.clone(),
        group_instance_id: member.instance.clone(),
    }
}

/// One heartbeat; its error code.
pub(crate) async fn heartbeat(member: &mut Member, generation: i32) -> i16 {
    let request = heartbeat_request(member, generation);
    member.wire.call(4, request).await.error_code
}

/// Leaves; the error codes of the request and of the member.
pub(crate) async fn leave(member: &mut Member) -> (i16, i16) {
    let identity = MemberIdentity {
        member_id: member.id.clone(),
        group_instance_id: member.instance.clone(),
        reason: None,
    };
    let request = LeaveGroupRequest {
        group_id: member.group.clone(),
        members: vec![identity],
        ..Default::default()
    };
    let left = member.wire.call(5, request).await;
    (
        left.error_code,
        left.members.first().map_or(0, |member| member.error_code),
    )
}

/// What the coordinator says of a group.
pub(crate) async fn describe(group: &str, version: i16) -> DescribedGroup {
    let request = DescribeGroupsRequest {
        groups: vec![group.to_owned()],
        ..DescribeGroupsRequest::default()
    };
    wire().await.call(version, request).await.groups.remove(0)
}

// Kafka: FindCoordinatorRequest (KIP-699): batched since version 4
#[tokio::test]
async fn one_request_finds_the_coordinators_of_several_groups() {
    let mut wire = wire().await;
    let groups = vec![unique("group"), unique("group")];
    let request = FindCoordinatorRequest {
        coordinator_keys: groups.clone(),
        ..FindCoordinatorRequest::default()
    };
    loop {
        let found = wire.call(4, request.clone()).await;
        let keys: Vec<String> = found
            .coordinators
            .iter()
            .map(|coordinator| coordinator.key.clone())
            .collect();
        assert_eq!(keys, groups);
        if found
            .coordinators
            .iter()
            .all(|coordinator| coordinator.error_code == 0)
        {
            assert!(found.coordinators.iter().all(|coordinator| coordinator.port > 0));
            return;
        }
    }
}

// Kafka: GroupMetadataManager.classicGroupJoinNewDynamicMember; KIP-394
#[tokio::test]
async fn a_new_dynamic_member_must_join_again_with_the_id_it_is_given_from_version_4_on() {
    let group = unique("group");
    let mut member = Member::new(&group).await;
    let request = member.join_request();
    let refused = member.wire.call(4, request).await;
    assert_eq!(refused.error_code, code(ErrorCode::MemberIdRequired));
    assert!(
        refused.member_id.starts_with("wire-"),
        "client id, hyphen, UUID: {}",
        refused.member_id
    );
    member.id = refused.member_id;
    assert_eq!(member.join().await.error_code, 0);
}

// Kafka: GroupMetadataManager.classicGroupJoinNewDynamicMember
#[tokio::test]
async fn before_version_4_a_new_member_joins_at_once() {
    let mut member = Member::new(&unique("group")).await;
    let request = member.join_request();
    let joined = member.wire.call(3, request).await;
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(joined.leader, joined.member_id);
}

// Kafka: ClassicGroup: the first member leads; M7
#[tokio::test]
async fn the_first_member_leads_and_alone_learns_the_members() {
    let group = unique("group");
    let mut first = Member::new(&group).await;
    let mut second = Member::new(&group).await;
    first.settle_alone().await;
    second.begin_join().await;
    let lead = first.join().await;
    let follow = second.end_join().await;
    assert_eq!(
        (lead.leader.as_str(), follow.leader.as_str()),
        (first.id.as_str(), first.id.as_str())
    );
    assert_eq!((lead.members.len(), follow.members.len()), (2, 0));
    assert_eq!((lead.generation_id, follow.generation_id), (2, 2));
    assert_eq!(lead.protocol_name.as_deref(), Some("p"));
}

// Kafka: ClassicGroupState.COMPLETING_REBALANCE: followers wait for the leader's assignment
#[tokio::test]
async fn each_member_is_given_its_part_of_the_leaders_assignment() {
    let (mut leader, mut follower, generation) = pair(&unique("group")).await;
    assert_eq!(leader.sync(generation, &[]).await.assignment.as_ref(), b"first");
    assert_eq!(
        follower.sync(generation, &[]).await.assignment.as_ref(),
        b"second"
    );
}

// Kafka: GroupMetadataManager.setAndPropagateAssignment: a missing assignment is empty
#[tokio::test]
async fn a_member_that_the_leader_left_out_is_given_nothing() {
    let mut member = Member::new(&unique("group")).await;
    let generation = member.join().await.generation_id;
    let synced = member.sync(generation, &[]).await;
    assert_eq!((synced.error_code, synced.assignment.len()), (0, 0));
}

// Kafka: CoordinatorRuntime.append (RecordTooLargeException), GroupMetadataManager.classicGroupSyncToClassicGroup: the group's
// record must fit into `max.message.bytes` of `__consumer_offsets`, 1,048,588 by default
#[tokio::test]
async fn a_group_that_says_more_than_a_message_holds_is_not_stable_until_it_says_less() {
    let group = unique("group");
    let mut member = Member::new(&group).await;
    let generation = member.join().await.generation_id;
    let mut request = member.sync_request(generation, &[("", "")]);
    request.assignments[0].member_id = member.id.clone();
    request.assignments[0].assignment = vec![0; 1_048_588].into();
    let refused = member.wire.call(5, request).await;
    assert_eq!(refused.error_code, code(ErrorCode::UnknownServerError));
    assert_eq!(describe(&group, 5).await.group_state, "PreparingRebalance");
    // What members say when they join counts as well, and is not refused before.
    let small = member.metadata.clone();
    let large = ConsumerProtocolSubscription {
        topics: vec!["topic".to_owned()],
        user_data: Some(vec![0; 1_048_588].into()),
        ..Default::default()
    };
    member.metadata = encode_versioned(&large, 1).expect("version 1 carries user data");
    let joined = member.join().await;
    assert_eq!((joined.error_code, joined.generation_id), (0, generation + 1));
    let refused = member.sync(generation + 1, &[]).await;
    assert_eq!(refused.error_code, code(ErrorCode::UnknownServerError));
    member.metadata = small;
    member.settle_alone().await;
    assert_eq!(describe(&group, 5).await.group_state, "Stable");
}

// Kafka: GroupMetadataManager.classicGroupHeartbeat
#[tokio::test]
async fn heartbeats_of_strangers_and_of_old_generations_are_refused() {
    let mut member = Member::new(&unique("group")).await;
    let generation = member.settle_alone().await;
    assert_eq!(heartbeat(&mut member, generation).await, 0);
    assert_eq!(
        heartbeat(&mut member, generation - 1).await,
        code(ErrorCode::IllegalGeneration)
    );
    let mut stranger = Member::new(&member.group).await;
    stranger.id = "stranger".to_owned();
    assert_eq!(
        heartbeat(&mut stranger, generation).await,
        code(ErrorCode::UnknownMemberId)
    );
    stranger.group = unique("group");
    assert_eq!(
        heartbeat(&mut stranger, 1).await,
        code(ErrorCode::UnknownMemberId)
    );
}

// Kafka: GroupMetadataManager.classicGroupSync
#[tokio::test]
async fn syncs_of_strangers_old_generations_and_other_protocols_are_refused() {
    let mut member = Member::new(&unique("group")).await;
    let generation = member.settle_alone().await;
    assert_eq!(
        member.sync(generation + 1, &[]).await.error_code,
        code(ErrorCode::IllegalGeneration)
    );
    let mut request = member.sync_request(generation, &[]);
    request.protocol_name = Some("another".to_owned());
    assert_eq!(
        member.wire.call(5, request).await.error_code,
        code(ErrorCode::InconsistentGroupProtocol)
    );
    member.id = "stranger".to_owned();
    assert_eq!(
        member.sync(generation, &[]).await.error_code,
        code(ErrorCode::UnknownMemberId)
    );
}

// Kafka: GroupMetadataManager.classicGroupJoin (session bounds): 6 s to 30 min
#[tokio::test]
async fn a_session_timeout_outside_the_brokers_bounds_is_refused() {
    let group = unique("group");
    for session_timeout_ms in [0, 5_999, 1_800_001] {
        let mut member = Member::new(&group).await;
        member.session_timeout_ms = session_timeout_ms;
        let request = member.join_request();
        let refused = member.wire.call(9, request).await;
        assert_eq!(
            refused.error_code,
            code(ErrorCode::InvalidSessionTimeout),
            "{session_timeout_ms}"
        );
    }
}

// Kafka: GroupCoordinatorService.isGroupIdNotEmpty
#[tokio::test]
async fn an_empty_group_id_is_invalid() {
    let mut member = Member::new(&unique("group")).await;
    member.group = String::new();
    let request = member.join_request();
    assert_eq!(
        member.wire.call(9, request).await.error_code,
        code(ErrorCode::InvalidGroupId)
    );
}

// Kafka: GroupMetadataManager.classicGroupJoin
#[tokio::test]
async fn an_unknown_group_does_not_know_a_member_that_has_an_id() {
    let mut member = Member::new(&unique("group")).await;
    member.id = "from-before".to_owned();
    let request = member.join_request();
    assert_eq!(
        member.wire.call(9, request).await.error_code,
        code(ErrorCode::UnknownMemberId)
    );
}

// Kafka: ClassicGroup.supportsProtocols
#[tokio::test]
async fn a_member_without_a_common_protocol_is_refused() {
    let group = unique("group");
    Member::new(&group).await.settle_alone().await;
    let mut other = Member::new(&group).await;
    let mut request = other.join_request();
    request.protocols[0].name = "q".to_owned();
    assert_eq!(
        other.wire.call(9, request).await.error_code,
        code(ErrorCode::InconsistentGroupProtocol)
    );
    let mut request = other.join_request();
    request.protocol_type = "connect".to_owned();
    assert_eq!(
        other.wire.call(9, request).await.error_code,
        code(ErrorCode::InconsistentGroupProtocol)
    );
    let mut request = other.join_request();
    request.protocols.clear();
    assert_eq!(
        other.wire.call(9, request).await.error_code,
        code(ErrorCode::InconsistentGroupProtocol)
    );
}

// Kafka: GroupMetadataManager.classicGroupLeave; M50: the group rebalances at once
#[tokio::test]
async fn a_member_that_leaves_makes_the_others_rebalance() {
    let (mut leader, mut follower, generation) = pair(&unique("group")).await;
    assert_eq!(leave(&mut follower).await, (0, 0));
    assert_eq!(
        heartbeat(&mut leader, generation).await,
        code(ErrorCode::RebalanceInProgress)
    );
    let joined = leader.join().await;
    assert_eq!((joined.generation_id, joined.members.len()), (generation + 1, 1));
}

// Kafka: GroupMetadataManager.classicGroupLeaveToClassicGroup (KIP-345 batch)
#[tokio::test]
async fn a_stranger_cannot_leave() {
    let mut member = Member::new(&unique("group")).await;
    member.settle_alone().await;
    member.id = "stranger".to_owned();
    assert_eq!(leave(&mut member).await, (0, code(ErrorCode::UnknownMemberId)));
}

// Kafka: DescribeGroupsRequestTest
#[tokio::test]
async fn a_description_names_state_protocol_and_members() {
    let group = unique("group");
    let mut member = Member::new(&group).await;
    member.settle_alone().await;
    let described = describe(&group, 5).await;
    assert_eq!(
        (described.error_code, described.group_state.as_str()),
        (0, "Stable")
    );
    assert_eq!(
        (described.protocol_type.as_str(), described.protocol_data.as_str()),
        ("consumer", "p")
    );
    let only = &described.members[0];
    assert_eq!(
        (only.member_id.as_str(), only.client_id.as_str()),
        (member.id.as_str(), "wire")
    );
    assert!(only.client_host.starts_with('/'), "{}", only.client_host);
    assert_eq!(only.member_assignment.as_ref(), b"mine");
    leave(&mut member).await;
    assert_eq!(describe(&group, 5).await.group_state, "Empty");
}

// Kafka: DescribeGroupsRequestTest; KIP-1043: GROUP_ID_NOT_FOUND since version 6
#[tokio::test]
async fn a_group_that_is_not_there_is_dead_and_from_version_6_on_not_found() {
    let group = unique("group");
    coordinator_ready(&mut wire().await, &group).await;
    let before = describe(&group, 5).await;
    assert_eq!((before.error_code, before.group_state.as_str()), (0, "Dead"));
    let since = describe(&group, 6).await;
    assert_eq!(
        (since.error_code, since.group_state.as_str()),
        (code(ErrorCode::GroupIdNotFound), "Dead")
    );
}

// Kafka: ListGroupsRequestTest; KIP-518, KIP-848
#[tokio::test]
async fn a_list_is_filtered_by_state_and_type() {
    let group = unique("group");
    Member::new(&group).await.settle_alone().await;
    let mut wire = wire().await;
    let cases: [(&[&str], &[&str], bool); 5] = [
        (&[], &[], true),
        (&["Stable"], &[], true),
        (&["Empty"], &[], false),
        (&["stable"], &["Classic"], true),
        (&[], &["consumer"], false),
    ];
    for (states, types, listed) in cases {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let request = ListGroupsRequest {
            states_filter: owned(states),
            types_filter: owned(types),
        };
        let groups = wire.call(5, request).await.groups;
        let found = groups.iter().find(|listed| listed.group_id == group);
        assert_eq!(found.is_some(), listed, "{states:?} {types:?}");
        if let Some(found) = found {
            assert_eq!(
                (found.group_state.as_str(), found.group_type.as_str()),
                ("Stable", "classic")
            );
        }
    }
}
