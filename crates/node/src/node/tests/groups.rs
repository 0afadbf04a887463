//! Groups over frames: what the node adds to the coordinator's own rules.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::coordinator::{CoordinatorRecord, partition_for};
use kohort_groups::wire::coordinator::decode_record;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::join_group::JoinGroupRequestProtocol;
use kohort_protocol::messages::leave_group::MemberIdentity;
use kohort_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kohort_protocol::messages::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kohort_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kohort_protocol::messages::sync_group::SyncGroupRequestAssignment;
use kohort_protocol::messages::{
    DeleteGroupsRequest, DeleteTopicsRequest, DescribeConfigsRequest, DescribeGroupsRequest, FetchRequest,
    FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    SyncGroupRequest, describe_configs::DescribeConfigsResource,
};
use kohort_protocol::{ErrorCode, Uuid};
use kohort_records::batches;

use super::{Bench, reply};
use crate::Control;
use crate::interface::ConnId;

const GROUP: &str = "group";
const OFFSETS: &str = "__consumer_offsets";
const OFFSET_COMMIT: i16 = 9;
const OFFSET_FETCH: i16 = 9;

/// No wait for more members.
fn prompt() -> Bench {
    let mut bench = Bench::with(&[("group.initial.rebalance.delay.ms", "0")]);
    find(&mut bench);
    bench
}

fn find(bench: &mut Bench) -> FindCoordinatorResponse {
    bench.ask(
        4,
        FindCoordinatorRequest {
            coordinator_keys: vec![GROUP.into()],
            ..Default::default()
        },
    )
}

fn code(code: i16) -> ErrorCode {
    ErrorCode::from_code(code)
}

fn join_request(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff]),
        }],
        ..Default::default()
    }
}

/// Joins as today's consumers do, and gives what the second join is answered once the node's time has moved.
fn join(bench: &mut Bench) -> JoinGroupResponse {
    let first = bench.ask(9, join_request(""));
    assert_eq!(code(first.error_code), ErrorCode::MemberIdRequired);
    let conn = bench.connect();
    let mut actions = bench.send(conn, 9, join_request(&first.member_id));
    actions.extend(bench.advance(0));
    reply::<JoinGroupRequest>(&actions, conn, 9).expect("the join phase has ended")
}

fn sync_request(member_id: &str, generation_id: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member_id.into(),
            assignment: Bytes::from_static(b"all of t"),
        }],
        ..Default::default()
    }
}

/// A stable group of one member: its id and generation.
fn stable(bench: &mut Bench) -> (String, i32) {
    let joined = join(bench);
    let synced = bench.ask(5, sync_request(&joined.member_id, joined.generation_id));
    assert_eq!(code(synced.error_code), ErrorCode::None);
    assert_eq!(&synced.assignment[..], b"all of t");
    (joined.member_id, joined.generation_id)
}

fn commit_request(topic: &str, partitions: &[i32], offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: GROUP.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.into(),
            partitions: partitions
                .iter()
                .map(|&partition_index| OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: offset,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn commit(bench: &mut Bench, topic: &str, partitions: &[i32], offset: i64) -> Vec<(i32, ErrorCode)> {
    let response = bench.ask(OFFSET_COMMIT, commit_request(topic, partitions, offset));
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| (partition.partition_index, code(partition.error_code)))
        .collect()
}

fn fetch_request(topics: Option<Vec<OffsetFetchRequestTopics>>) -> OffsetFetchRequest {
    OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: GROUP.into(),
            topics,
            ..Default::default()
        }],
        require_stable: true,
        ..Default::default()
    }
}

fn committed_on(bench: &mut Bench, conn: ConnId, topic: &str) -> Result<i64, ErrorCode> {
    let topics = vec![OffsetFetchRequestTopics {
        name: topic.into(),
        partition_indexes: vec![0],
        ..Default::default()
    }];
    let response = bench.ask_on(conn, OFFSET_FETCH, fetch_request(Some(topics)));
    let group = &response.groups[0];
    match code(group.error_code) {
        ErrorCode::None => Ok(group.topics[0].partitions[0].committed_offset),
        error => Err(error),
    }
}

fn committed(bench: &mut Bench, topic: &str) -> i64 {
    let conn = bench.connect();
    committed_on(bench, conn, topic).expect("the group has a coordinator")
}

#[test]
fn finding_a_coordinator_creates_the_offsets_topic_of_fifty_compacted_partitions() {
    let mut bench = Bench::new();
    let found = find(&mut bench);
    let coordinator = &found.coordinators[0];
    assert_eq!(code(coordinator.error_code), ErrorCode::None);
    assert_eq!(
        (coordinator.node_id, &*coordinator.host, coordinator.port),
        (0, "localhost", 9092)
    );
    let configs = bench.ask(
        4,
        DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: 2,
                resource_name: OFFSETS.into(),
                configuration_keys: Some(vec!["cleanup.policy".into()]),
            }],
            ..Default::default()
        },
    );
    assert_eq!(configs.results[0].configs[0].value.as_deref(), Some("compact"));
    let old = bench.ask(
        1,
        FindCoordinatorRequest {
            key: GROUP.into(),
            ..Default::default()
        },
    );
    assert_eq!((old.node_id, old.port), (0, 9092));
}

#[test]
fn a_coordinator_of_transactions_is_not_to_be_found() {
    let mut bench = Bench::new();
    let response = bench.ask(
        4,
        FindCoordinatorRequest {
            key_type: 1,
            coordinator_keys: vec!["tx".into()],
            ..Default::default()
        },
    );
    let coordinator = &response.coordinators[0];
    assert_eq!(
        (code(coordinator.error_code), coordinator.node_id),
        (ErrorCode::InvalidRequest, -1)
    );
}

#[test]
fn without_the_offsets_topic_this_node_coordinates_nothing() {
    let mut bench = Bench::new();
    let response = bench.ask(
        4,
        HeartbeatRequest {
            group_id: GROUP.into(),
            ..Default::default()
        },
    );
    assert_eq!(code(response.error_code), ErrorCode::NotCoordinator);
}

#[test]
fn a_member_joins_syncs_commits_reads_back_heartbeats_and_leaves() {
    let mut bench = prompt();
    let (member_id, generation_id) = stable(&mut bench);
    let response = bench.ask(
        OFFSET_COMMIT,
        OffsetCommitRequest {
            member_id: member_id.clone(),
            generation_id_or_member_epoch: generation_id,
            ..commit_request("t", &[0], 5)
        },
    );
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
    assert_eq!(committed(&mut bench, "t"), 5);
    let beat = bench.ask(
        4,
        HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.clone(),
            ..Default::default()
        },
    );
    assert_eq!(code(beat.error_code), ErrorCode::None);
    let left = bench.ask(
        5,
        LeaveGroupRequest {
            group_id: GROUP.into(),
            members: vec![MemberIdentity {
                member_id,
                ..Default::default()
            }],
            ..Default::default()
        },
    );
    assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
    let listed = bench.ask(5, ListGroupsRequest::default());
    assert_eq!(
        (&*listed.groups[0].group_id, &*listed.groups[0].group_state),
        (GROUP, "Empty")
    );
    bench.assert_replays();
}

#[test]
fn a_join_is_answered_when_the_initial_delay_is_over() {
    let mut bench = Bench::new();
    find(&mut bench);
    let conn = bench.connect();
    let actions = bench.send(conn, 3, join_request(""));
    assert_eq!(actions, []);
    assert_eq!(bench.harness.machine().waiting_group_requests(), 1);
    assert_eq!(bench.advance(2_999), []);
    let actions = bench.advance(1);
    let joined = reply::<JoinGroupRequest>(&actions, conn, 3).expect("answered");
    assert_eq!((joined.generation_id, &*joined.leader), (1, &*joined.member_id));
    assert!(joined.member_id.starts_with("tester-"));
}

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
    let topic_id = bench
        .harness
        .machine()
        .topic_id(OFFSETS)
        .expect("the topic exists");
    let response = bench.ask(
        13,
        FetchRequest {
            max_bytes: 1 << 20,
            topics: vec![FetchTopic {
                topic_id,
                partitions: vec![FetchPartition {
                    partition: partition_for(GROUP, 50),
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        },
    );
    let records = response.responses[0].partitions[0]
        .records
        .clone()
        .expect("records");
    let mut found = Vec::new();
    for batch in batches(records) {
        let batch = batch.expect("a whole batch");
        batch.verify_crc().expect("its checksum is right");
        for record in batch.open(1 << 20).expect("it opens").iter() {
            let record = record.to_owned();
            let decoded = decode_record(record.key.expect("a key"), record.value);
            found.extend(decoded.expect("a record of the coordinator"));
        }
    }
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
    assert_eq!(
        (stored.offset.offset, stored.commit_timestamp_ms),
        (5, super::WALL_MS)
    );
    // Version 9 names topics; the id is stored all the same.
    let committed_id = bench.harness.machine().topic_id("t");
    assert_eq!(stored.topic_id.map(|id| Uuid(id.0)), committed_id);
}

#[test]
fn a_group_moves_with_the_leader_of_its_partition_and_keeps_members_and_offsets() {
    let mut bench = Bench::of_brokers(2, &[("group.initial.rebalance.delay.ms", "0")]);
    let before = find(&mut bench).coordinators[0].node_id;
    let after = 1 - before;
    let old = bench.connect_to(before);
    let new = bench.connect_to(after);
    let first = bench.ask_on(old, 9, join_request(""));
    let mut actions = bench.send(old, 9, join_request(&first.member_id));
    actions.extend(bench.advance(0));
    let joined = reply::<JoinGroupRequest>(&actions, old, 9).expect("joined");
    bench.ask_on(old, 5, sync_request(&joined.member_id, joined.generation_id));
    let request = OffsetCommitRequest {
        member_id: joined.member_id.clone(),
        generation_id_or_member_epoch: joined.generation_id,
        ..commit_request("t", &[0], 5)
    };
    assert_eq!(
        bench.ask_on(old, OFFSET_COMMIT, request).topics[0].partitions[0].error_code,
        0
    );
    assert_eq!(committed_on(&mut bench, new, "t"), Err(ErrorCode::NotCoordinator));

    bench.control(Control::MoveLeader {
        topic: OFFSETS.into(),
        partition: partition_for(GROUP, 50),
        broker: after,
    });
    assert_eq!(find(&mut bench).coordinators[0].node_id, after);
    assert_eq!(committed_on(&mut bench, new, "t"), Ok(5));
    assert_eq!(committed_on(&mut bench, old, "t"), Err(ErrorCode::NotCoordinator));
    let beat = HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        ..Default::default()
    };
    assert_eq!(
        code(bench.ask_on(old, 4, beat.clone()).error_code),
        ErrorCode::NotCoordinator
    );
    assert_eq!(code(bench.ask_on(new, 4, beat).error_code), ErrorCode::None);
    bench.assert_replays();
}

#[test]
fn a_broker_that_is_stopped_and_started_loads_its_groups_and_their_sessions_begin_anew() {
    let mut bench = prompt();
    let before = find(&mut bench).coordinators[0].node_id;
    let conn = bench.connect_to(before);
    let first = bench.ask_on(conn, 9, join_request(""));
    let mut actions = bench.send(conn, 9, join_request(&first.member_id));
    actions.extend(bench.advance(0));
    let joined = reply::<JoinGroupRequest>(&actions, conn, 9).expect("joined");
    bench.ask_on(conn, 5, sync_request(&joined.member_id, joined.generation_id));
    bench.control(Control::Stop { broker: before });
    assert!(
        bench.send(conn, 4, HeartbeatRequest::default()).is_empty(),
        "its connection is closed"
    );
    // Longer than the session.
    bench.advance(3_600_000);
    bench.control(Control::Start { broker: before });
    let conn = bench.connect_to(before);
    let beat = HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        ..Default::default()
    };
    assert_eq!(code(bench.ask_on(conn, 4, beat).error_code), ErrorCode::None);
    bench.assert_replays();
}

#[test]
fn a_join_that_waits_when_its_coordinator_moves_is_answered_not_coordinator() {
    let mut bench = Bench::of_brokers(2, &[]);
    let before = find(&mut bench).coordinators[0].node_id;
    let conn = bench.connect_to(before);
    bench.send(conn, 3, join_request(""));
    let actions = bench.harness.step(crate::interface::Event::Control {
        token: kohort_machine::Token(1),
        control: alloc::boxed::Box::new(Control::MoveLeader {
            topic: OFFSETS.into(),
            partition: partition_for(GROUP, 50),
            broker: 1 - before,
        }),
    });
    let response = reply::<JoinGroupRequest>(&actions, conn, 3).expect("answered");
    assert_eq!(code(response.error_code), ErrorCode::NotCoordinator);
    assert_eq!(bench.harness.machine().waiting_group_requests(), 0);
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
fn a_group_is_described_with_what_may_be_done_to_it() {
    let mut bench = prompt();
    stable(&mut bench);
    let response = bench.ask(
        6,
        DescribeGroupsRequest {
            groups: vec![GROUP.into(), "nowhere".into()],
            include_authorized_operations: true,
        },
    );
    let group = &response.groups[0];
    assert_eq!(
        (&*group.group_state, &*group.protocol_type, &*group.protocol_data),
        ("Stable", "consumer", "range")
    );
    assert_eq!(&*group.members[0].client_id, "tester");
    assert_eq!(&*group.members[0].client_host, "/127.0.0.1");
    // READ (3), DELETE (6), DESCRIBE (8), DESCRIBE_CONFIGS (10), ALTER_CONFIGS (11).
    assert_eq!(
        group.authorized_operations,
        1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11
    );
    let missing = &response.groups[1];
    assert_eq!(
        (code(missing.error_code), &*missing.group_state),
        (ErrorCode::GroupIdNotFound, "Dead")
    );
    assert_eq!(missing.authorized_operations, i32::MIN);
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
fn a_member_whose_connection_is_gone_stays_until_its_session_ends() {
    let mut bench = Bench::new();
    find(&mut bench);
    let conn = bench.connect();
    bench.send(conn, 3, join_request(""));
    bench.harness.step(crate::interface::Event::Disconnected { conn });
    bench.advance(3_000);
    let state = |bench: &mut Bench| {
        let listed = bench.ask(5, ListGroupsRequest::default());
        listed.groups[0].group_state.clone()
    };
    assert_eq!(state(&mut bench), "CompletingRebalance");
    bench.advance(10_000);
    assert_eq!(state(&mut bench), "Empty");
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
