//! Frames: whole, cut and hostile ones, and what is done with APIs and versions that are not known.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::ErrorCode;
use crate::messages::api_versions::ApiVersion;
use crate::messages::produce::{PartitionProduceData, TopicProduceData};
use crate::messages::{ApiVersionsResponse, HeartbeatRequest, ListGroupsResponse, ProduceRequest};

fn header(correlation_id: i32) -> RequestHeader {
    RequestHeader {
        correlation_id,
        client_id: Some("me".into()),
        ..Default::default()
    }
}

fn heartbeat(version: i16) -> BytesMut {
    let request = HeartbeatRequest {
        group_id: "g".into(),
        ..Default::default()
    };
    encode_request(&header(5), version, &request.into()).unwrap()
}

#[test]
fn a_frame_is_taken_only_when_it_is_whole() {
    let whole = heartbeat(4);
    for len in 0..whole.len() {
        let mut part = BytesMut::from(&whole[..len]);
        assert_eq!(split_frame(&mut part, 1000), Ok(None));
        assert_eq!(part.len(), len);
    }
    let mut two = BytesMut::from(&[&whole[..], &whole[..], &[0]].concat()[..]);
    assert_eq!(split_frame(&mut two, 1000).unwrap().unwrap(), whole[4..]);
    assert_eq!(split_frame(&mut two, 1000).unwrap().unwrap(), whole[4..]);
    assert_eq!(split_frame(&mut two, 1000), Ok(None));
    assert_eq!(two, [0][..]);
}

#[test]
fn a_frame_over_the_bound_or_of_negative_length_is_an_error_at_once() {
    let mut buf = BytesMut::from(&[0, 0, 1, 1][..]);
    assert_eq!(
        split_frame(&mut buf, 256),
        Err(FrameError::TooLarge { len: 257, max: 256 })
    );
    assert_eq!(split_frame(&mut buf, 257), Ok(None));
    let mut buf = BytesMut::from(&[0xff, 0xff, 0xff, 0xfe][..]);
    assert_eq!(split_frame(&mut buf, 256), Err(FrameError::Negative { len: -2 }));
}

#[test]
fn api_and_version_of_the_header_come_from_the_body() {
    let (header, body) = decode_request(heartbeat(3).split_off(4).freeze()).unwrap();
    assert_eq!((header.request_api_key, header.request_api_version), (12, 3));
    assert_eq!(
        (header.correlation_id, header.client_id.as_deref()),
        (5, Some("me"))
    );
    assert_eq!(HeartbeatRequest::try_from(body).unwrap().group_id, "g");
}

// Kafka: AbstractRequest.parseRequest reads a message and does not look at what is left; a broker of 4.3.1 answers a
// Metadata request with four bytes more.
#[test]
fn bytes_after_a_request_are_ignored() {
    let mut frame = heartbeat(4).split_off(4);
    frame.extend_from_slice(b"more");
    assert!(decode_request(frame.freeze()).is_ok());
}

#[test]
fn a_request_that_cannot_be_decoded_says_what_an_answer_needs() {
    let request = |key: i16, version: i16| {
        let mut frame = BytesMut::new();
        frame.extend_from_slice(&key.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&[0, 0, 0, 9]);
        frame.freeze()
    };
    assert_eq!(
        decode_request(request(999, 0)),
        Err(RequestError::UnknownApi { key: 999 })
    );
    for (key, version) in [
        (ApiKey::ApiVersions, 99),
        (ApiKey::Fetch, 3),
        (ApiKey::Fetch, -1),
        // Advertised for old clients, but not there.
        (ApiKey::Produce, 2),
        // Not stable yet.
        (ApiKey::InitProducerId, 6),
        // Not in this crate.
        (ApiKey::SaslHandshake, 0),
        // Not served by brokers.
        (ApiKey::Vote, 0),
    ] {
        let expected = RequestError::UnsupportedVersion {
            key,
            version,
            correlation_id: 9,
        };
        assert_eq!(decode_request(request(key.code(), version)), Err(expected));
    }
    assert!(matches!(
        decode_request(request(12, 0).slice(..7)),
        Err(RequestError::Header(_))
    ));
    assert!(matches!(
        decode_request(request(12, 0)),
        Err(RequestError::Header(_))
    ));

    let cut = heartbeat(0).split_off(4).freeze();
    let cut = cut.slice(..cut.len() - 1);
    let Err(RequestError::Decode {
        key,
        version,
        correlation_id,
        error,
    }) = decode_request(cut)
    else {
        panic!("a cut request decodes")
    };
    assert_eq!((key, version, correlation_id), (ApiKey::Heartbeat, 0, 5));
    assert_eq!(error.field, "HeartbeatRequest.MemberId");
}

#[test]
fn peeking_needs_no_known_api() {
    let peek = peek_request(&Bytes::from_static(&[1, 0, 0, 2, 0, 0, 0, 3])).unwrap();
    assert_eq!(
        peek,
        RequestPeek {
            key: 256,
            version: 2,
            correlation_id: 3
        }
    );
    assert!(peek_request(&Bytes::from_static(&[1, 0, 0, 2, 0, 0, 0])).is_err());
}

#[test]
fn a_response_comes_back_with_its_correlation_id() {
    for version in 0..=5 {
        let body: ResponseBody = ListGroupsResponse {
            error_code: 15,
            ..Default::default()
        }
        .into();
        let frame = encode_response(77, version, &body).unwrap().split_off(4).freeze();
        assert_eq!(
            decode_response(frame, ApiKey::ListGroups, version),
            Ok((77, body))
        );
    }
}

// KIP-511
#[test]
fn an_api_versions_answer_in_version_0_is_read_by_a_client_that_asked_for_a_newer_one() {
    let body: ResponseBody = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![ApiVersion {
            api_key: 18,
            min_version: 0,
            max_version: 4,
        }],
        ..Default::default()
    }
    .into();
    let frame = encode_response(9, 0, &body).unwrap().split_off(4).freeze();
    // What a broker of Kafka 4.3.1 answered to version 99; the header has no tagged fields in any version.
    assert_eq!(frame, [0, 0, 0, 9, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4][..]);
    assert_eq!(decode_response(frame, ApiKey::ApiVersions, 4), Ok((9, body)));
}

#[test]
fn the_body_of_another_api_is_told_by_name() {
    let body: RequestBody = HeartbeatRequest::default().into();
    let error = ProduceRequest::try_from(body).unwrap_err();
    assert_eq!((error.wanted, error.got), (ApiKey::Produce, ApiKey::Heartbeat));
}

#[test]
fn records_of_a_segmented_produce_request_are_not_copied() {
    let records = Bytes::from(vec![1; 4000]);
    let partition = PartitionProduceData {
        records: Some(records.clone()),
        ..Default::default()
    };
    let topic = TopicProduceData {
        partition_data: vec![partition],
        ..Default::default()
    };
    let body: RequestBody = ProduceRequest {
        topic_data: vec![topic],
        ..Default::default()
    }
    .into();
    let segments = encode_request_segmented(&header(1), 12, &body).unwrap();
    assert_eq!(
        segments.as_slice().concat(),
        encode_request(&header(1), 12, &body).unwrap()
    );
    let pointers: Vec<_> = segments
        .as_slice()
        .iter()
        .map(|segment| segment.as_ptr())
        .collect();
    assert_eq!(pointers[1], records.as_ptr());

    let mut whole = BytesMut::from(&segments.as_slice().concat()[..]);
    let frame = split_frame(&mut whole, 1 << 20).unwrap().unwrap();
    assert_eq!(decode_request(frame).unwrap().1, body);
}

#[test]
fn a_body_alone_is_what_follows_the_header() {
    let body: RequestBody = HeartbeatRequest {
        group_id: "g".into(),
        ..Default::default()
    }
    .into();
    let mut out = BytesMut::new();
    body.encode(3, &mut out).unwrap();
    assert!(heartbeat(3).ends_with(&out));
    let mut reader = Reader::new(out.freeze());
    assert_eq!(RequestBody::decode(ApiKey::Heartbeat, 3, &mut reader), Ok(body));
    assert!(RequestBody::decode(ApiKey::Vote, 0, &mut reader).is_err());
}

/// A Metadata request of version 9 with so many topics, the last of which has so many tagged fields.
fn crowd(topics: u32, fields: u32) -> Bytes {
    let request = crate::messages::MetadataRequest {
        topics: Some(vec![]),
        ..Default::default()
    };
    let frame = encode_request(&header(5), 9, &request.into()).unwrap();
    // Behind the length, the header and the number of topics there are three flags and a number of tagged fields.
    let (mut bytes, rest) = (frame[4..frame.len() - 5].to_vec(), &frame[frame.len() - 4..]);
    let varint = |value: u32| [value as u8 | 0x80, (value >> 7) as u8 | 0x80, (value >> 14) as u8];
    bytes.extend(varint(topics + 1));
    bytes.extend([1, 0].repeat(topics as usize - 1));
    bytes.push(1);
    bytes.extend(varint(fields));
    bytes.extend([9, 0].repeat(fields as usize));
    bytes.extend(rest);
    bytes.into()
}

#[test]
fn a_request_of_more_elements_than_are_allowed_is_an_error_however_they_are_spread() {
    let most = MOST_ELEMENTS_OF_REQUEST as u32;
    let reason = |frame| match decode_request(frame) {
        Err(RequestError::Decode { error, .. }) => Some(error.reason),
        Ok(_) => None,
        Err(other) => panic!("{other}"),
    };
    let too_many = Some(crate::Reason::TooManyInFrame { most: 1 << 20 });
    for (topics, fields) in [(most, 0), (1, most - 1), (most / 2, most / 2)] {
        assert_eq!(reason(crowd(topics, fields)), None, "{topics} {fields}");
        assert_eq!(reason(crowd(topics + 1, fields)), too_many, "{topics} {fields}");
        assert_eq!(reason(crowd(topics, fields + 1)), too_many, "{topics} {fields}");
    }
}

#[test]
fn an_answer_may_have_more_elements_than_a_request_and_not_any_number() {
    // An answer to Heartbeat of version 4, with so many tagged fields.
    let decode = |fields: usize| {
        let mut bytes = std::vec![0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend([0, 7, 14].map(|shift| (fields >> shift) as u8 | 0x80));
        bytes.push((fields >> 21) as u8);
        bytes.extend([9, 0].repeat(fields));
        decode_response(bytes.into(), ApiKey::Heartbeat, 4).map_err(|error| error.reason)
    };
    let most = MOST_ELEMENTS_OF_RESPONSE;
    assert!(decode(most).is_ok());
    assert_eq!(
        decode(most + 1).err(),
        Some(crate::Reason::TooManyInFrame { most })
    );
}
