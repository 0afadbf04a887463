//! OffsetForLeaderEpoch: where a leader epoch ended (KIP-101, KIP-320).

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};
use kohort_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::context::{Call, Cx, Outcome};

// Kafka: ReplicaManager.lastOffsetForLeaderEpoch
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: OffsetForLeaderEpochRequest) -> Outcome {
    let topics = request.topics.iter().map(|topic| OffsetForLeaderTopicResult {
        topic: topic.topic.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| {
                end_of(cx, call, &topic.topic, wanted).unwrap_or_else(|code| failed(wanted.partition, code))
            })
            .collect(),
    });
    OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &OffsetForLeaderEpochRequest, code: ErrorCode) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| OffsetForLeaderTopicResult {
        topic: topic.topic.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| failed(wanted.partition, code))
            .collect(),
    });
    OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

// Kafka: Partition.lastOffsetForLeaderEpoch
fn end_of(
    cx: &mut Cx<'_>,
    call: &Call,
    topic: &str,
    wanted: &OffsetForLeaderPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    let (partition, _) = cx.topics.led_by(call.broker, topic, wanted.partition)?;
    partition.log.check_epoch(wanted.current_leader_epoch)?;
    let mut result = failed(wanted.partition, ErrorCode::None);
    if let Some((epoch, end_offset)) = partition.log.end_of_epoch(wanted.leader_epoch) {
        result.leader_epoch = epoch;
        result.end_offset = end_offset;
    }
    Ok(result)
}

fn failed(partition: i32, code: ErrorCode) -> EpochEndOffset {
    EpochEndOffset {
        partition,
        error_code: code.code(),
        ..Default::default()
    }
}
