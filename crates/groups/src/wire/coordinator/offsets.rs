//! OffsetCommit, OffsetFetch and OffsetDelete, both ways.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use kohort_protocol::messages;
use kohort_protocol::messages::offset_commit::{
    OffsetCommitRequestPartition, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kohort_protocol::messages::offset_delete::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponseGroup,
    OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};

use super::{code, error_code, shared, topic_id, uuid};
use crate::OffsetAndMetadata;
use crate::coordinator::{
    CommitOffsetsRequest, CommittedPartition, DeleteOffsetsRequest, FetchGroup, FetchOffsetsRequest,
    FetchedGroup, FetchedPartition, PartitionOutcome, Refusal, TopicPartitions,
};

/// The offset of a partition without a committed one.
// Kafka: OffsetFetchResponse.INVALID_OFFSET
const NO_OFFSET: i64 = -1;
/// The leader epoch that is not known.
const NO_EPOCH: i32 = -1;
/// The retention time of a commit that names none.
// Kafka: OffsetCommitRequest.DEFAULT_RETENTION_TIME
const DEFAULT_RETENTION: i64 = -1;

pub(super) fn commit(message: messages::OffsetCommitRequest, version: i16) -> CommitOffsetsRequest {
    let partition = |partition: OffsetCommitRequestPartition| CommittedPartition {
        partition: partition.partition_index,
        offset: OffsetAndMetadata {
            offset: partition.committed_offset,
            leader_epoch: Some(partition.committed_leader_epoch).filter(|epoch| *epoch != NO_EPOCH),
            metadata: partition.committed_metadata.unwrap_or_default(),
        },
    };
    let topics = message.topics.into_iter();
    CommitOffsetsRequest {
        group_id: message.group_id.into(),
        generation: message.generation_id_or_member_epoch,
        member_id: message.member_id.into(),
        group_instance_id: shared(message.group_instance_id),
        retention_ms: Some(message.retention_time_ms).filter(|millis| *millis != DEFAULT_RETENTION),
        names_missing_group: version >= 9,
        topics: topics
            .map(|topic| TopicPartitions {
                name: topic.name.into(),
                id: topic_id(topic.topic_id),
                partitions: topic.partitions.into_iter().map(partition).collect(),
            })
            .collect(),
    }
}

pub(super) fn committed(topics: Vec<TopicPartitions<PartitionOutcome>>) -> messages::OffsetCommitResponse {
    let partition = |partition: PartitionOutcome| OffsetCommitResponsePartition {
        partition_index: partition.partition,
        error_code: code(partition.outcome),
    };
    messages::OffsetCommitResponse {
        topics: topics
            .into_iter()
            .map(|topic| OffsetCommitResponseTopic {
                name: topic.name.to_string(),
                topic_id: uuid(topic.id),
                partitions: topic.partitions.into_iter().map(partition).collect(),
            })
            .collect(),
        ..Default::default()
    }
}

/// Before version 8 the request is of one group.
pub(super) fn fetch(message: messages::OffsetFetchRequest, version: i16) -> FetchOffsetsRequest {
    let by_name = |topic: OffsetFetchRequestTopic| TopicPartitions {
        name: topic.name.into(),
        id: None,
        partitions: topic.partition_indexes,
    };
    let topic = |topic: OffsetFetchRequestTopics| TopicPartitions {
        name: topic.name.into(),
        id: topic_id(topic.topic_id),
        partitions: topic.partition_indexes,
    };
    let groups = match version {
        ..8 => Vec::from([FetchGroup {
            group_id: message.group_id.into(),
            topics: message
                .topics
                .map(|topics| topics.into_iter().map(by_name).collect()),
        }]),
        _ => {
            // Each group once: a few bytes must not buy another copy of all its offsets.
            let mut seen = BTreeSet::new();
            let groups = message.groups.into_iter();
            groups
                .map(|group| FetchGroup {
                    group_id: group.group_id.into(),
                    topics: group.topics.map(|topics| topics.into_iter().map(topic).collect()),
                })
                .filter(|group| seen.insert(group.group_id.clone()))
                .collect()
        }
    };
    FetchOffsetsRequest {
        groups,
        require_stable: message.require_stable,
    }
}

pub(super) fn fetched(groups: Vec<FetchedGroup>, version: i16) -> messages::OffsetFetchResponse {
    if version >= 8 {
        return messages::OffsetFetchResponse {
            groups: groups.into_iter().map(fetched_group).collect(),
            ..Default::default()
        };
    }
    let mut message = messages::OffsetFetchResponse::default();
    for group in groups {
        match group.outcome {
            Ok(topics) => message.topics.extend(topics.into_iter().map(fetched_topic)),
            // Kafka: OffsetFetchResponse.groupError: version 1 has no error of the request
            Err(refusal) if version < 2 => {
                let asked = group.asked.unwrap_or_default().into_iter();
                message
                    .topics
                    .extend(asked.map(|topic| failed_topic(topic, refusal)));
            }
            Err(refusal) => message.error_code = error_code(refusal).code(),
        }
    }
    message
}

fn fetched_group(group: FetchedGroup) -> OffsetFetchResponseGroup {
    let mut message = OffsetFetchResponseGroup {
        group_id: group.group_id.to_string(),
        ..Default::default()
    };
    match group.outcome {
        Ok(topics) => {
            let topic = |topic: TopicPartitions<FetchedPartition>| OffsetFetchResponseTopics {
                name: topic.name.to_string(),
                topic_id: uuid(topic.id),
                partitions: topic.partitions.into_iter().map(fetched_partition).collect(),
            };
            message.topics = topics.into_iter().map(topic).collect();
        }
        Err(refusal) => message.error_code = error_code(refusal).code(),
    }
    message
}

fn fetched_partition(fetched: FetchedPartition) -> OffsetFetchResponsePartitions {
    let committed = fetched
        .committed
        .unwrap_or_else(|| OffsetAndMetadata::new(NO_OFFSET));
    OffsetFetchResponsePartitions {
        partition_index: fetched.partition,
        committed_offset: committed.offset,
        committed_leader_epoch: committed.leader_epoch.unwrap_or(NO_EPOCH),
        metadata: Some(committed.metadata),
        ..Default::default()
    }
}

fn fetched_topic(topic: TopicPartitions<FetchedPartition>) -> OffsetFetchResponseTopic {
    let partition = |fetched: FetchedPartition| {
        let partition = fetched_partition(fetched);
        OffsetFetchResponsePartition {
            partition_index: partition.partition_index,
            committed_offset: partition.committed_offset,
            committed_leader_epoch: partition.committed_leader_epoch,
            metadata: partition.metadata,
            error_code: partition.error_code,
        }
    };
    OffsetFetchResponseTopic {
        name: topic.name.to_string(),
        partitions: topic.partitions.into_iter().map(partition).collect(),
    }
}

fn failed_topic(topic: TopicPartitions<i32>, refusal: Refusal) -> OffsetFetchResponseTopic {
    let unknown = |partition: i32| FetchedPartition {
        partition,
        committed: None,
    };
    let mut message = fetched_topic(TopicPartitions {
        name: topic.name,
        id: topic.id,
        partitions: topic.partitions.into_iter().map(unknown).collect(),
    });
    for partition in &mut message.partitions {
        partition.error_code = error_code(refusal).code();
    }
    message
}

pub(super) fn delete(message: messages::OffsetDeleteRequest) -> DeleteOffsetsRequest {
    let topics = message.topics.into_iter();
    DeleteOffsetsRequest {
        group_id: message.group_id.into(),
        topics: topics
            .map(|topic| TopicPartitions {
                name: topic.name.into(),
                id: None,
                partitions: topic
                    .partitions
                    .into_iter()
                    .map(|one| one.partition_index)
                    .collect(),
            })
            .collect(),
    }
}

pub(super) fn deleted(
    result: Result<Vec<TopicPartitions<PartitionOutcome>>, Refusal>,
) -> messages::OffsetDeleteResponse {
    let topics = match result {
        Ok(topics) => topics,
        Err(refusal) => {
            return messages::OffsetDeleteResponse {
                error_code: error_code(refusal).code(),
                ..Default::default()
            };
        }
    };
    let partition = |partition: PartitionOutcome| OffsetDeleteResponsePartition {
        partition_index: partition.partition,
        error_code: code(partition.outcome),
    };
    messages::OffsetDeleteResponse {
        topics: topics
            .into_iter()
            .map(|topic| OffsetDeleteResponseTopic {
                name: topic.name.to_string(),
                partitions: topic.partitions.into_iter().map(partition).collect(),
            })
            .collect(),
        ..Default::default()
    }
}
