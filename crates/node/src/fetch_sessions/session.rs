//! One session: its partitions in the order in which they are read, and what the client was told of each.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use kohort_machine::Instant;
use kohort_protocol::Uuid;
use kohort_protocol::messages::FetchRequest;
use kohort_protocol::messages::fetch::{
    EpochEndOffset, FetchPartition, FetchTopic, FetchableTopicResponse, PartitionData,
};

use crate::cluster::BrokerId;

/// About how many bytes a partition takes beside its name.
const PARTITION_WEIGHT: usize = 320;

/// A partition as the requests of one session name it: by the topic's name, or, from version 13 on, by its id.
// Kafka: FetchSession.CachedPartition.equals
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    topic: String,
    topic_id: [u8; 16],
    partition: i32,
}

impl Key {
    fn new(topic: &str, topic_id: Uuid, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            topic_id: topic_id.0,
            partition,
        }
    }

    /// About how many bytes a partition of this name takes: its name is kept twice.
    fn weight(&self) -> usize {
        PARTITION_WEIGHT.saturating_add(self.topic.len().saturating_mul(2))
    }
}

/// A partition of a session.
// Kafka: FetchSession.CachedPartition
#[derive(Debug, Clone)]
struct Cached {
    key: Key,
    wanted: FetchPartition,
    /// What the client was told last.
    high_watermark: i64,
    log_start_offset: i64,
}

impl Cached {
    fn new(key: Key, wanted: FetchPartition) -> Self {
        Self {
            key,
            wanted,
            high_watermark: -1,
            log_start_offset: -1,
        }
    }

    /// Whether the client has to be told `data`, which it is from now on.
    // Kafka: FetchSession.CachedPartition.maybeUpdateResponseData
    fn note(&mut self, data: &PartitionData) -> bool {
        let has_failed = data.error_code != 0;
        let is_news = has_records(data)
            || data.high_watermark != self.high_watermark
            || data.log_start_offset != self.log_start_offset
            || data.preferred_read_replica >= 0
            || has_failed
            || data.diverging_epoch != EpochEndOffset::default();
        // After an error the partition is told again as soon as there is none.
        self.high_watermark = if has_failed { -1 } else { data.high_watermark };
        self.log_start_offset = data.log_start_offset;
        is_news
    }
}

/// A session.
// Kafka: FetchSession
#[derive(Debug)]
pub(super) struct Session {
    pub(super) broker: BrokerId,
    pub(super) uses_topic_ids: bool,
    /// The epoch of the next request.
    pub(super) epoch: i32,
    pub(super) created: Instant,
    pub(super) last_used: Instant,
    /// How many partitions it had when it was used last.
    pub(super) size: usize,
    /// About how many bytes it takes.
    pub(super) weight: usize,
    /// The partitions by their turn.
    turns: BTreeMap<u64, Cached>,
    places: BTreeMap<Key, u64>,
    next_turn: u64,
}

impl Session {
    /// A session of the partitions that `response` answers, in its order.
    // Kafka: FetchContext.FullFetchContext.createNewSession
    pub(super) fn new(
        now: Instant,
        broker: BrokerId,
        uses_topic_ids: bool,
        request: &FetchRequest,
        response: &[FetchableTopicResponse],
    ) -> Self {
        let mut wanted: BTreeMap<Key, FetchPartition> = BTreeMap::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let key = Key::new(&topic.topic, topic.topic_id, partition.partition);
                wanted.insert(key, partition.clone());
            }
        }
        let mut session = Self {
            broker,
            uses_topic_ids,
            epoch: 1,
            created: now,
            last_used: now,
            size: 0,
            weight: 0,
            turns: BTreeMap::new(),
            places: BTreeMap::new(),
            next_turn: 0,
        };
        for topic in response {
            for data in &topic.partitions {
                let key = Key::new(&topic.topic, topic.topic_id, data.partition_index);
                if let Some(partition) = wanted.remove(&key) {
                    let mut cached = Cached::new(key, partition);
                    // What failed is remembered as it was told, too.
                    cached.high_watermark = data.high_watermark;
                    cached.log_start_offset = data.log_start_offset;
                    session.add(cached);
                }
            }
        }
        session.size = session.len();
        session
    }

    /// How many partitions it has.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    fn add(&mut self, cached: Cached) {
        self.weight = self.weight.saturating_add(cached.key.weight());
        self.places.insert(cached.key.clone(), self.next_turn);
        self.turns.insert(self.next_turn, cached);
        self.next_turn = self.next_turn.saturating_add(1);
    }

    /// Takes over what the request adds, changes and forgets.
    // Kafka: FetchSession.update
    pub(super) fn update(&mut self, request: &FetchRequest) {
        for topic in &request.topics {
            for partition in &topic.partitions {
                let key = Key::new(&topic.topic, topic.topic_id, partition.partition);
                let known = self.places.get(&key).and_then(|turn| self.turns.get_mut(turn));
                match known {
                    Some(cached) => cached.wanted = partition.clone(),
                    None => self.add(Cached::new(key, partition.clone())),
                }
            }
        }
        for topic in &request.forgotten_topics_data {
            for partition in &topic.partitions {
                let key = Key::new(&topic.topic, topic.topic_id, *partition);
                if let Some(turn) = self.places.remove(&key) {
                    self.turns.remove(&turn);
                    self.weight = self.weight.saturating_sub(key.weight());
                }
            }
        }
    }

    /// All its partitions, as a request would name them, in their order.
    // Kafka: FetchContext.IncrementalFetchContext.foreachPartition
    pub(super) fn topics(&self) -> Vec<FetchTopic> {
        let mut topics: Vec<FetchTopic> = Vec::new();
        for Cached { key, wanted, .. } in self.turns.values() {
            let is_same =
                |topic: &&mut FetchTopic| topic.topic == key.topic && topic.topic_id.0 == key.topic_id;
            match topics.last_mut().filter(is_same) {
                Some(topic) => topic.partitions.push(wanted.clone()),
                None => topics.push(FetchTopic {
                    topic: key.topic.clone(),
                    topic_id: Uuid(key.topic_id),
                    partitions: Vec::from([wanted.clone()]),
                }),
            }
        }
        topics
    }

    /// Leaves in the answer what the client does not know yet. A partition that gave records goes behind all others, so that
    /// each has its turn within the limit of an answer.
    // Kafka: FetchContext.IncrementalFetchContext.PartitionIterator
    pub(super) fn retain_news(&mut self, response: &mut Vec<FetchableTopicResponse>) {
        for topic in response.iter_mut() {
            let (name, id) = (&topic.topic, topic.topic_id);
            topic.partitions.retain(|data| {
                let key = Key::new(name, id, data.partition_index);
                let Some(turn) = self.places.get(&key).copied() else {
                    return false;
                };
                let Some(cached) = self.turns.get_mut(&turn) else {
                    return false;
                };
                let is_news = cached.note(data);
                if has_records(data)
                    && let Some(cached) = self.turns.remove(&turn)
                {
                    self.weight = self.weight.saturating_sub(key.weight());
                    self.add(cached);
                }
                is_news
            });
        }
        response.retain(|topic| !topic.partitions.is_empty());
    }
}

// Kafka: FetchResponse.recordsSize
fn has_records(data: &PartitionData) -> bool {
    data.records.as_ref().is_some_and(|records| !records.is_empty())
}
