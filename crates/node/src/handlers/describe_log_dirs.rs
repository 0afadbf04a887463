//! DescribeLogDirs: how large the partitions are, and where they are kept. How large the medium is, is not told.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kohort_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::context::{Call, Cx, Outcome};
use crate::topics::Topic;

// Kafka: KafkaApis.handleDescribeLogDirsRequest, ReplicaManager.describeLogDirs
pub(super) fn handle(cx: &Cx<'_>, call: &Call, request: DescribeLogDirsRequest) -> Outcome {
    let asked = request.topics.as_ref().map(|topics| {
        let partitions = topics.iter().flat_map(|topic| {
            let numbers = topic.partitions.iter();
            numbers.map(|number| (topic.topic.as_str(), *number))
        });
        partitions.collect::<BTreeSet<(&str, i32)>>()
    });
    let is_asked = |topic: &Topic, number: i32| {
        asked.as_ref().is_none_or(|asked| asked.contains(&(&topic.name, number)))
    };
    let describe = |topic: &Topic| {
        let here = topic.numbered().filter(|(number, partition)| {
            partition.leader == call.broker && is_asked(topic, *number)
        });
        DescribeLogDirsTopic {
            name: topic.name.to_string(),
            partitions: here
                .map(|(partition_index, partition)| DescribeLogDirsPartition {
                    partition_index,
                    partition_size: i64::try_from(partition.log.size()).unwrap_or(i64::MAX),
                    ..Default::default()
                })
                .collect(),
        }
    };
    let topics = cx.topics.iter().map(describe);
    let topics = topics.filter(|topic| !topic.partitions.is_empty());
    DescribeLogDirsResponse {
        results: Vec::from([DescribeLogDirsResult {
            log_dir: cx.topics.location(),
            topics: topics.collect(),
            ..Default::default()
        }]),
        ..Default::default()
    }
    .into()
}

// Kafka: DescribeLogDirsRequest.getErrorResponse
pub(super) fn refuse(_request: &DescribeLogDirsRequest, code: ErrorCode) -> DescribeLogDirsResponse {
    DescribeLogDirsResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
