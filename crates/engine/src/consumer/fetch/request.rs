//! The Fetch request itself, for each version of it.

use alloc::string::ToString;

use kohort_protocol::messages::FetchRequest;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_protocol::{RequestBody, Uuid};

use super::AskedTopic;
use crate::consumer::ConsumerConfig;

/// The version from which Fetch names topics by id (KIP-516).
const TOPIC_IDS: i16 = 13;

/// The request but for its topics. `is_ahead`: data is known to be there, so the broker is not to wait for more of it.
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
        // KIP-227: no session is asked for.
        session_id: 0,
        session_epoch: -1,
        ..Default::default()
    }
}

/// Puts the topics in, as the version names them.
pub(super) fn fill(
    mut request: FetchRequest,
    topics: &[AskedTopic],
    partition_max_bytes: i32,
    version: i16,
) -> Option<RequestBody> {
    for topic in topics {
        let partition = |index: &i32| {
            let asked = topic.partitions.get(index)?;
            Some(FetchPartition {
                partition: *index,
                current_leader_epoch: asked.leader_epoch.unwrap_or(-1),
                fetch_offset: asked.position.offset,
                partition_max_bytes,
                ..Default::default()
            })
        };
        request.topics.push(FetchTopic {
            topic: if version < TOPIC_IDS {
                topic.name.to_string()
            } else {
                Default::default()
            },
            topic_id: if version < TOPIC_IDS {
                Uuid::ZERO
            } else {
                topic.id?
            },
            partitions: topic.order.iter().filter_map(partition).collect(),
        });
    }
    Some(RequestBody::from(request))
}
