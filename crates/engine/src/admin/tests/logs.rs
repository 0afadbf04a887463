//! Offsets of logs.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use kohort_groups::TopicPartition;
use kohort_protocol::messages::delete_records::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kohort_protocol::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kohort_protocol::messages::{DeleteRecordsResponse, ListOffsetsResponse};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody};

use super::{SECOND, cluster, refused, reply, run};
use crate::admin::{AdminCommand, AdminError, AdminReply, OffsetSpec, RecordsToDelete};
use crate::client::testing::Arrived;
use crate::consumer::IsolationLevel;

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
fn records_are_deleted_by_the_leaders() {
    let mut admin = cluster();
    let partition = |index| TopicPartition::new("t", index);
    let command = AdminCommand::DeleteRecords {
        partitions: BTreeMap::from([
            (partition(0), RecordsToDelete::Before(5)),
            (partition(1), RecordsToDelete::All),
        ]),
    };
    run(&mut admin, command);
    let asked = |arrived: &Arrived| {
        let RequestBody::DeleteRecords(request) = &arrived.body else {
            panic!("{arrived:?}");
        };
        let partition = &request.topics[0].partitions[0];
        (arrived.port, partition.partition_index, partition.offset)
    };
    let deleted = |partition_index, low_watermark, error: ErrorCode| DeleteRecordsResponse {
        topics: vec![DeleteRecordsTopicResult {
            name: "t".into(),
            partitions: vec![DeleteRecordsPartitionResult {
                partition_index,
                low_watermark,
                error_code: error.code(),
            }],
        }],
        ..Default::default()
    };
    let first = admin.expect(ApiKey::DeleteRecords);
    let second = admin.expect(ApiKey::DeleteRecords);
    assert_eq!((asked(&first), asked(&second)), ((9001, 0, 5), (9002, 1, -1)));
    assert!(admin.answer(&first, deleted(0, 5, ErrorCode::None)).is_empty());
    let response = deleted(1, -1, ErrorCode::PolicyViolation);
    let AdminReply::RecordsDeleted(results) = reply(admin.answer(&second, response)) else {
        panic!();
    };
    assert_eq!(results[&partition(0)], Ok(5));
    assert_eq!(results[&partition(1)], Err(refused(ErrorCode::PolicyViolation)));
}
