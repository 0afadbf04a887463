//! Groups.

use alloc::vec;
use alloc::vec::Vec;

use kohort_groups::wire::consumer_protocol::encode_assignment;
use kohort_groups::{Assignment, TopicPartition};
use kohort_protocol::messages::delete_groups::DeletableGroupResult;
use kohort_protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use kohort_protocol::messages::leave_group::MemberResponse;
use kohort_protocol::messages::list_groups::ListedGroup;
use kohort_protocol::messages::{
    DeleteGroupsResponse, DescribeGroupsResponse, LeaveGroupResponse, ListGroupsResponse,
};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, VersionRange};

use super::{SECOND, admin, cluster, names, refused, reply, run};
use crate::admin::{AdminCommand, AdminError, AdminReply};
use crate::client::testing::Network;

#[test]
fn groups_are_listed_by_all_brokers() {
    let mut admin = cluster();
    let command = AdminCommand::ListGroups {
        states: vec!["Stable".into()],
        types: vec![],
    };
    run(&mut admin, command);
    let listed = |id: &str, error: ErrorCode| ListGroupsResponse {
        error_code: error.code(),
        groups: vec![ListedGroup {
            group_id: id.into(),
            protocol_type: "consumer".into(),
            group_state: "Stable".into(),
            group_type: "classic".into(),
        }],
        ..Default::default()
    };
    let (first, second) = (admin.expect(ApiKey::ListGroups), admin.expect(ApiKey::ListGroups));
    let RequestBody::ListGroups(request) = &first.body else {
        panic!("{first:?}");
    };
    assert_eq!(request.states_filter, ["Stable"]);
    assert!(admin.answer(&first, listed("b", ErrorCode::None)).is_empty());
    assert!(
        admin
            .answer(&second, listed("", ErrorCode::CoordinatorLoadInProgress))
            .is_empty()
    );
    admin.advance(SECOND);
    let again = admin.expect(ApiKey::ListGroups);
    assert_eq!(again.port, second.port);
    let AdminReply::GroupsListed { groups, failed } =
        reply(admin.answer(&again, listed("a", ErrorCode::None)))
    else {
        panic!();
    };
    let coordinators: Vec<(&str, i32)> = groups
        .iter()
        .map(|group| (&*group.id, group.coordinator))
        .collect();
    assert_eq!(
        coordinators,
        [
            ("a", i32::from(second.port) - 9000),
            ("b", i32::from(first.port) - 9000)
        ]
    );
    assert!(failed.is_empty());
}

#[test]
fn a_broker_that_does_not_know_states_fails_alone() {
    let mut network = Network::with_cluster(1, &[]);
    network
        .versions
        .insert(ApiKey::ListGroups, VersionRange { min: 0, max: 3 });
    let mut admin = admin(network);
    let command = AdminCommand::ListGroups {
        states: vec!["Stable".into()],
        types: vec![],
    };
    let AdminReply::GroupsListed { groups, failed } = reply(run(&mut admin, command)) else {
        panic!();
    };
    assert!(groups.is_empty());
    assert!(matches!(failed[&1], AdminError::Failed(_)));
}

#[test]
fn groups_are_described_by_their_coordinators() {
    let mut admin = cluster();
    run(
        &mut admin,
        AdminCommand::DescribeGroups {
            groups: names(&["g"]),
        },
    );
    let arrived = admin.expect(ApiKey::DescribeGroups);
    let assignment = Assignment {
        partitions: vec![TopicPartition::new("t", 1)],
        user_data: None,
    };
    let member = DescribedGroupMember {
        member_id: "m".into(),
        client_id: "c".into(),
        client_host: "/10.0.0.1".into(),
        member_assignment: encode_assignment(&assignment).unwrap(),
        ..Default::default()
    };
    let group = DescribedGroup {
        group_id: "g".into(),
        group_state: "Stable".into(),
        protocol_type: "consumer".into(),
        protocol_data: "range".into(),
        members: vec![member],
        ..Default::default()
    };
    let response = DescribeGroupsResponse {
        groups: vec![group],
        ..Default::default()
    };
    let AdminReply::GroupsDescribed(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    let group = results["g"].as_ref().unwrap();
    assert_eq!((&*group.assignor, group.coordinator), ("range", Some(1)));
    assert_eq!(group.members[0].assigned, [TopicPartition::new("t", 1)]);
}

#[test]
fn a_coordinator_that_moved_is_looked_up_again() {
    let mut admin = cluster();
    run(
        &mut admin,
        AdminCommand::DeleteGroups {
            groups: names(&["g"]),
        },
    );
    let arrived = admin.expect(ApiKey::DeleteGroups);
    assert_eq!(arrived.port, 9001);
    let deleted = |error: ErrorCode| DeleteGroupsResponse {
        results: vec![DeletableGroupResult {
            group_id: "g".into(),
            error_code: error.code(),
        }],
        ..Default::default()
    };
    admin.network.coordinator = Some(2);
    assert!(
        admin
            .answer(&arrived, deleted(ErrorCode::NotCoordinator))
            .is_empty()
    );
    admin.advance(SECOND);
    let again = admin.expect(ApiKey::DeleteGroups);
    assert_eq!(again.port, 9002);
    let AdminReply::GroupsDeleted(results) = reply(admin.answer(&again, deleted(ErrorCode::NonEmptyGroup)))
    else {
        panic!();
    };
    assert_eq!(results["g"], Err(refused(ErrorCode::NonEmptyGroup)));
}

#[test]
fn static_members_are_removed_by_their_instance_ids() {
    let mut admin = cluster();
    let command = AdminCommand::RemoveMembers {
        group: "g".into(),
        instances: names(&["a", "b"]).into_iter().collect(),
        reason: Some("gone".into()),
    };
    run(&mut admin, command);
    let arrived = admin.expect(ApiKey::LeaveGroup);
    let RequestBody::LeaveGroup(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    let member = &request.members[0];
    assert_eq!(
        (
            &*member.member_id,
            member.group_instance_id.as_deref(),
            member.reason.as_deref()
        ),
        ("", Some("a"), Some("gone"))
    );
    let left = |instance: &str, error: ErrorCode| MemberResponse {
        group_instance_id: Some(instance.into()),
        error_code: error.code(),
        ..Default::default()
    };
    let response = LeaveGroupResponse {
        members: vec![left("a", ErrorCode::None), left("b", ErrorCode::UnknownMemberId)],
        ..Default::default()
    };
    let AdminReply::MembersRemoved(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert_eq!(results["a"], Ok(()));
    assert_eq!(results["b"], Err(refused(ErrorCode::UnknownMemberId)));
}
