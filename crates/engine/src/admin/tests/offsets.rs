//! Committed offsets of groups.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_protocol::messages::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kohort_protocol::messages::offset_delete::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kohort_protocol::messages::{OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, VersionRange};

use super::{SECOND, admin, cluster, refused, reply, run};
use crate::admin::{AdminCommand, AdminError, AdminReply};
use crate::client::testing::Network;

#[test]
fn group_offsets_are_listed_in_old_and_new_versions() {
    for max in [7, 10] {
        let mut network = Network::with_cluster(1, &[]);
        network
            .versions
            .insert(ApiKey::OffsetFetch, VersionRange { min: 1, max });
        let mut admin = admin(network);
        let command = AdminCommand::ListGroupOffsets {
            group: "g".into(),
            partitions: None,
            require_stable: false,
        };
        run(&mut admin, command);
        let arrived = admin.expect(ApiKey::OffsetFetch);
        assert_eq!(arrived.version, max.min(9), "names are not said in version 10");
        let response = match max {
            7 => {
                let partition = OffsetFetchResponsePartition {
                    committed_offset: 42,
                    metadata: Some("note".into()),
                    ..Default::default()
                };
                let topic = OffsetFetchResponseTopic {
                    name: "t".into(),
                    partitions: vec![partition],
                };
                OffsetFetchResponse {
                    topics: vec![topic],
                    ..Default::default()
                }
            }
            _ => {
                let partition = OffsetFetchResponsePartitions {
                    committed_offset: 42,
                    metadata: Some("note".into()),
                    ..Default::default()
                };
                let topic = OffsetFetchResponseTopics {
                    name: "t".into(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let group = OffsetFetchResponseGroup {
                    group_id: "g".into(),
                    topics: vec![topic],
                    ..Default::default()
                };
                OffsetFetchResponse {
                    groups: vec![group],
                    ..Default::default()
                }
            }
        };
        let AdminReply::GroupOffsets(Ok(results)) = reply(admin.answer(&arrived, response)) else {
            panic!();
        };
        let offset = results[&TopicPartition::new("t", 0)].clone().unwrap().unwrap();
        assert_eq!((offset.offset, &*offset.metadata), (42, "note"));
    }
}

#[test]
fn what_a_broker_leaves_out_or_adds_changes_nothing_of_which_group_offsets_have_results() {
    let mut admin = cluster();
    let [asked, left_out, unasked] = [0, 1, 255].map(|number| TopicPartition::new("t", number));
    let command = AdminCommand::ListGroupOffsets {
        group: "g".into(),
        partitions: Some(vec![asked.clone(), left_out.clone()]),
        require_stable: false,
    };
    run(&mut admin, command);
    let arrived = admin.expect(ApiKey::OffsetFetch);
    let partition = |of: &TopicPartition| OffsetFetchResponsePartitions {
        partition_index: of.partition,
        committed_offset: 42,
        ..Default::default()
    };
    let response = OffsetFetchResponse {
        groups: vec![OffsetFetchResponseGroup {
            group_id: "g".into(),
            topics: vec![OffsetFetchResponseTopics {
                name: "t".into(),
                partitions: vec![partition(&unasked), partition(&asked)],
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let AdminReply::GroupOffsets(Ok(results)) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert!(results[&asked].as_ref().unwrap().is_some());
    assert!(matches!(results[&left_out], Err(AdminError::Nonsense { .. })));
    assert_eq!(results.len(), 2);
}

#[test]
fn the_offsets_of_a_topic_share_the_bytes_of_its_name() {
    let mut admin = cluster();
    let command = AdminCommand::ListGroupOffsets {
        group: "g".into(),
        partitions: None,
        require_stable: false,
    };
    run(&mut admin, command);
    let arrived = admin.expect(ApiKey::OffsetFetch);
    let partition = |partition_index| OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: 42,
        ..Default::default()
    };
    let response = OffsetFetchResponse {
        groups: vec![OffsetFetchResponseGroup {
            group_id: "g".into(),
            topics: vec![OffsetFetchResponseTopics {
                name: "a".repeat(32_767),
                partitions: (0..1000).map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let AdminReply::GroupOffsets(Ok(results)) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert_eq!(results.len(), 1000);
    let first = results.keys().next().unwrap();
    assert!(results.keys().all(|it| Arc::ptr_eq(&it.topic, &first.topic)));
}

#[test]
fn group_offsets_are_altered() {
    let mut admin = cluster();
    let offset = |partition| (TopicPartition::new("t", partition), OffsetAndMetadata::new(7));
    let command = AdminCommand::AlterGroupOffsets {
        group: "g".into(),
        offsets: BTreeMap::from([offset(0), offset(1)]),
    };
    run(&mut admin, command);
    let arrived = admin.expect(ApiKey::OffsetCommit);
    let RequestBody::OffsetCommit(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    assert_eq!((arrived.version, request.generation_id_or_member_epoch), (9, -1));
    let partition = |partition_index, error: ErrorCode| OffsetCommitResponsePartition {
        partition_index,
        error_code: error.code(),
    };
    let topic = OffsetCommitResponseTopic {
        name: "t".into(),
        partitions: vec![
            partition(0, ErrorCode::None),
            partition(1, ErrorCode::UnknownMemberId),
        ],
        ..Default::default()
    };
    let response = OffsetCommitResponse {
        topics: vec![topic],
        ..Default::default()
    };
    let AdminReply::GroupOffsetsAltered(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert_eq!(results[&TopicPartition::new("t", 0)], Ok(()));
    assert_eq!(
        results[&TopicPartition::new("t", 1)],
        Err(refused(ErrorCode::UnknownMemberId))
    );
}

fn delete_offsets(partitions: &[i32]) -> AdminCommand {
    AdminCommand::DeleteGroupOffsets {
        group: "g".into(),
        partitions: partitions
            .iter()
            .map(|it| TopicPartition::new("t", *it))
            .collect(),
    }
}

#[test]
fn group_offsets_are_deleted_with_one_result_each() {
    let mut admin = cluster();
    run(&mut admin, delete_offsets(&[0, 1]));
    let arrived = admin.expect(ApiKey::OffsetDelete);
    let RequestBody::OffsetDelete(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    let asked: Vec<i32> = request.topics[0]
        .partitions
        .iter()
        .map(|it| it.partition_index)
        .collect();
    assert_eq!(
        (&*request.group_id, &*request.topics[0].name, asked),
        ("g", "t", vec![0, 1])
    );
    let partition = |partition_index, error: ErrorCode| OffsetDeleteResponsePartition {
        partition_index,
        error_code: error.code(),
    };
    let topic = OffsetDeleteResponseTopic {
        name: "t".into(),
        partitions: vec![
            partition(0, ErrorCode::None),
            partition(1, ErrorCode::GroupSubscribedToTopic),
        ],
    };
    let response = OffsetDeleteResponse {
        topics: vec![topic],
        ..Default::default()
    };
    let AdminReply::GroupOffsetsDeleted(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert_eq!(results[&TopicPartition::new("t", 0)], Ok(()));
    assert_eq!(
        results[&TopicPartition::new("t", 1)],
        Err(refused(ErrorCode::GroupSubscribedToTopic))
    );
}

#[test]
fn a_refusal_of_the_group_is_the_result_of_each_of_its_partitions() {
    let mut admin = cluster();
    run(&mut admin, delete_offsets(&[0, 1]));
    let response = |error: ErrorCode| OffsetDeleteResponse {
        error_code: error.code(),
        ..Default::default()
    };
    let arrived = admin.expect(ApiKey::OffsetDelete);
    assert!(
        admin
            .answer(&arrived, response(ErrorCode::CoordinatorLoadInProgress))
            .is_empty()
    );
    admin.advance(SECOND);
    let again = admin.expect(ApiKey::OffsetDelete);
    let AdminReply::GroupOffsetsDeleted(results) =
        reply(admin.answer(&again, response(ErrorCode::GroupIdNotFound)))
    else {
        panic!();
    };
    assert_eq!(results.len(), 2);
    assert!(
        results
            .values()
            .all(|it| *it == Err(refused(ErrorCode::GroupIdNotFound)))
    );
}
