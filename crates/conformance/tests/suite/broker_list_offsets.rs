//! ListOffsets: the ends of a log and offsets by time.

use kohort_conformance::{Wire, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    ListOffsetsRequest,
    list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopic},
};

use crate::broker_produce::produce;
use crate::setup::{batch, code, topic, wire};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

/// The offset that partition 0 gives to its next record.
pub(crate) async fn latest(wire: &mut Wire, topic: &str) -> i64 {
    list(wire, topic, 0, -1).await.offset
}

async fn list(wire: &mut Wire, topic: &str, partition: i32, timestamp: i64) -> ListOffsetsPartitionResponse {
    let partition = ListOffsetsPartition {
        partition_index: partition,
        timestamp,
        ..ListOffsetsPartition::default()
    };
    let topic = ListOffsetsTopic {
        name: topic.to_owned(),
        partitions: vec![partition],
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![topic],
        ..ListOffsetsRequest::default()
    };
    wire.call(7, request).await.topics.remove(0).partitions.remove(0)
}

// Kafka: ListOffsetsRequestTest.testResponseIncludesLeaderEpoch, LogOffsetTest
#[tokio::test]
async fn the_ends_of_a_log_are_0_and_the_next_offset() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    assert_eq!(list(&mut wire, &topic, 0, LATEST).await.offset, 0);
    produce(&mut wire, &topic, 0, batch(&["a", "b"])).await;
    let (first, end) = (
        list(&mut wire, &topic, 0, EARLIEST).await,
        list(&mut wire, &topic, 0, LATEST).await,
    );
    assert_eq!(
        (first.offset, first.timestamp, end.offset, end.timestamp),
        (0, -1, 2, -1)
    );
}

// Kafka: PlaintextConsumerTest.testClassicConsumerOffsetsForTimes (the broker's side)
#[tokio::test]
async fn a_time_gives_the_first_record_that_is_not_older() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    // Timestamps 1000, 1001, 1002.
    produce(&mut wire, &topic, 0, batch(&["a", "b", "c"])).await;
    for (time, offset, timestamp) in [(0, 0, 1000), (1000, 0, 1000), (1001, 1, 1001), (1002, 2, 1002)] {
        let found = list(&mut wire, &topic, 0, time).await;
        assert_eq!((found.offset, found.timestamp), (offset, timestamp), "{time}");
    }
}

// Kafka: ListOffsetsIntegrationTest
#[tokio::test]
async fn a_time_after_every_record_gives_no_offset() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    produce(&mut wire, &topic, 0, batch(&["a"])).await;
    let found = list(&mut wire, &topic, 0, 1001).await;
    assert_eq!((found.error_code, found.offset, found.timestamp), (0, -1, -1));
}

// Kafka: ListOffsetsIntegrationTest.testThreeCompressedRecordsInOneBatch; KIP-734
#[tokio::test]
async fn the_largest_timestamp_gives_its_record() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    produce(&mut wire, &topic, 0, batch(&["a", "b", "c"])).await;
    produce(&mut wire, &topic, 0, batch(&["older"])).await;
    let found = list(&mut wire, &topic, 0, MAX_TIMESTAMP).await;
    assert_eq!((found.offset, found.timestamp), (2, 1002));
}

// Kafka: ListOffsetsRequestTest.testListOffsetsErrorCodes
#[tokio::test]
async fn a_partition_that_is_not_there_is_unknown() {
    let refused = list(&mut wire().await, &unique("topic"), 0, LATEST).await;
    assert_eq!(refused.error_code, code(ErrorCode::UnknownTopicOrPartition));
}
