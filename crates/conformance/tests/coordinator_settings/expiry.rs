//! The end of committed offsets, and of groups of which nothing is left.

use std::time::{Duration, Instant};

use kohort_conformance::{committed, unique};
use kohort_protocol::messages::{
    CreateTopicsRequest, HeartbeatRequest, ListGroupsRequest, OffsetCommitRequest, SyncGroupRequest,
    create_topics::CreatableTopic,
    offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
};

use super::{join, join_request, ready};

// Kafka: OffsetMetadataManager.cleanupExpiredOffsets, GroupCoordinatorShard.cleanupGroupMetadata
#[tokio::test]
#[ignore = "takes a minute, the shortest offsets.retention.minutes; on a driven clock in kohort-node"]
async fn what_a_client_without_members_committed_expires_after_offsets_retention_minutes_and_its_group_with_it()
 {
    let group = unique("group");
    let (_broker, _, mut wire) = ready(&group).await;
    let topic = unique("topic");
    let created = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: topic.clone(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    assert_eq!(wire.call(5, created).await.topics[0].error_code, 0);
    let commit = OffsetCommitRequest {
        group_id: group.clone(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.clone(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 42,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    // Real Kafka answers CreateTopics before its broker has caught up.
    while wire.call(9, commit.clone()).await.topics[0].partitions[0].error_code != 0 {}
    let began = Instant::now();
    while committed(&mut wire, &group, &topic).await.committed_offset == 42 {
        assert!(began.elapsed() < Duration::from_secs(90), "it is still there");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(
        began.elapsed() >= Duration::from_secs(59),
        "{:?}",
        began.elapsed()
    );
    let listed = wire.call(5, ListGroupsRequest::default()).await;
    assert!(listed.groups.iter().all(|listed| listed.group_id != group));
}

// Kafka: ClassicGroup.offsetExpirationCondition: topics that a stable group reads do not expire
#[tokio::test]
#[ignore = "takes longer than a minute, the shortest offsets.retention.minutes; on a driven clock in kohort-groups"]
async fn what_a_member_reads_does_not_expire() {
    let group = unique("group");
    let (_broker, _, mut wire) = ready(&group).await;
    let create = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: "topic".to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    // It may be there from another run.
    wire.call(5, create).await;
    let joined = join(&mut wire, join_request(&group, "one")).await;
    let sync = SyncGroupRequest {
        group_id: group.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        group_instance_id: Some("one".to_owned()),
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("p".to_owned()),
        ..SyncGroupRequest::default()
    };
    assert_eq!(wire.call(5, sync).await.error_code, 0);
    let commit = OffsetCommitRequest {
        group_id: group.clone(),
        generation_id_or_member_epoch: joined.generation_id,
        member_id: joined.member_id.clone(),
        group_instance_id: Some("one".to_owned()),
        topics: vec![OffsetCommitRequestTopic {
            name: "topic".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 42,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    while wire.call(9, commit.clone()).await.topics[0].partitions[0].error_code != 0 {}
    let heartbeat = HeartbeatRequest {
        group_id: group.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        group_instance_id: Some("one".to_owned()),
    };
    for _ in 0..70 {
        assert_eq!(wire.call(4, heartbeat.clone()).await.error_code, 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(committed(&mut wire, &group, "topic").await.committed_offset, 42);
}
