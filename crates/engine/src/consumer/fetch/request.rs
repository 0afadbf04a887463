//! The Fetch request itself, for each version of it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::messages::FetchRequest;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use kohort_protocol::{RequestBody, Uuid};

use super::asked::{Asked, AskedTopic, AskedTopics};
use super::session::{Known, Step};
use crate::consumer::ConsumerConfig;

/// The version from which Fetch has sessions (KIP-227).
const SESSIONS: i16 = 7;
/// The version from which Fetch names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;

/// The request but for its topics and its session. `is_ahead`: data is known to be there, so the broker is not to wait for more
/// of it.
// Kafka: AbstractFetch.createFetchRequest
pub(super) fn request(config: &ConsumerConfig, reserved: u64, is_ahead: bool) -> FetchRequest {
    FetchRequest {
        max_wait_ms: i32::try_from(config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: if is_ahead {
            config.fetch_min_bytes.min(1)
        } else {
            config.fetch_min_bytes
        },
        max_bytes: i32::try_from(reserved).unwrap_or(i32::MAX),
        isolation_level: config.isolation_level.code(),
        ..Default::default()
    }
}

/// Puts the session and the topics in, as the version names them.
pub(super) fn fill(
    mut request: FetchRequest,
    topics: &AskedTopics,
    step: &Step,
    partition_max_bytes: i32,
    version: i16,
) -> Option<RequestBody> {
    let known = match version < SESSIONS {
        true => None,
        false => {
            (request.session_id, request.session_epoch) = (step.session_id, step.epoch);
            step.known.as_ref()
        }
    };
    // What has other limits than before is different altogether.
    let unchanged = known.filter(|known| known.partition_max_bytes == partition_max_bytes);
    for topic in topics.topics() {
        let old = unchanged.and_then(|known| known.topics.by_name(&topic.name));
        let partitions: Vec<FetchPartition> = topic
            .order
            .iter()
            .filter_map(|index| Some((*index, topic.partitions.get(index)?)))
            .filter(|(index, asked)| {
                let before = old.and_then(|old| old.partitions.get(index));
                before.is_none_or(|before| is_different(before, asked))
            })
            .map(|(partition, asked)| FetchPartition {
                partition,
                current_leader_epoch: asked.leader_epoch.unwrap_or(-1),
                fetch_offset: asked.position.offset,
                partition_max_bytes,
                ..Default::default()
            })
            .collect();
        if !partitions.is_empty() {
            let (topic, topic_id) = named(topic, version)?;
            request.topics.push(FetchTopic {
                topic,
                topic_id,
                partitions,
            });
        }
    }
    if let Some(known) = known {
        request.forgotten_topics_data = forgotten(known, topics, version)?;
    }
    Some(RequestBody::from(request))
}

/// What the broker knows and is not asked for any more.
fn forgotten(known: &Known, topics: &AskedTopics, version: i16) -> Option<Vec<ForgottenTopic>> {
    let mut forgotten = Vec::new();
    for old in known.topics.topics() {
        let still = topics.by_name(&old.name);
        let is_gone = |index: &i32| still.is_none_or(|topic| !topic.partitions.contains_key(index));
        let partitions: Vec<i32> = old.partitions.keys().copied().filter(is_gone).collect();
        if !partitions.is_empty() {
            let (topic, topic_id) = named(old, version)?;
            forgotten.push(ForgottenTopic {
                topic,
                topic_id,
                partitions,
            });
        }
    }
    Some(forgotten)
}

/// Whether the broker has to be told of a partition again.
fn is_different(before: &Asked, now: &Asked) -> bool {
    let wire = |asked: &Asked| (asked.position.offset, asked.leader_epoch);
    wire(before) != wire(now)
}

/// The name and the id by which this version knows a topic; none if it needs an id that is not known.
fn named(topic: &AskedTopic, version: i16) -> Option<(String, Uuid)> {
    match version < TOPIC_IDS {
        true => Some((topic.name.to_string(), Uuid::ZERO)),
        false => Some((String::new(), topic.id?)),
    }
}
