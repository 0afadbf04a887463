//! What a node makes of requests that it does not have or cannot read, and of ApiVersions.

use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};
use kohort_protocol::messages::{ApiVersionsRequest, InitProducerIdRequest, MetadataRequest};
use kohort_protocol::{ApiKey, ErrorCode};

use super::{Bench, closed, reply, written};
use crate::interface::{Action, CloseReason};

fn header(api: i16, version: i16) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_i16(api);
    bytes.put_i16(version);
    bytes.put_i32(77);
    bytes.put_i16(-1);
    bytes
}

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "kohort".into(),
        client_software_version: "0.1.0".into(),
    }
}

#[test]
fn api_versions_lists_only_what_this_broker_has() {
    let response = Bench::new().ask(3, api_versions());
    assert_eq!(response.error_code, 0);
    for listed in &response.api_keys {
        let api = ApiKey::from_i16(listed.api_key).expect("an API of Kafka");
        assert!(crate::handlers::versions(api).is_some(), "{api}");
    }
    let produce = response.api_keys.iter().find(|listed| listed.api_key == 0);
    assert_eq!(
        produce.map(|listed| (listed.min_version, listed.max_version)),
        Some((0, 13))
    );
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    // KIP-511
    let mut bench = Bench::new();
    let conn = bench.connect();
    let actions = bench.send_bytes(conn, header(18, 99).freeze());
    let response = reply::<ApiVersionsRequest>(&actions, conn, 0).expect("an answer");
    assert_eq!(
        ErrorCode::from_code(response.error_code),
        ErrorCode::UnsupportedVersion
    );
    let listed: Vec<_> = response
        .api_keys
        .iter()
        .map(|listed| (listed.api_key, listed.min_version, listed.max_version))
        .collect();
    assert_eq!(listed, [(18, 0, 4)]);
    assert_eq!(
        written(&actions, conn).map(|bytes| bytes.slice(4..8)),
        Some(Bytes::from_static(&[0, 0, 0, 77]))
    );
}

#[test]
fn api_versions_needs_a_software_name() {
    let response = Bench::new().ask(3, ApiVersionsRequest::default());
    assert_eq!(
        ErrorCode::from_code(response.error_code),
        ErrorCode::InvalidRequest
    );
}

#[test]
fn a_request_of_an_unknown_api_closes_its_connection_alone() {
    let mut bench = Bench::new();
    let (conn, other) = (bench.connect(), bench.connect());
    let actions = bench.send_bytes(conn, header(999, 0).freeze());
    assert_eq!(closed(&actions, conn), Some(CloseReason::UnknownApi(999)));
    assert!(actions.iter().any(|action| matches!(action, Action::Log(_))));
    bench.ask_on(other, 3, api_versions());
}

#[test]
fn a_request_of_an_api_that_this_broker_does_not_have_closes_its_connection() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    // Vote is for controllers.
    let actions = bench.send_bytes(conn, header(52, 0).freeze());
    assert_eq!(closed(&actions, conn), Some(CloseReason::UnknownApi(52)));
}

#[test]
fn a_request_of_an_unknown_version_closes_its_connection() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    let actions = bench.send_bytes(conn, header(3, 99).freeze());
    let reason = CloseReason::UnsupportedVersion {
        api: ApiKey::Metadata,
        version: 99,
    };
    assert_eq!(closed(&actions, conn), Some(reason));
}

#[test]
fn a_malformed_request_closes_its_connection_and_frames_after_it_are_ignored() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    let mut bytes = header(3, 1);
    bytes.put_i32(i32::MAX);
    let actions = bench.send_bytes(conn, bytes.freeze());
    assert!(matches!(closed(&actions, conn), Some(CloseReason::Malformed(_))));
    assert_eq!(bench.send(conn, 4, MetadataRequest::default()), []);
}

#[test]
fn an_empty_frame_closes_its_connection() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    let actions = bench.send_bytes(conn, Bytes::new());
    assert!(matches!(closed(&actions, conn), Some(CloseReason::Malformed(_))));
}

#[test]
fn producer_ids_are_handed_out_once() {
    let mut bench = Bench::new();
    let request = InitProducerIdRequest {
        transactional_id: None,
        ..Default::default()
    };
    let first = bench.ask(4, request.clone());
    let second = bench.ask(4, request);
    assert_eq!((first.error_code, first.producer_epoch), (0, 0));
    assert_ne!(first.producer_id, second.producer_id);
}

#[test]
fn a_run_is_replayed_exactly() {
    let mut bench = Bench::new();
    bench.produce("t", &["a"]);
    bench.ask(12, MetadataRequest::default());
    bench.assert_replays();
}
