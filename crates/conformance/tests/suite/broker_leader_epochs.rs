//! Leader epochs (KIP-101, KIP-320): where they end, and what a fetcher of another history is told. On a cluster whose
//! leaders do not move, so what several epochs do is tested in the node.

use kohort_conformance::{Wire, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    FetchRequest, OffsetForLeaderEpochRequest,
    offset_for_leader_epoch::{EpochEndOffset, OffsetForLeaderPartition, OffsetForLeaderTopic},
};

use crate::broker_fetch::fetch_request;
use crate::broker_produce::produce;
use crate::setup::{batch, code, metadata, topic, wire};

async fn end_of(wire: &mut Wire, topic: &str, partition: i32, epoch: i32, current: i32) -> EpochEndOffset {
    let partition = OffsetForLeaderPartition {
        partition,
        current_leader_epoch: current,
        leader_epoch: epoch,
    };
    let topic = OffsetForLeaderTopic {
        topic: topic.to_owned(),
        partitions: vec![partition],
    };
    let request = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![topic],
    };
    let mut response = wire.call(4, request).await;
    response.topics.remove(0).partitions.remove(0)
}

/// A topic with three records, and the epoch of its leader.
async fn filled() -> (Wire, String, i32) {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    produce(&mut wire, &topic, 0, batch(&["a", "b", "c"])).await;
    let epoch = metadata(&mut wire, &topic).await.topics[0].partitions[0].leader_epoch;
    (wire, topic, epoch)
}

// Kafka: LeaderEpochFileCache.endOffsetFor
#[tokio::test]
async fn the_current_epoch_ends_with_the_log() {
    let (mut wire, topic, epoch) = filled().await;
    let end = end_of(&mut wire, &topic, 0, epoch, -1).await;
    assert_eq!((end.error_code, end.leader_epoch, end.end_offset), (0, epoch, 3));
}

// Kafka: LeaderEpochFileCache.endOffsetFor
#[tokio::test]
async fn an_epoch_that_never_was_has_no_end() {
    let (mut wire, topic, epoch) = filled().await;
    let end = end_of(&mut wire, &topic, 0, epoch + 5, -1).await;
    assert_eq!((end.error_code, end.leader_epoch, end.end_offset), (0, -1, -1));
}

// Kafka: Partition.checkCurrentLeaderEpoch
#[tokio::test]
async fn who_knows_another_leader_epoch_is_told_so() {
    let (mut wire, topic, epoch) = filled().await;
    let known = end_of(&mut wire, &topic, 0, epoch, epoch).await;
    assert_eq!(known.error_code, 0);
    let future = end_of(&mut wire, &topic, 0, epoch, epoch + 1).await;
    assert_eq!(future.error_code, code(ErrorCode::UnknownLeaderEpoch));
}

// Kafka: ReplicaManager.lastOffsetForLeaderEpoch
#[tokio::test]
async fn a_partition_that_is_not_there_has_no_epochs() {
    let (mut wire, topic, _) = filled().await;
    for (topic, partition) in [(topic.as_str(), 7), (&unique("topic"), 0)] {
        let end = end_of(&mut wire, topic, partition, 0, -1).await;
        assert_eq!(end.error_code, code(ErrorCode::UnknownTopicOrPartition));
    }
}

fn fetch_after(topic: &str, offset: i64, last_fetched_epoch: i32) -> FetchRequest {
    let mut request = fetch_request(topic, &[(0, offset)]);
    request.topics[0].partitions[0].last_fetched_epoch = last_fetched_epoch;
    request
}

// Kafka: Partition.readRecords
#[tokio::test]
async fn a_fetcher_beyond_the_end_of_its_epoch_is_told_where_its_history_ends() {
    let (mut wire, topic, epoch) = filled().await;
    let response = wire.call(12, fetch_after(&topic, 5, epoch)).await;
    let data = &response.responses[0].partitions[0];
    assert_eq!(data.error_code, 0);
    let diverging = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
    assert_eq!(diverging, (epoch, 3));
    assert!(data.records.as_ref().is_none_or(|records| records.is_empty()));
}

// Kafka: Partition.readRecords
#[tokio::test]
async fn a_fetcher_of_the_same_history_reads() {
    let (mut wire, topic, epoch) = filled().await;
    let response = wire.call(12, fetch_after(&topic, 3, epoch)).await;
    let data = &response.responses[0].partitions[0];
    assert_eq!((data.error_code, data.diverging_epoch.epoch), (0, -1));
}

// Kafka: Partition.readRecords
#[tokio::test]
async fn a_fetcher_of_an_epoch_that_never_was_is_out_of_range() {
    let (mut wire, topic, epoch) = filled().await;
    let response = wire.call(12, fetch_after(&topic, 3, epoch + 5)).await;
    assert_eq!(
        response.responses[0].partitions[0].error_code,
        code(ErrorCode::OffsetOutOfRange)
    );
}
