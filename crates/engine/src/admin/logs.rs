//! Commands on the logs of partitions: asked of their leaders.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::time::Duration;

use kohort_groups::TopicPartition;
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use kohort_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use kohort_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse,
};

use super::command::{OffsetSpec, RecordsToDelete};
use super::each::{Answers, Build, Each, always, by_topic, of_partitions, when};
use super::reply::{AdminReply, FoundOffset, Results};
use super::work::{Refused, millis};
use crate::client::{Cluster, Target};
use crate::consumer::IsolationLevel;

fn leader(cluster: &Cluster, partition: &TopicPartition) -> Option<Target> {
    cluster
        .leader(&partition.topic, partition.partition)
        .map(Target::Broker)
}

fn topics_of<T>(partitions: &BTreeMap<TopicPartition, T>) -> BTreeSet<Arc<str>> {
    partitions
        .keys()
        .map(|partition| partition.topic.clone())
        .collect()
}

/// ListOffsets.
// Kafka: ListOffsetsHandler
#[derive(Debug)]
pub(super) struct ListOffsets {
    pub(super) partitions: BTreeMap<TopicPartition, OffsetSpec>,
    pub(super) isolation: IsolationLevel,
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

impl Each for ListOffsets {
    type Key = TopicPartition;
    type Value = Option<FoundOffset>;
    type Request = ListOffsetsRequest;

    fn keys(&self) -> BTreeSet<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    fn topics(&self) -> BTreeSet<Arc<str>> {
        topics_of(&self.partitions)
    }

    fn target(&self, cluster: &Cluster, partition: &TopicPartition) -> Option<Target> {
        leader(cluster, partition)
    }

    fn request(&self, partitions: &[TopicPartition], timeout: Duration) -> Build<ListOffsetsRequest> {
        let wanted = partitions
            .iter()
            .filter_map(|partition| Some((partition, *self.partitions.get(partition)?)));
        let needs_max = wanted.clone().any(|(_, spec)| spec == OffsetSpec::MaxTimestamp);
        let wanted = by_topic(wanted.map(|(partition, spec)| {
            let asked = ListOffsetsPartition {
                partition_index: partition.partition,
                timestamp: timestamp_of(spec),
                ..Default::default()
            };
            (partition.clone(), asked)
        }));
        let topic = |(name, partitions): (Arc<str>, _)| ListOffsetsTopic {
            name: name.as_ref().into(),
            partitions,
        };
        let isolation_level = self.isolation.code();
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: wanted.into_iter().map(topic).collect(),
            timeout_ms: millis(timeout),
        };
        // KIP-734, KIP-98
        when(request, move |version| {
            (version >= 7 || !needs_max) && (version >= 2 || isolation_level == 0)
        })
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        error.is_retriable()
    }

    fn read(
        &self,
        _: &[TopicPartition],
        _: Option<i32>,
        response: ListOffsetsResponse,
    ) -> Answers<TopicPartition, Option<FoundOffset>> {
        let topics = response.topics.into_iter().map(|it| (it.name, it.partitions));
        of_partitions(topics, |found| {
            let offset = (found.offset >= 0).then_some(FoundOffset {
                offset: found.offset,
                timestamp: Some(found.timestamp).filter(|it| *it >= 0),
                leader_epoch: Some(found.leader_epoch).filter(|it| *it >= 0),
            });
            let answer = Refused::check(found.error_code, None).map(|()| offset);
            (found.partition_index, answer)
        })
    }

    fn reply(results: Results<TopicPartition, Option<FoundOffset>>) -> AdminReply {
        AdminReply::OffsetsFound(results)
    }
}

/// DeleteRecords (KIP-107).
// Kafka: DeleteRecordsHandler
#[derive(Debug)]
pub(super) struct DeleteRecords {
    pub(super) partitions: BTreeMap<TopicPartition, RecordsToDelete>,
}

impl Each for DeleteRecords {
    type Key = TopicPartition;
    type Value = i64;
    type Request = DeleteRecordsRequest;

    fn keys(&self) -> BTreeSet<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    fn topics(&self) -> BTreeSet<Arc<str>> {
        topics_of(&self.partitions)
    }

    fn target(&self, cluster: &Cluster, partition: &TopicPartition) -> Option<Target> {
        leader(cluster, partition)
    }

    fn request(&self, partitions: &[TopicPartition], timeout: Duration) -> Build<DeleteRecordsRequest> {
        let wanted = by_topic(partitions.iter().filter_map(|partition| {
            let asked = DeleteRecordsPartition {
                partition_index: partition.partition,
                // Kafka: DeleteRecordsRequest.HIGH_WATERMARK
                offset: match self.partitions.get(partition)? {
                    RecordsToDelete::Before(offset) => *offset,
                    RecordsToDelete::All => -1,
                },
            };
            Some((partition.clone(), asked))
        }));
        let topic = |(name, partitions): (Arc<str>, _)| DeleteRecordsTopic {
            name: name.as_ref().into(),
            partitions,
        };
        always(DeleteRecordsRequest {
            topics: wanted.into_iter().map(topic).collect(),
            timeout_ms: millis(timeout),
        })
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        error.is_retriable()
    }

    fn read(
        &self,
        _: &[TopicPartition],
        _: Option<i32>,
        response: DeleteRecordsResponse,
    ) -> Answers<TopicPartition, i64> {
        let topics = response.topics.into_iter().map(|it| (it.name, it.partitions));
        of_partitions(topics, |deleted| {
            let answer = Refused::check(deleted.error_code, None).map(|()| deleted.low_watermark);
            (deleted.partition_index, answer)
        })
    }

    fn reply(results: Results<TopicPartition, i64>) -> AdminReply {
        AdminReply::RecordsDeleted(results)
    }
}
