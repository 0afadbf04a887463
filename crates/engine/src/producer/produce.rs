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
    by_name: BTreeMap<String, BTreeMap<i32, PartitionProduceResponse>>,
    by_id: BTreeMap<(Uuid, i32), PartitionProduceResponse>,
    endpoints: BTreeMap<i32, NodeEndpoint>,
}

impl Outcomes {
    pub(super) fn new(response: ProduceResponse) -> Self {
        let (mut by_name, mut by_id) = (BTreeMap::<String, BTreeMap<_, _>>::new(), BTreeMap::new());
        for topic in response.responses {
            let partitions = topic.partition_responses.into_iter().map(|it| (it.index, it));
            match topic.topic_id.is_zero() {
                true => by_name.entry(topic.name).or_default().extend(partitions),
                false => by_id.extend(partitions.map(|(index, it)| ((topic.topic_id, index), it))),
            }
        }
        let endpoints = response.node_endpoints.into_iter().map(|it| (it.node_id, it));
        Self {
            by_name,
            by_id,
            endpoints: endpoints.collect(),
        }
    }

    /// What is said of a partition; none when the broker left it out.
    pub(super) fn take(&mut self, topic: &str, id: Uuid, partition: i32) -> Option<PartitionProduceResponse> {
        let by_id = self.by_id.remove(&(id, partition));
        by_id.or_else(|| self.by_name.get_mut(topic)?.remove(&partition))
    }

    /// The address of a broker that the response names as a new leader (KIP-951).
    pub(super) fn endpoint(&self, node: i32) -> Option<Broker> {
        let endpoint = self.endpoints.get(&node)?;
        Broker::advertised(node, endpoint.host.clone(), endpoint.port, endpoint.rack.clone())
    }
}

/// What the broker says of a refused batch: of single records, or of the batch where it does not single them out (KIP-467).
pub(super) struct Words {
    of_records: BTreeMap<i32, Arc<str>>,
    of_batch: Option<Arc<str>>,
}

impl Words {
    pub(super) fn of(outcome: PartitionProduceResponse) -> Self {
        let of_records = outcome
            .record_errors
            .into_iter()
            .filter_map(|it| Some((it.batch_index, it.batch_index_error_message?.into())));
        Self {
            of_records: of_records.collect(),
            of_batch: outcome.error_message.map(Arc::from),
        }
    }

    /// Those that are about the record at this place in the batch.
    pub(super) fn about(&self, index: usize) -> Option<Arc<str>> {
        let of_record = i32::try_from(index)
            .ok()
            .and_then(|index| self.of_records.get(&index));
        of_record.or(self.of_batch.as_ref()).cloned()
    }
}
