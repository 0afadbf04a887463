//! Requests whose parts lie about each other, and requests that ask for what must not be.

use kohort_protocol::Message;
use kohort_protocol::messages::create_topics::CreatableTopic;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::join_group::JoinGroupRequestProtocol;
use kohort_protocol::messages::metadata::MetadataRequestTopic;
use kohort_protocol::messages::sync_group::SyncGroupRequestAssignment;
use kohort_protocol::messages::{
    CreateTopicsRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    MetadataRequest, SyncGroupRequest,
};

use super::*;

#[tokio::test]
async fn correlation_ids_that_are_repeated_or_strange_are_given_back() {
    let mut bed = Bed::new().await;
    let mut client = bed.client().await;
    for id in [7, 7, 7, 0, -1, i32::MIN, i32::MAX, 7] {
        let header = RequestHeader {
            correlation_id: id,
            ..Default::default()
        };
        let body = MetadataRequest::default().into();
        let request = frame::encode_request(&header, 12, &body).unwrap();
        client.stream.write_all(&request).await.unwrap();
        let answer = timeout(SOON, client.frame())
            .await
            .expect("an answer")
            .expect("no end");
        assert_eq!(answer[..4], id.to_be_bytes());
    }
    bed.others_are_served().await;
}

#[tokio::test]
async fn a_partition_that_is_asked_for_thousands_of_times_is_answered_within_the_bytes_asked_for() {
    let mut bed = Bed::new().await;
    let mut client = bed.client().await;
    let value = vec![b'x'; 500_000];
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    builder.append(0, None, Some(&value), &[]).unwrap();
    client.ask(9, produce(builder.build(0).unwrap())).await;
    let partition = FetchPartition {
        partition_max_bytes: i32::MAX,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        ..Default::default()
    };
    for topics in [1, 50] {
        let topic = FetchTopic {
            topic: "t".into(),
            partitions: vec![partition.clone(); 5_000 / topics],
            ..Default::default()
        };
        let fetch = FetchRequest {
            max_bytes: 1_000_000,
            session_epoch: -1,
            topics: vec![topic; topics],
            ..Default::default()
        };
        client.send(11, fetch).await;
        let answer = timeout(SOON, client.frame())
            .await
            .expect("an answer")
            .expect("no end");
        assert!(
            (500_000..2_000_000).contains(&answer.len()),
            "{topics}: {}",
            answer.len()
        );
        bed.others_are_served().await;
    }
}

#[tokio::test]
async fn a_partition_that_is_written_twice_by_one_request_keeps_its_offsets_apart() {
    let mut bed = Bed::new().await;
    let mut client = bed.client().await;
    let mut request = produce(batch(Compression::None, 2));
    let again = request.topic_data[0].partition_data.clone();
    request.topic_data[0].partition_data.extend(again);
    let again = request.topic_data.clone();
    request.topic_data.extend(again);
    let response = timeout(SOON, client.ask(9, request)).await.expect("an answer");
    let answers = response
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let offsets: Vec<i64> = answers
        .filter(|answer| answer.error_code == 0)
        .map(|answer| answer.base_offset)
        .collect();
    assert!(!offsets.is_empty(), "nothing was written");
    let mut apart = offsets.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), offsets.len(), "{offsets:?}");
    bed.others_are_served().await;
}

/// The beginning of a request: a header, then the bytes of a body.
fn request(key: kohort_broker::ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let header = RequestHeader {
        request_api_key: key.code(),
        request_api_version: version,
        correlation_id: 1,
        client_id: Some("hostile".into()),
    };
    let mut bytes = bytes::BytesMut::new();
    header
        .encode(key.request_header_version(version), &mut bytes)
        .unwrap();
    bytes.extend_from_slice(body);
    prefixed(&bytes)
}

#[tokio::test]
async fn lengths_that_are_not_there_end_the_connection() {
    use kohort_broker::ApiKey;
    let mut bed = Bed::new().await;
    let hostile: [(&str, ApiKey, i16, &[u8]); 12] = [
        (
            "an array of -1 that may not be null",
            ApiKey::CreateTopics,
            2,
            &[0xff; 4],
        ),
        (
            "an array of 2^31-1",
            ApiKey::Metadata,
            1,
            &[0x7f, 0xff, 0xff, 0xff],
        ),
        (
            "an array of -2 that may not be null",
            ApiKey::CreateTopics,
            2,
            &[0xff, 0xff, 0xff, 0xfe],
        ),
        (
            "a string of -1 that may not be null",
            ApiKey::FindCoordinator,
            0,
            &[0xff, 0xff],
        ),
        ("a string of -2", ApiKey::FindCoordinator, 0, &[0xff, 0xfe]),
        (
            "a string beyond the end",
            ApiKey::FindCoordinator,
            0,
            &[0x7f, 0xff, b'g'],
        ),
        (
            "bytes beyond the end",
            ApiKey::JoinGroup,
            0,
            &[
                0, 1, b'g', 0, 0, 0, 1, 0, 0, 0, 1, b'c', 0, 0, 0, 1, 0, 1, b'r', 0x7f, 0xff, 0xff, 0xff,
            ],
        ),
        (
            "a compact array of 2^32-2",
            ApiKey::Metadata,
            9,
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            "a varint of six bytes",
            ApiKey::Metadata,
            9,
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ),
        ("a varint that does not end", ApiKey::Metadata, 9, &[0xff; 32]),
        (
            "2^32-1 tagged fields",
            ApiKey::Metadata,
            9,
            &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            "a tagged field beyond the end",
            ApiKey::Metadata,
            9,
            &[1, 0, 0, 0, 1, 9, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
    ];
    for (what, key, version, body) in hostile {
        assert!(
            bed.closes_on(&request(key, version, body)).await.is_empty(),
            "{what}"
        );
        bed.others_are_served().await;
    }
}

#[tokio::test]
async fn very_many_tagged_fields_cost_no_more_than_their_bytes() {
    let mut bed = Bed::new().await;
    // 300,000 fields of unknown tags, ascending as they must be, each empty.
    let mut body = vec![1, 0, 0, 0];
    let count = 300_000u32;
    varint(&mut body, count);
    for tag in 0..count {
        varint(&mut body, tag + 10);
        body.push(0);
    }
    let mut client = bed.client().await;
    client
        .stream
        .write_all(&request(kohort_broker::ApiKey::Metadata, 9, &body))
        .await
        .unwrap();
    // As with Kafka, unknown fields are skipped.
    assert!(timeout(SOON, client.frame()).await.expect("an answer").is_some());
    bed.others_are_served().await;
}

fn varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const NO_NAMES: [&str; 7] = [".", "..", "", "a/b", "../../etc/passwd", "a\0b", "\u{202e}x"];

#[tokio::test]
async fn names_that_no_topic_may_have_are_refused() {
    let mut bed = Bed::new().await;
    let mut client = bed.client().await;
    let long = "x".repeat(250);
    for name in NO_NAMES.into_iter().chain([long.as_str()]) {
        let created = client
            .ask(
                7,
                CreateTopicsRequest {
                    topics: vec![CreatableTopic {
                        name: name.into(),
                        num_partitions: 1,
                        replication_factor: 1,
                        ..Default::default()
                    }],
                    timeout_ms: 1000,
                    ..Default::default()
                },
            )
            .await;
        let invalid = ErrorCode::InvalidTopicException.code();
        assert_eq!(created.topics[0].error_code, invalid, "{name:?}");
        // Nor are they made because somebody asked for them.
        let metadata = client
            .ask(
                12,
                MetadataRequest {
                    topics: Some(vec![MetadataRequestTopic {
                        name: Some(name.into()),
                        ..Default::default()
                    }]),
                    allow_auto_topic_creation: true,
                    ..Default::default()
                },
            )
            .await;
        assert_eq!(metadata.topics[0].error_code, invalid, "{name:?}");
        let mut request = produce(batch(Compression::None, 1));
        request.topic_data[0].name = name.into();
        let produced = client.ask(12, request).await;
        assert_ne!(
            produced.responses[0].partition_responses[0].error_code, 0,
            "{name:?}"
        );
    }
    bed.others_are_served().await;
}

fn join(group: &str, member_id: &str, metadata: &'static [u8]) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(metadata),
        }],
        ..Default::default()
    }
}

/// Joins a group that is empty and takes these bytes for its share; its id and generation, and what it was given.
async fn become_member(
    client: &mut Client<TcpStream>,
    group: &str,
    bytes: &'static [u8],
) -> (String, i32, Bytes) {
    let named = timeout(SOON, client.ask(9, join(group, "", bytes)));
    let named = named.await.expect("an answer");
    assert_eq!(
        ErrorCode::from_code(named.error_code),
        ErrorCode::MemberIdRequired
    );
    let joined = timeout(SOON, client.ask(9, join(group, &named.member_id, bytes)));
    let joined = joined.await.expect("an answer");
    assert_eq!(
        ErrorCode::from_code(joined.error_code),
        ErrorCode::None,
        "{bytes:?}"
    );
    assert_eq!(joined.members[0].metadata, bytes, "what it said is carried");
    let sync = SyncGroupRequest {
        group_id: group.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: Bytes::from_static(bytes),
        }],
        ..Default::default()
    };
    let synced = timeout(SOON, client.ask(5, sync)).await.expect("an answer");
    assert_eq!(
        ErrorCode::from_code(synced.error_code),
        ErrorCode::None,
        "{bytes:?}"
    );
    (joined.member_id, joined.generation_id, synced.assignment)
}

async fn heartbeat(client: &mut Client<TcpStream>, group: &str, member_id: &str, generation_id: i32) {
    let heartbeat = HeartbeatRequest {
        group_id: group.into(),
        generation_id,
        member_id: member_id.into(),
        ..Default::default()
    };
    let answer = timeout(SOON, client.ask(4, heartbeat)).await.expect("an answer");
    assert_eq!(ErrorCode::from_code(answer.error_code), ErrorCode::None);
}

#[tokio::test]
async fn subscriptions_and_assignments_that_cannot_be_read_are_carried_and_harm_no_group() {
    let mut bed = Bed::new().await;
    let mut client = bed.client().await;
    let find = FindCoordinatorRequest {
        coordinator_keys: vec!["g".into(), "other".into()],
        ..Default::default()
    };
    client.ask(4, find).await;
    // Version 0 with no topics, and no user data.
    let sound: &'static [u8] = &[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    let (other, others_generation, _) = become_member(&mut client, "other", sound).await;
    let hostile: [&'static [u8]; 5] = [
        b"",
        &[0xff],
        // Version 0, topics: 2^31-1.
        &[0, 0, 0x7f, 0xff, 0xff, 0xff],
        // Version 32767.
        &[0x7f, 0xff, 0, 0, 0, 0],
        // Version 1, one topic of length -1.
        &[0, 1, 0, 0, 0, 1, 0xff, 0xff],
    ];
    for bytes in hostile {
        // Kafka leaves such a group hanging; here it must be answered, and the group must go on.
        let (member_id, generation, share) = become_member(&mut client, "g", bytes).await;
        assert_eq!(share, bytes, "what it was given is carried");
        heartbeat(&mut client, "g", &member_id, generation).await;
        heartbeat(&mut client, "other", &other, others_generation).await;
        let leave = kohort_protocol::messages::LeaveGroupRequest {
            group_id: "g".into(),
            members: vec![kohort_protocol::messages::leave_group::MemberIdentity {
                member_id,
                ..Default::default()
            }],
            ..Default::default()
        };
        let left = timeout(SOON, client.ask(5, leave)).await.expect("an answer");
        assert_eq!(ErrorCode::from_code(left.error_code), ErrorCode::None);
        bed.others_are_served().await;
    }
}
