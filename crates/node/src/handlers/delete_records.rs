//! DeleteRecords: moves the beginning of partitions forward.

use alloc::collections::BTreeSet;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kohort_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::context::{Call, Cx, Outcome};
use crate::topics::is_internal;

/// The offset that stands for the high watermark.
// Kafka: DeleteRecordsRequest.HIGH_WATERMARK
const HIGH_WATERMARK: i64 = -1;

// Kafka: ReplicaManager.deleteRecordsOnLocalLog
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: DeleteRecordsRequest) -> Outcome {
    let mut deleted = BTreeSet::new();
    let topics = request.topics.iter().map(|topic| DeleteRecordsTopicResult {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| {
                delete(cx, call, &topic.name, wanted, &mut deleted).map_or_else(
                    |code| failed(wanted.partition_index, code),
                    |low_watermark| DeleteRecordsPartitionResult {
                        partition_index: wanted.partition_index,
                        low_watermark,
                        ..Default::default()
                    },
                )
            })
            .collect(),
    });
    let topics = topics.collect();
    // Once for all, as it waits for the medium.
    if !deleted.is_empty() {
        let names: BTreeSet<&str> = deleted.iter().map(|(topic, _)| *topic).collect();
        cx.records_deleted(names);
    }
    DeleteRecordsResponse {
        topics,
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &DeleteRecordsRequest, code: ErrorCode) -> DeleteRecordsResponse {
    let topics = request.topics.iter().map(|topic| DeleteRecordsTopicResult {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| failed(wanted.partition_index, code))
            .collect(),
    });
    DeleteRecordsResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

/// Adds to `deleted` what it did.
// Kafka: Partition.deleteRecordsOnLeader
fn delete<'a>(
    cx: &mut Cx<'_>,
    call: &Call,
    topic: &'a str,
    wanted: &DeleteRecordsPartition,
    deleted: &mut BTreeSet<(&'a str, i32)>,
) -> Result<i64, ErrorCode> {
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let (partition, config) = cx.topics.led_by(call.broker, topic, wanted.partition_index)?;
    // Of a partition that is named twice Kafka takes the last offset, and says nothing of the others.
    if deleted.contains(&(topic, wanted.partition_index)) {
        return Err(ErrorCode::InvalidRequest);
    }
    if config.is_compacted && !config.is_deleted {
        return Err(ErrorCode::PolicyViolation);
    }
    let offset = match wanted.offset {
        HIGH_WATERMARK => partition.log.high_watermark(),
        offset => offset,
    };
    if offset < 0 || offset > partition.log.high_watermark() {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    match partition.log.remove_before(offset) {
        Ok(()) => {
            deleted.insert((topic, wanted.partition_index));
            Ok(partition.log.start_offset())
        }
        Err(error) => Err(cx.storage_failed(topic, &error)),
    }
}

fn failed(partition: i32, code: ErrorCode) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult {
        partition_index: partition,
        low_watermark: -1,
        error_code: code.code(),
    }
}
