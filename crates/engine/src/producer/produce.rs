//! The Produce request and what its response says of each partition. What follows from it is decided in `engine`.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_protocol::Uuid;
use kohort_protocol::messages::produce::{
    NodeEndpoint, PartitionProduceData, PartitionProduceResponse, TopicProduceData,
};
use kohort_protocol::messages::{ProduceRequest, ProduceResponse};

use super::config::Acks;
use crate::client::Broker;

/// One batch of a request.
pub(super) struct Part {
    pub(super) topic: Arc<str>,
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
    pub(super) bytes: Bytes,
}

/// The request for these batches; topics are named both by name and by id, each version takes its own.
pub(super) fn request(acks: Acks, timeout_ms: i32, parts: Vec<Part>) -> ProduceRequest {
    let mut topics: BTreeMap<Arc<str>, TopicProduceData> = BTreeMap::new();
    for part in parts {
        let topic = topics
            .entry(part.topic.clone())
            .or_insert_with(|| TopicProduceData {
                name: part.topic.as_ref().into(),
                topic_id: part.topic_id,
                ..Default::default()
            });
        topic.partition_data.push(PartitionProduceData {
            index: part.partition,
            records: Some(part.bytes),
        });
    }
    ProduceRequest {
        acks: acks.code(),
        timeout_ms,
        topic_data: topics.into_values().collect(),
        ..Default::default()
    }
}

/// What a response says, by partition.
pub(super) struct Outcomes {
    by_name: BTreeMap<(String, i32), PartitionProduceResponse>,
    by_id: BTreeMap<(Uuid, i32), PartitionProduceResponse>,
    endpoints: Vec<NodeEndpoint>,
}

impl Outcomes {
    pub(super) fn new(response: ProduceResponse) -> Self {
        let (mut by_name, mut by_id) = (BTreeMap::new(), BTreeMap::new());
        for topic in response.responses {
            for partition in topic.partition_responses {
                let index = partition.index;
                match topic.topic_id.is_zero() {
                    true => by_name.insert((topic.name.clone(), index), partition),
                    false => by_id.insert((topic.topic_id, index), partition),
                };
            }
        }
        Self {
            by_name,
            by_id,
            endpoints: response.node_endpoints,
        }
    }

    /// What is said of a partition; none when the broker left it out.
    pub(super) fn take(&mut self, topic: &str, id: Uuid, partition: i32) -> Option<PartitionProduceResponse> {
        let by_id = self.by_id.remove(&(id, partition));
        by_id.or_else(|| self.by_name.remove(&(topic.into(), partition)))
    }

    /// The address of a broker that the response names as a new leader (KIP-951).
    pub(super) fn endpoint(&self, node: i32) -> Option<Broker> {
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.node_id == node)?;
        Some(Broker {
            id: node,
            host: endpoint.host.clone(),
            port: u16::try_from(endpoint.port).ok()?,
            rack: endpoint.rack.clone(),
        })
    }
}

/// What the broker says of one record of a refused batch, or of the batch when it does not single records out (KIP-467).
pub(super) fn message_for(outcome: &PartitionProduceResponse, index: usize) -> Option<String> {
    let of_record = outcome
        .record_errors
        .iter()
        .find(|it| usize::try_from(it.batch_index) == Ok(index));
    of_record
        .and_then(|it| it.batch_index_error_message.clone())
        .or_else(|| outcome.error_message.clone())
}
