//! Injected faults.

use core::time::Duration;

use kohort_protocol::messages::{FindCoordinatorRequest, MetadataRequest, ProduceRequest};
use kohort_protocol::{ApiKey, ErrorCode};

use super::{Bench, batch, closed, produce_request, reply, written};
use crate::interface::{CloseReason, Event};
use crate::{Control, Fault, FaultRule};

fn inject(bench: &mut Bench, api: ApiKey, fault: Fault) {
    bench.control(Control::Inject(FaultRule::next(api, fault)));
}

#[test]
fn a_failed_request_is_not_carried_out() {
    let mut bench = Bench::new();
    inject(
        &mut bench,
        ApiKey::Produce,
        Fault::Fail(ErrorCode::NotLeaderOrFollower),
    );
    let refused = bench.produce("t", &["a"]);
    assert_eq!(
        ErrorCode::from_code(refused.error_code),
        ErrorCode::NotLeaderOrFollower
    );
    assert_eq!(bench.produce("t", &["a"]).base_offset, 0);
}

#[test]
fn a_delayed_request_is_carried_out_later_even_when_its_connection_is_gone() {
    let mut bench = Bench::new();
    for stays in [true, false] {
        let conn = bench.connect();
        let delay = Fault::Delay(Duration::from_millis(50));
        inject(&mut bench, ApiKey::Produce, delay);
        assert_eq!(bench.send(conn, 12, produce_request("t", 0, batch(&["a"]))), []);
        if !stays {
            bench.harness.step(Event::Disconnected { conn });
        }
        assert_eq!(bench.advance(49), []);
        let actions = bench.advance(1);
        assert_eq!(written(&actions, conn).is_some(), stays);
    }
    assert_eq!(bench.produce("t", &["b"]).base_offset, 2);
}

#[test]
fn a_dropped_request_is_never_answered() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    inject(&mut bench, ApiKey::Produce, Fault::Drop);
    assert_eq!(bench.send(conn, 12, produce_request("t", 0, batch(&["a"]))), []);
    assert_eq!(bench.advance(1_000_000), []);
    assert_eq!(bench.produce("t", &["a"]).base_offset, 0);
}

#[test]
fn a_cut_reply_is_of_a_request_that_was_carried_out() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    inject(&mut bench, ApiKey::Produce, Fault::Cut { after: 6 });
    let actions = bench.send(conn, 12, produce_request("t", 0, batch(&["a"])));
    assert_eq!(written(&actions, conn).map(|bytes| bytes.len()), Some(6));
    assert_eq!(closed(&actions, conn), Some(CloseReason::Fault));
    assert_eq!(bench.produce("t", &["a"]).base_offset, 1);
}

#[test]
fn other_apis_are_not_hit() {
    let mut bench = Bench::new();
    inject(&mut bench, ApiKey::Produce, Fault::Drop);
    assert_eq!(bench.ask(12, MetadataRequest::default()).error_code, 0);
    bench.control(Control::ClearFaults);
    let conn = bench.connect();
    let actions = bench.send(conn, 12, produce_request("t", 0, batch(&["a"])));
    assert!(reply::<ProduceRequest>(&actions, conn, 12).is_some());
}

#[test]
fn a_cut_without_a_reply_to_cut_still_closes_the_connection() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    inject(&mut bench, ApiKey::Produce, Fault::Cut { after: 0 });
    let request = ProduceRequest {
        acks: 0,
        ..produce_request("t", 0, batch(&["a"]))
    };
    let actions = bench.send(conn, 12, request);
    assert_eq!(closed(&actions, conn), Some(CloseReason::Fault));
    assert_eq!(bench.produce("t", &["b"]).base_offset, 1);
}

#[test]
fn a_refused_look_up_of_coordinators_is_refused_for_each_key() {
    let mut bench = Bench::new();
    let code = ErrorCode::CoordinatorNotAvailable;
    inject(&mut bench, ApiKey::FindCoordinator, Fault::Fail(code));
    let request = FindCoordinatorRequest {
        coordinator_keys: alloc::vec!["g".into(), "h".into()],
        ..Default::default()
    };
    let answer = bench.ask(6, request);
    let refused = answer
        .coordinators
        .iter()
        .map(|it| (it.key.as_str(), it.error_code));
    assert!(refused.eq([("g", code.code()), ("h", code.code())]));
    inject(&mut bench, ApiKey::FindCoordinator, Fault::Fail(code));
    let request = FindCoordinatorRequest {
        key: "g".into(),
        ..Default::default()
    };
    assert_eq!(bench.ask(3, request).error_code, code.code());
}
