//! Commands on offsets: of logs, and of groups.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use kohort_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kohort_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody};

use super::command::OffsetSpec;
use super::error::AdminError;
use super::reply::{AdminReply, FoundOffset, Results};
use super::work::{Answer, Ask, Item, Work, millis};
use crate::client::{Cluster, Target};
use crate::consumer::IsolationLevel;

/// Newer versions of OffsetFetch and OffsetCommit name topics by their ids, which an admin does not know.
const NEWEST_WITH_NAMES: i16 = 9;

/// Partitions by topic.
fn by_topic<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> BTreeMap<Arc<str>, Vec<i32>> {
    let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics
            .entry(partition.topic.clone())
            .or_default()
            .push(partition.partition);
    }
    topics
}

// Kafka: ListOffsetsRequest.EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, MAX_TIMESTAMP
fn timestamp_of(spec: OffsetSpec) -> i64 {
    match spec {
        OffsetSpec::Latest => -1,
        OffsetSpec::Earliest => -2,
        OffsetSpec::MaxTimestamp => -3,
        OffsetSpec::Timestamp(ms) => ms,
    }
}

/// ListOffsets: asks the leader of each partition.
#[derive(Debug)]
pub(super) struct ListOffsets {
    partitions: BTreeMap<TopicPartition, OffsetSpec>,
    isolation: IsolationLevel,
    results: Results<TopicPartition, Option<FoundOffset>>,
}

impl ListOffsets {
    pub(super) fn new(partitions: BTreeMap<TopicPartition, OffsetSpec>, isolation: IsolationLevel) -> Self {
        Self {
            partitions,
            isolation,
            results: BTreeMap::new(),
        }
    }

    fn ask(&self, node: i32, partitions: Vec<TopicPartition>, timeout: Duration) -> Ask {
        let mut topics: BTreeMap<Arc<str>, Vec<ListOffsetsPartition>> = BTreeMap::new();
        let mut needs_max = false;
        for partition in &partitions {
            let spec = self
                .partitions
                .get(partition)
                .copied()
                .unwrap_or(OffsetSpec::Latest);
            needs_max |= spec == OffsetSpec::MaxTimestamp;
            topics
                .entry(partition.topic.clone())
                .or_default()
                .push(ListOffsetsPartition {
                    partition_index: partition.partition,
                    timestamp: timestamp_of(spec),
                    ..Default::default()
                });
        }
        let topic = |(name, partitions): (Arc<str>, _)| ListOffsetsTopic {
            name: name.as_ref().into(),
            partitions,
        };
        let isolation_level = self.isolation.code();
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: topics.into_iter().map(topic).collect(),
            timeout_ms: millis(timeout),
        };
        // KIP-734, KIP-98
        let can_say = move |version| (version >= 7 || !needs_max) && (version >= 2 || isolation_level == 0);
        Ask {
            target: Target::Broker(node),
            api: ApiKey::ListOffsets,
            build: Box::new(move |version| can_say(version).then(|| request.clone().into())),
            items: partitions.into_iter().map(Item::Partition).collect(),
        }
    }
}

impl Work for ListOffsets {
    fn items(&self) -> BTreeSet<Item> {
        self.partitions.keys().cloned().map(Item::Partition).collect()
    }

    fn topics(&self) -> BTreeSet<Arc<str>> {
        self.partitions
            .keys()
            .map(|partition| partition.topic.clone())
            .collect()
    }

    // Kafka: ListOffsetsHandler
    fn plan(&self, cluster: &Cluster, pending: &mut BTreeSet<Item>, timeout: Duration) -> Vec<Ask> {
        let mut by_leader: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        pending.retain(|item| {
            let Item::Partition(partition) = item else {
                return false;
            };
            match cluster.leader(&partition.topic, partition.partition) {
                Some(leader) => {
                    by_leader.entry(leader).or_default().push(partition.clone());
                    false
                }
                None => true,
            }
        });
        let ask = |(node, partitions)| self.ask(node, partitions, timeout);
        by_leader.into_iter().map(ask).collect()
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        error.is_retriable()
    }

    fn read(&mut self, _: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = ListOffsetsResponse::try_from(response).unwrap_or_default();
        let mut answers = Vec::new();
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for found in topic.partitions {
                let partition = TopicPartition::new(name.clone(), found.partition_index);
                let answer = Answer::refused(found.error_code, None).unwrap_or(Answer::Done);
                if answer == Answer::Done {
                    let offset = (found.offset >= 0).then_some(FoundOffset {
                        offset: found.offset,
                        timestamp: Some(found.timestamp).filter(|it| *it >= 0),
                        leader_epoch: Some(found.leader_epoch).filter(|it| *it >= 0),
                    });
                    self.results.insert(partition.clone(), Ok(offset));
                }
                answers.push((Item::Partition(partition), answer));
            }
        }
        answers
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Item::Partition(partition) = item {
            self.results.insert(partition, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::OffsetsFound(self.results)
    }
}

/// ListGroupOffsets: one group, one request.
#[derive(Debug)]
pub(super) struct ListGroupOffsets {
    group: Arc<str>,
    partitions: Option<Vec<TopicPartition>>,
    require_stable: bool,
    found: Result<Results<TopicPartition, Option<OffsetAndMetadata>>, AdminError>,
}

impl ListGroupOffsets {
    pub(super) fn new(
        group: Arc<str>,
        partitions: Option<Vec<TopicPartition>>,
        require_stable: bool,
    ) -> Self {
        Self {
            group,
            partitions,
            require_stable,
            found: Ok(BTreeMap::new()),
        }
    }
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

/// What a response says of one partition: offset, leader epoch, metadata, error.
type Committed = (String, i32, i64, i32, Option<String>, i16);

fn committed(response: OffsetFetchResponse) -> (i16, Vec<Committed>) {
    let mut all = Vec::new();
    let mut error = response.error_code;
    for topic in response.topics {
        for it in topic.partitions {
            let (index, offset, epoch) = (it.partition_index, it.committed_offset, it.committed_leader_epoch);
            all.push((
                topic.name.clone(),
                index,
                offset,
                epoch,
                it.metadata,
                it.error_code,
            ));
        }
    }
    for group in response.groups {
        error = group.error_code;
        for topic in group.topics {
            for it in topic.partitions {
                let (index, offset, epoch) =
                    (it.partition_index, it.committed_offset, it.committed_leader_epoch);
                all.push((
                    topic.name.clone(),
                    index,
                    offset,
                    epoch,
                    it.metadata,
                    it.error_code,
                ));
            }
        }
    }
    (error, all)
}

impl Work for ListGroupOffsets {
    fn items(&self) -> BTreeSet<Item> {
        BTreeSet::from([Item::Whole])
    }

    // Kafka: ListConsumerGroupOffsetsHandler
    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, _: Duration) -> Vec<Ask> {
        pending.clear();
        let topics = self.partitions.as_ref().map(by_topic);
        let (group, require_stable) = (String::from(self.group.as_ref()), self.require_stable);
        alloc::vec![Ask {
            target: Target::Coordinator(self.group.clone()),
            api: ApiKey::OffsetFetch,
            build: Box::new(move |version| {
                let request = fetch_request(version, group.clone(), topics.clone(), require_stable)?;
                Some(request.into())
            }),
            items: alloc::vec![Item::Whole],
        }]
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        error.is_retriable()
    }

    fn read(&mut self, _: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = OffsetFetchResponse::try_from(response).unwrap_or_default();
        let (error, partitions) = committed(response);
        if let Some(refused) = Answer::refused(error, None) {
            return alloc::vec![(Item::Whole, refused)];
        }
        let mut results = BTreeMap::new();
        for (topic, partition, offset, epoch, metadata, error) in partitions {
            let result = match ErrorCode::from_code(error) {
                ErrorCode::None => Ok((offset >= 0).then(|| OffsetAndMetadata {
                    offset,
                    leader_epoch: Some(epoch).filter(|epoch| *epoch >= 0),
                    metadata: metadata.unwrap_or_default(),
                })),
                // An open transaction ends: the whole request is repeated.
                error @ ErrorCode::UnstableOffsetCommit => {
                    return alloc::vec![(Item::Whole, Answer::Refused { error, message: None })];
                }
                error => Err(AdminError::Refused { error, message: None }),
            };
            results.insert(TopicPartition::new(topic, partition), result);
        }
        self.found = Ok(results);
        alloc::vec![(Item::Whole, Answer::Done)]
    }

    fn fail(&mut self, _: Item, error: AdminError) {
        self.found = Err(error);
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::GroupOffsets(self.found)
    }
}

/// AlterGroupOffsets.
#[derive(Debug)]
pub(super) struct AlterGroupOffsets {
    group: Arc<str>,
    offsets: BTreeMap<TopicPartition, OffsetAndMetadata>,
    results: Results<TopicPartition, ()>,
}

impl AlterGroupOffsets {
    pub(super) fn new(group: Arc<str>, offsets: BTreeMap<TopicPartition, OffsetAndMetadata>) -> Self {
        Self {
            group,
            offsets,
            results: BTreeMap::new(),
        }
    }
}

impl Work for AlterGroupOffsets {
    fn items(&self) -> BTreeSet<Item> {
        self.offsets.keys().cloned().map(Item::Partition).collect()
    }

    // Kafka: AlterConsumerGroupOffsetsHandler
    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, _: Duration) -> Vec<Ask> {
        let mut topics: BTreeMap<Arc<str>, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        let items: Vec<Item> = core::mem::take(pending).into_iter().collect();
        for item in &items {
            let Item::Partition(partition) = item else {
                continue;
            };
            let Some(offset) = self.offsets.get(partition) else {
                continue;
            };
            topics
                .entry(partition.topic.clone())
                .or_default()
                .push(OffsetCommitRequestPartition {
                    partition_index: partition.partition,
                    committed_offset: offset.offset,
                    committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
                    committed_metadata: Some(offset.metadata.clone()),
                });
        }
        let topic = |(name, partitions): (Arc<str>, _)| OffsetCommitRequestTopic {
            name: name.as_ref().into(),
            partitions,
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: self.group.as_ref().into(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        alloc::vec![Ask {
            target: Target::Coordinator(self.group.clone()),
            api: ApiKey::OffsetCommit,
            build: Box::new(move |version| (version <= NEWEST_WITH_NAMES).then(|| request.clone().into())),
            items,
        }]
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        // UNKNOWN_TOPIC_OR_PARTITION may be a broker that lags, but here it is most often a typing mistake.
        error.is_retriable() && error != ErrorCode::UnknownTopicOrPartition
    }

    fn read(&mut self, _: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = OffsetCommitResponse::try_from(response).unwrap_or_default();
        let mut answers = Vec::new();
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            for it in topic.partitions {
                let partition = TopicPartition::new(name.clone(), it.partition_index);
                let answer = Answer::refused(it.error_code, None).unwrap_or(Answer::Done);
                if answer == Answer::Done {
                    self.results.insert(partition.clone(), Ok(()));
                }
                answers.push((Item::Partition(partition), answer));
            }
        }
        answers
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Item::Partition(partition) = item {
            self.results.insert(partition, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::GroupOffsetsAltered(self.results)
    }
}
