//! Connecting, shaking hands, backing off, bootstrapping.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_protocol::messages::ApiVersionsResponse;
use kohort_protocol::messages::api_versions::ApiVersion;
use kohort_protocol::{ApiKey, ErrorCode, RequestBody};

use super::probe::{Event, SECOND, ask, load_metadata, probe, probe_with, replies};
use crate::client::testing::Network;
use crate::client::{LinkPurpose, MetadataRecovery, RequestFailure, Target, WaitedFor};

fn by_hand() -> Network {
    let mut network = Network::default();
    network.is_handshake_manual = true;
    network
}

#[test]
fn the_handshake_names_the_software() {
    let mut probe = probe(&[9001], by_hand());
    probe.step(ask(Target::Any, SECOND));
    let arrived = probe.expect(ApiKey::ApiVersions);
    assert_eq!(arrived.version, 4);
    let RequestBody::ApiVersions(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    assert_eq!(request.client_software_name, "kohort");
    assert!(!request.client_software_version.is_empty());
}

#[test]
fn a_broker_that_knows_only_older_versions_of_the_handshake_is_asked_again() {
    let mut probe = probe(&[9001], by_hand());
    probe.step(ask(Target::Any, SECOND));
    let mut arrived = probe.expect(ApiKey::ApiVersions);
    let api = ApiVersion {
        api_key: ApiKey::ApiVersions.code(),
        min_version: 0,
        max_version: 2,
    };
    let refusal = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![api],
        ..Default::default()
    };
    // KIP-511: the refusal comes in version 0.
    arrived.version = 0;
    probe.answer(&arrived, refusal);
    let arrived = probe.expect(ApiKey::ApiVersions);
    assert_eq!(arrived.version, 2);
    let versions = probe.network.api_versions();
    probe.answer(&arrived, versions);
    probe.expect(ApiKey::ListGroups);
}

#[test]
fn a_handshake_that_fails_closes_the_connection() {
    let mut probe = probe(&[9001], by_hand());
    probe.step(ask(Target::Any, SECOND));
    let arrived = probe.expect(ApiKey::ApiVersions);
    let refusal = ApiVersionsResponse {
        error_code: ErrorCode::ClusterAuthorizationFailed.code(),
        ..Default::default()
    };
    probe.answer(&arrived, refusal);
    assert_eq!(probe.network.links().count(), 0);
    let failed = replies(probe.advance(SECOND));
    let Err(RequestFailure::TimedOut {
        waited_for: WaitedFor::Connection(Some(reason)),
        ..
    }) = &failed[0].result
    else {
        panic!("{failed:?}");
    };
    assert!(reason.contains("CLUSTER_AUTHORIZATION_FAILED"), "{reason}");
}

#[test]
fn bootstrap_servers_are_tried_in_turn() {
    let mut network = Network::default();
    network.down.extend([9001, 9002]);
    let mut probe = probe(&[9001, 9002, 9003], network);
    probe.step(ask(Target::Any, SECOND));
    probe.advance(Duration::from_millis(1));
    assert_eq!(probe.expect(ApiKey::ListGroups).port, 9003);
}

#[test]
fn a_bootstrap_server_that_never_answers_is_tried_again_after_all_others() {
    let mut network = Network::default();
    network.is_handshake_manual = true;
    let ports = [9001, 9002, 9003, 9004];
    let mut probe = probe_with(&ports, network, |config| {
        config.request_timeout = Duration::from_millis(400);
    });
    probe.step(Event::Call(|client, now| client.refresh_metadata(now)));
    probe.advance(5 * SECOND);
    let connects = probe.network.take_connects();
    let mut first = connects[..4].to_vec();
    first.sort_unstable();
    assert_eq!(first, ports, "{connects:?}");
}

#[test]
fn reconnecting_backs_off() {
    let mut network = Network::default();
    network.down.insert(9001);
    let mut probe = probe(&[9001], network);
    probe.step(ask(Target::Any, 60 * SECOND));
    // 50, 100, 200, 400, 800, then 1000 ms, each ± 20 %.
    probe.advance(Duration::from_millis(1240));
    let attempts = probe.network.take_connects().len();
    assert!((5..=6).contains(&attempts), "{attempts}");
    probe.advance(10 * SECOND);
    let attempts = probe.network.take_connects().len();
    assert!((8..=13).contains(&attempts), "{attempts}");
}

#[test]
fn a_connection_that_is_not_set_up_in_time_is_given_up() {
    let mut network = Network::default();
    network.silent.insert(9001);
    let mut probe = probe(&[9001], network);
    probe.step(ask(Target::Any, 60 * SECOND));
    probe.advance(Duration::from_millis(7999));
    assert_eq!(probe.network.take_connects().len(), 1);
    // 10 s ± 20 %, then the reconnect backoff.
    probe.advance(Duration::from_millis(4100));
    assert_eq!(probe.network.take_connects().len(), 1);
}

#[test]
fn a_handshake_that_is_not_answered_within_request_timeout_ms_ends_the_connection() {
    let mut probe = probe(&[9001, 9002], by_hand());
    probe.step(ask(Target::Any, 600 * SECOND));
    probe.expect(ApiKey::ApiVersions);
    probe.network.take_connects();
    // ClientConfig's own.
    let request_timeout = 30 * SECOND;
    probe.advance(request_timeout - Duration::from_millis(1));
    assert!(probe.network.take_connects().is_empty());
    probe.advance(SECOND);
    assert_eq!(probe.network.take_connects().len(), 1);
}

#[test]
fn requests_for_a_broker_that_refuses_the_connection_fail_at_once() {
    let mut network = Network::with_cluster(2, &[]);
    network.down.insert(9002);
    let mut probe = probe(&[9001], network);
    load_metadata(&mut probe);
    let failed = replies(probe.step(ask(Target::Broker(2), 30 * SECOND)));
    assert!(matches!(
        &failed[0].result,
        Err(RequestFailure::ConnectFailed { .. })
    ));
    assert!(
        probe
            .machine
            .client
            .is_unavailable(probe.now(), 2, LinkPurpose::Control)
    );
    assert!(
        !probe
            .machine
            .client
            .is_unavailable(probe.now(), 2, LinkPurpose::Fetch)
    );
}

#[test]
fn the_bootstrap_connection_is_kept_when_it_leads_to_an_advertised_address() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[]));
    load_metadata(&mut probe);
    probe.step(ask(Target::Broker(1), SECOND));
    probe.expect(ApiKey::ListGroups);
    assert_eq!(probe.network.take_connects(), [9001]);
}

#[test]
fn when_no_known_broker_can_be_reached_the_bootstrap_servers_are_tried() {
    let mut probe = probe(&[9100], Network::with_cluster(2, &[]));
    load_metadata(&mut probe);
    probe.network.crash(9100);
    probe.network.down.extend([9001, 9002]);
    probe.advance(SECOND);
    probe.network.take_connects();
    // The cluster moved: other ports behind the same bootstrap server.
    probe.network.down.remove(&9100);
    for broker in &mut probe.network.metadata.as_mut().unwrap().brokers {
        broker.port += 10;
    }
    probe.advance(3 * SECOND);
    probe.step(ask(Target::Broker(2), SECOND));
    assert_eq!(probe.expect(ApiKey::ListGroups).port, 9012);
}

#[test]
fn without_rebootstrapping_only_known_brokers_are_tried() {
    let mut probe = probe_with(&[9100], Network::with_cluster(2, &[]), |config| {
        config.metadata_recovery = MetadataRecovery::None;
    });
    load_metadata(&mut probe);
    probe.network.crash(9100);
    probe.network.down.extend([9001, 9002]);
    probe.network.take_connects();
    probe.step(ask(Target::Any, 10 * SECOND));
    probe.advance(10 * SECOND);
    let connects: Vec<u16> = probe.network.take_connects();
    assert!(
        !connects.is_empty() && connects.iter().all(|port| [9001, 9002].contains(port)),
        "{connects:?}"
    );
}

#[test]
fn an_idle_connection_is_closed_and_opened_again_when_needed() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, SECOND));
    let arrived = probe.expect(ApiKey::ListGroups);
    probe.answer(&arrived, kohort_protocol::messages::ListGroupsResponse::default());
    probe.advance(540 * SECOND);
    assert_eq!(probe.network.links().count(), 0);
    probe.step(ask(Target::Any, SECOND));
    probe.expect(ApiKey::ListGroups);
}

#[test]
fn any_prefers_the_connection_with_the_least_to_do() {
    let mut probe = probe(&[9001], Network::with_cluster(2, &[]));
    load_metadata(&mut probe);
    for target in [Target::Broker(1), Target::Broker(1), Target::Broker(2)] {
        probe.step(ask(target, SECOND));
    }
    probe.step(ask(Target::Any, SECOND));
    let ports: Vec<u16> = probe.network.waiting().map(|arrived| arrived.port).collect();
    assert_eq!(ports, [9001, 9001, 9002, 9002]);
}

#[test]
fn a_bootstrap_server_that_refuses_is_warned_of_at_once_and_then_ever_more_rarely() {
    let mut network = Network::default();
    network.down.insert(9001);
    let mut probe = probe(&[9001], network);
    probe.step(ask(Target::Any, 600 * SECOND));
    let first = probe.network.take_warnings();
    assert_eq!(first.len(), 1);
    assert!(
        first[0].contains("kafka:9001") && first[0].contains("connection refused"),
        "{first:?}"
    );
    probe.advance(300 * SECOND);
    let attempts = probe.network.take_connects().len();
    let more = probe.network.take_warnings().len();
    assert!(
        attempts > 100 && (5..=10).contains(&more),
        "{attempts} attempts, {more} warnings"
    );
}

#[test]
fn a_topic_that_is_not_there_is_warned_of() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[("t", 1)]));
    probe.step(super::probe::Event::Call(|client, now| {
        client.track_topics(now, ["t".into(), "orders".into()]);
    }));
    let warnings = probe.network.take_warnings();
    assert!(
        matches!(warnings.as_slice(), [one] if one.contains("topic orders: UNKNOWN_TOPIC_OR_PARTITION")),
        "{warnings:?}"
    );
}
