//! What Produce accepts and refuses, and what ListOffsets finds of it.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use kohort_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopic,
};
use kohort_protocol::messages::{InitProducerIdRequest, ListOffsetsRequest};
use kohort_protocol::{ErrorCode, Uuid};
use kohort_records::{BatchBuilder, codec::Compression};

use super::{Bench, WALL_MS, batch, closed, produce_request, produced_by};
use crate::interface::{Action, CloseReason};

fn init_producer_id() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: None,
        ..Default::default()
    }
}

fn code(bench: &mut Bench, topic: &str, batch: Bytes) -> ErrorCode {
    ErrorCode::from_code(bench.produce_batch(topic, 0, batch).error_code)
}

fn list_offset(bench: &mut Bench, version: i16, timestamp: i64) -> ListOffsetsPartitionResponse {
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: alloc::vec![ListOffsetsTopic {
            name: "t".into(),
            partitions: alloc::vec![ListOffsetsPartition {
                timestamp,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    bench.ask(version, request).topics[0].partitions[0].clone()
}

fn offset_at(bench: &mut Bench, version: i16, timestamp: i64) -> (i64, i64) {
    let found = list_offset(bench, version, timestamp);
    assert_eq!(found.error_code, 0);
    (found.offset, found.timestamp)
}

/// One batch with a record at each of these times after [`WALL_MS`].
fn timed(compression: Compression, times: &[i64]) -> Bytes {
    let mut builder = BatchBuilder::new(compression, None).expect("the default level");
    for time in times {
        builder
            .append(WALL_MS + time, None, Some(b"a"), &[])
            .expect("room");
    }
    builder.build(0).expect("built")
}

#[test]
fn batches_get_consecutive_offsets() {
    let mut bench = Bench::new();
    assert_eq!(bench.produce("t", &["a", "b"]).base_offset, 0);
    assert_eq!(bench.produce("t", &["c"]).base_offset, 2);
    assert_eq!(offset_at(&mut bench, 5, -1).0, 3);
}

#[test]
fn without_acknowledgement_there_is_no_reply_and_the_next_request_may_come() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    let mut request = produce_request("t", 0, batch(&["a"]));
    request.acks = 0;
    assert_eq!(bench.send(conn, 12, request), [Action::Ready { conn }]);
    assert_eq!(bench.produce("t", &["b"]).base_offset, 1);
}

#[test]
fn a_failure_without_acknowledgement_closes_the_connection() {
    let mut bench = Bench::new();
    let conn = bench.connect();
    let mut request = produce_request("absent", 0, batch(&["a"]));
    request.acks = 0;
    let actions = bench.send(conn, 12, request);
    assert!(matches!(
        closed(&actions, conn),
        Some(CloseReason::UnacknowledgedProduce(_))
    ));
}

#[test]
fn only_0_1_and_all_are_acknowledgements() {
    let mut request = produce_request("t", 0, batch(&["a"]));
    request.acks = 2;
    let response = Bench::new().ask(12, request);
    assert_eq!(
        ErrorCode::from_code(response.responses[0].partition_responses[0].error_code),
        ErrorCode::InvalidRequiredAcks
    );
}

#[test]
fn a_topic_is_named_by_its_id_from_version_13() {
    let mut bench = Bench::new();
    let id = bench.harness.machine().topic_id("t").expect("the topic exists");
    let mut request = produce_request("", 0, batch(&["a"]));
    request.topic_data[0].topic_id = id;
    let response = bench.ask(13, request.clone());
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    assert_eq!(response.responses[0].topic_id, id);
    request.topic_data[0].topic_id = Uuid([9; 16]);
    let response = bench.ask(13, request);
    assert_eq!(
        ErrorCode::from_code(response.responses[0].partition_responses[0].error_code),
        ErrorCode::UnknownTopicId
    );
}

#[test]
fn a_batch_larger_than_max_message_bytes_is_too_large() {
    let mut bench = Bench::new();
    bench.create_topic("small", 1, &[("max.message.bytes", "100")]);
    let large = "x".repeat(100);
    assert_eq!(
        code(&mut bench, "small", batch(&[large.as_str()])),
        ErrorCode::MessageTooLarge
    );
    assert_eq!(code(&mut bench, "small", batch(&["x"])), ErrorCode::None);
}

#[test]
fn a_damaged_batch_is_corrupt() {
    let mut bytes = BytesMut::from(&batch(&["a value"])[..]);
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    assert_eq!(
        code(&mut Bench::new(), "t", bytes.freeze()),
        ErrorCode::CorruptMessage
    );
}

#[test]
fn an_old_magic_is_an_invalid_record() {
    let mut bytes = BytesMut::from(&batch(&["a value"])[..]);
    bytes[16] = 1;
    assert_eq!(
        code(&mut Bench::new(), "t", bytes.freeze()),
        ErrorCode::InvalidRecord
    );
}

#[test]
fn there_is_exactly_one_batch_for_a_partition() {
    let mut bench = Bench::new();
    let one = batch(&["a"]);
    let two = Bytes::from([&one[..], &one[..]].concat());
    for records in [two, one.slice(..20), Bytes::new()] {
        assert_eq!(code(&mut bench, "t", records), ErrorCode::InvalidRecord);
    }
}

#[test]
fn zstd_needs_version_7() {
    let mut bench = Bench::new();
    let bytes = timed(Compression::Zstd, &[0]);
    for (version, expected) in [(6, ErrorCode::UnsupportedCompressionType), (7, ErrorCode::None)] {
        let response = bench.ask(version, produce_request("t", 0, bytes.clone()));
        assert_eq!(
            ErrorCode::from_code(response.responses[0].partition_responses[0].error_code),
            expected
        );
    }
}

#[test]
fn a_compacted_topic_names_the_records_without_a_key() {
    let mut bench = Bench::new();
    bench.create_topic("compacted", 1, &[("cleanup.policy", "compact")]);
    let mut builder = BatchBuilder::new(Compression::None, None).expect("no level");
    for key in [Some(&b"k"[..]), None] {
        builder.append(WALL_MS, key, Some(b"a"), &[]).expect("room");
    }
    let response = bench.produce_batch("compacted", 0, builder.build(0).expect("built"));
    assert_eq!(
        ErrorCode::from_code(response.error_code),
        ErrorCode::InvalidRecord
    );
    let at_fault: Vec<i32> = response
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(at_fault, [1]);
}

#[test]
fn of_a_batch_with_countless_records_at_fault_some_are_named() {
    let mut bench = Bench::new();
    bench.create_topic("compacted", 1, &[("cleanup.policy", "compact")]);
    let mut builder = BatchBuilder::new(Compression::Gzip, None).expect("no level");
    for _ in 0..20_000 {
        builder.append(WALL_MS, None, None, &[]).expect("room");
    }
    let response = bench.produce_batch("compacted", 0, builder.build(0).expect("built"));
    assert_eq!(response.record_errors.len(), 10_000);
}

#[test]
fn a_timestamp_more_than_an_hour_in_the_future_is_invalid() {
    let mut bench = Bench::new();
    for (time, expected) in [
        (3_600_000, ErrorCode::None),
        (3_600_001, ErrorCode::InvalidTimestamp),
    ] {
        let bytes = timed(Compression::None, &[time]);
        assert_eq!(code(&mut bench, "t", bytes), expected);
    }
}

#[test]
fn a_topic_with_log_append_time_has_the_brokers_time() {
    let mut bench = Bench::new();
    bench.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    bench.advance(5);
    let response = bench.produce("stamped", &["a"]);
    assert_eq!(response.log_append_time_ms, WALL_MS + 5);
    assert_eq!(bench.produce("t", &["a"]).log_append_time_ms, -1);
}

#[test]
fn clients_do_not_write_to_internal_topics() {
    let mut bench = Bench::new();
    bench.create_topic("__transaction_state", 1, &[]);
    assert_eq!(
        code(&mut bench, "__transaction_state", batch(&["a"])),
        ErrorCode::InvalidTopicException
    );
}

#[test]
fn one_replica_is_enough_for_all_even_when_the_topic_wants_two() {
    // Kafka: Partition.effectiveMinIsr
    let mut bench = Bench::new();
    bench.create_topic("strict", 1, &[("min.insync.replicas", "2")]);
    assert_eq!(code(&mut bench, "strict", batch(&["a"])), ErrorCode::None);
}

#[test]
fn producers_that_come_after_a_batch_with_the_largest_id_are_told_apart() {
    let mut bench = Bench::new();
    bench.produce_batch("t", 0, produced_by(i64::MAX, 0));
    for offset in [1, 2] {
        let given = bench.ask(4, init_producer_id());
        assert_eq!((given.error_code, given.producer_epoch), (0, 0));
        let stored = bench.produce_batch("t", 0, produced_by(given.producer_id, 0));
        assert_eq!((stored.error_code, stored.base_offset), (0, offset));
    }
}

#[test]
fn a_producer_is_not_given_an_id_that_a_client_wrote_before() {
    let mut bench = Bench::new();
    let first = bench.ask(4, init_producer_id()).producer_id;
    bench.produce_batch("t", 0, produced_by(first + 1, 0));
    let second = bench.ask(4, init_producer_id()).producer_id;
    let stored = bench.produce_batch("t", 0, produced_by(second, 0));
    assert_eq!((stored.error_code, stored.base_offset), (0, 1));
}

#[test]
fn a_batch_of_an_idempotent_producer_that_comes_again_is_stored_once() {
    let mut bench = Bench::new();
    let numbered = |sequence| produced_by(3, sequence);
    assert_eq!(bench.produce_batch("t", 0, numbered(0)).base_offset, 0);
    assert_eq!(bench.produce_batch("t", 0, numbered(1)).base_offset, 1);
    let again = bench.produce_batch("t", 0, numbered(0));
    assert_eq!((again.error_code, again.base_offset), (0, 0));
    assert_eq!(
        code(&mut bench, "t", numbered(5)),
        ErrorCode::OutOfOrderSequenceNumber
    );
    assert_eq!(offset_at(&mut bench, 5, -1).0, 2);
}

#[test]
fn offsets_are_found_by_time() {
    let mut bench = Bench::new();
    bench.produce_batch("t", 0, timed(Compression::Gzip, &[10, 20]));
    bench.produce_batch("t", 0, timed(Compression::Gzip, &[40, 30]));
    assert_eq!(offset_at(&mut bench, 5, WALL_MS + 15), (1, WALL_MS + 20));
    assert_eq!(offset_at(&mut bench, 5, WALL_MS + 35), (2, WALL_MS + 40));
    assert_eq!(offset_at(&mut bench, 5, WALL_MS + 41), (-1, -1));
    assert_eq!(offset_at(&mut bench, 5, -2), (0, -1));
    assert_eq!(offset_at(&mut bench, 7, -3), (2, WALL_MS + 40));
    assert_eq!(offset_at(&mut bench, 8, -4), (0, -1));
}

#[test]
fn the_newest_record_needs_version_7_of_list_offsets() {
    let found = list_offset(&mut Bench::new(), 6, -3);
    assert_eq!(
        ErrorCode::from_code(found.error_code),
        ErrorCode::UnsupportedVersion
    );
}

#[test]
fn a_producer_that_was_silent_for_a_day_is_forgotten() {
    let mut bench = Bench::new();
    let numbered = |sequence| produced_by(3, sequence);
    bench.produce_batch("t", 0, numbered(0));
    bench.advance(86_400_000 - 1);
    assert_eq!(
        code(&mut bench, "t", numbered(7)),
        ErrorCode::OutOfOrderSequenceNumber
    );
    // It is looked for every ten minutes.
    bench.advance(600_000);
    assert_eq!(code(&mut bench, "t", numbered(7)), ErrorCode::None);
}
