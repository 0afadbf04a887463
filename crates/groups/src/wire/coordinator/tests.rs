//! Messages by version, and records by their bytes.

use std::vec;
use std::vec::Vec;

use bytes::{Bytes, BytesMut};
use kohort_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest, join_group, leave_group,
    offset_fetch, sync_group,
};
use kohort_protocol::{ApiKey, Message, RequestBody, ResponseBody};

use super::*;
use crate::OffsetAndMetadata;
use crate::coordinator::*;

fn join_of(version: i16) -> JoinRequest {
    let protocol = |name: &str| join_group::JoinGroupRequestProtocol {
        name: name.into(),
        metadata: Bytes::new(),
    };
    let message = JoinGroupRequest {
        session_timeout_ms: 10,
        rebalance_timeout_ms: 20,
        protocols: vec![protocol("a"), protocol("b"), protocol("a")],
        ..Default::default()
    };
    match request(message.into(), version) {
        Some(GroupRequest::Join(join)) => join,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_version_of_a_join_becomes_capabilities() {
    let capabilities = |version| {
        let join = join_of(version);
        (
            join.rebalance_timeout_ms,
            join.requires_known_member_id,
            join.supports_skipping_assignment,
        )
    };
    assert_eq!(capabilities(0), (10, false, false));
    assert_eq!(capabilities(3), (20, false, false));
    assert_eq!(capabilities(4), (20, true, false));
    assert_eq!(capabilities(9), (20, true, true));
}

#[test]
fn a_protocol_that_comes_twice_counts_once() {
    let names: Vec<_> = join_of(9)
        .protocols
        .into_iter()
        .map(|protocol| protocol.name)
        .collect();
    assert_eq!(names, ["a".into(), "b".into()]);
}

#[test]
fn what_a_group_keeps_of_a_request_does_not_hold_its_frame() {
    let frame = Bytes::from(vec![1; 1000]);
    let join = JoinGroupRequest {
        protocols: vec![join_group::JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: frame.slice(..10),
        }],
        ..Default::default()
    };
    let sync = SyncGroupRequest {
        assignments: vec![sync_group::SyncGroupRequestAssignment {
            member_id: "m".into(),
            assignment: frame.slice(10..30),
        }],
        ..Default::default()
    };
    let kept = [request(join.into(), 9), request(sync.into(), 5)];
    assert!(kept.iter().all(Option::is_some));
    assert!(frame.is_unique());
}

#[test]
fn a_refused_join_has_no_protocol_which_old_versions_say_by_an_empty_name() {
    let refused = |version| {
        let member_id = "me".into();
        let outcome = Err(Refusal::MemberIdRequired);
        let body = response(GroupResponse::Join(JoinResponse { member_id, outcome }), version);
        JoinGroupResponse::try_from(body).expect("of this API")
    };
    assert_eq!(refused(6).protocol_name.as_deref(), Some(""));
    assert_eq!(refused(7).protocol_name, None);
    assert_eq!((refused(9).error_code, refused(9).generation_id), (79, -1));
    assert_eq!(refused(9).member_id, "me");
}

#[test]
fn a_leave_is_of_one_member_before_version_3() {
    let message = LeaveGroupRequest {
        member_id: "one".into(),
        members: vec![leave_group::MemberIdentity {
            member_id: "two".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let leaving = |version| match request(message.clone().into(), version) {
        Some(GroupRequest::Leave(leave)) => leave.members[0].member_id.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((&*leaving(2), &*leaving(3)), ("one", "two"));

    let left = LeftMember {
        member_id: "one".into(),
        group_instance_id: None,
        outcome: Err(Refusal::UnknownMemberId),
    };
    let answer = |version| {
        let body = response(GroupResponse::Leave(Ok(vec![left.clone()])), version);
        LeaveGroupResponse::try_from(body).expect("of this API")
    };
    assert_eq!((answer(2).error_code, answer(2).members.len()), (25, 0));
    assert_eq!((answer(3).error_code, answer(3).members[0].error_code), (0, 25));
}

#[test]
fn a_fetch_of_offsets_is_of_one_group_before_version_8() {
    let message = OffsetFetchRequest {
        group_id: "one".into(),
        topics: None,
        groups: vec![offset_fetch::OffsetFetchRequestGroup {
            group_id: "two".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let group = |version| match request(message.clone().into(), version) {
        Some(GroupRequest::FetchOffsets(fetch)) => fetch.groups[0].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((&*group(7).group_id, group(7).topics), ("one", None));
    assert_eq!(&*group(8).group_id, "two");
}

#[test]
fn a_refused_fetch_of_offsets_is_told_where_the_version_has_room() {
    let asked = Some(vec![TopicPartitions {
        name: "topic".into(),
        id: None,
        partitions: vec![3],
    }]);
    let group = FetchedGroup {
        group_id: "group".into(),
        outcome: Err(Refusal::NotCoordinator),
        asked,
    };
    let answer = |version| {
        let body = response(GroupResponse::FetchOffsets(vec![group.clone()]), version);
        OffsetFetchResponse::try_from(body).expect("of this API")
    };
    let partition = &answer(1).topics[0].partitions[0];
    assert_eq!(
        (
            partition.partition_index,
            partition.committed_offset,
            partition.error_code
        ),
        (3, -1, 16)
    );
    assert_eq!((answer(7).error_code, answer(7).topics.len()), (16, 0));
    assert_eq!(answer(8).groups[0].error_code, 16);
}

#[test]
fn a_partition_without_a_committed_offset_has_offset_minus_one_and_an_empty_note() {
    let group = FetchedGroup {
        group_id: "group".into(),
        outcome: Ok(vec![TopicPartitions {
            name: "topic".into(),
            id: None,
            partitions: vec![FetchedPartition {
                partition: 0,
                committed: None,
            }],
        }]),
        asked: None,
    };
    let body = response(GroupResponse::FetchOffsets(vec![group]), 9);
    let message = OffsetFetchResponse::try_from(body).expect("of this API");
    let partition = &message.groups[0].topics[0].partitions[0];
    assert_eq!(
        (partition.committed_offset, partition.committed_leader_epoch),
        (-1, -1)
    );
    assert_eq!(
        (partition.metadata.as_deref(), partition.error_code),
        (Some(""), 0)
    );
}

#[test]
fn a_group_to_delete_that_comes_twice_has_one_result() {
    let message = DeleteGroupsRequest {
        groups_names: vec!["a".into(), "b".into(), "a".into()],
    };
    let Some(GroupRequest::Delete(delete)) = request(message.into(), 2) else {
        panic!("a deletion");
    };
    assert_eq!(delete.groups, ["a".into(), "b".into()]);
}

#[test]
fn a_group_that_is_asked_about_twice_is_answered_once() {
    let message = DescribeGroupsRequest {
        groups: vec!["b".into(), "a".into(), "b".into()],
        ..Default::default()
    };
    let Some(GroupRequest::Describe(request)) = request(message.into(), 6) else {
        panic!("a request to the coordinator");
    };
    assert_eq!(request.groups, ["b".into(), "a".into()]);
    let all_of = |group: &str| offset_fetch::OffsetFetchRequestGroup {
        group_id: group.into(),
        topics: None,
        ..Default::default()
    };
    let message = OffsetFetchRequest {
        groups: vec![all_of("b"), all_of("a"), all_of("b")],
        ..Default::default()
    };
    let Some(GroupRequest::FetchOffsets(request)) = super::request(message.into(), 9) else {
        panic!("a request to the coordinator");
    };
    let groups: Vec<_> = request.groups.iter().map(|group| &*group.group_id).collect();
    assert_eq!(groups, ["b", "a"]);
}

/// One response of each kind, refused and not.
fn responses() -> Vec<GroupResponse> {
    let refusal = Refusal::NotCoordinator;
    let outcome = PartitionOutcome {
        partition: 1,
        outcome: Ok(()),
    };
    let topics = || {
        vec![TopicPartitions {
            name: "topic".into(),
            id: None,
            partitions: vec![outcome.clone()],
        }]
    };
    let fetched = FetchedGroup {
        group_id: "group".into(),
        outcome: Ok(vec![TopicPartitions {
            name: "topic".into(),
            id: None,
            partitions: vec![FetchedPartition {
                partition: 1,
                committed: Some(OffsetAndMetadata::new(5)),
            }],
        }]),
        asked: None,
    };
    let joined = JoinedGroup {
        generation: 1,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        leader: Some("me".into()),
        skip_assignment: false,
        members: vec![JoinedMember {
            member_id: "me".into(),
            group_instance_id: Some("one".into()),
            metadata: Bytes::from_static(b"meta"),
        }],
    };
    let description = GroupDescription {
        state: "Stable",
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        members: vec![MemberDescription {
            member_id: "me".into(),
            group_instance_id: Some("one".into()),
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            metadata: Bytes::new(),
            assignment: Bytes::new(),
        }],
    };
    let described = |outcome| {
        GroupResponse::Describe(vec![DescribedGroup {
            group_id: "group".into(),
            outcome,
        }])
    };
    let member_id = || "me".into();
    vec![
        GroupResponse::Join(JoinResponse {
            member_id: member_id(),
            outcome: Ok(joined),
        }),
        GroupResponse::Join(JoinResponse {
            member_id: member_id(),
            outcome: Err(refusal),
        }),
        GroupResponse::Sync(Err(refusal)),
        GroupResponse::Sync(Ok(SyncedMember {
            protocol_type: Some("consumer".into()),
            protocol: Some("range".into()),
            assignment: Bytes::from_static(b"all"),
        })),
        GroupResponse::Heartbeat(Ok(())),
        GroupResponse::Leave(Err(refusal)),
        GroupResponse::Leave(Ok(vec![LeftMember {
            member_id: member_id(),
            group_instance_id: Some("one".into()),
            outcome: Ok(()),
        }])),
        GroupResponse::CommitOffsets(topics()),
        GroupResponse::FetchOffsets(vec![fetched]),
        GroupResponse::DeleteOffsets(Ok(topics())),
        GroupResponse::DeleteOffsets(Err(refusal)),
        described(Ok(Some(description))),
        described(Ok(None)),
        described(Err(refusal)),
        GroupResponse::List(Err(refusal)),
        GroupResponse::List(Ok(vec![ListedGroup {
            group_id: "group".into(),
            protocol_type: None,
            state: "Empty",
            group_type: "classic",
        }])),
        GroupResponse::Delete(vec![DeletedGroup {
            group_id: "group".into(),
            outcome: Ok(()),
        }]),
    ]
}

#[test]
fn every_response_can_be_encoded_in_every_version_served() {
    for response_of_kind in responses() {
        let key = response(response_of_kind.clone(), 1).api_key();
        let range = key.served_versions().expect("served");
        for version in range.min..=range.max {
            let body: ResponseBody = response(response_of_kind.clone(), version);
            let mut out = BytesMut::new();
            let encoded = body.encode(version, &mut out);
            assert!(encoded.is_ok(), "{key} {version}: {encoded:?}");
        }
    }
}

#[test]
fn a_missing_group_is_described_with_an_error_only_from_version_6() {
    let group_id = "group".into();
    let outcome = Err(Refusal::GroupIdNotFound);
    let body = response(
        GroupResponse::Describe(vec![DescribedGroup { group_id, outcome }]),
        6,
    );
    let ResponseBody::DescribeGroups(message) = body else {
        panic!("a description");
    };
    let group = &message.groups[0];
    assert_eq!((group.error_code, &*group.group_state), (69, "Dead"));
    assert_eq!(group.error_message.as_deref(), Some("Group group not found."));
}

#[test]
fn an_api_of_others_is_no_request_to_the_coordinator() {
    let body = RequestBody::from(kohort_protocol::messages::MetadataRequest::default());
    assert_eq!(body.api_key(), ApiKey::Metadata);
    assert_eq!(request(body, 12), None);
}

fn stored_offset() -> StoredOffset {
    StoredOffset {
        offset: OffsetAndMetadata {
            offset: 5,
            leader_epoch: Some(7),
            metadata: "m".into(),
        },
        commit_timestamp_ms: 9,
        expire_timestamp_ms: None,
        topic_id: None,
    }
}

fn offset_record(value: Option<StoredOffset>) -> CoordinatorRecord {
    CoordinatorRecord::Offset {
        group_id: "g".into(),
        topic: "t".into(),
        partition: 3,
        value,
    }
}

#[test]
fn an_offset_is_stored_in_kafkas_bytes() {
    let (key, value) = encode_record(&offset_record(Some(stored_offset()))).expect("encoded");
    // Type 1, then group, topic, partition.
    assert_eq!(&key[..], [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3]);
    // Version 4, which is flexible: offset, leader epoch, compact string, timestamp, no tagged fields.
    let expected = [
        &[0, 4][..],
        &5i64.to_be_bytes(),
        &7i32.to_be_bytes(),
        &[2, b'm'],
        &9i64.to_be_bytes(),
        &[0],
    ];
    assert_eq!(value.expect("a value"), expected.concat());
}

#[test]
fn an_offset_with_an_expiry_of_its_own_is_stored_in_version_1() {
    let expiring = StoredOffset {
        expire_timestamp_ms: Some(11),
        ..stored_offset()
    };
    let (_, value) = encode_record(&offset_record(Some(expiring))).expect("encoded");
    let expected = [
        &[0, 1][..],
        &5i64.to_be_bytes(),
        &[0, 1, b'm'],
        &9i64.to_be_bytes(),
        &11i64.to_be_bytes(),
    ];
    assert_eq!(value.expect("a value"), expected.concat());
}

fn group_record() -> CoordinatorRecord {
    CoordinatorRecord::Group {
        group_id: "g".into(),
        value: Some(StoredGroup {
            protocol_type: "consumer".into(),
            generation: 4,
            protocol: Some("range".into()),
            leader: Some("me".into()),
            state_timestamp_ms: Some(1),
            members: vec![StoredMember {
                member_id: "me".into(),
                group_instance_id: Some("one".into()),
                client_id: "client".into(),
                client_host: "/127.0.0.1".into(),
                rebalance_timeout_ms: 2,
                session_timeout_ms: 3,
                subscription: Bytes::from_static(b"sub"),
                assignment: Bytes::from_static(b"assigned"),
            }],
        }),
    }
}

#[test]
fn a_group_is_stored_under_key_type_2_in_version_3() {
    let (key, value) = encode_record(&group_record()).expect("encoded");
    assert_eq!(&key[..], [0, 2, 0, 1, b'g']);
    assert_eq!(value.expect("a value")[..2], [0, 3]);
}

#[test]
fn records_are_read_as_they_were_stored() {
    let records = [
        offset_record(Some(stored_offset())),
        offset_record(Some(StoredOffset {
            topic_id: Some(TopicId([7; 16])),
            ..stored_offset()
        })),
        offset_record(None),
        group_record(),
        CoordinatorRecord::Group {
            group_id: "g".into(),
            value: None,
        },
    ];
    for record in records {
        let (key, value) = encode_record(&record).expect("encoded");
        assert_eq!(decode_record(key, value), Ok(Some(record)));
    }
}

#[test]
fn records_of_other_kinds_are_skipped_and_damaged_ones_are_errors() {
    // Key type 10 is of share groups.
    assert_eq!(
        decode_record(Bytes::from_static(&[0, 10, 0, 1, b'g']), None),
        Ok(None)
    );
    assert!(matches!(
        decode_record(Bytes::from_static(&[0, 2, 0, 9]), None),
        Err(RecordError::Key(_))
    ));
    let (key, _) = encode_record(&group_record()).expect("encoded");
    let damaged = Some(Bytes::from_static(&[0, 3, 0]));
    assert!(matches!(decode_record(key, damaged), Err(RecordError::Value(_))));
}

#[test]
fn topics_are_read_from_subscriptions_of_any_version_and_from_nothing_else() {
    let subscription = |version: i16| {
        let message = kohort_protocol::consumer_protocol::ConsumerProtocolSubscription {
            topics: vec!["a".into(), "b".into()],
            ..Default::default()
        };
        kohort_protocol::consumer_protocol::encode_versioned(&message, version).expect("encoded")
    };
    for version in 0..=3 {
        let topics = subscribed_topics(subscription(version));
        assert_eq!(topics, Some(vec!["a".into(), "b".into()]));
    }
    assert_eq!(subscribed_topics(Bytes::new()), None);
    assert_eq!(
        subscribed_topics(Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff])),
        None
    );
    let unknown = kohort_protocol::consumer_protocol::ConsumerProtocolSubscription::MAX_VERSION;
    assert!(unknown >= 3);
}

#[test]
fn subscriptions_of_very_many_topics_are_not_read() {
    let subscription = |topics: usize, rest: usize| {
        let count = u32::try_from(topics).expect("few").to_be_bytes();
        let mut bytes = vec![0, 0];
        bytes.extend(count);
        for topic in 0..topics {
            bytes.extend([0, 5]);
            bytes.extend(std::format!("{topic:05}").bytes());
        }
        // User data.
        bytes.extend(u32::try_from(rest).expect("few").to_be_bytes());
        bytes.resize(bytes.len() + rest, 0);
        Bytes::from(bytes)
    };
    let read = |topics, rest| subscribed_topics(subscription(topics, rest)).map(|topics| topics.len());
    assert_eq!(read(50_000, 0), Some(50_000));
    assert_eq!(read(50_001, 0), None);
    assert_eq!(read(1, (1 << 20) - 17), Some(1));
    assert_eq!(read(1, (1 << 20) - 16), None);
}
