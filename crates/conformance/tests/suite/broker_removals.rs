//! The classic coordinator takes members out: those that do not join or sync in time, those that an administrator removes. And
//! committed offsets that go with their topic.

use std::time::{Duration, Instant};

use kohort_conformance::unique;
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    DeleteTopicsRequest, LeaveGroupRequest, OffsetFetchRequest,
    leave_group::MemberIdentity,
    offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
};

use crate::broker_groups::{describe, heartbeat};
use crate::broker_offsets::{commit, commit_request, ready};
use crate::setup::{Member, code, create_topic, pair_of, topic_ready};

const REBALANCE_TIMEOUT: Duration = Duration::from_millis(1_500);

fn hasty(mut member: Member) -> Member {
    member.rebalance_timeout_ms = 1_500;
    member
}

// Kafka: GroupMetadataManager.completeClassicGroupJoin
#[tokio::test]
async fn a_dynamic_member_that_does_not_join_again_in_time_is_removed() {
    let group = unique("group");
    let (leader, follower) = (Member::new(&group).await, Member::new(&group).await);
    let (mut leader, mut follower, generation) = pair_of(hasty(leader), hasty(follower)).await;
    let began = Instant::now();
    let joined = leader.join().await;
    assert!(began.elapsed() >= REBALANCE_TIMEOUT, "{:?}", began.elapsed());
    assert_eq!((joined.generation_id, joined.members.len()), (generation + 1, 1));
    assert_eq!(
        heartbeat(&mut follower, generation).await,
        code(ErrorCode::UnknownMemberId)
    );
}

// Kafka: GroupMetadataManager.completeClassicGroupJoin (ClassicGroup.notYetRejoinedMembers without static ones); KIP-345
#[tokio::test]
async fn a_static_member_that_does_not_join_again_in_time_stays_and_is_assigned_to() {
    let group = unique("group");
    let (leader, follower) = (
        Member::new(&group).await,
        Member::with_instance(&group, "i").await,
    );
    let (mut leader, mut follower, generation) = pair_of(hasty(leader), hasty(follower)).await;
    let joined = leader.join().await;
    assert_eq!((joined.generation_id, joined.members.len()), (generation + 1, 2));
    assert_eq!(
        heartbeat(&mut follower, generation).await,
        code(ErrorCode::IllegalGeneration)
    );
}

// Kafka: GroupMetadataManager.expirePendingSync
#[tokio::test]
async fn a_member_that_joined_and_does_not_sync_in_time_is_removed_although_it_heartbeats() {
    let mut member = hasty(Member::new(&unique("group")).await);
    let generation = member.join().await.generation_id;
    let began = Instant::now();
    let refused = loop {
        match heartbeat(&mut member, generation).await {
            0 => tokio::time::sleep(Duration::from_millis(20)).await,
            refused => break refused,
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it is still there");
    };
    assert_eq!(refused, code(ErrorCode::UnknownMemberId));
    assert!(began.elapsed() >= REBALANCE_TIMEOUT - Duration::from_millis(100));
}

// Kafka: GroupMetadataManager.classicGroupLeaveToClassicGroup; KIP-345: by instance id alone, several in one request
#[tokio::test]
async fn an_administrator_removes_static_members_by_their_instance_ids_and_is_answered_for_each() {
    let group = unique("group");
    let mut member = Member::with_instance(&group, "i").await;
    let generation = member.settle_alone().await;
    let identity = |instance: &str| MemberIdentity {
        member_id: String::new(),
        group_instance_id: Some(instance.to_owned()),
        reason: Some("no longer needed".to_owned()),
    };
    let request = LeaveGroupRequest {
        group_id: group.clone(),
        members: vec![identity("i"), identity("nobody")],
        ..LeaveGroupRequest::default()
    };
    let mut administrator = crate::setup::wire().await;
    let left = administrator.call(5, request).await;
    let outcomes: Vec<_> = left
        .members
        .iter()
        .map(|member| (member.group_instance_id.as_deref(), member.error_code))
        .collect();
    assert_eq!(left.error_code, 0);
    assert_eq!(
        outcomes,
        [(Some("i"), 0), (Some("nobody"), code(ErrorCode::UnknownMemberId))]
    );
    assert_eq!(describe(&group, 5).await.group_state, "Empty");
    assert_eq!(
        heartbeat(&mut member, generation).await,
        code(ErrorCode::UnknownMemberId)
    );
}

// Kafka: OffsetFetchRequestTest.testCommittedOffsetsDeletedWhenTopicDeleted, testFetchOffsetWithRecreatedTopic
#[tokio::test]
async fn committed_offsets_go_with_their_topic_and_one_of_the_same_name_has_none() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    assert_eq!(commit(&mut wire, 9, commit_request(&group, &topic, 42)).await, 0);
    let delete = DeleteTopicsRequest {
        topic_names: vec![topic.clone()],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    assert_eq!(wire.call(5, delete).await.responses[0].error_code, 0);
    while wire.call(5, create_topic(&topic, 1)).await.topics[0].error_code
        == code(ErrorCode::TopicAlreadyExists)
    {}
    topic_ready(&mut wire, &topic, 1).await;
    let asked = OffsetFetchRequestGroup {
        group_id: group.clone(),
        topics: Some(vec![OffsetFetchRequestTopics {
            name: topic.clone(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        }]),
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![asked],
        ..OffsetFetchRequest::default()
    };
    let began = Instant::now();
    // Real Kafka's coordinator hears of the deletion a little later than the client.
    loop {
        let fetched = wire.call(9, request.clone()).await;
        if fetched.groups[0].topics[0].partitions[0].committed_offset == -1 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it is still there");
    }
}
