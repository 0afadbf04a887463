//! Topics: create, describe, grow, delete.

use kohort_conformance::unique;
use kohort_protocol::messages::{
    CreatePartitionsRequest, DeleteTopicsRequest, MetadataRequest, create_partitions::CreatePartitionsTopic,
    delete_topics::DeleteTopicState, metadata::MetadataRequestTopic,
};
use kohort_protocol::{ErrorCode, Uuid};

use crate::setup::{code, create_topic, metadata, topic, wire};

// Kafka: PlaintextConsumerTest.testClassicConsumerPartitionsFor
#[tokio::test]
async fn a_created_topic_has_its_partitions_an_id_and_leaders() {
    let mut wire = wire().await;
    let name = topic(&mut wire, 3).await;
    let response = metadata(&mut wire, &name).await;
    let described = &response.topics[0];
    assert_ne!(described.topic_id, Uuid::default());
    let mut partitions: Vec<i32> = described
        .partitions
        .iter()
        .map(|partition| partition.partition_index)
        .collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 1, 2]);
    let nodes: Vec<i32> = response.brokers.iter().map(|broker| broker.node_id).collect();
    assert!(
        described
            .partitions
            .iter()
            .all(|partition| nodes.contains(&partition.leader_id))
    );
}

// Kafka: CreateTopicsRequestWithPolicyTest, ReplicationControlManager.createTopics
#[tokio::test]
async fn a_topic_that_exists_is_not_created_again() {
    let mut wire = wire().await;
    let name = topic(&mut wire, 1).await;
    let again = wire.call(5, create_topic(&name, 1)).await;
    assert_eq!(again.topics[0].error_code, code(ErrorCode::TopicAlreadyExists));
}

// Kafka: Topic.validate
#[tokio::test]
async fn a_topic_name_has_only_letters_digits_dot_underscore_and_hyphen() {
    let mut wire = wire().await;
    let long = "x".repeat(250);
    for name in ["", ".", "..", "with space", "slash/name", "ü", &long] {
        let refused = wire.call(5, create_topic(name, 1)).await;
        assert_eq!(
            refused.topics[0].error_code,
            code(ErrorCode::InvalidTopicException),
            "{name:?}"
        );
    }
}

// Kafka: ReplicationControlManager.createTopic
#[tokio::test]
async fn a_topic_has_at_least_one_partition() {
    let refused = wire().await.call(5, create_topic(&unique("topic"), 0)).await;
    assert_eq!(refused.topics[0].error_code, code(ErrorCode::InvalidPartitions));
}

// Kafka: ReplicationControlManager.createTopic
#[tokio::test]
async fn more_replicas_than_brokers_are_refused() {
    let mut request = create_topic(&unique("topic"), 1);
    request.topics[0].replication_factor = 99;
    let refused = wire().await.call(5, request).await;
    assert_eq!(
        refused.topics[0].error_code,
        code(ErrorCode::InvalidReplicationFactor)
    );
}

// Kafka: CreateTopicsRequestTest.testValidCreateTopicsRequests
#[tokio::test]
async fn a_topic_that_is_only_validated_is_not_created() {
    let mut wire = wire().await;
    let name = unique("topic");
    let mut request = create_topic(&name, 1);
    request.validate_only = true;
    assert_eq!(wire.call(5, request).await.topics[0].error_code, 0);
    assert_eq!(
        metadata(&mut wire, &name).await.topics[0].error_code,
        code(ErrorCode::UnknownTopicOrPartition)
    );
}

// Kafka: ControllerApis.createTopics
#[tokio::test]
async fn a_name_that_is_given_twice_in_one_request_is_an_invalid_request() {
    let name = unique("topic");
    let mut request = create_topic(&name, 1);
    request.topics.push(request.topics[0].clone());
    let refused = wire().await.call(5, request).await;
    assert_eq!(refused.topics.len(), 1);
    assert_eq!(refused.topics[0].error_code, code(ErrorCode::InvalidRequest));
}

// KIP-464
#[tokio::test]
async fn minus_one_takes_the_brokers_default_of_partitions_and_replicas() {
    let mut wire = wire().await;
    let mut request = create_topic(&unique("topic"), -1);
    request.topics[0].replication_factor = -1;
    let created = wire.call(5, request).await;
    assert_eq!(created.topics[0].error_code, 0);
    assert!(created.topics[0].num_partitions >= 1 && created.topics[0].replication_factor >= 1);
}

// Kafka: ConsumerTopicCreationTest (allow.auto.create.topics=false)
#[tokio::test]
async fn metadata_does_not_create_a_topic_unless_asked() {
    let mut wire = wire().await;
    let name = unique("topic");
    for _ in 0..2 {
        assert_eq!(
            metadata(&mut wire, &name).await.topics[0].error_code,
            code(ErrorCode::UnknownTopicOrPartition)
        );
    }
}

// Kafka: ConsumerTopicCreationTest (allow.auto.create.topics=true)
#[tokio::test]
async fn metadata_creates_a_topic_when_asked_and_allowed() {
    let mut wire = wire().await;
    let name = unique("topic");
    let wanted = MetadataRequestTopic {
        name: Some(name.clone()),
        ..MetadataRequestTopic::default()
    };
    let request = MetadataRequest {
        topics: Some(vec![wanted]),
        ..MetadataRequest::default()
    };
    loop {
        let described = wire.call(12, request.clone()).await.topics.remove(0);
        if described.error_code == 0 {
            assert!(!described.partitions.is_empty());
            return;
        }
        let allowed = [ErrorCode::UnknownTopicOrPartition, ErrorCode::LeaderNotAvailable];
        assert!(
            allowed.map(code).contains(&described.error_code),
            "{}",
            described.error_code
        );
    }
}

// Kafka: KafkaApis.handleTopicMetadataRequest (KIP-516)
#[tokio::test]
async fn an_unknown_topic_id_is_answered_with_unknown_topic_id() {
    let wanted = MetadataRequestTopic {
        topic_id: Uuid([7; 16]),
        name: None,
    };
    let request = MetadataRequest {
        topics: Some(vec![wanted]),
        ..MetadataRequest::default()
    };
    assert_eq!(
        wire().await.call(12, request).await.topics[0].error_code,
        code(ErrorCode::UnknownTopicId)
    );
}

// Kafka: MetadataRequest.isAllTopics
#[tokio::test]
async fn no_list_of_topics_means_all_and_an_empty_list_means_none() {
    let mut wire = wire().await;
    let name = topic(&mut wire, 1).await;
    let all = wire
        .call(
            12,
            MetadataRequest {
                topics: None,
                ..MetadataRequest::default()
            },
        )
        .await;
    assert!(
        all.topics
            .iter()
            .any(|topic| topic.name.as_deref() == Some(&name))
    );
    let none = wire
        .call(
            12,
            MetadataRequest {
                topics: Some(Vec::new()),
                ..MetadataRequest::default()
            },
        )
        .await;
    assert!(none.topics.is_empty() && !none.brokers.is_empty());
}

/// A request to add partitions to a topic until it has this many.
pub(crate) fn grow(name: &str, count: i32) -> CreatePartitionsRequest {
    let topic = CreatePartitionsTopic {
        name: name.to_owned(),
        count,
        assignments: None,
    };
    CreatePartitionsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        validate_only: false,
    }
}

// Kafka: PlaintextConsumerSubscriptionTest (partitions added)
#[tokio::test]
async fn a_topic_grows_to_a_larger_number_of_partitions_only() {
    let mut wire = wire().await;
    let name = topic(&mut wire, 2).await;
    assert_eq!(wire.call(3, grow(&name, 5)).await.results[0].error_code, 0);
    while metadata(&mut wire, &name).await.topics[0].partitions.len() != 5 {}
    for count in [5, 4, 0] {
        let refused = wire.call(3, grow(&name, count)).await;
        assert_eq!(
            refused.results[0].error_code,
            code(ErrorCode::InvalidPartitions),
            "{count}"
        );
    }
    let unknown = wire.call(3, grow(&unique("topic"), 2)).await;
    assert_eq!(
        unknown.results[0].error_code,
        code(ErrorCode::UnknownTopicOrPartition)
    );
}

// Kafka: DeleteTopicsRequestTest
#[tokio::test]
async fn a_deleted_topic_is_unknown_and_an_unknown_one_cannot_be_deleted() {
    let mut wire = wire().await;
    let name = topic(&mut wire, 1).await;
    let state = DeleteTopicState {
        name: Some(name.clone()),
        ..DeleteTopicState::default()
    };
    let request = DeleteTopicsRequest {
        topics: vec![state],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    assert_eq!(wire.call(6, request.clone()).await.responses[0].error_code, 0);
    while metadata(&mut wire, &name).await.topics[0].error_code == 0 {}
    let again = wire.call(6, request).await;
    assert_eq!(
        again.responses[0].error_code,
        code(ErrorCode::UnknownTopicOrPartition)
    );
}

// KIP-516
#[tokio::test]
async fn a_topic_is_deleted_by_its_id() {
    let mut wire = wire().await;
    let name = topic(&mut wire, 1).await;
    let id = metadata(&mut wire, &name).await.topics[0].topic_id;
    let state = DeleteTopicState {
        name: None,
        topic_id: id,
    };
    let request = DeleteTopicsRequest {
        topics: vec![state],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    let deleted = wire.call(6, request).await;
    assert_eq!(
        (
            deleted.responses[0].error_code,
            deleted.responses[0].name.as_deref()
        ),
        (0, Some(name.as_str()))
    );
}
