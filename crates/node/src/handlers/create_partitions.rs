//! CreatePartitions: topics grow, they never shrink.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::{ErrorCode, error_message};
use kohort_protocol::messages::create_partitions::{CreatePartitionsTopic, CreatePartitionsTopicResult};
use kohort_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::create_topics::{LARGEST_PARTITIONS, too_many};
use crate::context::{Call, Cx, Outcome};
use crate::topics::{CONSUMER_OFFSETS, Topic};

// Kafka: ControllerApis.createPartitions, ReplicationControlManager.createPartitions
pub(super) fn handle(cx: &mut Cx<'_>, _call: &Call, request: CreatePartitionsRequest) -> Outcome {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *count.entry(topic.name.as_str()).or_default() += 1;
    }
    // The bound of CreateTopics, for all topics together: the node's other clients wait meanwhile.
    let once = request.topics.iter().filter(|topic| count.get(topic.name.as_str()) == Some(&1));
    let partitions: i64 = once.map(|topic| i64::from(additional(cx, topic).max(0))).sum();
    let is_too_much = partitions > i64::from(LARGEST_PARTITIONS);
    let mut results = Vec::new();
    for topic in &request.topics {
        let result = match count.insert(topic.name.as_str(), 0) {
            Some(1) if is_too_much => Err((ErrorCode::PolicyViolation, too_many())),
            Some(1) => grow(cx, topic, request.validate_only),
            Some(0) => continue,
            _ => Err((ErrorCode::InvalidRequest, "Duplicate topic name.".into())),
        };
        let (code, message) = match result {
            Ok(()) => (ErrorCode::None, None),
            Err((code, message)) => (code, Some(message)),
        };
        results.push(CreatePartitionsTopicResult {
            name: topic.name.clone(),
            error_code: code.code(),
            error_message: message.and_then(error_message),
        });
    }
    CreatePartitionsResponse {
        results,
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &CreatePartitionsRequest, code: ErrorCode) -> CreatePartitionsResponse {
    let results = request.topics.iter().map(|topic| CreatePartitionsTopicResult {
        name: topic.name.clone(),
        error_code: code.code(),
        error_message: None,
    });
    CreatePartitionsResponse {
        results: results.collect(),
        ..Default::default()
    }
}

/// How many partitions more a topic is to have; none when it is not there.
fn additional(cx: &Cx<'_>, wanted: &CreatePartitionsTopic) -> i32 {
    let topic = cx.topics.get(&wanted.name);
    topic.map_or(0, |topic| wanted.count.saturating_sub(number(topic)))
}

fn number(topic: &Topic) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}

fn grow(cx: &mut Cx<'_>, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), (ErrorCode, String)> {
    let Some(topic) = cx.topics.get(&wanted.name) else {
        let message = "This server does not host this topic-partition.";
        return Err((ErrorCode::UnknownTopicOrPartition, message.to_string()));
    };
    // Where a group is kept follows from the number, and its commits are not moved. (Kafka lets it grow, and loses them.)
    if wanted.name == CONSUMER_OFFSETS {
        let message = format!("The number of partitions of {CONSUMER_OFFSETS} says where each group is kept, and cannot change.");
        return Err((ErrorCode::InvalidRequest, message));
    }
    let current = number(topic);
    let additional = additional(cx, wanted);
    if additional == 0 {
        let message = format!("Topic already has {current} partition(s).");
        return Err((ErrorCode::InvalidPartitions, message));
    }
    if additional < 0 {
        let message = format!(
            "The topic {} currently has {current} partition(s); {} would not be an increase.",
            wanted.name, wanted.count
        );
        return Err((ErrorCode::InvalidPartitions, message));
    }
    if let Some(assignments) = &wanted.assignments {
        let is_known = |ids: &[i32]| ids.len() == 1 && ids.iter().all(|id| cx.cluster.broker(*id).is_some());
        if i32::try_from(assignments.len()) != Ok(additional)
            || !assignments.iter().all(|assignment| is_known(&assignment.broker_ids))
        {
            let message = format!("An assignment needs one known broker for each of {additional} new partitions.");
            return Err((ErrorCode::InvalidReplicaAssignment, message));
        }
    }
    if validate_only {
        return Ok(());
    }
    match cx
        .topics
        .add_partitions(&wanted.name, wanted.count, cx.cluster, cx.wall_ms) {
        Ok(()) => Ok(()),
        Err(error) => {
            let code = cx.storage_failed(&wanted.name, &error);
            Err((code, error.to_string()))
        }
    }
}
