//! Reading primitives: limits, nulls, and lengths that lie.

use std::vec;

use super::*;
use crate::Message;
use crate::messages::{
    ApiVersionsRequest, FetchRequest, HeartbeatRequest, MetadataRequest, SyncGroupResponse,
};

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

fn fails<M: Message + core::fmt::Debug>(bytes: &[u8], version: i16) -> DecodeError {
    M::decode(&mut reader(bytes), version).unwrap_err()
}

#[test]
fn a_metadata_request_that_announces_two_billion_topics_is_an_error() {
    let error = fails::<MetadataRequest>(&[0x7f, 0xff, 0xff, 0xff], 1);
    let reason = Reason::TooManyElements {
        announced: 0x7fff_ffff,
        left: 0,
    };
    assert_eq!(
        error,
        DecodeError {
            field: "MetadataRequest.Topics",
            at: 4,
            reason
        }
    );
}

#[test]
fn an_array_must_have_the_bytes_of_its_smallest_elements() {
    // A topic is two bytes of length at least: three of them do not fit five bytes.
    let error = fails::<MetadataRequest>(&[0, 0, 0, 3, 0, 0, 0, 0, 0], 1);
    assert_eq!(
        error.reason,
        Reason::TooManyElements {
            announced: 3,
            left: 5
        }
    );
    // 0xffffffff - 1 elements in the compact form.
    let error = fails::<MetadataRequest>(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], 9);
    assert_eq!(
        error.reason,
        Reason::TooManyElements {
            announced: 0xffff_fffe,
            left: 1
        }
    );
}

#[test]
fn null_is_an_error_where_the_version_has_no_null() {
    let error = fails::<MetadataRequest>(&[0xff, 0xff, 0xff, 0xff], 0);
    assert_eq!(
        (error.field, error.reason),
        ("MetadataRequest.Topics", Reason::NullNotAllowed)
    );
    assert_eq!(
        MetadataRequest::decode(&mut reader(&[0xff; 4]), 1)
            .unwrap()
            .topics,
        None
    );

    let error = fails::<HeartbeatRequest>(&[0xff, 0xff], 0);
    assert_eq!(
        (error.field, error.reason),
        ("HeartbeatRequest.GroupId", Reason::NullNotAllowed)
    );
    let error = fails::<SyncGroupResponse>(&[0, 0, 0xff, 0xff, 0xff, 0xff], 0);
    assert_eq!(
        (error.field, error.reason),
        ("SyncGroupResponse.Assignment", Reason::NullNotAllowed)
    );
}

// Kafka: the generated read() takes every negative length for null.
#[test]
fn any_negative_length_is_null() {
    assert_eq!(reader(&[0x80, 0x00]).nullable_string(false, true, "f"), Ok(None));
    assert_eq!(
        reader(&[0xff, 0xff, 0xff, 0xfe]).nullable_bytes(false, true, "f"),
        Ok(None)
    );
}

#[test]
fn a_string_longer_than_the_frame_is_cut_short_not_allocated() {
    let error = fails::<HeartbeatRequest>(&[0x7f, 0xff, b'a', b'b'], 0);
    assert_eq!(
        error.reason,
        Reason::Truncated {
            needed: 0x7fff,
            left: 2
        }
    );
    assert_eq!(error.at, 2);
    let error = reader(&[0xff, 0xff, 0xff, 0xff, 0x0f])
        .bytes(true, "f")
        .unwrap_err();
    assert_eq!(
        error.reason,
        Reason::Truncated {
            needed: 0xffff_fffe,
            left: 0
        }
    );
}

#[test]
fn a_compact_string_of_32_kib_is_refused_though_it_is_there() {
    let error = reader(&[&[0x81, 0x80, 0x02][..], &[b'a'; 0x8000]].concat())
        .string(true, "f")
        .unwrap_err();
    assert_eq!(error.reason, Reason::StringTooLong { len: 0x8000 });
    let longest = reader(&[&[0x80, 0x80, 0x02][..], &[b'a'; 0x7fff]].concat())
        .string(true, "f")
        .unwrap();
    assert_eq!(longest.len(), 0x7fff);
}

#[test]
fn a_string_that_is_not_utf_8_names_its_first_byte() {
    let error = fails::<HeartbeatRequest>(&[0, 2, 0xc3, 0x28], 0);
    assert_eq!(
        error,
        DecodeError {
            field: "HeartbeatRequest.GroupId",
            at: 2,
            reason: Reason::InvalidUtf8
        }
    );
}

#[test]
fn a_varint_has_at_most_32_bits_in_five_bytes() {
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).uvarint("f"), Ok(u32::MAX));
    // Kafka: ByteUtils.readUnsignedVarint does not ask for the shortest form.
    assert_eq!(reader(&[0x81, 0x80, 0x80, 0x80, 0x00]).uvarint("f"), Ok(1));
    for long in [[0xff, 0xff, 0xff, 0xff, 0x10], [0x80, 0x80, 0x80, 0x80, 0x80]] {
        assert_eq!(
            reader(&long).uvarint("f").unwrap_err().reason,
            Reason::VarintTooLong
        );
    }
    assert_eq!(
        reader(&[0x80]).uvarint("f").unwrap_err().reason,
        Reason::Truncated { needed: 1, left: 0 }
    );
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    // Software name and version, then two tags that no version knows.
    let mut reader = reader(&[2, b'k', 2, b'1', 2, 5, 3, 1, 2, 3, 0x90, 0x4e, 0, 9]);
    let request = ApiVersionsRequest::decode(&mut reader, 3).unwrap();
    assert_eq!(request.client_software_name, "k");
    assert_eq!(reader.remaining(), 1);
}

#[test]
fn a_tag_that_only_a_later_version_knows_is_skipped() {
    let newest = FetchRequest {
        replica_state: crate::messages::fetch::ReplicaState {
            replica_id: 3,
            replica_epoch: 4,
        },
        ..Default::default()
    };
    let mut bytes = bytes::BytesMut::new();
    newest.encode(15, &mut bytes).unwrap();
    // Versions 12 to 14 have the old ReplicaId in front, and do not know tag 1.
    let old = [&[0xff; 4], bytes.as_ref()].concat();
    let decoded = FetchRequest::decode(&mut reader(&old), 13).unwrap();
    assert_eq!(decoded, FetchRequest::default());
}

#[test]
fn a_tagged_field_can_neither_reach_over_its_size_nor_end_before_it() {
    // ApiVersions response, version 3: error code, no APIs, throttle time, then tag 1 (int64).
    let response = |size: u8| {
        let mut bytes = vec![0, 0, 1, 0, 0, 0, 0, 1, 1, size];
        bytes.extend_from_slice(&[0; 9]);
        bytes
    };
    type Response = crate::messages::ApiVersionsResponse;
    assert!(Response::decode(&mut reader(&response(8)), 3).is_ok());
    let error = fails::<Response>(&response(9), 3);
    assert_eq!(
        error.reason,
        Reason::TagSize {
            announced: 9,
            read: 8
        }
    );
    let error = fails::<Response>(&response(7), 3);
    assert_eq!(error.field, "ApiVersionsResponse.FinalizedFeaturesEpoch");
    assert_eq!(error.reason, Reason::Truncated { needed: 8, left: 7 });
}

#[test]
fn four_billion_tagged_fields_end_with_the_bytes() {
    let mut bytes = vec![1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f];
    bytes.extend_from_slice(&[0x7f, 0]);
    let error = fails::<ApiVersionsRequest>(&bytes, 3);
    assert_eq!((error.field, error.at), ("ApiVersionsRequest", 9));
}

#[test]
fn byte_fields_share_the_memory_of_the_frame() {
    let frame = Bytes::from_static(&[0, 0, 0, 0, 0, 3, b'a', b'b', b'c']);
    let response = SyncGroupResponse::decode(&mut Reader::new(frame.clone()), 0).unwrap();
    assert_eq!(response.assignment.as_ptr(), frame.slice(6..).as_ptr());
}

#[test]
fn a_version_that_does_not_exist_is_an_error_both_ways() {
    let error = fails::<FetchRequest>(&[0; 64], 3);
    assert_eq!(
        (error.field, error.reason),
        ("FetchRequest", Reason::UnsupportedVersion { version: 3 })
    );
    let error = FetchRequest::default()
        .encode(19, &mut bytes::BytesMut::new())
        .unwrap_err();
    assert_eq!(
        error,
        crate::EncodeError::UnsupportedVersion {
            message: "FetchRequest",
            version: 19
        }
    );
}
