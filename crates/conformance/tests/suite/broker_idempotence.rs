//! Idempotent producers (KIP-98): ids, epochs and sequence numbers.

use bytes::Bytes;
use kohort_conformance::Wire;
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    DescribeProducersRequest, InitProducerIdRequest, InitProducerIdResponse, describe_producers::TopicRequest,
};
use kohort_records::{BatchBuilder, Compression};

use crate::broker_list_offsets::latest;
use crate::broker_produce::produce;
use crate::setup::{code, topic, wire};

async fn init(wire: &mut Wire) -> InitProducerIdResponse {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    };
    loop {
        // Real Kafka may have to ask its controller for ids first.
        let response = wire.call(4, request.clone()).await;
        if response.error_code != code(ErrorCode::CoordinatorLoadInProgress) {
            assert_eq!(response.error_code, 0);
            return response;
        }
        tokio::task::yield_now().await;
    }
}

/// `count` records of a producer from a sequence number on, with timestamps from `timestamp` on.
fn numbered(id: i64, epoch: i16, sequence: i32, count: i32, timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, None).expect("no level to refuse");
    builder.set_producer(id, epoch, sequence);
    for index in 0..count {
        let timestamp = timestamp + i64::from(index);
        builder
            .append(timestamp, None, Some(b"v"), &[])
            .expect("a small record");
    }
    builder.build(0).expect("a batch that is not empty")
}

/// A producer and its topic.
struct Producer {
    wire: Wire,
    topic: String,
    id: i64,
    now: i64,
}

impl Producer {
    async fn new() -> Self {
        let mut wire = wire().await;
        let topic = topic(&mut wire, 1).await;
        let id = init(&mut wire).await.producer_id;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = i64::try_from(since.expect("after 1970").as_millis()).expect("this age");
        Self { wire, topic, id, now }
    }

    /// Sends `count` records; the answer's error and base offset.
    async fn send(&mut self, epoch: i16, sequence: i32, count: i32) -> (i16, i64) {
        let records = numbered(self.id, epoch, sequence, count, self.now);
        let answer = produce(&mut self.wire, &self.topic, 0, records).await;
        (answer.error_code, answer.base_offset)
    }

    async fn end(&mut self) -> i64 {
        latest(&mut self.wire, &self.topic).await
    }
}

fn refused(error: ErrorCode) -> (i16, i64) {
    (code(error), -1)
}

// Kafka: TransactionCoordinator.handleInitProducerId
#[tokio::test]
async fn each_producer_gets_an_id_of_its_own_at_epoch_0() {
    let mut wire = wire().await;
    let (first, second) = (init(&mut wire).await, init(&mut wire).await);
    assert_eq!((first.producer_epoch, second.producer_epoch), (0, 0));
    assert!(first.producer_id >= 0);
    assert_ne!(first.producer_id, second.producer_id);
}

// Kafka: KafkaApis.handleInitProducerIdRequest
#[tokio::test]
async fn an_id_without_an_epoch_is_an_invalid_request() {
    let mut wire = wire().await;
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id: 5,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    };
    let response = wire.call(4, request).await;
    assert_eq!(
        (response.error_code, response.producer_id, response.producer_epoch),
        (code(ErrorCode::InvalidRequest), -1, -1)
    );
}

// Kafka: ProducerAppendInfo.checkSequence
#[tokio::test]
async fn batches_in_sequence_are_stored_and_a_gap_is_out_of_order() {
    let mut producer = Producer::new().await;
    assert_eq!(producer.send(0, 0, 3).await, (0, 0));
    assert_eq!(producer.send(0, 3, 2).await, (0, 3));
    assert_eq!(
        producer.send(0, 6, 1).await,
        refused(ErrorCode::OutOfOrderSequenceNumber)
    );
    assert_eq!(producer.end().await, 5);
}

// Kafka: ProducerStateEntry.findDuplicateBatch
#[tokio::test]
async fn the_last_five_batches_are_stored_once_and_answered_with_their_offsets() {
    let mut producer = Producer::new().await;
    for sequence in 0..6 {
        assert_eq!(
            producer.send(0, sequence, 1).await,
            (0, i64::from(sequence)),
            "the first time"
        );
    }
    for sequence in 1..6 {
        assert_eq!(
            producer.send(0, sequence, 1).await,
            (0, i64::from(sequence)),
            "again"
        );
    }
    assert_eq!(
        producer.send(0, 0, 1).await,
        refused(ErrorCode::OutOfOrderSequenceNumber)
    );
    assert_eq!(producer.end().await, 6);
}

// Kafka: UnifiedLog.append: a duplicate is answered with the time of the batch that is stored
#[tokio::test]
async fn a_duplicate_is_answered_with_its_timestamp() {
    let mut producer = Producer::new().await;
    let records = numbered(producer.id, 0, 0, 2, producer.now);
    let first = produce(&mut producer.wire, &producer.topic, 0, records.clone()).await;
    let again = produce(&mut producer.wire, &producer.topic, 0, records).await;
    assert_eq!((first.error_code, first.log_append_time_ms), (0, -1));
    assert_eq!(
        (again.error_code, again.log_append_time_ms),
        (0, producer.now + 1)
    );
}

// Kafka: ProducerStateEntry.batchWithSequenceRange
#[tokio::test]
async fn a_part_of_a_batch_is_no_duplicate() {
    let mut producer = Producer::new().await;
    assert_eq!(producer.send(0, 0, 3).await, (0, 0));
    assert_eq!(
        producer.send(0, 0, 2).await,
        refused(ErrorCode::OutOfOrderSequenceNumber)
    );
}

// Kafka: ProducerAppendInfo.checkProducerEpoch, checkSequence
#[tokio::test]
async fn a_new_epoch_begins_at_sequence_0_and_fences_the_old_one() {
    let mut producer = Producer::new().await;
    assert_eq!(producer.send(0, 0, 1).await, (0, 0));
    assert_eq!(
        producer.send(1, 1, 1).await,
        refused(ErrorCode::OutOfOrderSequenceNumber)
    );
    assert_eq!(producer.send(1, 0, 1).await, (0, 1));
    assert_eq!(
        producer.send(0, 1, 1).await,
        refused(ErrorCode::InvalidProducerEpoch)
    );
    assert_eq!(producer.end().await, 2);
}

// Kafka: ProducerAppendInfo.checkSequence: nothing is known of it
#[tokio::test]
async fn a_producer_that_the_partition_does_not_know_may_begin_anywhere() {
    let mut producer = Producer::new().await;
    assert_eq!(producer.send(3, 17, 1).await, (0, 0));
    assert_eq!(producer.send(3, 18, 1).await, (0, 1));
}

// Kafka: ProducerAppendInfo.inSequence
#[tokio::test]
async fn sequence_numbers_begin_again_at_0() {
    let mut producer = Producer::new().await;
    assert_eq!(producer.send(0, i32::MAX - 1, 2).await, (0, 0));
    assert_eq!(producer.send(0, 0, 1).await, (0, 2));
}

// Kafka: DefaultRecordBatch.incrementSequence
#[tokio::test]
async fn a_batch_may_reach_over_the_largest_sequence_number() {
    let mut producer = Producer::new().await;
    assert_eq!(producer.send(0, i32::MAX, 3).await, (0, 0));
    assert_eq!(producer.send(0, 2, 1).await, (0, 3));
    assert_eq!(producer.send(0, i32::MAX, 3).await, (0, 0));
}

// Kafka: LogValidator.validateBatch
#[tokio::test]
async fn an_idempotent_batch_needs_a_sequence_number() {
    let mut producer = Producer::new().await;
    assert_eq!(producer.send(0, -1, 1).await, refused(ErrorCode::InvalidRecord));
}

// Kafka: Partition.activeProducerState
#[tokio::test]
async fn the_producers_of_a_partition_are_described() {
    let mut producer = Producer::new().await;
    producer.send(2, 0, 5).await;
    let asked = TopicRequest {
        name: producer.topic.clone(),
        partition_indexes: vec![0, 7],
    };
    let request = DescribeProducersRequest { topics: vec![asked] };
    let mut described = producer.wire.call(0, request).await.topics.remove(0).partitions;
    described.sort_by_key(|partition| partition.partition_index);
    let [known, unknown] = described.as_slice() else {
        panic!("both partitions are answered: {described:?}");
    };
    assert_eq!(unknown.error_code, code(ErrorCode::UnknownTopicOrPartition));
    let active = &known.active_producers[0];
    assert_eq!(
        (active.producer_id, active.producer_epoch, active.last_sequence),
        (producer.id, 2, 4)
    );
    assert_eq!(active.last_timestamp, producer.now + 4);
    assert_eq!(active.current_txn_start_offset, -1);
}
