//! DescribeProducers: the idempotent producers that partitions remember.

use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::describe_producers::{PartitionResponse, ProducerState, TopicResponse};
use kohort_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use super::once::once;
use crate::context::{Call, Cx, Outcome};
use crate::topics::is_valid_name;

/// The coordinator epoch, and the first offset of the transaction, of a producer that has none.
// Kafka: Partition.activeProducerState
const NONE: i32 = -1;

// Kafka: KafkaApis.handleDescribeProducersRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, mut request: DescribeProducersRequest) -> Outcome {
    once(&mut request.topics, |topic| topic.name.clone());
    let mut topics = Vec::new();
    for mut topic in request.topics {
        once(&mut topic.partition_indexes, |number| *number);
        let numbers = topic.partition_indexes.iter();
        let partitions = numbers.map(|&number| match producers(cx, call, &topic.name, number) {
            Ok(active_producers) => PartitionResponse {
                partition_index: number,
                active_producers,
                ..Default::default()
            },
            Err(code) => failed(number, code),
        });
        let partitions = partitions.collect();
        topics.push(TopicResponse {
            name: topic.name,
            partitions,
        });
    }
    DescribeProducersResponse {
        topics,
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &DescribeProducersRequest, code: ErrorCode) -> DescribeProducersResponse {
    let topics = request.topics.iter().map(|topic| TopicResponse {
        name: topic.name.clone(),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|number| failed(*number, code))
            .collect(),
    });
    DescribeProducersResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

fn producers(cx: &mut Cx<'_>, call: &Call, topic: &str, number: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    if !is_valid_name(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let (partition, _) = cx.topics.led_by(call.broker, topic, number)?;
    let producers = partition.log.producers().iter();
    Ok(producers
        .map(|(producer_id, state)| ProducerState {
            producer_id,
            producer_epoch: i32::from(state.epoch()),
            last_sequence: state.last_sequence(),
            last_timestamp: state.last_timestamp(),
            coordinator_epoch: NONE,
            current_txn_start_offset: i64::from(NONE),
        })
        .collect())
}

fn failed(partition_index: i32, code: ErrorCode) -> PartitionResponse {
    PartitionResponse {
        partition_index,
        error_code: code.code(),
        ..Default::default()
    }
}
