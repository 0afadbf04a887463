//! OffsetCommit: a group's offsets are stored. Partitions that do not exist are refused here.

use alloc::string::ToString;
use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::offset_commit::{
    OffsetCommitRequestTopic, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kohort_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;
use crate::topics::Topics;

/// The first version that names topics by id.
// Kafka: OffsetCommitRequest.useTopicIds
const TOPIC_IDS: i16 = 10;

// Kafka: KafkaApis.handleOffsetCommitRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, mut request: OffsetCommitRequest) -> Outcome {
    let mut failed = Vec::new();
    let mut valid = Vec::new();
    for mut topic in core::mem::take(&mut request.topics) {
        if call.version < TOPIC_IDS {
            // The id is stored for clients that do not tell it, too.
            topic.topic_id = cx.topics.get(&topic.name).map(|topic| topic.id).unwrap_or_default();
        } else {
            match cx.topics.name_of(topic.topic_id) {
                Some(name) => topic.name = name.to_string(),
                None => {
                    failed.push(failed_topic(&topic, ErrorCode::UnknownTopicId));
                    continue;
                }
            }
        }
        let unknown = take_unknown(cx.topics, &mut topic);
        if !unknown.partitions.is_empty() {
            failed.push(failed_topic(&unknown, ErrorCode::UnknownTopicOrPartition));
        }
        if !topic.partitions.is_empty() {
            valid.push(topic);
        }
    }
    // What cannot be committed anyway need not be asked for.
    if valid.is_empty() && !failed.is_empty() {
        return OffsetCommitResponse {
            topics: failed,
            ..Default::default()
        }
        .into();
    }
    request.topics = valid;
    cx.ask_coordinator(call, request.into(), Rest::Commit(failed))
}

pub(super) fn refuse(request: &OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse {
    OffsetCommitResponse {
        topics: request.topics.iter().map(|topic| failed_topic(topic, code)).collect(),
        ..Default::default()
    }
}

/// Takes the partitions that do not exist out.
fn take_unknown(topics: &Topics, topic: &mut OffsetCommitRequestTopic) -> OffsetCommitRequestTopic {
    let found = topics.get(&topic.name);
    let exists = |number: i32| found.is_some_and(|topic| topic.partition(number).is_some());
    let partitions = core::mem::take(&mut topic.partitions).into_iter();
    let (known, unknown) = partitions.partition(|partition| exists(partition.partition_index));
    topic.partitions = known;
    OffsetCommitRequestTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: unknown,
    }
}

fn failed_topic(topic: &OffsetCommitRequestTopic, code: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = topic.partitions.iter();
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: code.code(),
            })
            .collect(),
    }
}
