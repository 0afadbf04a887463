//! DescribeTopicPartitions: topics in pages of partitions (KIP-966).

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kohort_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use super::metadata::TOPIC_OPERATIONS;
use crate::context::{Call, Cx, Outcome};
use crate::topics::{Topic, is_internal, is_valid_name};

// Kafka: DescribeTopicPartitionsRequestHandler, KRaftMetadataCache.describeTopicResponse
pub(super) fn handle(cx: &Cx<'_>, _call: &Call, request: DescribeTopicPartitionsRequest) -> Outcome {
    let describes_all = request.topics.is_empty();
    let names: BTreeSet<String> = match describes_all {
        true => cx.topics.iter().map(|topic| topic.name.to_string()).collect(),
        false => request.topics.iter().map(|topic| topic.name.clone()).collect(),
    };
    let (first_name, first_partition) = match &request.cursor {
        Some(cursor) => {
            let is_listed = describes_all || names.contains(&cursor.topic_name);
            if !is_listed || cursor.partition_index < 0 {
                return refuse(&request, ErrorCode::InvalidRequest).into();
            }
            (cursor.topic_name.as_str(), cursor.partition_index)
        }
        None => ("", 0),
    };
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    // The broker's limit bounds the client's.
    let largest = cx.config.size("max.request.partition.size.limit").max(1);
    let mut left = limit.clamp(1, largest);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.range(String::from(first_name)..) {
        if left == 0 {
            response.next_cursor = Some(cursor(name, 0));
            break;
        }
        let Some(topic) = cx.topics.get(name) else {
            response.topics.extend((!describes_all).then(|| unknown(name)));
            continue;
        };
        let first = if name == first_name { first_partition } else { 0 };
        let described = describe(topic, first, left);
        let count = described.partitions.len();
        left = left.saturating_sub(count);
        response.topics.push(described);
        let next = usize::try_from(first).unwrap_or(0).saturating_add(count);
        if next < topic.partitions.len() {
            response.next_cursor = Some(cursor(name, i32::try_from(next).unwrap_or(i32::MAX)));
            break;
        }
    }
    response.into()
}

// Kafka: DescribeTopicPartitionsRequest.getErrorResponse
pub(super) fn refuse(
    request: &DescribeTopicPartitionsRequest,
    code: ErrorCode,
) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter().map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(topic.name.clone()),
        ..Default::default()
    });
    DescribeTopicPartitionsResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

fn cursor(name: &str, partition: i32) -> kohort_protocol::messages::describe_topic_partitions::Cursor {
    kohort_protocol::messages::describe_topic_partitions::Cursor {
        topic_name: name.to_string(),
        partition_index: partition,
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match is_valid_name(name) {
        true => ErrorCode::UnknownTopicOrPartition,
        false => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(name.to_string()),
        is_internal: is_internal(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn describe(topic: &Topic, first: i32, limit: usize) -> DescribeTopicPartitionsResponseTopic {
    let partitions: Vec<_> = topic
        .numbered()
        .filter(|(number, _)| *number >= first)
        .take(limit)
        .map(|(number, partition)| DescribeTopicPartitionsResponsePartition {
            partition_index: number,
            leader_id: partition.leader,
            leader_epoch: partition.log.leader_epoch(),
            replica_nodes: alloc::vec![partition.leader],
            isr_nodes: alloc::vec![partition.leader],
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..Default::default()
        })
        .collect();
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions,
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}
