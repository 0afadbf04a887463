//! Commands against a scripted cluster on a driven clock.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::wire::consumer_protocol::encode_assignment;
use kohort_groups::{Assignment, OffsetAndMetadata, TopicPartition};
use kohort_machine::Token;
use kohort_protocol::messages::create_partitions::CreatePartitionsTopicResult;
use kohort_protocol::messages::create_topics::CreatableTopicResult;
use kohort_protocol::messages::delete_groups::DeletableGroupResult;
use kohort_protocol::messages::delete_topics::DeletableTopicResult;
use kohort_protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use kohort_protocol::messages::list_groups::ListedGroup;
use kohort_protocol::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kohort_protocol::messages::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kohort_protocol::messages::{
    CreatePartitionsResponse, CreateTopicsResponse, DeleteGroupsResponse, DeleteTopicsResponse,
    DescribeGroupsResponse, ListGroupsResponse, ListOffsetsResponse, OffsetCommitResponse,
    OffsetFetchResponse,
};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, VersionRange};

use super::{
    AdminAction, AdminCommand, AdminEngine, AdminError, AdminEvent, AdminReply, NewPartitions, NewTopic,
    OffsetSpec,
};
use crate::client::ClientConfig;
use crate::client::testing::{Arrived, Driven, Network};
use crate::consumer::IsolationLevel;

const SECOND: Duration = Duration::from_secs(1);

fn admin(network: Network) -> Driven<AdminEngine> {
    let config = ClientConfig::new([(String::from("kafka"), 9001)]);
    Driven::new(AdminEngine::new(config, 7), network)
}

fn cluster() -> Driven<AdminEngine> {
    admin(Network::with_cluster(2, &[("t", 2), ("u", 1)]))
}

fn run(admin: &mut Driven<AdminEngine>, command: AdminCommand) -> Vec<AdminAction> {
    admin.step(AdminEvent::Command {
        token: Token(1),
        timeout: 10 * SECOND,
        command: Box::new(command),
    })
}

fn reply(mut actions: Vec<AdminAction>) -> AdminReply {
    match (actions.pop(), actions.is_empty()) {
        (
            Some(AdminAction::Reply {
                token: Token(1),
                reply,
            }),
            true,
        ) => *reply,
        other => panic!("{other:?}"),
    }
}

fn names(of: &[&str]) -> Vec<Arc<str>> {
    of.iter().map(|name| Arc::from(*name)).collect()
}

fn refused(error: ErrorCode) -> AdminError {
    AdminError::Refused { error, message: None }
}

fn created(topics: &[(&str, ErrorCode)]) -> CreateTopicsResponse {
    let topic = |(name, error): &(&str, ErrorCode)| CreatableTopicResult {
        name: (*name).into(),
        error_code: error.code(),
        num_partitions: 3,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsResponse {
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn create(topics: &[&str]) -> AdminCommand {
    AdminCommand::CreateTopics {
        topics: topics.iter().map(|name| NewTopic::new(*name)).collect(),
        validate_only: false,
    }
}

#[test]
fn topics_are_created_by_the_controller_with_one_result_each() {
    let mut network = Network::with_cluster(2, &[]);
    network.metadata.as_mut().unwrap().controller_id = 2;
    let mut admin = admin(network);
    run(&mut admin, create(&["a", "b"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    assert_eq!(arrived.port, 9002);
    let RequestBody::CreateTopics(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    assert_eq!(
        (
            request.topics[0].num_partitions,
            request.topics[0].replication_factor
        ),
        (-1, -1)
    );
    let response = created(&[("a", ErrorCode::None), ("b", ErrorCode::TopicAlreadyExists)]);
    let AdminReply::TopicsCreated(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert_eq!(results["a"].as_ref().unwrap().partitions, Some(3));
    assert_eq!(results["b"], Err(refused(ErrorCode::TopicAlreadyExists)));
}

#[test]
fn a_controller_that_moved_is_looked_for_and_only_what_is_open_is_asked_again() {
    let mut admin = admin(Network::with_cluster(2, &[]));
    run(&mut admin, create(&["a", "b"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    assert_eq!(arrived.port, 9001);
    admin.network.metadata.as_mut().unwrap().controller_id = 2;
    let response = created(&[("a", ErrorCode::None), ("b", ErrorCode::NotController)]);
    assert!(admin.answer(&arrived, response).is_empty());
    admin.advance(SECOND);
    let again = admin.expect(ApiKey::CreateTopics);
    assert_eq!(again.port, 9002);
    let RequestBody::CreateTopics(request) = &again.body else {
        panic!("{again:?}");
    };
    assert_eq!(request.topics.len(), 1);
    let AdminReply::TopicsCreated(results) = reply(admin.answer(&again, created(&[("b", ErrorCode::None)])))
    else {
        panic!();
    };
    assert!(results.values().all(Result::is_ok));
}

#[test]
fn what_is_not_done_in_time_says_what_it_failed_with_last() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let mut actions = Vec::new();
    for _ in 0..100 {
        if let Some(arrived) = admin.network.take(ApiKey::CreateTopics) {
            actions.extend(admin.answer(&arrived, created(&[("a", ErrorCode::NotController)])));
        }
        actions.extend(admin.advance(SECOND / 10));
    }
    let AdminReply::TopicsCreated(results) = reply(actions) else {
        panic!();
    };
    let Err(AdminError::TimedOut { last: Some(last), .. }) = &results["a"] else {
        panic!("{results:?}");
    };
    assert_eq!(last, "NOT_CONTROLLER");
}

#[test]
fn a_lost_connection_is_asked_again() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    admin.network.cut(arrived.link);
    assert!(admin.advance(SECOND).is_empty());
    let again = admin.expect(ApiKey::CreateTopics);
    reply(admin.answer(&again, created(&[("a", ErrorCode::None)])));
}

#[test]
fn a_topic_that_the_answer_leaves_out_is_asked_for_again() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    assert!(
        admin
            .answer(&arrived, created(&[("x", ErrorCode::None)]))
            .is_empty()
    );
    admin.advance(SECOND);
    admin.expect(ApiKey::CreateTopics);
}

#[test]
fn a_command_without_items_is_answered_at_once() {
    let mut admin = cluster();
    assert_eq!(
        reply(run(&mut admin, create(&[]))),
        AdminReply::TopicsCreated(BTreeMap::new())
    );
}

#[test]
fn an_abandoned_command_has_no_reply() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    admin.step(AdminEvent::Abandon { token: Token(1) });
    assert!(
        admin
            .answer(&arrived, created(&[("a", ErrorCode::None)]))
            .is_empty()
    );
    assert!(admin.advance(60 * SECOND).is_empty());
}

#[test]
fn closing_answers_what_is_under_way() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let AdminReply::TopicsCreated(results) = reply(admin.step(AdminEvent::Close)) else {
        panic!();
    };
    assert!(matches!(results["a"], Err(AdminError::TimedOut { .. })));
    assert_eq!(admin.network.links().count(), 0);
}

#[test]
fn topics_are_deleted_by_name_in_all_versions() {
    for max in [5, 6] {
        let mut network = Network::with_cluster(1, &[]);
        network
            .versions
            .insert(ApiKey::DeleteTopics, VersionRange { min: 1, max });
        let mut admin = admin(network);
        run(
            &mut admin,
            AdminCommand::DeleteTopics {
                topics: names(&["a", "b"]),
            },
        );
        let arrived = admin.expect(ApiKey::DeleteTopics);
        assert_eq!(arrived.version, max);
        let result = |name: &str, error: ErrorCode| DeletableTopicResult {
            name: Some(name.into()),
            error_code: error.code(),
            ..Default::default()
        };
        let response = DeleteTopicsResponse {
            responses: vec![
                result("a", ErrorCode::None),
                result("b", ErrorCode::UnknownTopicOrPartition),
            ],
            ..Default::default()
        };
        let AdminReply::Topics(results) = reply(admin.answer(&arrived, response)) else {
            panic!();
        };
        assert_eq!(results["a"], Ok(()));
        assert_eq!(results["b"], Err(refused(ErrorCode::UnknownTopicOrPartition)));
    }
}

#[test]
fn partitions_are_added() {
    let mut admin = cluster();
    let wanted = NewPartitions {
        topic: "t".into(),
        total: 1,
    };
    let command = AdminCommand::CreatePartitions {
        topics: vec![wanted],
        validate_only: true,
    };
    run(&mut admin, command);
    let arrived = admin.expect(ApiKey::CreatePartitions);
    let result = CreatePartitionsTopicResult {
        name: "t".into(),
        error_code: ErrorCode::InvalidPartitions.code(),
        error_message: Some("fewer than before".into()),
    };
    let response = CreatePartitionsResponse {
        results: vec![result],
        ..Default::default()
    };
    let AdminReply::Topics(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    let error = results["t"].as_ref().unwrap_err();
    assert_eq!(error.to_string(), "INVALID_PARTITIONS: fewer than before");
}

#[test]
fn topics_are_listed_without_kafkas_own() {
    let mut network = Network::with_cluster(1, &[("t", 1), ("__consumer_offsets", 50)]);
    network.metadata.as_mut().unwrap().topics[1].is_internal = true;
    let mut admin = admin(network);
    for (include_internal, count) in [(false, 1), (true, 2)] {
        let command = AdminCommand::ListTopics { include_internal };
        let AdminReply::TopicsListed(Ok(topics)) = reply(run(&mut admin, command)) else {
            panic!();
        };
        assert_eq!(topics.len(), count);
    }
}

#[test]
fn topics_are_described_and_unknown_ones_fail_at_once() {
    let mut admin = cluster();
    let command = AdminCommand::DescribeTopics {
        topics: names(&["t", "x"]),
    };
    let AdminReply::TopicsDescribed(results) = reply(run(&mut admin, command)) else {
        panic!();
    };
    assert_eq!(results["t"].as_ref().unwrap().partitions.len(), 2);
    assert_eq!(results["x"], Err(refused(ErrorCode::UnknownTopicOrPartition)));
}

#[test]
fn the_cluster_is_described() {
    let mut admin = cluster();
    let AdminReply::ClusterDescribed(Ok(cluster)) = reply(run(&mut admin, AdminCommand::DescribeCluster))
    else {
        panic!();
    };
    assert_eq!(cluster.controller, Some(1));
    assert_eq!(cluster.brokers.len(), 2);
}

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

fn list_offsets(partitions: &[(&str, i32, OffsetSpec)]) -> AdminCommand {
    let partition =
        |(topic, index, spec): &(&str, i32, OffsetSpec)| (TopicPartition::new(*topic, *index), *spec);
    AdminCommand::ListOffsets {
        partitions: partitions.iter().map(partition).collect(),
        isolation: IsolationLevel::ReadUncommitted,
    }
}

/// The timestamps asked for, by partition.
fn timestamps(arrived: &Arrived) -> Vec<(i32, i64)> {
    let RequestBody::ListOffsets(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| (partition.partition_index, partition.timestamp))
        .collect()
}

fn found(partition: i32, offset: i64, timestamp: i64, error: ErrorCode) -> ListOffsetsResponse {
    let partition = ListOffsetsPartitionResponse {
        partition_index: partition,
        offset,
        timestamp,
        error_code: error.code(),
        ..Default::default()
    };
    let topic = ListOffsetsTopicResponse {
        name: "t".into(),
        partitions: vec![partition],
    };
    ListOffsetsResponse {
        topics: vec![topic],
        ..Default::default()
    }
}

#[test]
fn offsets_are_asked_of_the_leaders() {
    let mut admin = cluster();
    run(
        &mut admin,
        list_offsets(&[
            ("t", 0, OffsetSpec::Earliest),
            ("t", 1, OffsetSpec::Timestamp(77)),
        ]),
    );
    let (first, second) = (
        admin.expect(ApiKey::ListOffsets),
        admin.expect(ApiKey::ListOffsets),
    );
    assert_eq!((first.port, timestamps(&first)), (9001, vec![(0, -2)]));
    assert_eq!((second.port, timestamps(&second)), (9002, vec![(1, 77)]));
    assert!(admin.answer(&first, found(0, 5, -1, ErrorCode::None)).is_empty());
    let AdminReply::OffsetsFound(results) = reply(admin.answer(&second, found(1, -1, -1, ErrorCode::None)))
    else {
        panic!();
    };
    let first = results[&TopicPartition::new("t", 0)].clone().unwrap().unwrap();
    assert_eq!((first.offset, first.timestamp), (5, None));
    assert_eq!(results[&TopicPartition::new("t", 1)], Ok(None));
}

#[test]
fn a_leader_that_moved_is_asked_after_metadata() {
    let mut admin = cluster();
    run(&mut admin, list_offsets(&[("t", 0, OffsetSpec::Latest)]));
    let arrived = admin.expect(ApiKey::ListOffsets);
    let partition = &mut admin.network.metadata.as_mut().unwrap().topics[0].partitions[0];
    (partition.leader_id, partition.leader_epoch) = (2, 1);
    assert!(
        admin
            .answer(&arrived, found(0, -1, -1, ErrorCode::NotLeaderOrFollower))
            .is_empty()
    );
    admin.advance(SECOND);
    let again = admin.expect(ApiKey::ListOffsets);
    assert_eq!(again.port, 9002);
    reply(admin.answer(&again, found(0, 9, -1, ErrorCode::None)));
}

#[test]
fn a_partition_without_a_leader_times_out_and_leaves_the_others_alone() {
    let mut admin = cluster();
    run(
        &mut admin,
        list_offsets(&[("t", 0, OffsetSpec::Latest), ("t", 9, OffsetSpec::Latest)]),
    );
    let arrived = admin.expect(ApiKey::ListOffsets);
    assert!(
        admin
            .answer(&arrived, found(0, 9, -1, ErrorCode::None))
            .is_empty()
    );
    let AdminReply::OffsetsFound(results) = reply(admin.advance(10 * SECOND)) else {
        panic!();
    };
    assert!(results[&TopicPartition::new("t", 0)].is_ok());
    assert!(matches!(
        results[&TopicPartition::new("t", 9)],
        Err(AdminError::TimedOut { .. })
    ));
}

#[test]
fn group_offsets_are_listed_in_old_and_new_versions() {
    for max in [7, 10] {
        let mut network = Network::with_cluster(1, &[]);
        network
            .versions
            .insert(ApiKey::OffsetFetch, VersionRange { min: 1, max });
        let mut admin = admin(network);
        let command = AdminCommand::ListGroupOffsets {
            group: "g".into(),
            partitions: None,
            require_stable: false,
        };
        run(&mut admin, command);
        let arrived = admin.expect(ApiKey::OffsetFetch);
        assert_eq!(arrived.version, max.min(9), "names are not said in version 10");
        let response = match max {
            7 => {
                let partition = OffsetFetchResponsePartition {
                    committed_offset: 42,
                    metadata: Some("note".into()),
                    ..Default::default()
                };
                let topic = OffsetFetchResponseTopic {
                    name: "t".into(),
                    partitions: vec![partition],
                };
                OffsetFetchResponse {
                    topics: vec![topic],
                    ..Default::default()
                }
            }
            _ => {
                let partition = OffsetFetchResponsePartitions {
                    committed_offset: 42,
                    metadata: Some("note".into()),
                    ..Default::default()
                };
                let topic = OffsetFetchResponseTopics {
                    name: "t".into(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let group = OffsetFetchResponseGroup {
                    group_id: "g".into(),
                    topics: vec![topic],
                    ..Default::default()
                };
                OffsetFetchResponse {
                    groups: vec![group],
                    ..Default::default()
                }
            }
        };
        let AdminReply::GroupOffsets(Ok(results)) = reply(admin.answer(&arrived, response)) else {
            panic!();
        };
        let offset = results[&TopicPartition::new("t", 0)].clone().unwrap().unwrap();
        assert_eq!((offset.offset, &*offset.metadata), (42, "note"));
    }
}

#[test]
fn group_offsets_are_altered() {
    let mut admin = cluster();
    let offset = |partition| (TopicPartition::new("t", partition), OffsetAndMetadata::new(7));
    let command = AdminCommand::AlterGroupOffsets {
        group: "g".into(),
        offsets: BTreeMap::from([offset(0), offset(1)]),
    };
    run(&mut admin, command);
    let arrived = admin.expect(ApiKey::OffsetCommit);
    let RequestBody::OffsetCommit(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    assert_eq!((arrived.version, request.generation_id_or_member_epoch), (9, -1));
    let partition = |partition_index, error: ErrorCode| OffsetCommitResponsePartition {
        partition_index,
        error_code: error.code(),
    };
    let topic = OffsetCommitResponseTopic {
        name: "t".into(),
        partitions: vec![
            partition(0, ErrorCode::None),
            partition(1, ErrorCode::UnknownMemberId),
        ],
        ..Default::default()
    };
    let response = OffsetCommitResponse {
        topics: vec![topic],
        ..Default::default()
    };
    let AdminReply::GroupOffsetsAltered(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert_eq!(results[&TopicPartition::new("t", 0)], Ok(()));
    assert_eq!(
        results[&TopicPartition::new("t", 1)],
        Err(refused(ErrorCode::UnknownMemberId))
    );
}

#[test]
fn commands_run_side_by_side() {
    let mut admin = cluster();
    for token in 1..=3 {
        admin.step(AdminEvent::Command {
            token: Token(token),
            timeout: 10 * SECOND,
            command: Box::new(create(&["a"])),
        });
    }
    let mut tokens = Vec::new();
    while let Some(arrived) = admin.network.take(ApiKey::CreateTopics) {
        for action in admin.answer(&arrived, created(&[("a", ErrorCode::None)])) {
            if let AdminAction::Reply { token, .. } = action {
                tokens.push(token.0);
            }
        }
    }
    assert_eq!(tokens, [1, 2, 3]);
}

#[test]
fn events_and_actions_are_small() {
    assert!(size_of::<AdminEvent>() <= 64);
    assert!(size_of::<AdminAction>() <= 64);
}
