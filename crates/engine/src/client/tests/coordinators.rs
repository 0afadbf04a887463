//! Requests to the coordinator of a group.

use alloc::sync::Arc;

use core::time::Duration;

use kohort_protocol::messages::find_coordinator::Coordinator;
use kohort_protocol::messages::{FindCoordinatorResponse, ListGroupsResponse};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, VersionRange};

use super::probe::{Event, SECOND, ask, coordinator, probe, replies};
use crate::client::testing::{Arrived, Network};
use crate::client::{RequestFailure, WaitedFor};

fn keys(arrived: &Arrived) -> &[alloc::string::String] {
    let RequestBody::FindCoordinator(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    &request.coordinator_keys
}

fn says(group: &str, node_id: i32, error: ErrorCode) -> FindCoordinatorResponse {
    let coordinator = Coordinator {
        key: group.into(),
        node_id,
        host: "kafka".into(),
        port: 9000 + node_id,
        error_code: error.code(),
        ..Default::default()
    };
    FindCoordinatorResponse {
        coordinators: alloc::vec![coordinator],
        ..Default::default()
    }
}

#[test]
fn the_coordinator_is_looked_up_once_for_all_requests() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(coordinator("g"), SECOND));
    probe.step(ask(coordinator("g"), SECOND));
    let arrived = probe.expect(ApiKey::FindCoordinator);
    assert_eq!(keys(&arrived), ["g"]);
    probe.answer(&arrived, says("g", 2, ErrorCode::None));
    let ports: alloc::vec::Vec<u16> = probe.network.waiting().map(|arrived| arrived.port).collect();
    assert_eq!(ports, [9002, 9002]);
    assert!(
        probe
            .network
            .waiting()
            .all(|arrived| arrived.body.api_key() == ApiKey::ListGroups)
    );
}

#[test]
fn an_old_broker_is_asked_for_one_group_at_a_time() {
    let mut network = Network::default();
    network
        .versions
        .insert(ApiKey::FindCoordinator, VersionRange { min: 0, max: 3 });
    let mut probe = probe(&[9001], network);
    probe.step(ask(coordinator("a"), SECOND));
    let arrived = probe.expect(ApiKey::FindCoordinator);
    let RequestBody::FindCoordinator(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    assert_eq!(request.key, "a");
    let found = FindCoordinatorResponse {
        node_id: 2,
        host: "kafka".into(),
        port: 9002,
        ..Default::default()
    };
    probe.answer(&arrived, found);
    assert_eq!(probe.expect(ApiKey::ListGroups).port, 9002);
}

#[test]
fn a_request_outlives_coordinators_that_are_not_available_yet() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(coordinator("g"), 5 * SECOND));
    for _ in 0..3 {
        let arrived = probe.expect(ApiKey::FindCoordinator);
        probe.answer(&arrived, says("g", -1, ErrorCode::CoordinatorNotAvailable));
        probe.advance(Duration::from_millis(480));
    }
    let arrived = probe.expect(ApiKey::FindCoordinator);
    probe.answer(&arrived, says("g", 1, ErrorCode::None));
    probe.expect(ApiKey::ListGroups);
}

#[test]
fn a_coordinator_that_cannot_be_found_in_time_says_why() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(coordinator("g"), SECOND));
    let arrived = probe.expect(ApiKey::FindCoordinator);
    probe.answer(&arrived, says("g", -1, ErrorCode::CoordinatorNotAvailable));
    let failed = replies(probe.advance(SECOND));
    let Err(RequestFailure::TimedOut {
        waited_for: WaitedFor::Coordinator(Some(reason)),
        ..
    }) = &failed[0].result
    else {
        panic!("{failed:?}");
    };
    assert_eq!(reason, "COORDINATOR_NOT_AVAILABLE");
}

#[test]
fn a_group_that_must_not_be_used_is_a_typed_failure() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(coordinator("g"), SECOND));
    let arrived = probe.expect(ApiKey::FindCoordinator);
    let error = ErrorCode::GroupAuthorizationFailed;
    let failed = replies(probe.answer(&arrived, says("g", -1, error)));
    let group = Arc::from("g");
    assert_eq!(
        failed[0].result,
        Err(RequestFailure::CoordinatorNotFound { group, error })
    );
}

#[test]
fn a_lost_coordinator_is_looked_up_again_and_queued_requests_follow_it() {
    let mut network = Network::with_cluster(2, &[]);
    network.coordinator = Some(1);
    let mut probe = probe(&[9001], network);
    probe.step(ask(coordinator("g"), 30 * SECOND));
    let first = probe.expect(ApiKey::ListGroups);
    assert_eq!(first.port, 9001);
    probe.network.coordinator = Some(2);
    probe.network.cut(first.link);
    let lost = replies(probe.settle());
    assert!(matches!(
        &lost[0].result,
        Err(RequestFailure::Disconnected { .. })
    ));
    probe.step(ask(coordinator("g"), 30 * SECOND));
    assert_eq!(probe.expect(ApiKey::ListGroups).port, 9002);
}

#[test]
fn a_coordinator_that_refuses_connections_does_not_fail_what_waits_for_it() {
    let mut network = Network::with_cluster(2, &[]);
    network.coordinator = Some(2);
    network.down.insert(9002);
    let mut probe = probe(&[9001], network);
    assert!(replies(probe.step(ask(coordinator("g"), 30 * SECOND))).is_empty());
    probe.network.coordinator = Some(1);
    probe.advance(SECOND);
    let arrived = probe.expect(ApiKey::ListGroups);
    assert_eq!(arrived.port, 9001);
    assert_eq!(
        replies(probe.answer(&arrived, ListGroupsResponse::default())).len(),
        1
    );
}

#[test]
fn a_forgotten_coordinator_is_looked_up_for_the_next_request() {
    let mut network = Network::with_cluster(2, &[]);
    network.coordinator = Some(1);
    let mut probe = probe(&[9001], network);
    probe.step(ask(coordinator("g"), SECOND));
    assert_eq!(probe.expect(ApiKey::ListGroups).port, 9001);
    probe.network.coordinator = Some(2);
    probe.step(Event::Call(|client, now| {
        client.forget_coordinator(now, &Arc::from("g"))
    }));
    probe.step(ask(coordinator("g"), SECOND));
    assert_eq!(probe.expect(ApiKey::ListGroups).port, 9002);
}

#[test]
fn the_coordinator_has_a_connection_of_its_own() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[]));
    probe.step(ask(coordinator("g"), SECOND));
    probe.step(ask(crate::client::Target::Broker(1), SECOND));
    let group = probe.expect(ApiKey::ListGroups);
    let control = probe.expect(ApiKey::ListGroups);
    assert_ne!(group.link, control.link);
}
