//! Groups over frames: what the node adds to the coordinator's own rules. What all tests ask is here.

mod coordinators;
mod members;
mod offsets;
mod rebalances;
mod restart;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::coordinator::{CoordinatorRecord, RebalanceOutcome, partition_for};
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
    LeaveGroupRequest, ListGroupsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest, SyncGroupRequest, describe_configs::DescribeConfigsResource,
};
use kohort_protocol::{ErrorCode, Uuid};
use kohort_records::batches;

use super::{Bench, WALL_MS, reply};
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

/// What a partition holds, as a client reads it: keys and values.
fn read(bench: &mut Bench, topic: &str, partition: i32) -> Vec<(Bytes, Option<Bytes>)> {
    let topic_id = bench.harness.machine().topic_id(topic).expect("the topic exists");
    let response = bench.ask(
        13,
        FetchRequest {
            max_bytes: 1 << 20,
            topics: vec![FetchTopic {
                topic_id,
                partitions: vec![FetchPartition {
                    partition,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        },
    );
    let records = response.responses[0].partitions[0].records.clone();
    let mut read = Vec::new();
    for batch in batches(records.unwrap_or_default()) {
        let batch = batch.expect("a whole batch");
        batch.verify_crc().expect("its checksum is right");
        for record in batch.open(1 << 20).expect("it opens").iter() {
            let record = record.to_owned();
            read.push((record.key.expect("a key"), record.value));
        }
    }
    read
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
