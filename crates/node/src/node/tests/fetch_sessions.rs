//! Fetch sessions: who gets one and who gives way, which the suite for both brokers cannot bring about.

use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::{FetchRequest, FetchResponse};

use super::{Bench, reply};

const VERSION: i16 = 12;
/// A node with room for one session.
const ONE_SLOT: &[(&str, &str)] = &[("max.incremental.fetch.session.cache.slots", "1")];

/// A request that waits for nothing; it names the first `partitions` partitions of the topic `u`.
fn request(id: i32, epoch: i32, partitions: i32) -> FetchRequest {
    let partition = |partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: "u".into(),
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    FetchRequest {
        max_bytes: 1 << 20,
        session_id: id,
        session_epoch: epoch,
        topics: if partitions > 0 {
            Vec::from([topic])
        } else {
            Vec::new()
        },
        ..Default::default()
    }
}

fn open(bench: &mut Bench, partitions: i32) -> i32 {
    bench.ask(VERSION, request(0, 0, partitions)).session_id
}

fn is_known(bench: &mut Bench, id: i32, epoch: i32) -> bool {
    let response = bench.ask(VERSION, request(id, epoch, 0));
    response.error_code != ErrorCode::FetchSessionIdNotFound.code()
}

#[test]
fn without_slots_no_session_is_given() {
    let settings = [("max.incremental.fetch.session.cache.slots", "0")];
    assert_eq!(open(&mut Bench::with(&settings), 1), 0);
}

#[test]
fn a_full_cache_gives_no_session_to_a_newcomer() {
    let mut bench = Bench::with(ONE_SLOT);
    let first = open(&mut bench, 1);
    assert!(first > 0);
    assert_eq!(open(&mut bench, 3), 0, "the first is young");
    assert!(is_known(&mut bench, first, 1));
}

#[test]
fn a_session_that_was_unused_for_two_minutes_gives_way() {
    let mut bench = Bench::with(ONE_SLOT);
    let first = open(&mut bench, 3);
    bench.advance(120_000);
    assert_eq!(open(&mut bench, 3), 0, "not longer than two minutes");
    bench.advance(1);
    assert!(open(&mut bench, 1) > 0);
    assert!(!is_known(&mut bench, first, 1));
}

#[test]
fn a_session_older_than_two_minutes_gives_way_to_a_larger_one_only() {
    let mut bench = Bench::with(ONE_SLOT);
    let first = open(&mut bench, 2);
    bench.advance(120_001);
    assert!(is_known(&mut bench, first, 1), "it is in use");
    assert_eq!(open(&mut bench, 2), 0);
    assert!(open(&mut bench, 3) > 0);
    assert!(!is_known(&mut bench, first, 2));
}

#[test]
fn each_broker_has_sessions_of_its_own() {
    let mut bench = Bench::of_brokers(2, ONE_SLOT);
    let first = open(&mut bench, 1);
    let other = bench.connect_to(1);
    let response = bench.ask_on(other, VERSION, request(first, 1, 0));
    assert_eq!(
        response.error_code,
        ErrorCode::FetchSessionIdNotFound.code(),
        "it is the first broker's"
    );
    assert!(bench.ask_on(other, VERSION, request(0, 0, 1)).session_id > 0);
    assert!(is_known(&mut bench, first, 1));
}

#[test]
fn a_fetch_that_waited_while_another_of_its_session_came_is_out_of_epoch() {
    let mut bench = Bench::new();
    let id = open(&mut bench, 3);
    let slow = bench.connect();
    let mut waiting = request(id, 1, 0);
    (waiting.max_wait_ms, waiting.min_bytes) = (500, 1);
    assert_eq!(bench.send(slow, VERSION, waiting), []);
    assert_eq!(bench.ask(VERSION, request(id, 2, 0)).error_code, 0);
    let actions = bench.advance(500);
    let late: FetchResponse = reply::<FetchRequest>(&actions, slow, VERSION).expect("it waited long enough");
    assert_eq!(
        (late.error_code, late.session_id, late.responses.len()),
        (ErrorCode::InvalidFetchSessionEpoch.code(), id, 0)
    );
}
