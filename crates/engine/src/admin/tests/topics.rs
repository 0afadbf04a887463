//! Topics and the cluster.

use alloc::string::ToString;
use alloc::vec;

use kohort_protocol::messages::create_partitions::CreatePartitionsTopicResult;
use kohort_protocol::messages::delete_topics::DeletableTopicResult;
use kohort_protocol::messages::{CreatePartitionsResponse, DeleteTopicsResponse};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, VersionRange};

use super::{admin, cluster, create, created, names, refused, reply, run};
use crate::admin::{AdminCommand, AdminReply, NewPartitions};
use crate::client::testing::Network;

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
