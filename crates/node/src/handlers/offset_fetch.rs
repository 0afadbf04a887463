//! OffsetFetch: a group's committed offsets are read. Topics whose ids are unknown are refused here.

use alloc::string::ToString;
use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kohort_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

use super::once::once;
use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;
use crate::topics::Topics;

/// The first version that names topics by id.
// Kafka: OffsetFetchRequest.useTopicIds
const TOPIC_IDS: i16 = 10;

/// The offset of a partition without a committed one.
// Kafka: OffsetFetchResponse.INVALID_OFFSET
const NO_OFFSET: i64 = -1;

// Kafka: KafkaApis.handleOffsetFetchRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, mut request: OffsetFetchRequest) -> Outcome {
    ask_once(&mut request);
    let rest = match call.version {
        TOPIC_IDS.. => {
            let groups = request.groups.iter_mut();
            Rest::Fetch(groups.map(|group| name_topics(cx.topics, group)).collect())
        }
        _ => Rest::Nothing,
    };
    cx.ask_coordinator(call, request.into(), rest)
}

/// A note of a commit may be long, so what is asked twice is told once: an answer is then bounded by what is stored.
fn ask_once(request: &mut OffsetFetchRequest) {
    once(&mut request.groups, |group| group.group_id.clone());
    for topics in request.groups.iter_mut().filter_map(|group| group.topics.as_mut()) {
        once(topics, |topic| (topic.name.clone(), topic.topic_id.0));
        topics.iter_mut().for_each(|topic| once(&mut topic.partition_indexes, |index| *index));
    }
    // Up to version 7 there is one group, whose topics are the request's.
    for topics in request.topics.iter_mut() {
        once(topics, |topic| topic.name.clone());
        topics.iter_mut().for_each(|topic| once(&mut topic.partition_indexes, |index| *index));
    }
}

/// Fills in the names of a group's topics; those without one are taken out and refused.
fn name_topics(topics: &Topics, group: &mut OffsetFetchRequestGroup) -> Vec<OffsetFetchResponseTopics> {
    let mut failed = Vec::new();
    let mut named = Vec::new();
    let Some(asked) = &mut group.topics else {
        return failed;
    };
    for mut topic in core::mem::take(asked) {
        match topics.name_of(topic.topic_id) {
            Some(name) => {
                topic.name = name.to_string();
                named.push(topic);
            }
            None => failed.push(failed_topic(&topic, ErrorCode::UnknownTopicId)),
        }
    }
    *asked = named;
    failed
}

fn failed_topic(topic: &OffsetFetchRequestTopics, code: ErrorCode) -> OffsetFetchResponseTopics {
    let partitions = topic.partition_indexes.iter();
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions
            .map(|&partition_index| OffsetFetchResponsePartitions {
                partition_index,
                committed_offset: NO_OFFSET,
                metadata: Some("".into()),
                error_code: code.code(),
                ..Default::default()
            })
            .collect(),
    }
}

// Kafka: OffsetFetchRequest.getErrorResponse
pub(super) fn refuse(request: &OffsetFetchRequest, code: ErrorCode) -> OffsetFetchResponse {
    let groups = request.groups.iter().map(|group| OffsetFetchResponseGroup {
        group_id: group.group_id.clone(),
        error_code: code.code(),
        ..Default::default()
    });
    // Version 1 has no error of the whole request, so each partition says it.
    let topics = request.topics.iter().flatten().map(|topic| OffsetFetchResponseTopic {
        name: topic.name.clone(),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|&partition_index| OffsetFetchResponsePartition {
                partition_index,
                committed_offset: NO_OFFSET,
                metadata: Some("".into()),
                error_code: code.code(),
                ..Default::default()
            })
            .collect(),
    });
    OffsetFetchResponse {
        topics: topics.collect(),
        error_code: code.code(),
        groups: groups.collect(),
        ..Default::default()
    }
}
