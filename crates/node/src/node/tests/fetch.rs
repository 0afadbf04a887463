//! What Fetch gives, and how it waits.

use alloc::string::String;
use alloc::vec::Vec;

use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic, PartitionData};
use kohort_protocol::messages::{DeleteTopicsRequest, FetchRequest, FetchResponse};
use kohort_protocol::{ErrorCode, Uuid};
use kohort_records::batches;

use super::{Bench, batch, produce_request, reply, written};
use crate::interface::{Action, ConnId, Event};

const VERSION: i16 = 12;

fn fetch(topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: alloc::vec![FetchTopic {
            topic: topic.into(),
            partitions: partitions
                .iter()
                .map(|(partition, offset)| FetchPartition {
                    partition: *partition,
                    fetch_offset: *offset,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn parts(response: &FetchResponse) -> Vec<PartitionData> {
    response
        .responses
        .iter()
        .flat_map(|topic| topic.partitions.clone())
        .collect()
}

/// The part of the only partition.
fn part(response: &FetchResponse) -> PartitionData {
    let parts = parts(response);
    assert_eq!(parts.len(), 1);
    parts[0].clone()
}

fn error(response: &FetchResponse) -> ErrorCode {
    ErrorCode::from_code(part(response).error_code)
}

/// The values in a partition's part of an answer.
fn values(part: &PartitionData) -> Vec<String> {
    let mut values = Vec::new();
    for batch in batches(part.records.clone().unwrap_or_default()) {
        let open = batch
            .expect("a whole batch")
            .open(1 << 20)
            .expect("a sound batch");
        let texts = open
            .iter()
            .map(|record| String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
        values.extend(texts);
    }
    values
}

fn answer(actions: &[Action], conn: ConnId) -> Option<FetchResponse> {
    reply::<FetchRequest>(actions, conn, VERSION)
}

fn move_leader(bench: &mut Bench) {
    bench.control(crate::Control::MoveLeader {
        topic: "t".into(),
        partition: 0,
        broker: 0,
    });
}

#[test]
fn what_was_produced_is_fetched_with_offsets_and_watermarks() {
    let mut bench = Bench::new();
    bench.produce("t", &["a", "b"]);
    bench.produce("t", &["c"]);
    let part = part(&bench.ask(VERSION, fetch("t", &[(0, 0)])));
    assert_eq!(values(&part), ["a", "b", "c"]);
    assert_eq!(
        (
            part.high_watermark,
            part.last_stable_offset,
            part.log_start_offset
        ),
        (3, 3, 0)
    );
    let offsets: Vec<i64> = batches(part.records.unwrap_or_default())
        .map(|batch| batch.expect("whole").base_offset())
        .collect();
    assert_eq!(offsets, [0, 2]);
}

#[test]
fn a_fetch_in_the_middle_of_a_batch_gives_the_whole_batch() {
    let mut bench = Bench::new();
    bench.produce("t", &["a", "b"]);
    let part = part(&bench.ask(VERSION, fetch("t", &[(0, 1)])));
    assert_eq!(values(&part), ["a", "b"]);
}

#[test]
fn a_fetch_without_data_waits_and_is_woken_by_an_append() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    assert_eq!(bench.send(conn, VERSION, fetch("t", &[(0, 0)])), []);
    assert_eq!(bench.advance(499), []);
    let producer = bench.connect();
    let actions = bench.send(producer, 12, produce_request("t", 0, batch(&["a"])));
    assert!(written(&actions, producer).is_some());
    let response = answer(&actions, conn).expect("the fetch is answered");
    assert_eq!(values(&part(&response)), ["a"]);
    assert_eq!(bench.harness.machine().waiting_fetches(), 0);
    assert_eq!(bench.advance(10_000), []);
}

#[test]
fn a_fetch_that_waited_long_enough_is_answered_with_nothing() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    bench.send(conn, VERSION, fetch("t", &[(0, 0)]));
    assert_eq!(bench.advance(499), []);
    let actions = bench.advance(1);
    let response = answer(&actions, conn).expect("the fetch is answered");
    assert_eq!(part(&response).records.map(|records| records.len()), Some(0));
}

#[test]
fn a_fetch_waits_for_as_many_bytes_as_it_wants() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    let one = batch(&["a"]);
    let mut request = fetch("t", &[(0, 0)]);
    request.min_bytes = one.len() as i32 * 2;
    bench.produce_batch("t", 0, one.clone());
    assert_eq!(bench.send(conn, VERSION, request), []);
    let producer = bench.connect();
    let actions = bench.send(producer, 12, produce_request("t", 0, one));
    let response = answer(&actions, conn).expect("the fetch is answered");
    assert_eq!(values(&part(&response)), ["a", "a"]);
}

#[test]
fn a_fetch_is_not_woken_by_another_partition() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    bench.send(conn, VERSION, fetch("u", &[(0, 0), (1, 0)]));
    bench.produce_batch("u", 2, batch(&["a"]));
    assert_eq!(bench.harness.machine().waiting_fetches(), 1);
}

#[test]
fn a_fetch_is_forgotten_with_its_connection() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    bench.send(conn, VERSION, fetch("t", &[(0, 0)]));
    bench.harness.step(Event::Disconnected { conn });
    assert_eq!(bench.harness.machine().waiting_fetches(), 0);
    assert_eq!(bench.advance(1000), []);
}

#[test]
fn the_first_batch_is_given_even_when_it_exceeds_the_limits() {
    let mut bench = Bench::new();
    bench.produce("t", &["a"]);
    bench.produce("t", &["b"]);
    let mut request = fetch("t", &[(0, 0)]);
    request.max_bytes = 1;
    request.topics[0].partitions[0].partition_max_bytes = 1;
    assert_eq!(values(&part(&bench.ask(VERSION, request))), ["a"]);
}

#[test]
fn only_the_first_partition_with_data_exceeds_the_limits() {
    let mut bench = Bench::new();
    for partition in 1..3 {
        bench.produce_batch("u", partition, batch(&["a"]));
    }
    let mut request = fetch("u", &[(0, 0), (1, 0), (2, 0)]);
    request.max_bytes = 1;
    let given: Vec<usize> = parts(&bench.ask(VERSION, request))
        .iter()
        .map(|part| values(part).len())
        .collect();
    assert_eq!(given, [0, 1, 0]);
}

#[test]
fn an_offset_outside_of_the_log_is_out_of_range() {
    let mut bench = Bench::new();
    bench.produce("t", &["a"]);
    for offset in [-1, 2] {
        let part = part(&bench.ask(VERSION, fetch("t", &[(0, offset)])));
        assert_eq!(ErrorCode::from_code(part.error_code), ErrorCode::OffsetOutOfRange);
        assert_eq!((part.high_watermark, part.log_start_offset), (-1, -1));
    }
}

#[test]
fn an_error_is_told_at_once_beside_partitions_without_data() {
    let codes: Vec<i16> = parts(&Bench::new().ask(VERSION, fetch("u", &[(0, 0), (1, 9)])))
        .iter()
        .map(|part| part.error_code)
        .collect();
    assert_eq!(codes, [0, ErrorCode::OffsetOutOfRange.code()]);
}

#[test]
fn what_does_not_exist_keeps_no_other_partition_from_waiting_and_is_told_last() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    assert_eq!(bench.send(conn, VERSION, fetch("u", &[(9, 0), (0, 0)])), []);
    let response = answer(&bench.advance(500), conn).expect("it waited long enough");
    let told: Vec<(i32, i16)> = parts(&response)
        .iter()
        .map(|part| (part.partition_index, part.error_code))
        .collect();
    assert_eq!(told, [(0, 0), (9, ErrorCode::UnknownTopicOrPartition.code())]);
}

#[test]
fn topics_are_named_by_id_from_version_13() {
    let mut bench = Bench::new();
    bench.produce("t", &["a"]);
    let id = bench.harness.machine().topic_id("t").expect("the topic exists");
    let mut request = fetch("", &[(0, 0)]);
    request.topics[0].topic_id = id;
    let response = bench.ask(13, request.clone());
    assert_eq!(values(&part(&response)), ["a"]);
    assert_eq!(response.responses[0].topic_id, id);
    request.topics[0].topic_id = Uuid([9; 16]);
    assert_eq!(error(&bench.ask(17, request)), ErrorCode::UnknownTopicId);
}

#[test]
fn a_leader_epoch_too_new_is_told_apart_from_one_too_old() {
    let mut bench = Bench::new();
    let mut request = fetch("t", &[(0, 0)]);
    request.topics[0].partitions[0].current_leader_epoch = 3;
    assert_eq!(
        error(&bench.ask(VERSION, request.clone())),
        ErrorCode::UnknownLeaderEpoch
    );
    move_leader(&mut bench);
    request.topics[0].partitions[0].current_leader_epoch = 0;
    assert_eq!(error(&bench.ask(VERSION, request)), ErrorCode::FencedLeaderEpoch);
}

#[test]
fn a_position_that_diverged_is_told_where_its_epoch_ended() {
    let mut bench = Bench::new();
    bench.produce("t", &["a"]);
    move_leader(&mut bench);
    bench.produce("t", &["b"]);
    let mut request = fetch("t", &[(0, 2)]);
    request.topics[0].partitions[0].last_fetched_epoch = 0;
    let diverging = part(&bench.ask(VERSION, request)).diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (0, 1));
}

#[test]
fn deleting_a_topic_answers_the_fetches_that_wait_for_it() {
    let mut bench = Bench::new();
    let (conn, admin) = (bench.connect(), bench.connect());
    bench.send(conn, VERSION, fetch("t", &[(0, 0)]));
    let request = DeleteTopicsRequest {
        topic_names: alloc::vec!["t".into()],
        ..Default::default()
    };
    let actions = bench.send(admin, 5, request);
    let response = answer(&actions, conn).expect("the fetch is answered");
    assert_eq!(error(&response), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn many_records_go_out_without_being_copied() {
    let mut bench = Bench::new();
    let large = "x".repeat(100_000);
    bench.produce("t", &[large.as_str()]);
    let mut pointers = Vec::new();
    for _ in 0..2 {
        let conn = bench.connect();
        let actions = bench.send(conn, VERSION, fetch("t", &[(0, 0)]));
        let Some(Action::Write { segments, .. }) = actions.first() else {
            panic!("the fetch is answered: {actions:?}");
        };
        let records = segments.iter().find(|segment| segment.len() > 100_000);
        pointers.push(records.expect("the records are a segment").as_ptr());
    }
    assert_eq!(pointers[0], pointers[1]);
}
