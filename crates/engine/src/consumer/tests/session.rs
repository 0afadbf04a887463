//! A broker's fetch session (KIP-227), for tests.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::messages::{FetchRequest, FetchResponse};
use kohort_protocol::{ErrorCode, Uuid};

type Key = (String, Uuid, i32);

/// The one session that a broker has.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) id: i32,
    /// That the next Fetch must have.
    pub(super) epoch: i32,
    asked: BTreeMap<Key, FetchPartition>,
    /// The high watermarks that the client was told.
    told: BTreeMap<Key, i64>,
    /// Of each Fetch that was answered: session, epoch, and the partitions that it named and forgot.
    pub(super) log: Vec<(i32, i32, Vec<i32>, Vec<i32>)>,
}

impl Session {
    /// What a Fetch asks for altogether.
    // Kafka: FetchManager.newContext
    pub(super) fn expand(&self, request: &FetchRequest) -> Result<FetchRequest, ErrorCode> {
        let asked = self.merged(request)?;
        let mut topics: BTreeMap<(String, Uuid), Vec<FetchPartition>> = BTreeMap::new();
        for ((name, id, _), partition) in asked {
            topics.entry((name, id)).or_default().push(partition);
        }
        let topic = |((topic, topic_id), partitions)| FetchTopic {
            topic,
            topic_id,
            partitions,
        };
        Ok(FetchRequest {
            topics: topics.into_iter().map(topic).collect(),
            ..request.clone()
        })
    }

    fn merged(&self, request: &FetchRequest) -> Result<BTreeMap<Key, FetchPartition>, ErrorCode> {
        let mut asked = match request.session_epoch {
            -1 | 0 => BTreeMap::new(),
            _ if request.session_id != self.id => return Err(ErrorCode::FetchSessionIdNotFound),
            epoch if epoch != self.epoch => return Err(ErrorCode::InvalidFetchSessionEpoch),
            _ => self.asked.clone(),
        };
        for topic in &request.topics {
            for partition in &topic.partitions {
                let key = (topic.topic.clone(), topic.topic_id, partition.partition);
                asked.insert(key, partition.clone());
            }
        }
        for topic in &request.forgotten_topics_data {
            for partition in &topic.partitions {
                asked.remove(&(topic.topic.clone(), topic.topic_id, *partition));
            }
        }
        Ok(asked)
    }

    /// A Fetch is answered: with what has news, if its session was there before.
    pub(super) fn answered(&mut self, request: &FetchRequest, response: &mut FetchResponse) {
        let named = request.topics.iter().flat_map(|topic| &topic.partitions);
        let forgotten = request.forgotten_topics_data.iter();
        self.log.push((
            request.session_id,
            request.session_epoch,
            named.map(|partition| partition.partition).collect(),
            forgotten.flat_map(|topic| topic.partitions.clone()).collect(),
        ));
        let Ok(asked) = self.merged(request) else {
            return;
        };
        if request.session_epoch < 0 {
            return;
        }
        if request.session_epoch == 0 {
            self.id += 1;
            self.told.clear();
        }
        self.epoch = request.session_epoch + 1;
        let gone: BTreeSet<Key> = self
            .told
            .keys()
            .filter(|it| !asked.contains_key(*it))
            .cloned()
            .collect();
        self.told.retain(|key, _| !gone.contains(key));
        self.asked = asked;
        response.session_id = self.id;
        for topic in &mut response.responses {
            topic.partitions.retain(|data| {
                let key = (topic.topic.clone(), topic.topic_id, data.partition_index);
                let told = self.told.insert(key, data.high_watermark);
                let has_records = data.records.as_ref().is_some_and(|records| !records.is_empty());
                has_records || data.error_code != 0 || told != Some(data.high_watermark)
            });
        }
        response.responses.retain(|topic| !topic.partitions.is_empty());
    }
}
