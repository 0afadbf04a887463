//! Writing primitives, in one piece and in segments.

use std::string::String;
use std::vec;

use super::*;
use crate::Message;
use crate::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
};

fn encode<M: Message>(message: &M, version: i16) -> Result<BytesMut, EncodeError> {
    let mut out = BytesMut::new();
    message.encode(version, &mut out).map(|()| out)
}

fn fetch_response(sizes: &[usize]) -> FetchResponse {
    let partition = |&size: &usize| PartitionData {
        records: Some(vec![7; size].into()),
        ..Default::default()
    };
    let partitions = sizes.iter().map(partition).collect();
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            partitions,
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn segments_are_the_same_bytes_and_share_the_large_records() {
    let response = fetch_response(&[0, 1023, 1024, 5000]);
    for version in FetchResponse::MIN_VERSION..=FetchResponse::MAX_VERSION {
        let mut writer = Writer::segmented();
        response.write_to(&mut writer, version).unwrap();
        let segments = writer.into_segments();
        let whole = encode(&response, version).unwrap();
        assert_eq!(segments.as_slice().concat(), whole);
        assert_eq!(segments.len(), whole.len());
        let records = &response.responses[0].partitions[3].records;
        let shared = segments.as_slice().iter().find(|segment| segment.len() == 5000);
        assert_eq!(
            shared.map(|bytes| bytes.as_ptr()),
            records.as_ref().map(|bytes| bytes.as_ptr())
        );
        // What is between the records of two partitions, and around them.
        assert_eq!(segments.as_slice().len(), if version < 12 { 4 } else { 5 });
    }
}

#[test]
fn a_segmented_writer_can_still_give_one_buffer() {
    let response = fetch_response(&[2000, 3000]);
    let mut writer = Writer::segmented();
    response.write_to(&mut writer, 12).unwrap();
    assert_eq!(writer.len(), encode(&response, 12).unwrap().len());
    assert_eq!(writer.into_bytes_mut(), encode(&response, 12).unwrap());
    assert!(Writer::segmented().into_segments().is_empty());
}

#[test]
fn a_field_that_the_version_lacks_must_be_at_its_default() {
    let request = HeartbeatRequest {
        group_instance_id: Some("a".into()),
        ..Default::default()
    };
    assert!(encode(&request, 3).is_ok());
    let error = EncodeError::NotInVersion {
        field: "HeartbeatRequest.GroupInstanceId",
        version: 2,
    };
    assert_eq!(encode(&request, 2), Err(error));
}

#[test]
fn an_ignorable_field_is_left_out_of_a_version_that_lacks_it() {
    let request = OffsetCommitRequest {
        retention_time_ms: 5,
        ..Default::default()
    };
    assert_eq!(encode(&request, 5), encode(&OffsetCommitRequest::default(), 5));
}

#[test]
fn null_is_an_error_in_a_version_without_null() {
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    assert!(encode(&request, 1).is_ok());
    assert_eq!(
        encode(&request, 0),
        Err(EncodeError::NullNotAllowed {
            field: "MetadataRequest.Topics"
        })
    );
}

// Kafka: a list that is nullable but not null by default must not be null where the version lacks it.
#[test]
fn null_is_not_the_default_of_a_list_that_is_empty_by_default() {
    let request = OffsetFetchRequest {
        topics: None,
        ..Default::default()
    };
    let error = EncodeError::NotInVersion {
        field: "OffsetFetchRequest.Topics",
        version: 8,
    };
    assert_eq!(encode(&request, 8), Err(error));
    assert!(encode(&OffsetFetchRequest::default(), 8).is_ok());
    assert_eq!(ConsumerGroupHeartbeatRequest::default().topic_partitions, None);
}

#[test]
fn a_string_has_less_than_32_kib_in_either_form() {
    for version in [0, 4] {
        let of_len = |len| HeartbeatRequest {
            member_id: String::from_utf8(vec![b'a'; len]).unwrap(),
            ..Default::default()
        };
        assert!(encode(&of_len(0x7fff), version).is_ok());
        let error = EncodeError::TooLong {
            field: "HeartbeatRequest.MemberId",
            len: 0x8000,
        };
        assert_eq!(encode(&of_len(0x8000), version), Err(error));
    }
}

#[test]
fn an_error_leaves_the_buffer_as_it_was() {
    let mut out = BytesMut::from(&b"before"[..]);
    let request = HeartbeatRequest {
        group_instance_id: Some("a".into()),
        ..Default::default()
    };
    assert!(request.encode(0, &mut out).is_err());
    assert_eq!(out, b"before"[..]);
}

#[test]
fn varints_are_as_short_as_they_can_be() {
    let bytes = |value| {
        let (bytes, len) = uvarint(value);
        bytes[..len].to_vec()
    };
    assert_eq!(bytes(0), [0]);
    assert_eq!(bytes(127), [0x7f]);
    assert_eq!(bytes(128), [0x80, 0x01]);
    assert_eq!(bytes(u32::MAX), [0xff, 0xff, 0xff, 0xff, 0x0f]);
}
