//! Committed offsets over frames: topics that are there and those that are not, ids, the records they become, their end.

use super::*;

#[test]
fn offsets_of_partitions_that_do_not_exist_are_refused_and_the_others_committed() {
    let mut bench = prompt();
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(
        commit(&mut bench, "t", &[0, 1], 5),
        [(1, unknown), (0, ErrorCode::None)]
    );
    assert_eq!(commit(&mut bench, "nowhere", &[0], 5), [(0, unknown)]);
    assert_eq!(
        (committed(&mut bench, "t"), committed(&mut bench, "nowhere")),
        (5, -1)
    );
}

#[test]
fn topics_are_named_by_id_from_version_10() {
    let mut bench = prompt();
    let topic_id = bench.harness.machine().topic_id("t").expect("the topic exists");
    let stranger = Uuid([9; 16]);
    let mut request = commit_request("", &[0], 7);
    request.topics[0].topic_id = topic_id;
    let mut second = request.topics[0].clone();
    second.topic_id = stranger;
    request.topics.push(second);
    let response = bench.ask(10, request);
    let outcomes: Vec<_> = response
        .topics
        .iter()
        .map(|topic| (topic.topic_id, code(topic.partitions[0].error_code)))
        .collect();
    assert_eq!(
        outcomes,
        [(stranger, ErrorCode::UnknownTopicId), (topic_id, ErrorCode::None)]
    );

    let ask = |topic_id| OffsetFetchRequestTopics {
        topic_id,
        partition_indexes: vec![0],
        ..Default::default()
    };
    let response = bench.ask(10, fetch_request(Some(vec![ask(stranger), ask(topic_id)])));
    let topics = &response.groups[0].topics;
    let found: Vec<_> = topics
        .iter()
        .map(|topic| {
            (
                topic.topic_id,
                topic.partitions[0].committed_offset,
                code(topic.partitions[0].error_code),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (topic_id, 7, ErrorCode::None),
            (stranger, -1, ErrorCode::UnknownTopicId)
        ]
    );

    let response = bench.ask(10, fetch_request(None));
    assert_eq!(response.groups[0].topics[0].topic_id, topic_id);
}

#[test]
fn what_is_committed_is_a_record_of_the_offsets_topic() {
    let mut bench = prompt();
    commit(&mut bench, "t", &[0], 5);
    let found: Vec<_> = read(&mut bench, OFFSETS, partition_for(GROUP, 50))
        .into_iter()
        .filter_map(|(key, value)| decode_record(key, value).expect("a record of the coordinator"))
        .collect();
    let [
        CoordinatorRecord::Offset {
            group_id,
            topic,
            partition,
            value: Some(stored),
        },
    ] = &found[..]
    else {
        panic!("{found:?}");
    };
    assert_eq!((&**group_id, &**topic, *partition), (GROUP, "t", 0));
    assert_eq!((stored.offset.offset, stored.commit_timestamp_ms), (5, WALL_MS));
    // Version 9 names topics; the id is stored all the same.
    let committed_id = bench.harness.machine().topic_id("t");
    assert_eq!(stored.topic_id.map(|id| Uuid(id.0)), committed_id);
}

#[test]
fn deleting_a_topic_deletes_its_committed_offsets() {
    let mut bench = prompt();
    commit(&mut bench, "t", &[0], 5);
    commit(&mut bench, "u", &[0], 6);
    bench.ask(
        3,
        DeleteTopicsRequest {
            topic_names: vec!["t".into()],
            ..Default::default()
        },
    );
    assert_eq!((committed(&mut bench, "t"), committed(&mut bench, "u")), (-1, 6));
}

#[test]
fn offsets_and_groups_are_deleted() {
    let mut bench = prompt();
    commit(&mut bench, "t", &[0], 5);
    let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
    let response = bench.ask(
        0,
        OffsetDeleteRequest {
            group_id: GROUP.into(),
            topics: vec![OffsetDeleteRequestTopic {
                name: "t".into(),
                partitions: vec![partition(0), partition(8)],
            }],
        },
    );
    let partitions = &response.topics[0].partitions;
    let outcomes: Vec<_> = partitions
        .iter()
        .map(|one| (one.partition_index, code(one.error_code)))
        .collect();
    assert_eq!(
        outcomes,
        [(8, ErrorCode::UnknownTopicOrPartition), (0, ErrorCode::None)]
    );
    assert_eq!(committed(&mut bench, "t"), -1);
    let groups_names = vec![GROUP.into(), "nowhere".into()];
    let response = bench.ask(2, DeleteGroupsRequest { groups_names });
    let outcomes: Vec<_> = response
        .results
        .iter()
        .map(|result| code(result.error_code))
        .collect();
    assert_eq!(outcomes, [ErrorCode::None, ErrorCode::GroupIdNotFound]);
    assert_eq!(bench.harness.machine().group_count(), 0);
}

#[test]
fn what_a_request_asks_for_twice_is_answered_once() {
    let mut bench = prompt();
    let topic = OffsetFetchRequestTopics {
        name: "t".into(),
        partition_indexes: vec![0, 0, 1, 0],
        ..Default::default()
    };
    let mut request = fetch_request(Some(vec![topic.clone(), topic]));
    request.groups.push(request.groups[0].clone());
    let response = bench.ask(OFFSET_FETCH, request);
    assert_eq!((response.groups.len(), response.groups[0].topics.len()), (1, 1));
    let partitions = response.groups[0].topics[0].partitions.iter();
    let indexes: Vec<i32> = partitions.map(|partition| partition.partition_index).collect();
    assert_eq!(indexes, [0, 1]);
    let request = DescribeGroupsRequest {
        groups: vec![GROUP.into(), GROUP.into()],
        ..Default::default()
    };
    assert_eq!(bench.ask(5, request).groups.len(), 1);
}

/// Two hours of retention, looked after every minute.
fn forgetful() -> Bench {
    let mut bench = Bench::with(&[
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.retention.minutes", "120"),
        ("offsets.retention.check.interval.ms", "60000"),
    ]);
    find(&mut bench);
    bench
}

const MINUTE: u64 = 60_000;

// Kafka: ClassicGroup.offsetExpirationCondition: a group that only commits counts from each commit
#[test]
fn what_a_client_without_members_committed_expires_by_itself_and_its_group_with_the_last() {
    let mut bench = forgetful();
    commit(&mut bench, "t", &[0], 5);
    bench.advance(60 * MINUTE);
    commit(&mut bench, "u", &[0], 6);
    bench.advance(60 * MINUTE - 1);
    assert_eq!((committed(&mut bench, "t"), committed(&mut bench, "u")), (5, 6));
    bench.advance(MINUTE);
    assert_eq!((committed(&mut bench, "t"), committed(&mut bench, "u")), (-1, 6));
    bench.advance(60 * MINUTE);
    assert_eq!(committed(&mut bench, "u"), -1);
    assert_eq!(bench.harness.machine().group_count(), 0);
    // Tombstones say so to whoever reads the log.
    let stored = read(&mut bench, OFFSETS, partition_for(GROUP, 50));
    assert!(
        stored.iter().rev().take(2).all(|(_, value)| value.is_none()),
        "{stored:?}"
    );
    bench.assert_replays();
}

// Kafka: ClassicGroup.offsetExpirationCondition: an empty group counts from when it became empty
#[test]
fn what_a_group_committed_expires_when_it_has_been_empty_for_so_long() {
    let mut bench = forgetful();
    let (member_id, generation_id) = stable(&mut bench);
    let request = OffsetCommitRequest {
        member_id: member_id.clone(),
        generation_id_or_member_epoch: generation_id,
        ..commit_request("t", &[0], 5)
    };
    bench.ask(OFFSET_COMMIT, request);
    let beat = HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.clone(),
        ..Default::default()
    };
    for _ in 0..3 * 60 * 10 {
        bench.advance(6_000);
        bench.ask(4, beat.clone());
    }
    assert_eq!(
        committed(&mut bench, "t"),
        5,
        "three hours later a member is still there"
    );
    let members = vec![MemberIdentity {
        member_id,
        ..Default::default()
    }];
    bench.ask(
        5,
        LeaveGroupRequest {
            group_id: GROUP.into(),
            members,
            ..Default::default()
        },
    );
    bench.advance(120 * MINUTE - 1);
    assert_eq!(committed(&mut bench, "t"), 5);
    bench.advance(MINUTE);
    assert_eq!(committed(&mut bench, "t"), -1);
}
