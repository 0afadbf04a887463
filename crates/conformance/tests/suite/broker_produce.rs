//! Produce: what a broker takes and what it refuses.

use bytes::{Bytes, BytesMut};
use kohort_conformance::{Wire, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    ProduceRequest,
    produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData},
};
use kohort_records::{BatchBuilder, Compression};

use crate::broker_fetch::{fetch_one, values};
use crate::setup::{batch, code, create_topic, metadata, topic, topic_ready, wire};

/// A Produce (version 9) of one partition.
pub(crate) fn produce_request(topic: &str, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData {
        index: partition,
        records: Some(records),
    };
    let topic = TopicProduceData {
        name: topic.to_owned(),
        partition_data: vec![data],
        ..TopicProduceData::default()
    };
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: vec![topic],
        ..ProduceRequest::default()
    }
}

/// Produces to one partition with acks=all; returns the answer.
pub(crate) async fn produce(
    wire: &mut Wire,
    topic: &str,
    partition: i32,
    records: Bytes,
) -> PartitionProduceResponse {
    let mut response = wire.call(9, produce_request(topic, partition, -1, records)).await;
    response.responses.remove(0).partition_responses.remove(0)
}

// Kafka: ProduceRequestTest.testSimpleProduceRequest
#[tokio::test]
async fn offsets_are_given_in_order_from_0() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    for expected in [0, 3, 6] {
        let produced = produce(&mut wire, &topic, 0, batch(&["a", "b", "c"])).await;
        assert_eq!((produced.error_code, produced.base_offset), (0, expected));
    }
}

// Kafka: KafkaApis.handleProduceRequest
#[tokio::test]
async fn a_partition_that_is_not_there_is_unknown() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    for (topic, partition) in [(topic.as_str(), 1), (&unique("topic"), 0)] {
        let refused = produce(&mut wire, topic, partition, batch(&["a"])).await;
        assert_eq!(refused.error_code, code(ErrorCode::UnknownTopicOrPartition));
    }
}

// KIP-516: Produce by topic id since version 13
#[tokio::test]
async fn a_partition_is_written_by_its_topics_id() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let mut request = produce_request("", 0, -1, batch(&["a"]));
    request.topic_data[0].topic_id = metadata(&mut wire, &topic).await.topics[0].topic_id;
    let produced = wire.call(13, request.clone()).await;
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    request.topic_data[0].topic_id = kohort_protocol::Uuid([9; 16]);
    let refused = wire.call(13, request).await;
    assert_eq!(
        refused.responses[0].partition_responses[0].error_code,
        code(ErrorCode::UnknownTopicId)
    );
}

// Kafka: ReplicaManager.isValidRequiredAcks
#[tokio::test]
async fn acks_is_minus_one_zero_or_one() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let refused = wire.call(9, produce_request(&topic, 0, 2, batch(&["a"]))).await;
    let partition = &refused.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, code(ErrorCode::InvalidRequiredAcks));
}

// Kafka: KafkaApis.handleProduceRequest (acks=0)
#[tokio::test]
async fn a_produce_without_acks_is_not_answered_but_done() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    wire.send(9, produce_request(&topic, 0, 0, batch(&["quiet"])))
        .await;
    let produced = produce(&mut wire, &topic, 0, batch(&["loud"])).await;
    assert_eq!(
        produced.base_offset, 1,
        "the next answer is that to the next request, after the silent one"
    );
}

// Kafka: ProduceRequestTest.testCorruptLz4ProduceRequest, LogValidator
#[tokio::test]
async fn a_batch_with_a_wrong_checksum_is_corrupt() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let mut bytes = BytesMut::from(batch(&["abc"]).as_ref());
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    let refused = produce(&mut wire, &topic, 0, bytes.freeze()).await;
    assert_eq!(refused.error_code, code(ErrorCode::CorruptMessage));
}

// Kafka: UnifiedLog.append (max.message.bytes)
#[tokio::test]
async fn a_batch_over_the_topics_limit_is_too_large() {
    let mut wire = wire().await;
    let name = unique("topic");
    let mut request = create_topic(&name, 1);
    request.topics[0].configs = vec![kohort_protocol::messages::create_topics::CreatableTopicConfig {
        name: "max.message.bytes".to_owned(),
        value: Some("200".to_owned()),
    }];
    assert_eq!(wire.call(5, request).await.topics[0].error_code, 0);
    topic_ready(&mut wire, &name, 1).await;
    let long = "x".repeat(300);
    let refused = produce(&mut wire, &name, 0, batch(&[&long])).await;
    assert_eq!(refused.error_code, code(ErrorCode::MessageTooLarge));
    assert_eq!(
        produce(&mut wire, &name, 0, batch(&["short"])).await.error_code,
        0
    );
}

// Kafka: PlaintextProducerSendTest.testSendCompressedMessageWithCreateTime
#[tokio::test]
async fn a_batch_of_each_codec_is_kept_as_it_came() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    for (index, codec) in codecs.into_iter().enumerate() {
        let mut builder = BatchBuilder::new(codec, None).expect("no level to refuse");
        builder
            .append(5, Some(b"k"), Some(&[b'v'; 500]), &[])
            .expect("a record");
        let sent = builder.build(0).expect("a batch");
        let produced = produce(&mut wire, &topic, 0, sent.clone()).await;
        assert_eq!(
            (produced.error_code, produced.base_offset),
            (0, index as i64),
            "{codec:?}"
        );
        let fetched = fetch_one(&mut wire, &topic, 0, index as i64).await;
        let records = fetched.records.expect("records");
        // Offset and leader epoch are the broker's; all that the checksum covers is the producer's.
        assert_eq!(records[16..], sent[16..], "{codec:?}");
        assert_eq!(
            values(records),
            [String::from_utf8(vec![b'v'; 500]).expect("ascii")]
        );
    }
}

// Kafka: LogValidator, message.timestamp.type=LogAppendTime
#[tokio::test]
async fn log_append_time_replaces_the_producers_timestamps() {
    let mut wire = wire().await;
    let name = unique("topic");
    let mut request = create_topic(&name, 1);
    request.topics[0].configs = vec![kohort_protocol::messages::create_topics::CreatableTopicConfig {
        name: "message.timestamp.type".to_owned(),
        value: Some("LogAppendTime".to_owned()),
    }];
    assert_eq!(wire.call(5, request).await.topics[0].error_code, 0);
    topic_ready(&mut wire, &name, 1).await;
    let produced = produce(&mut wire, &name, 0, batch(&["a"])).await;
    assert!(
        produced.log_append_time_ms > 1_600_000_000_000,
        "{}",
        produced.log_append_time_ms
    );
    let records = fetch_one(&mut wire, &name, 0, 0).await.records.expect("records");
    let batch = kohort_records::batches(records)
        .next()
        .expect("a batch")
        .expect("a good batch");
    assert_eq!(batch.max_timestamp(), produced.log_append_time_ms);
}
