//! What a handler adds to its coordinator's answer: the part of a request that is answered by what the node knows of topics.
//! As in Kafka it comes before the coordinator's part.

use alloc::vec::Vec;

use kohort_protocol::ResponseBody;
use kohort_protocol::messages::offset_commit::OffsetCommitResponseTopic;
use kohort_protocol::messages::offset_delete::OffsetDeleteResponseTopic;
use kohort_protocol::messages::offset_fetch::OffsetFetchResponseTopics;

use crate::topics::Topics;

/// All operations that Kafka knows for a group.
// Kafka: AclEntry.supportedOperations(GROUP): READ, DESCRIBE, DELETE, DESCRIBE_CONFIGS, ALTER_CONFIGS
const GROUP_OPERATIONS: i32 = 0b0000_1101_0100_1000;

/// What is added to a coordinator's answer.
#[derive(Debug)]
pub(crate) enum Rest {
    /// Nothing.
    Nothing,
    /// Partitions that do not exist, to an OffsetCommit.
    Commit(Vec<OffsetCommitResponseTopic>),
    /// Topics whose ids are unknown, to each group of an OffsetFetch.
    Fetch(Vec<Vec<OffsetFetchResponseTopics>>),
    /// Partitions that do not exist, to an OffsetDelete.
    Delete(Vec<OffsetDeleteResponseTopic>),
    /// What may be done to groups, to a DescribeGroups that asks for it.
    Operations,
}

impl Rest {
    pub(super) fn add_to(self, mut body: ResponseBody, topics: &Topics) -> ResponseBody {
        match (self, &mut body) {
            (Self::Commit(mut topics), ResponseBody::OffsetCommit(response)) => {
                for topic in core::mem::take(&mut response.topics) {
                    let is_same = |other: &&mut OffsetCommitResponseTopic| {
                        other.name == topic.name && other.topic_id == topic.topic_id
                    };
                    match topics.iter_mut().find(is_same) {
                        Some(other) => other.partitions.extend(topic.partitions),
                        None => topics.push(topic),
                    }
                }
                response.topics = topics;
            }
            // Kafka: KafkaApis.fetchOffsetsForGroup: here it comes behind
            (Self::Fetch(failed), ResponseBody::OffsetFetch(response)) => {
                for (group, failed) in response.groups.iter_mut().zip(failed) {
                    for topic in &mut group.topics {
                        // A group's own answer to "all topics" knows no ids.
                        if topic.topic_id.is_zero() {
                            topic.topic_id =
                                topics.get(&topic.name).map(|topic| topic.id).unwrap_or_default();
                        }
                    }
                    if group.error_code == 0 {
                        group.topics.extend(failed);
                    }
                }
            }
            (Self::Delete(mut topics), ResponseBody::OffsetDelete(response)) if response.error_code == 0 => {
                for topic in core::mem::take(&mut response.topics) {
                    match topics.iter_mut().find(|other| other.name == topic.name) {
                        Some(other) => other.partitions.extend(topic.partitions),
                        None => topics.push(topic),
                    }
                }
                response.topics = topics;
            }
            (Self::Operations, ResponseBody::DescribeGroups(response)) => {
                for group in response.groups.iter_mut().filter(|group| group.error_code == 0) {
                    group.authorized_operations = GROUP_OPERATIONS;
                }
            }
            (_, _) => {}
        }
        body
    }
}
