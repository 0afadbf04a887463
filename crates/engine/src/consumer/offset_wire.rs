//! OffsetFetch, OffsetCommit and ListOffsets as the engine asks them: building for the version spoken, and reading of the
//! answers. What is done with them lives in `positions`, `lookups` and `commits`.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::{Identity, OffsetAndMetadata, TopicPartition};
use kohort_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use kohort_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kohort_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};
use kohort_protocol::{ErrorCode, RequestBody, Uuid};

use super::partitions::by_topic;
use super::{FoundOffset, IsolationLevel, OffsetSpec};
use crate::client::{BuildRequest, Cluster};

/// Topics of a request with their ids, by which newer versions name them.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    ids: BTreeMap<Arc<str>, Option<Uuid>>,
    names: BTreeMap<Uuid, Arc<str>>,
}

impl Names {
    pub(super) fn new<'a>(cluster: &Cluster, topics: impl IntoIterator<Item = &'a Arc<str>>) -> Self {
        let id = |topic: &Arc<str>| cluster.topic(topic).and_then(|topic| topic.id);
        let ids: BTreeMap<Arc<str>, Option<Uuid>> = topics
            .into_iter()
            .map(|topic| (Arc::clone(topic), id(topic)))
            .collect();
        let names = ids
            .iter()
            .filter_map(|(name, id)| Some(((*id)?, Arc::clone(name))));
        Self {
            names: names.collect(),
            ids,
        }
    }

    fn id(&self, topic: &str) -> Option<Uuid> {
        self.ids.get(topic).copied().flatten()
    }

    /// The name of a topic in an answer, which has a name or an id.
    fn name(&self, name: &str, id: Uuid) -> Option<Arc<str>> {
        if !name.is_empty() {
            return self.ids.get_key_value(name).map(|(name, _)| Arc::clone(name));
        }
        self.names.get(&id).cloned()
    }
}

/// The version from which OffsetFetch and OffsetCommit name topics by id.
// KIP-848: OffsetCommitRequest and OffsetFetchRequest, version 10
const TOPIC_IDS: i16 = 10;

/// Asks for the committed offsets of these partitions.
// Kafka: ConsumerCoordinator.sendOffsetFetchRequest
pub(super) fn fetch_committed(group: &Arc<str>, partitions: &[TopicPartition], names: Names) -> BuildRequest {
    let group = group.to_string();
    let topics = by_topic(partitions.iter().map(|partition| (partition.clone(), ())));
    Box::new(move |version| {
        let indexes =
            |partitions: &[(i32, ())]| partitions.iter().map(|(index, ())| *index).collect::<Vec<_>>();
        // Version 8 asks for several groups (KIP-709).
        if version < 8 {
            let topic = |(name, partitions): (&Arc<str>, &Vec<(i32, ())>)| OffsetFetchRequestTopic {
                name: name.to_string(),
                partition_indexes: indexes(partitions),
            };
            return Some(RequestBody::from(OffsetFetchRequest {
                group_id: group.clone(),
                topics: Some(topics.iter().map(topic).collect()),
                // KIP-447
                require_stable: version >= 7,
                ..Default::default()
            }));
        }
        let mut asked = Vec::new();
        for (name, partitions) in &topics {
            asked.push(OffsetFetchRequestTopics {
                name: if version < TOPIC_IDS {
                    name.to_string()
                } else {
                    Default::default()
                },
                topic_id: if version < TOPIC_IDS {
                    Uuid::ZERO
                } else {
                    names.id(name)?
                },
                partition_indexes: indexes(partitions),
            });
        }
        Some(RequestBody::from(OffsetFetchRequest {
            groups: alloc::vec![OffsetFetchRequestGroup {
                group_id: group.clone(),
                topics: Some(asked),
                ..Default::default()
            }],
            require_stable: true,
            ..Default::default()
        }))
    })
}

/// Committed offsets by partition; `None` where there is none.
pub(super) type Committed = Vec<(TopicPartition, Result<Option<OffsetAndMetadata>, ErrorCode>)>;

/// Reads the answer to [`fetch_committed`]; the error is that of the whole.
pub(super) fn committed(response: OffsetFetchResponse, names: &Names) -> Result<Committed, ErrorCode> {
    let mut all = Committed::new();
    let mut add =
        |name: Arc<str>, partition: i32, offset: i64, epoch: i32, metadata: Option<_>, code: i16| {
            let code = ErrorCode::from_code(code);
            let result = if code.is_error() {
                Err(code)
            } else {
                Ok((offset >= 0).then(|| OffsetAndMetadata {
                    offset,
                    leader_epoch: (epoch >= 0).then_some(epoch),
                    metadata: metadata.unwrap_or_default(),
                }))
            };
            all.push((TopicPartition::new(name, partition), result));
        };
    let mut code = response.error_code;
    for topic in response.topics {
        let Some(name) = names.name(&topic.name, Uuid::ZERO) else {
            continue;
        };
        for it in topic.partitions {
            add(
                Arc::clone(&name),
                it.partition_index,
                it.committed_offset,
                it.committed_leader_epoch,
                it.metadata,
                it.error_code,
            );
        }
    }
    for group in response.groups {
        code = if code == 0 { group.error_code } else { code };
        for topic in group.topics {
            let Some(name) = names.name(&topic.name, topic.topic_id) else {
                continue;
            };
            for it in topic.partitions {
                add(
                    Arc::clone(&name),
                    it.partition_index,
                    it.committed_offset,
                    it.committed_leader_epoch,
                    it.metadata,
                    it.error_code,
                );
            }
        }
    }
    let code = ErrorCode::from_code(code);
    if code.is_error() { Err(code) } else { Ok(all) }
}

/// Commits these offsets, as `identity` if there is one, else as an application that assigns by itself.
// Kafka: ConsumerCoordinator.sendOffsetCommitRequest
pub(super) fn commit(
    group: &Arc<str>,
    identity: Option<&Identity>,
    offsets: &[(TopicPartition, OffsetAndMetadata)],
    names: Names,
) -> BuildRequest {
    let group = group.to_string();
    let identity = identity.cloned();
    let topics = by_topic(offsets.iter().cloned());
    Box::new(move |version| {
        let mut request = OffsetCommitRequest {
            group_id: group.clone(),
            generation_id_or_member_epoch: -1,
            ..Default::default()
        };
        if let Some(identity) = &identity {
            request.generation_id_or_member_epoch = identity.generation;
            request.member_id = identity.member_id.to_string();
            // KIP-345; older brokers know no static members.
            if version >= 7 {
                request.group_instance_id = identity.group_instance_id.as_ref().map(ToString::to_string);
            }
        }
        for (name, partitions) in &topics {
            let partition = |(index, offset): &(i32, OffsetAndMetadata)| OffsetCommitRequestPartition {
                partition_index: *index,
                committed_offset: offset.offset,
                committed_leader_epoch: if version >= 6 {
                    offset.leader_epoch.unwrap_or(-1)
                } else {
                    -1
                },
                committed_metadata: Some(offset.metadata.clone()),
            };
            request.topics.push(OffsetCommitRequestTopic {
                name: if version < TOPIC_IDS {
                    name.to_string()
                } else {
                    Default::default()
                },
                topic_id: if version < TOPIC_IDS {
                    Uuid::ZERO
                } else {
                    names.id(name)?
                },
                partitions: partitions.iter().map(partition).collect(),
            });
        }
        Some(RequestBody::from(request))
    })
}

/// What the answer to [`commit`] says of each partition whose topic was asked for.
pub(super) fn commit_results(
    response: OffsetCommitResponse,
    names: &Names,
) -> Vec<(TopicPartition, ErrorCode)> {
    let mut results = Vec::new();
    for topic in response.topics {
        let Some(name) = names.name(&topic.name, topic.topic_id) else {
            continue;
        };
        for partition in topic.partitions {
            let code = ErrorCode::from_code(partition.error_code);
            results.push((
                TopicPartition::new(Arc::clone(&name), partition.partition_index),
                code,
            ));
        }
    }
    results
}

/// Asks one leader for offsets.
// Kafka: OffsetFetcher.sendListOffsetRequest
pub(super) fn list_offsets(
    partitions: Vec<(TopicPartition, OffsetSpec)>,
    isolation: IsolationLevel,
    cluster: &Cluster,
) -> RequestBody {
    let mut topics = Vec::new();
    for (name, partitions) in by_topic(partitions) {
        let partition = |(index, spec): (i32, OffsetSpec)| {
            let known = cluster.partition(&name, index);
            ListOffsetsPartition {
                partition_index: index,
                current_leader_epoch: known.and_then(|known| known.leader_epoch).unwrap_or(-1),
                timestamp: spec.timestamp(),
            }
        };
        topics.push(ListOffsetsTopic {
            name: name.to_string(),
            partitions: partitions.into_iter().map(partition).collect(),
        });
    }
    RequestBody::from(ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation.code(),
        topics,
        ..Default::default()
    })
}

/// Offsets by partition; `None` when no record is that young.
pub(super) type Listed = Vec<(TopicPartition, Result<Option<FoundOffset>, ErrorCode>)>;

/// Reads the answer to [`list_offsets`].
// Kafka: OffsetFetcherUtils.handleListOffsetResponse
pub(super) fn listed(response: ListOffsetsResponse) -> Listed {
    let mut all = Vec::new();
    for topic in response.topics {
        let name: Arc<str> = topic.name.into();
        for partition in topic.partitions {
            let code = ErrorCode::from_code(partition.error_code);
            let result = match code {
                // A log in a format without timestamps has no record of that time.
                ErrorCode::UnsupportedForMessageFormat => Ok(None),
                code if code.is_error() => Err(code),
                _ => Ok((partition.offset >= 0).then_some(FoundOffset {
                    offset: partition.offset,
                    timestamp: (partition.timestamp >= 0).then_some(partition.timestamp),
                    leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
                })),
            };
            all.push((
                TopicPartition::new(Arc::clone(&name), partition.partition_index),
                result,
            ));
        }
    }
    all
}
