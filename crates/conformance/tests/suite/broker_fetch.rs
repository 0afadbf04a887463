//! Fetch: which bytes come, and when.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kohort_conformance::{Wire, unique};
use kohort_protocol::messages::{
    FetchRequest, FetchResponse,
    fetch::{FetchPartition, FetchTopic, PartitionData},
};
use kohort_protocol::{ErrorCode, Uuid};

use crate::broker_produce::produce;
use crate::setup::{batch, code, metadata, topic, wire};

/// A Fetch (version 12) of partitions of one topic, each from an offset, which waits for nothing.
pub(crate) fn fetch_request(topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
    let partition = |(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic {
        topic: topic.to_owned(),
        partitions: partitions.iter().map(partition).collect(),
        ..FetchTopic::default()
    };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 0,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

/// Fetches one partition from `offset`.
pub(crate) async fn fetch_one(wire: &mut Wire, topic: &str, partition: i32, offset: i64) -> PartitionData {
    let mut response = wire.call(12, fetch_request(topic, &[(partition, offset)])).await;
    response.responses.remove(0).partitions.remove(0)
}

/// The values of all records.
pub(crate) fn values(records: Bytes) -> Vec<String> {
    let mut values = Vec::new();
    for batch in kohort_records::batches(records) {
        let open = batch.expect("a batch").open(1 << 20).expect("good records");
        for record in open.iter() {
            values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
        }
    }
    values
}

fn bytes_of(response: &FetchResponse) -> Vec<(i32, usize)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|data| (data.partition_index, data.records.as_ref().map_or(0, Bytes::len)))
        .collect()
}

// Kafka: FetchRequestTest.testBrokerRespectsPartitionsOrderAndSizeLimits (contents)
#[tokio::test]
async fn records_come_back_as_they_were_produced_with_their_high_watermark() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    produce(&mut wire, &topic, 0, batch(&["a", "b"])).await;
    produce(&mut wire, &topic, 0, batch(&["c"])).await;
    let fetched = fetch_one(&mut wire, &topic, 0, 0).await;
    assert_eq!(
        (
            fetched.error_code,
            fetched.high_watermark,
            fetched.last_stable_offset
        ),
        (0, 3, 3)
    );
    assert_eq!(values(fetched.records.expect("records")), ["a", "b", "c"]);
}

// Kafka: UnifiedLog.read returns the batch that holds the offset
#[tokio::test]
async fn a_fetch_from_the_middle_of_a_batch_returns_the_whole_batch() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    produce(&mut wire, &topic, 0, batch(&["a", "b", "c"])).await;
    let fetched = fetch_one(&mut wire, &topic, 0, 2).await;
    assert_eq!(values(fetched.records.expect("records")), ["a", "b", "c"]);
}

// Kafka: PlaintextConsumerFetchTest.testFetchOutOfRangeOffsetResetConfigEarliest (the broker's side)
#[tokio::test]
async fn an_offset_beyond_the_end_or_below_0_is_out_of_range_and_the_end_itself_is_not() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    produce(&mut wire, &topic, 0, batch(&["a"])).await;
    for offset in [2, 100] {
        let fetched = fetch_one(&mut wire, &topic, 0, offset).await;
        assert_eq!(fetched.error_code, code(ErrorCode::OffsetOutOfRange), "{offset}");
    }
    let at_the_end = fetch_one(&mut wire, &topic, 0, 1).await;
    assert_eq!(
        (
            at_the_end.error_code,
            at_the_end.records.map_or(0, |records| records.len())
        ),
        (0, 0)
    );
}

// Kafka: FetchRequestTest.testFetchRequestV2WithOversizedMessage; KIP-74
#[tokio::test]
async fn a_first_batch_over_all_limits_is_returned_so_that_reading_goes_on() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let long = "x".repeat(10_000);
    produce(&mut wire, &topic, 0, batch(&[&long])).await;
    let mut request = fetch_request(&topic, &[(0, 0)]);
    request.max_bytes = 10;
    request.topics[0].partitions[0].partition_max_bytes = 10;
    let response = wire.call(12, request).await;
    let records = response.responses[0].partitions[0]
        .records
        .clone()
        .expect("records");
    assert_eq!(values(records), [long]);
}

// Kafka: FetchRequestTest.testBrokerRespectsPartitionsOrderAndSizeLimits; KIP-74
#[tokio::test]
async fn max_bytes_bounds_the_answer_and_the_first_partition_asked_for_goes_first() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 3).await;
    let value = "x".repeat(1000);
    for partition in 0..3 {
        produce(&mut wire, &topic, partition, batch(&[&value])).await;
    }
    let mut request = fetch_request(&topic, &[(2, 0), (0, 0), (1, 0)]);
    request.max_bytes = 1500;
    let mut sizes = bytes_of(&wire.call(12, request).await);
    sizes.sort_unstable();
    assert!(sizes[2].1 > 1000, "the first one asked for: {sizes:?}");
    assert_eq!(
        (sizes[0].1, sizes[1].1),
        (0, 0),
        "no whole batch fits any more: {sizes:?}"
    );
}

// Kafka: PlaintextConsumerFetchTest.testFetchHonoursMaxPartitionFetchBytesIfLargeRecordNotFirst
#[tokio::test]
async fn a_partition_returns_no_whole_batch_more_than_its_limit_holds() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let value = "x".repeat(1000);
    for _ in 0..3 {
        produce(&mut wire, &topic, 0, batch(&[&value])).await;
    }
    let mut request = fetch_request(&topic, &[(0, 0)]);
    request.topics[0].partitions[0].partition_max_bytes = 2500;
    let response = wire.call(12, request).await;
    let records = response.responses[0].partitions[0]
        .records
        .clone()
        .expect("records");
    assert_eq!(values(records).len(), 2);
}

// Kafka: DelayedFetch (max_wait_ms)
#[tokio::test]
async fn a_fetch_without_data_is_answered_after_max_wait() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let mut request = fetch_request(&topic, &[(0, 0)]);
    (request.min_bytes, request.max_wait_ms) = (1, 200);
    let began = Instant::now();
    let response = wire.call(12, request).await;
    assert!(
        began.elapsed() >= Duration::from_millis(190),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(response.responses[0].partitions[0].error_code, 0);
}

// Kafka: DelayedFetch (min_bytes): the worked case of the notes, whichever comes first answers
#[tokio::test]
async fn a_waiting_fetch_is_answered_once_min_bytes_are_there() {
    let mut reader = wire().await;
    let mut writer = wire().await;
    let topic = topic(&mut writer, 2).await;
    let mut request = fetch_request(&topic, &[(0, 0), (1, 0)]);
    (request.min_bytes, request.max_wait_ms) = (150, 30_000);
    let began = Instant::now();
    reader.send(12, request).await;
    produce(&mut writer, &topic, 0, batch(&["only some"])).await;
    produce(&mut writer, &topic, 1, batch(&["and the rest"])).await;
    let (_, response) = reader.receive::<FetchRequest>(12).await.expect("an answer");
    assert!(began.elapsed() < Duration::from_secs(20));
    let sizes = bytes_of(&response);
    assert!(
        sizes.iter().map(|(_, size)| size).sum::<usize>() >= 150,
        "{sizes:?}"
    );
}

// Kafka: DelayedFetch: an error completes the wait
#[tokio::test]
async fn a_fetch_with_an_error_does_not_wait() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let mut request = fetch_request(&topic, &[(0, 50)]);
    (request.min_bytes, request.max_wait_ms) = (1, 30_000);
    let began = Instant::now();
    let response = wire.call(12, request).await;
    assert_eq!(
        response.responses[0].partitions[0].error_code,
        code(ErrorCode::OffsetOutOfRange)
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

// Kafka: KafkaApis.handleFetchRequest
#[tokio::test]
async fn what_does_not_exist_keeps_no_other_partition_from_waiting_and_is_told_last() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let mut request = fetch_request(&topic, &[(9, 0), (0, 0)]);
    (request.min_bytes, request.max_wait_ms) = (1, 500);
    let began = Instant::now();
    let response = wire.call(12, request).await;
    assert!(began.elapsed() >= Duration::from_millis(500));
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let told: Vec<(i32, i16)> = partitions
        .map(|data| (data.partition_index, data.error_code))
        .collect();
    assert_eq!(told, [(0, 0), (9, code(ErrorCode::UnknownTopicOrPartition))]);
}

// Kafka: KafkaApis.handleFetchRequest
#[tokio::test]
async fn a_partition_or_topic_that_is_not_there_is_unknown() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    for (topic, partition) in [(topic.as_str(), 7), (&unique("topic"), 0)] {
        let fetched = fetch_one(&mut wire, topic, partition, 0).await;
        assert_eq!(fetched.error_code, code(ErrorCode::UnknownTopicOrPartition));
    }
}

// KIP-516: Fetch by topic id since version 13
#[tokio::test]
async fn a_partition_is_read_by_its_topics_id() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    produce(&mut wire, &topic, 0, batch(&["a"])).await;
    let mut request = fetch_request("", &[(0, 0)]);
    request.topics[0].topic_id = metadata(&mut wire, &topic).await.topics[0].topic_id;
    let mut response = wire.call(17, request.clone()).await;
    assert_eq!(
        values(
            response.responses[0].partitions[0]
                .records
                .take()
                .expect("records")
        ),
        ["a"]
    );
    request.topics[0].topic_id = Uuid([9; 16]);
    let response = wire.call(17, request).await;
    assert_eq!(
        response.responses[0].partitions[0].error_code,
        code(ErrorCode::UnknownTopicId)
    );
}

// KIP-320: a leader epoch newer than the broker's is unknown to it
#[tokio::test]
async fn a_leader_epoch_from_the_future_is_unknown() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let mut request = fetch_request(&topic, &[(0, 0)]);
    request.topics[0].partitions[0].current_leader_epoch = 1000;
    let response = wire.call(12, request).await;
    assert_eq!(
        response.responses[0].partitions[0].error_code,
        code(ErrorCode::UnknownLeaderEpoch)
    );
}
