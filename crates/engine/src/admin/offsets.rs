//! Commands on the committed offsets of a group.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kohort_protocol::messages::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kohort_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};

use super::each::{Answers, Build, Each, always, by_topic, of_all, of_partitions, when, whole};
use super::error::AdminError;
use super::reply::{AdminReply, Results};
use super::work::Refused;
use crate::client::{Cluster, Target};

/// Newer versions of OffsetFetch and OffsetCommit name topics by their ids, which an admin does not know.
const NEWEST_WITH_NAMES: i16 = 9;

/// ListGroupOffsets.
// Kafka: ListConsumerGroupOffsetsHandler
#[derive(Debug)]
pub(super) struct ListGroupOffsets {
    pub(super) group: Arc<str>,
    pub(super) partitions: Option<Vec<TopicPartition>>,
    pub(super) require_stable: bool,
}

fn fetch_request(
    version: i16,
    group: String,
    topics: Option<BTreeMap<Arc<str>, Vec<i32>>>,
    require_stable: bool,
) -> Option<OffsetFetchRequest> {
    // KIP-447; and version 1 cannot ask for all topics.
    if version > NEWEST_WITH_NAMES || (version < 7 && require_stable) || (version < 2 && topics.is_none()) {
        return None;
    }
    if version < 8 {
        let topic = |(name, partition_indexes): (Arc<str>, _)| OffsetFetchRequestTopic {
            name: name.as_ref().into(),
            partition_indexes,
        };
        return Some(OffsetFetchRequest {
            group_id: group,
            topics: topics.map(|topics| topics.into_iter().map(topic).collect()),
            require_stable,
            ..Default::default()
        });
    }
    let topic = |(name, partition_indexes): (Arc<str>, _)| OffsetFetchRequestTopics {
        name: name.as_ref().into(),
        partition_indexes,
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: group,
        topics: topics.map(|topics| topics.into_iter().map(topic).collect()),
        ..Default::default()
    };
    Some(OffsetFetchRequest {
        groups: alloc::vec![group],
        require_stable,
        ..Default::default()
    })
}

/// What a response says of one partition, with the name of its topic, which all of them share: offset, leader epoch, metadata, error.
type Committed = (Arc<str>, i32, i64, i32, Option<String>, i16);

fn committed(response: OffsetFetchResponse) -> (i16, Vec<Committed>) {
    let mut all = Vec::new();
    let mut error = response.error_code;
    for topic in response.topics {
        let name: Arc<str> = topic.name.into();
        for it in topic.partitions {
            let (index, offset, epoch) = (it.partition_index, it.committed_offset, it.committed_leader_epoch);
            all.push((name.clone(), index, offset, epoch, it.metadata, it.error_code));
        }
    }
    for group in response.groups {
        error = group.error_code;
        for topic in group.topics {
            let name: Arc<str> = topic.name.into();
            for it in topic.partitions {
                let (index, offset, epoch) =
                    (it.partition_index, it.committed_offset, it.committed_leader_epoch);
                all.push((name.clone(), index, offset, epoch, it.metadata, it.error_code));
            }
        }
    }
    (error, all)
}

/// The offsets of a group, each with a result of its own.
type GroupOffsets = Results<TopicPartition, Option<OffsetAndMetadata>>;

impl Each for ListGroupOffsets {
    type Key = ();
    type Value = GroupOffsets;
    type Request = OffsetFetchRequest;

    fn keys(&self) -> BTreeSet<()> {
        BTreeSet::from([()])
    }

    fn target(&self, _: &Cluster, (): &()) -> Option<Target> {
        Some(Target::Coordinator(self.group.clone()))
    }

    fn request(&self, _: &[()], _: Duration) -> Build<OffsetFetchRequest> {
        let index = |partition: &TopicPartition| (partition.clone(), partition.partition);
        let wanted = |partitions: &Vec<TopicPartition>| by_topic(partitions.iter().map(index));
        let topics = self.partitions.as_ref().map(wanted);
        let (group, require_stable) = (String::from(self.group.as_ref()), self.require_stable);
        Box::new(move |version| fetch_request(version, group.clone(), topics.clone(), require_stable))
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        error.is_retriable()
    }

    fn read(&self, asked: &[()], _: Option<i32>, response: OffsetFetchResponse) -> Answers<(), GroupOffsets> {
        let (error, partitions) = committed(response);
        if let Err(refused) = Refused::check(error, None) {
            return of_all(asked, &refused);
        }
        let mut results = BTreeMap::new();
        for (topic, partition, offset, epoch, metadata, error) in partitions {
            let result = match Refused::check(error, None) {
                Ok(()) => Ok((offset >= 0).then(|| OffsetAndMetadata {
                    offset,
                    leader_epoch: Some(epoch).filter(|epoch| *epoch >= 0),
                    metadata: metadata.unwrap_or_default(),
                })),
                // An open transaction ends: the whole request is repeated.
                Err(refused) if refused.error == ErrorCode::UnstableOffsetCommit => {
                    return of_all(asked, &refused);
                }
                Err(refused) => Err(AdminError::from(refused)),
            };
            results.insert(TopicPartition::new(topic, partition), result);
        }
        // One result for each that was asked for, whatever the broker says.
        let Some(wanted) = &self.partitions else {
            return alloc::vec![((), Ok(results))];
        };
        let of_wanted = wanted.iter().map(|partition| {
            let left_out = AdminError::Nonsense {
                what: "a partition that was asked for is left out",
            };
            let result = results.remove(partition).unwrap_or(Err(left_out));
            (partition.clone(), result)
        });
        alloc::vec![((), Ok(of_wanted.collect()))]
    }

    fn reply(results: Results<(), GroupOffsets>) -> AdminReply {
        AdminReply::GroupOffsets(whole(results))
    }
}

/// AlterGroupOffsets.
// Kafka: AlterConsumerGroupOffsetsHandler
#[derive(Debug)]
pub(super) struct AlterGroupOffsets {
    pub(super) group: Arc<str>,
    pub(super) offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
}

impl Each for AlterGroupOffsets {
    type Key = TopicPartition;
    type Value = ();
    type Request = OffsetCommitRequest;

    fn keys(&self) -> BTreeSet<TopicPartition> {
        self.offsets.keys().cloned().collect()
    }

    fn target(&self, _: &Cluster, _: &TopicPartition) -> Option<Target> {
        Some(Target::Coordinator(self.group.clone()))
    }

    fn request(&self, partitions: &[TopicPartition], _: Duration) -> Build<OffsetCommitRequest> {
        let wanted = by_topic(partitions.iter().filter_map(|partition| {
            let offset = self.offsets.get(partition)?;
            let commit = OffsetCommitRequestPartition {
                partition_index: partition.partition,
                committed_offset: offset.offset,
                committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
                committed_metadata: Some(offset.metadata.clone()),
            };
            Some((partition.clone(), commit))
        }));
        let topic = |(name, partitions): (Arc<str>, _)| OffsetCommitRequestTopic {
            name: name.as_ref().into(),
            partitions,
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group.as_ref().into(),
            topics: wanted.into_iter().map(topic).collect(),
            ..Default::default()
        };
        when(request, |version| version <= NEWEST_WITH_NAMES)
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        // UNKNOWN_TOPIC_OR_PARTITION may be a broker that lags, but here it is most often a typing mistake.
        error.is_retriable() && error != ErrorCode::UnknownTopicOrPartition
    }

    fn read(
        &self,
        _: &[TopicPartition],
        _: Option<i32>,
        response: OffsetCommitResponse,
    ) -> Answers<TopicPartition, ()> {
        let topics = response.topics.into_iter().map(|it| (it.name, it.partitions));
        of_partitions(topics, |it| {
            (it.partition_index, Refused::check(it.error_code, None))
        })
    }

    fn reply(results: Results<TopicPartition, ()>) -> AdminReply {
        AdminReply::GroupOffsetsAltered(results)
    }
}

/// DeleteGroupOffsets (KIP-496).
// Kafka: DeleteConsumerGroupOffsetsHandler
#[derive(Debug)]
pub(super) struct DeleteGroupOffsets {
    pub(super) group: Arc<str>,
    pub(super) partitions: BTreeSet<TopicPartition>,
}

impl Each for DeleteGroupOffsets {
    type Key = TopicPartition;
    type Value = ();
    type Request = OffsetDeleteRequest;

    fn keys(&self) -> BTreeSet<TopicPartition> {
        self.partitions.clone()
    }

    fn target(&self, _: &Cluster, _: &TopicPartition) -> Option<Target> {
        Some(Target::Coordinator(self.group.clone()))
    }

    fn request(&self, partitions: &[TopicPartition], _: Duration) -> Build<OffsetDeleteRequest> {
        let wanted = by_topic(partitions.iter().map(|partition| {
            let partition_index = partition.partition;
            (
                partition.clone(),
                OffsetDeleteRequestPartition { partition_index },
            )
        }));
        let topic = |(name, partitions): (Arc<str>, _)| OffsetDeleteRequestTopic {
            name: name.as_ref().into(),
            partitions,
        };
        always(OffsetDeleteRequest {
            group_id: self.group.as_ref().into(),
            topics: wanted.into_iter().map(topic).collect(),
        })
    }

    fn read(
        &self,
        asked: &[TopicPartition],
        _: Option<i32>,
        response: OffsetDeleteResponse,
    ) -> Answers<TopicPartition, ()> {
        if let Err(refused) = Refused::check(response.error_code, None) {
            return of_all(asked, &refused);
        }
        let topics = response.topics.into_iter().map(|it| (it.name, it.partitions));
        of_partitions(topics, |it| {
            (it.partition_index, Refused::check(it.error_code, None))
        })
    }

    fn reply(results: Results<TopicPartition, ()>) -> AdminReply {
        AdminReply::GroupOffsetsDeleted(results)
    }
}
