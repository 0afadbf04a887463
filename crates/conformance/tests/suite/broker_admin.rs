//! What administrators ask: groups and offsets to be deleted, records to be deleted, where logs are, the cluster.

use kohort_conformance::{Wire, committed, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    DeleteGroupsRequest, DeleteRecordsRequest, DescribeClusterRequest, DescribeLogDirsRequest,
    DescribeTopicPartitionsRequest, ListPartitionReassignmentsRequest, OffsetDeleteRequest,
    delete_records::{DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsTopic},
    describe_log_dirs::DescribableLogDirTopic,
    describe_topic_partitions::{Cursor, TopicRequest},
    offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
};

use crate::broker_fetch::fetch_one;
use crate::broker_offsets::{commit, commit_request, ready};
use crate::broker_produce::produce;
use crate::setup::{Member, batch, code, coordinator_ready, topic, wire};

async fn delete_group(wire: &mut Wire, group: &str) -> i16 {
    let request = DeleteGroupsRequest {
        groups_names: vec![group.to_owned()],
    };
    wire.call(2, request).await.results[0].error_code
}

// Kafka: DeleteGroupsRequestTest; GroupCoordinatorShard.deleteGroups
#[tokio::test]
async fn a_group_without_members_is_deleted_with_its_offsets() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    assert_eq!(commit(&mut wire, 9, commit_request(&group, &topic, 42)).await, 0);
    assert_eq!(delete_group(&mut wire, &group).await, 0);
    assert_eq!(committed(&mut wire, &group, &topic).await.committed_offset, -1);
    assert_eq!(
        delete_group(&mut wire, &group).await,
        code(ErrorCode::GroupIdNotFound)
    );
}

// Kafka: ClassicGroup.validateDeleteGroup
#[tokio::test]
async fn a_group_with_members_is_not_deleted() {
    let group = unique("group");
    let mut member = Member::new(&group).await;
    member.settle_alone().await;
    let refused = delete_group(&mut member.wire, &group).await;
    assert_eq!(refused, code(ErrorCode::NonEmptyGroup));
}

async fn delete_offset(wire: &mut Wire, group: &str, topic: &str, partition: i32) -> (i16, i16) {
    let topic = OffsetDeleteRequestTopic {
        name: topic.to_owned(),
        partitions: vec![OffsetDeleteRequestPartition {
            partition_index: partition,
        }],
    };
    let request = OffsetDeleteRequest {
        group_id: group.to_owned(),
        topics: vec![topic],
    };
    let response = wire.call(0, request).await;
    let partition = response
        .topics
        .first()
        .map(|topic| topic.partitions[0].error_code);
    (response.error_code, partition.unwrap_or_default())
}

// Kafka: OffsetDeleteRequestTest
#[tokio::test]
async fn one_committed_offset_is_deleted() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    assert_eq!(commit(&mut wire, 9, commit_request(&group, &topic, 42)).await, 0);
    assert_eq!(delete_offset(&mut wire, &group, &topic, 0).await, (0, 0));
    assert_eq!(committed(&mut wire, &group, &topic).await.committed_offset, -1);
}

// Kafka: OffsetDeleteRequestTest; KafkaApis.handleOffsetDeleteRequest
#[tokio::test]
async fn offsets_of_unknown_groups_and_partitions_are_not_deleted() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    let unknown = unique("group");
    coordinator_ready(&mut wire, &unknown).await;
    let (error, _) = delete_offset(&mut wire, &unknown, &topic, 0).await;
    assert_eq!(error, code(ErrorCode::GroupIdNotFound));
    assert_eq!(commit(&mut wire, 9, commit_request(&group, &topic, 42)).await, 0);
    assert_eq!(
        delete_offset(&mut wire, &group, &topic, 7).await,
        (0, code(ErrorCode::UnknownTopicOrPartition))
    );
}

// Kafka: ClassicGroup.isSubscribedToTopic
#[tokio::test]
async fn offsets_of_a_topic_that_members_read_are_not_deleted() {
    let group = unique("group");
    let mut member = Member::new(&group).await;
    let topic = topic(&mut member.wire, 1).await;
    member.metadata = crate::setup::subscription(&topic);
    member.settle_alone().await;
    assert_eq!(
        delete_offset(&mut member.wire, &group, &topic, 0).await,
        (0, code(ErrorCode::GroupSubscribedToTopic))
    );
}

async fn delete_records(
    wire: &mut Wire,
    topic: &str,
    partition: i32,
    offset: i64,
) -> DeleteRecordsPartitionResult {
    let topic = DeleteRecordsTopic {
        name: topic.to_owned(),
        partitions: vec![DeleteRecordsPartition {
            partition_index: partition,
            offset,
        }],
    };
    let request = DeleteRecordsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
    };
    wire.call(2, request).await.topics.remove(0).partitions.remove(0)
}

// Kafka: DeleteRecordsRequestTest; Partition.deleteRecordsOnLeader
#[tokio::test]
async fn records_before_an_offset_are_deleted() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    for _ in 0..2 {
        produce(&mut wire, &topic, 0, batch(&["a", "b"])).await;
    }
    let deleted = delete_records(&mut wire, &topic, 0, 3).await;
    assert_eq!((deleted.error_code, deleted.low_watermark), (0, 3));
    let before = fetch_one(&mut wire, &topic, 0, 2).await;
    assert_eq!(before.error_code, code(ErrorCode::OffsetOutOfRange));
    let from = fetch_one(&mut wire, &topic, 0, 3).await;
    assert_eq!((from.error_code, from.log_start_offset), (0, 3));
    // -1 stands for all that there is.
    let deleted = delete_records(&mut wire, &topic, 0, -1).await;
    assert_eq!((deleted.error_code, deleted.low_watermark), (0, 4));
    // What lies before the beginning is deleted already.
    let deleted = delete_records(&mut wire, &topic, 0, 1).await;
    assert_eq!((deleted.error_code, deleted.low_watermark), (0, 4));
}

// Kafka: Partition.deleteRecordsOnLeader, ReplicaManager.deleteRecordsOnLocalLog
#[tokio::test]
async fn records_that_are_not_there_are_not_deleted() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let beyond = delete_records(&mut wire, &topic, 0, 1).await;
    assert_eq!(
        (beyond.error_code, beyond.low_watermark),
        (code(ErrorCode::OffsetOutOfRange), -1)
    );
    let unknown = delete_records(&mut wire, &topic, 7, 0).await;
    assert_eq!(unknown.error_code, code(ErrorCode::UnknownTopicOrPartition));
}

// Kafka: ReplicaManager.describeLogDirs
#[tokio::test]
async fn the_size_of_a_log_is_described() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 2).await;
    let records = batch(&["a"]);
    let size = i64::try_from(records.len()).expect("a small batch");
    produce(&mut wire, &topic, 1, records).await;
    let asked = DescribableLogDirTopic {
        topic: topic.clone(),
        partitions: vec![0, 1],
    };
    let request = DescribeLogDirsRequest {
        topics: Some(vec![asked]),
    };
    let response = wire.call(4, request).await;
    assert_eq!((response.error_code, response.results.len()), (0, 1));
    let dir = &response.results[0];
    assert!(!dir.log_dir.is_empty());
    assert_eq!((dir.error_code, dir.topics.len()), (0, 1));
    assert_eq!(dir.topics[0].name, topic);
    let mut sizes: Vec<_> = dir.topics[0]
        .partitions
        .iter()
        .map(|partition| {
            (
                partition.partition_index,
                partition.partition_size,
                partition.offset_lag,
            )
        })
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [(0, 0, 0), (1, size, 0)]);
}

// Kafka: ReplicationControlManager.listPartitionReassignments
#[tokio::test]
async fn no_partition_is_on_its_way_to_another_replica() {
    let mut wire = wire().await;
    let response = wire.call(0, ListPartitionReassignmentsRequest::default()).await;
    assert_eq!((response.error_code, response.topics.len()), (0, 0));
}

// Kafka: DescribeClusterRequestTest
#[tokio::test]
async fn the_cluster_names_its_brokers_and_a_controller_among_them() {
    let mut wire = wire().await;
    let response = wire.call(1, DescribeClusterRequest::default()).await;
    assert_eq!(response.error_code, 0);
    assert!(!response.cluster_id.is_empty());
    let ids: Vec<i32> = response.brokers.iter().map(|broker| broker.broker_id).collect();
    assert!(ids.contains(&response.controller_id), "{ids:?}");
}

// KIP-966; Kafka: DescribeTopicPartitionsRequestHandler
#[tokio::test]
async fn partitions_of_topics_are_described_in_pages() {
    let mut wire = wire().await;
    let (first, second) = (topic(&mut wire, 3).await, topic(&mut wire, 2).await);
    let mut names = [first, second];
    names.sort_unstable();
    let mut request = DescribeTopicPartitionsRequest {
        topics: names
            .iter()
            .map(|name| TopicRequest { name: name.clone() })
            .collect(),
        response_partition_limit: 2,
        cursor: None,
    };
    let mut pages = Vec::new();
    let mut seen = Vec::new();
    loop {
        let response = wire.call(0, request.clone()).await;
        let mut count = 0;
        for topic in &response.topics {
            count += topic.partitions.len();
            let name = topic.name.clone().unwrap_or_default();
            let numbers = topic.partitions.iter().map(|partition| partition.partition_index);
            seen.extend(numbers.map(|number| (name.clone(), number)));
        }
        pages.push(count);
        let Some(next) = response.next_cursor else {
            break;
        };
        request.cursor = Some(Cursor {
            topic_name: next.topic_name,
            partition_index: next.partition_index,
        });
    }
    assert_eq!(pages, [2, 2, 1]);
    seen.dedup();
    assert_eq!(seen.len(), 5);
}
