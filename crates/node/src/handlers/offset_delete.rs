//! OffsetDelete: committed offsets go. Partitions that do not exist are refused here.

use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::offset_delete::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kohort_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;

// Kafka: KafkaApis.handleOffsetDeleteRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, mut request: OffsetDeleteRequest) -> Outcome {
    let mut failed = Vec::new();
    for topic in &mut request.topics {
        let found = cx.topics.get(&topic.name);
        let exists = |number: i32| found.is_some_and(|topic| topic.partition(number).is_some());
        let partitions = core::mem::take(&mut topic.partitions).into_iter();
        let (known, unknown): (Vec<_>, Vec<_>) =
            partitions.partition(|partition| exists(partition.partition_index));
        topic.partitions = known;
        if !unknown.is_empty() {
            failed.push(OffsetDeleteResponseTopic {
                name: topic.name.clone(),
                partitions: unknown
                    .iter()
                    .map(|partition| OffsetDeleteResponsePartition {
                        partition_index: partition.partition_index,
                        error_code: ErrorCode::UnknownTopicOrPartition.code(),
                    })
                    .collect(),
            });
        }
    }
    request.topics.retain(|topic| !topic.partitions.is_empty());
    cx.ask_coordinator(call, request.into(), Rest::Delete(failed))
}

pub(super) fn refuse(_request: &OffsetDeleteRequest, code: ErrorCode) -> OffsetDeleteResponse {
    OffsetDeleteResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
