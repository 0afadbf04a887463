//! The committed offsets of a group, of whatever kind the group is.

mod commit;
mod delete;
mod expire;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{
    CommitOffsetsRequest, CoordinatorRecord, FetchGroup, FetchedGroup, FetchedPartition, StoredOffset,
    TopicId, TopicPartitions,
};

/// What a group has committed. Only `Group::apply` changes it.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    by_topic: BTreeMap<Arc<str>, BTreeMap<i32, StoredOffset>>,
}

impl Offsets {
    pub(super) fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }

    pub(super) fn insert(&mut self, topic: Arc<str>, partition: i32, offset: StoredOffset) {
        self.by_topic.entry(topic).or_default().insert(partition, offset);
    }

    pub(super) fn remove(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.by_topic.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.by_topic.remove(topic);
            }
        }
    }

    fn get(&self, topic: &str, partition: i32) -> Option<&StoredOffset> {
        self.by_topic.get(topic)?.get(&partition)
    }

    /// The offsets asked for; all when no topic is named. A topic that was made anew under its old name has none.
    // Kafka: OffsetMetadataManager.fetchOffsets, fetchAllOffsets
    pub(super) fn fetch(&self, request: FetchGroup) -> FetchedGroup {
        let FetchGroup { group_id, topics } = request;
        let fetched = match &topics {
            Some(topics) => topics.iter().map(|topic| self.fetch_topic(topic)).collect(),
            None => self.all(),
        };
        FetchedGroup {
            group_id,
            outcome: Ok(fetched),
            asked: topics,
        }
    }

    fn fetch_topic(&self, topic: &TopicPartitions<i32>) -> TopicPartitions<FetchedPartition> {
        let is_of = |stored: &&StoredOffset| is_same_topic(stored.topic_id, topic.id);
        let fetch = |&partition: &i32| FetchedPartition {
            partition,
            committed: self
                .get(&topic.name, partition)
                .filter(is_of)
                .map(|stored| stored.offset.clone()),
        };
        TopicPartitions {
            name: topic.name.clone(),
            id: topic.id,
            partitions: topic.partitions.iter().map(fetch).collect(),
        }
    }

    fn all(&self) -> Vec<TopicPartitions<FetchedPartition>> {
        let fetched = |(&partition, stored): (&i32, &StoredOffset)| FetchedPartition {
            partition,
            committed: Some(stored.offset.clone()),
        };
        let topic = |(name, partitions): (&Arc<str>, &BTreeMap<i32, StoredOffset>)| TopicPartitions {
            name: name.clone(),
            id: None,
            partitions: partitions.iter().map(fetched).collect(),
        };
        self.by_topic.iter().map(topic).collect()
    }

    fn of_topic(&self, topic: &str) -> impl Iterator<Item = (i32, &StoredOffset)> {
        let partitions = self.by_topic.get(topic).into_iter().flatten();
        partitions.map(|(&number, stored)| (number, stored))
    }

    fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, &StoredOffset)> {
        self.by_topic.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(&number, stored)| (topic, number, stored))
        })
    }
}

/// Ids that are not known are no reason to doubt.
// Kafka: OffsetMetadataManager.isMismatchedTopicId
fn is_same_topic(stored: Option<TopicId>, asked: Option<TopicId>) -> bool {
    stored.is_none() || asked.is_none() || stored == asked
}

/// About how many bytes the records take in a log.
pub(super) fn weight_of_records(records: &[CoordinatorRecord]) -> usize {
    let weigh = |record: &CoordinatorRecord| match record {
        CoordinatorRecord::Offset {
            group_id,
            topic,
            value,
            ..
        } => {
            let metadata = value.as_ref().map_or("", |stored| &stored.offset.metadata);
            weight(group_id, topic, metadata)
        }
        CoordinatorRecord::Group { .. } => 0,
    };
    records.iter().map(weigh).sum()
}

/// About how many bytes the records of a commit will take in a log.
pub(super) fn weight_of_request(request: &CommitOffsetsRequest) -> usize {
    let each = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(move |committed| (&topic.name, &committed.offset.metadata))
    });
    each.map(|(topic, metadata)| weight(&request.group_id, topic, metadata))
        .sum()
}

/// The strings of a record, and no less than all else in it.
fn weight(group_id: &str, topic: &str, metadata: &str) -> usize {
    const FIXED: usize = 96;
    FIXED + group_id.len() + topic.len() + metadata.len()
}

fn tombstone(group_id: &Arc<str>, topic: &Arc<str>, partition: i32) -> CoordinatorRecord {
    CoordinatorRecord::Offset {
        group_id: group_id.clone(),
        topic: topic.clone(),
        partition,
        value: None,
    }
}
