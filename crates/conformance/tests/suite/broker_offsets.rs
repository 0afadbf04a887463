//! Offset commits and fetches at the coordinator.

use kohort_conformance::{Wire, committed, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    OffsetCommitRequest, OffsetFetchRequest,
    offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopic},
};

use crate::broker_fetch::fetch_one;
use crate::setup::{Member, code, coordinator_ready, pair, topic, wire};

/// A commit of one offset of partition 0, with a note.
pub(crate) fn commit_request(group: &str, topic: &str, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_leader_epoch: 3,
        committed_metadata: Some("note".to_owned()),
    };
    let topic = OffsetCommitRequestTopic {
        name: topic.to_owned(),
        partitions: vec![partition],
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    }
}

fn of_member(mut request: OffsetCommitRequest, member: &Member, generation: i32) -> OffsetCommitRequest {
    request.member_id.clone_from(&member.id);
    request.group_instance_id.clone_from(&member.instance);
    request.generation_id_or_member_epoch = generation;
    request
}

/// Commits; the error of the partition.
pub(crate) async fn commit(wire: &mut Wire, version: i16, request: OffsetCommitRequest) -> i16 {
    wire.call(version, request).await.topics[0].partitions[0].error_code
}

/// A connection and a topic, for a group whose coordinator answers.
pub(crate) async fn ready(group: &str) -> (Wire, String) {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    coordinator_ready(&mut wire, group).await;
    (wire, topic)
}

// Kafka: OffsetCommitRequestTest; M37
#[tokio::test]
async fn a_commit_of_a_group_without_members_is_kept_with_metadata_and_leader_epoch() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    assert_eq!(commit(&mut wire, 9, commit_request(&group, &topic, 42)).await, 0);
    let kept = committed(&mut wire, &group, &topic).await;
    assert_eq!((kept.committed_offset, kept.committed_leader_epoch), (42, 3));
    assert_eq!(kept.metadata.as_deref(), Some("note"));
}

// Kafka: OffsetCommitRequestTest: every version
#[tokio::test]
async fn every_version_commits() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    for version in 2..=9 {
        let offset = 100 + i64::from(version);
        assert_eq!(
            commit(&mut wire, version, commit_request(&group, &topic, offset)).await,
            0,
            "version {version}"
        );
        assert_eq!(
            committed(&mut wire, &group, &topic).await.committed_offset,
            offset
        );
    }
}

// Kafka: OffsetFetchRequestTest: versions before 8 ask for one group
#[tokio::test]
async fn older_versions_fetch_the_offsets_of_one_group() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    commit(&mut wire, 9, commit_request(&group, &topic, 42)).await;
    for version in 1..=7 {
        let topics = vec![OffsetFetchRequestTopic {
            name: topic.clone(),
            partition_indexes: vec![0, 5],
        }];
        let request = OffsetFetchRequest {
            group_id: group.clone(),
            topics: Some(topics),
            ..OffsetFetchRequest::default()
        };
        let fetched = wire.call(version, request).await;
        let offsets: Vec<i64> = fetched.topics[0]
            .partitions
            .iter()
            .map(|partition| partition.committed_offset)
            .collect();
        assert_eq!(offsets, [42, -1], "version {version}");
    }
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerNoCommittedOffsets (the broker's side)
#[tokio::test]
async fn what_was_never_committed_is_minus_one_without_an_error() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    let nothing = committed(&mut wire, &group, &topic).await;
    assert_eq!(
        (
            nothing.error_code,
            nothing.committed_offset,
            nothing.committed_leader_epoch
        ),
        (0, -1, -1)
    );
}

// Kafka: OffsetFetchRequestTest.testFetchAllOffsets
#[tokio::test]
async fn no_list_of_topics_fetches_all_that_the_group_committed() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    commit(&mut wire, 9, commit_request(&group, &topic, 7)).await;
    let asked = OffsetFetchRequestGroup {
        group_id: group,
        topics: None,
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![asked],
        ..OffsetFetchRequest::default()
    };
    let fetched = wire.call(9, request).await.groups.remove(0);
    assert_eq!(
        (fetched.topics.len(), fetched.topics[0].name.as_str()),
        (1, topic.as_str())
    );
    assert_eq!(fetched.topics[0].partitions[0].committed_offset, 7);
}

// Kafka: ClassicGroup.validateOffsetCommit: generation < 0 only when the group is empty
#[tokio::test]
async fn a_commit_without_a_generation_is_refused_while_the_group_has_members() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    Member::new(&group).await.settle_alone().await;
    let refused = commit(&mut wire, 9, commit_request(&group, &topic, 1)).await;
    assert_eq!(refused, code(ErrorCode::UnknownMemberId));
}

// Kafka: ClassicGroup.validateOffsetCommit
#[tokio::test]
async fn commits_of_strangers_and_of_other_generations_are_refused() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    let mut member = Member::new(&group).await;
    let generation = member.settle_alone().await;
    let request = || commit_request(&group, &topic, 1);
    assert_eq!(
        commit(&mut wire, 9, of_member(request(), &member, generation)).await,
        0
    );
    for other in [generation - 1, generation + 1] {
        let refused = commit(&mut wire, 9, of_member(request(), &member, other)).await;
        assert_eq!(refused, code(ErrorCode::IllegalGeneration));
    }
    member.id = "stranger".to_owned();
    let refused = commit(&mut wire, 9, of_member(request(), &member, generation)).await;
    assert_eq!(refused, code(ErrorCode::UnknownMemberId));
}

// Kafka: ClassicGroup.validateOffsetCommit; KIP-345
#[tokio::test]
async fn a_fenced_static_member_cannot_commit() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    let mut old = Member::with_instance(&group, "i").await;
    let generation = old.settle_alone().await;
    Member::with_instance(&group, "i").await.join().await;
    let refused = commit(
        &mut wire,
        9,
        of_member(commit_request(&group, &topic, 1), &old, generation),
    )
    .await;
    assert_eq!(refused, code(ErrorCode::FencedInstanceId));
}

// Kafka: ClassicGroup.validateOffsetCommit (PREPARING_REBALANCE): the old owner may still commit
#[tokio::test]
async fn a_member_commits_while_a_rebalance_is_prepared() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    let (mut leader, follower, generation) = pair(&group).await;
    leader.begin_join().await;
    let request = of_member(commit_request(&group, &topic, 5), &follower, generation);
    assert_eq!(commit(&mut wire, 9, request).await, 0);
}

// Kafka: ClassicGroup.validateOffsetCommit (COMPLETING_REBALANCE)
#[tokio::test]
async fn a_commit_between_join_and_sync_is_told_that_a_rebalance_is_in_progress() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    let mut member = Member::new(&group).await;
    let generation = member.join().await.generation_id;
    let refused = commit(
        &mut wire,
        9,
        of_member(commit_request(&group, &topic, 1), &member, generation),
    )
    .await;
    assert_eq!(refused, code(ErrorCode::RebalanceInProgress));
}

// Kafka: OffsetMetadataManager.validateOffsetCommit: GROUP_ID_NOT_FOUND since version 9
#[tokio::test]
async fn a_generation_of_a_group_that_is_not_there_is_refused() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    let mut request = commit_request(&group, &topic, 1);
    (request.member_id, request.generation_id_or_member_epoch) = ("m".to_owned(), 1);
    assert_eq!(
        commit(&mut wire, 8, request.clone()).await,
        code(ErrorCode::IllegalGeneration)
    );
    assert_eq!(
        commit(&mut wire, 9, request).await,
        code(ErrorCode::GroupIdNotFound)
    );
}

// Kafka: OffsetMetadataManager.commitOffset (offset.metadata.max.bytes = 4096)
#[tokio::test]
async fn a_note_over_4096_bytes_is_too_large() {
    let group = unique("group");
    let (mut wire, topic) = ready(&group).await;
    for (size, expected) in [(4096, 0), (4097, code(ErrorCode::OffsetMetadataTooLarge))] {
        let mut request = commit_request(&group, &topic, 1);
        request.topics[0].partitions[0].committed_metadata = Some("x".repeat(size));
        assert_eq!(commit(&mut wire, 9, request).await, expected, "{size}");
    }
}

// Kafka: KafkaApis.handleOffsetCommitRequest
#[tokio::test]
async fn an_unknown_topic_cannot_be_committed() {
    let group = unique("group");
    let (mut wire, _) = ready(&group).await;
    let refused = commit(&mut wire, 9, commit_request(&group, &unique("topic"), 1)).await;
    assert_eq!(refused, code(ErrorCode::UnknownTopicOrPartition));
}

/// Java's hash of a name that has no characters beyond ASCII.
// Kafka: java.lang.String.hashCode
fn java_hash(text: &str) -> i32 {
    let add = |hash: i32, byte: u8| hash.wrapping_mul(31).wrapping_add(i32::from(byte));
    text.bytes().fold(0, add)
}

/// Whether a partition of `__consumer_offsets` has a record whose key names the group.
async fn is_stored_on(wire: &mut Wire, partition: i32, group: &str) -> bool {
    let mut offset = 0;
    loop {
        let data = fetch_one(wire, "__consumer_offsets", partition, offset).await;
        let before = offset;
        for batch in kohort_records::batches(data.records.unwrap_or_default()) {
            let batch = batch.expect("a batch");
            for record in batch.open(1 << 20).expect("good records").iter() {
                let key = record.key.unwrap_or_default();
                if key.windows(group.len()).any(|part| part == group.as_bytes()) {
                    return true;
                }
            }
            offset = batch.next_offset();
        }
        if offset == before {
            return false;
        }
    }
}

// Kafka: GroupCoordinatorService.partitionFor, Utils.abs
#[tokio::test]
async fn a_group_lives_on_the_partition_of_the_absolute_value_of_its_names_hash() {
    for is_negative in [false, true] {
        let group = loop {
            let group = unique("group");
            if (java_hash(&group) < 0) == is_negative {
                break group;
            }
        };
        let (mut wire, topic) = ready(&group).await;
        assert_eq!(commit(&mut wire, 9, commit_request(&group, &topic, 42)).await, 0);
        let partition = i32::try_from(java_hash(&group).unsigned_abs() % 50).expect("below 50");
        assert!(
            is_stored_on(&mut wire, partition, &group).await,
            "{group} on {partition}"
        );
    }
}
