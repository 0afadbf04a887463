//! Commands that ask and change nothing: positions, committed offsets, offsets of logs, topics.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::Instant;
use kohort_protocol::messages::metadata::{MetadataRequestTopic, MetadataResponseTopic};
use kohort_protocol::messages::{
    ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetFetchResponse,
};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, ResponseBody};

use super::jobs::{JobId, JobKind, JobRequest};
use super::offset_wire::{self, Names};
use super::partitions::Place;
use super::{
    BrokerAddress, CommandError, CommandReply, ConsumerEngine, FoundOffset, OffsetSpec, PartitionDescription,
    SlotId,
};
use crate::client::Target;

/// Offsets that are looked for.
#[derive(Debug)]
pub(super) struct OffsetsJob {
    order: Vec<TopicPartition>,
    wanted: BTreeMap<TopicPartition, OffsetSpec>,
    found: BTreeMap<TopicPartition, Option<FoundOffset>>,
}

impl OffsetsJob {
    pub(super) fn new(partitions: Vec<(TopicPartition, OffsetSpec)>) -> Self {
        Self {
            order: partitions
                .iter()
                .map(|(partition, _)| partition.clone())
                .collect(),
            wanted: partitions.into_iter().collect(),
            found: BTreeMap::new(),
        }
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.wanted.keys().map(|partition| &partition.topic)
    }
}

impl ConsumerEngine {
    pub(super) fn attempt_position(&mut self, now: Instant, id: JobId, slot: SlotId) {
        match self.partitions.get(slot).map(|assigned| assigned.place) {
            None => self.finish(now, id, Err(CommandError::NotAssigned)),
            Some(Place::At(_) | Place::Stuck) => self.finish(now, id, Ok(CommandReply::Done)),
            // Answered when the position is found, or cannot be. If it could not be found before, it is looked for again.
            Some(Place::Initial) => {
                if let Some(assigned) = self.partitions.get_mut(slot) {
                    assigned.halted = false;
                    assigned.wanted = true;
                }
            }
            Some(Place::Reset(_)) => {
                if let Some(assigned) = self.partitions.get_mut(slot) {
                    assigned.wanted = true;
                }
            }
        }
    }

    pub(super) fn finish_position_jobs(&mut self, now: Instant, slot: SlotId) {
        for id in self.position_jobs(slot) {
            self.attempt_position(now, id, slot);
        }
    }

    pub(super) fn fail_position_jobs(&mut self, now: Instant, slot: SlotId, error: &CommandError) {
        for id in self.position_jobs(slot) {
            self.finish(now, id, Err(error.clone()));
        }
    }

    fn position_jobs(&self, slot: SlotId) -> Vec<JobId> {
        self.jobs
            .ids(|job| matches!(job.kind, JobKind::Position(waiting) if waiting == slot))
    }

    // Kafka: ConsumerCoordinator.fetchCommittedOffsets
    pub(super) fn attempt_committed(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let JobKind::Committed(partitions) = &job.kind else {
            return;
        };
        let Some(group) = &self.config.group else {
            let what = job.what();
            return self.finish(now, id, Err(CommandError::NoGroup { what }));
        };
        if partitions.is_empty() {
            return self.finish(now, id, Ok(CommandReply::Committed(Vec::new())));
        }
        let names = Names::new(
            self.client.cluster(),
            partitions.iter().map(|partition| &partition.topic),
        );
        let build = offset_wire::fetch_committed(&group.group_id, partitions, names.clone());
        let target = Target::Coordinator(Arc::clone(&group.group_id));
        self.ask_with(
            now,
            id,
            target,
            ApiKey::OffsetFetch,
            build,
            JobRequest::Committed { names },
        );
    }

    // Kafka: ConsumerCoordinator.OffsetFetchResponseHandler
    pub(super) fn on_committed(&mut self, now: Instant, id: JobId, body: ResponseBody, names: &Names) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let what = job.what();
        let JobKind::Committed(order) = &job.kind else {
            return;
        };
        let order = order.clone();
        let refused = |partition, code| CommandError::Refused {
            what,
            partition,
            code,
        };
        let answer = OffsetFetchResponse::try_from(body).map_err(|_| ErrorCode::UnknownServerError);
        let committed = match answer.and_then(|response| offset_wire::committed(response, names)) {
            Ok(committed) => committed,
            Err(code) => {
                self.is_coordinator_trouble(now, code);
                return self.fail_attempt(now, id, refused(None, code));
            }
        };
        let mut asked: BTreeSet<&TopicPartition> = order.iter().collect();
        let mut by_name: BTreeMap<TopicPartition, Option<OffsetAndMetadata>> = BTreeMap::new();
        for (partition, result) in committed {
            if !asked.remove(&partition) {
                continue;
            }
            match result {
                Ok(offset) => {
                    by_name.insert(partition, offset);
                }
                Err(code) => return self.fail_attempt(now, id, refused(Some(partition), code)),
            }
        }
        // What the answer leaves out is not known to have no commit.
        if let Some(partition) = asked.pop_first() {
            let error = refused(Some(partition.clone()), ErrorCode::UnknownTopicOrPartition);
            return self.fail_attempt(now, id, error);
        }
        let with_offset = |partition: TopicPartition| {
            let offset = by_name.remove(&partition).flatten();
            (partition, offset)
        };
        let committed = order.into_iter().map(with_offset).collect();
        self.finish(now, id, Ok(CommandReply::Committed(committed)));
    }

    // Kafka: OffsetFetcher.fetchOffsetsByTimes
    pub(super) fn attempt_offsets(&mut self, now: Instant, id: JobId) {
        self.track_topics(now);
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let what = job.what();
        let JobKind::Offsets(offsets) = &job.kind else {
            return;
        };
        if job.is_waiting() {
            return;
        }
        if offsets.wanted.is_empty() {
            let found = |partition: &TopicPartition| {
                (partition.clone(), offsets.found.get(partition).copied().flatten())
            };
            let found = offsets.order.iter().map(found).collect();
            return self.finish(now, id, Ok(CommandReply::Offsets(found)));
        }
        let mut by_leader: BTreeMap<i32, Vec<(TopicPartition, OffsetSpec)>> = BTreeMap::new();
        for (partition, spec) in &offsets.wanted {
            if let Some(leader) = self
                .client
                .cluster()
                .leader(&partition.topic, partition.partition)
            {
                by_leader
                    .entry(leader)
                    .or_default()
                    .push((partition.clone(), *spec));
            }
        }
        if by_leader.is_empty() {
            self.client.refresh_metadata(now);
            let partition = offsets.wanted.keys().next().cloned();
            let code = ErrorCode::UnknownTopicOrPartition;
            return self.fail_attempt(
                now,
                id,
                CommandError::Refused {
                    what,
                    partition,
                    code,
                },
            );
        }
        for (leader, partitions) in by_leader {
            let body =
                offset_wire::list_offsets(partitions, self.config.isolation_level, self.client.cluster());
            self.ask(now, id, Target::Broker(leader), body, JobRequest::Offsets);
        }
    }

    pub(super) fn on_offsets(&mut self, now: Instant, id: JobId, body: ResponseBody) {
        let listed = ListOffsetsResponse::try_from(body)
            .map(offset_wire::listed)
            .unwrap_or_default();
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let (what, is_waiting) = (job.what(), job.is_waiting());
        let JobKind::Offsets(offsets) = &mut job.kind else {
            return;
        };
        let (mut failed, mut is_nearer) = (None, false);
        for (partition, result) in listed {
            if !offsets.wanted.contains_key(&partition) {
                continue;
            }
            match result {
                Ok(found) => {
                    is_nearer = true;
                    offsets.wanted.remove(&partition);
                    offsets.found.insert(partition, found);
                }
                Err(code) => {
                    failed = Some(CommandError::Refused {
                        what,
                        partition: Some(partition),
                        code,
                    });
                }
            }
        }
        // A broker that leaves out what it was asked for is not asked again at once, or that would go on without end.
        if !is_waiting && !is_nearer && failed.is_none() {
            failed = offsets
                .wanted
                .keys()
                .next()
                .map(|partition| CommandError::Refused {
                    what,
                    partition: Some(partition.clone()),
                    code: ErrorCode::UnknownTopicOrPartition,
                });
        }
        match failed {
            Some(error) => {
                self.client.refresh_metadata(now);
                self.fail_attempt(now, id, error);
            }
            // Those without a leader before, or the end.
            None if !is_waiting => self.attempt_offsets(now, id),
            None => {}
        }
    }

    // Kafka: TopicMetadataFetcher.getTopicMetadata
    pub(super) fn attempt_metadata(&mut self, now: Instant, id: JobId) {
        let topics = match self.jobs.get(id).map(|job| &job.kind) {
            Some(JobKind::PartitionsFor(topic)) => Some(alloc::vec![MetadataRequestTopic {
                name: Some(topic.to_string()),
                ..Default::default()
            }]),
            Some(JobKind::ListTopics) => None,
            _ => return,
        };
        let request = MetadataRequest {
            topics,
            allow_auto_topic_creation: self.config.client.allow_auto_create_topics,
            ..Default::default()
        };
        self.ask(
            now,
            id,
            Target::Any,
            RequestBody::from(request),
            JobRequest::Metadata,
        );
    }

    pub(super) fn on_metadata(&mut self, now: Instant, id: JobId, body: ResponseBody) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let what = job.what();
        let Ok(response) = MetadataResponse::try_from(body) else {
            return;
        };
        let brokers: BTreeMap<i32, BrokerAddress> = response
            .brokers
            .into_iter()
            .map(|broker| {
                let address = BrokerAddress {
                    id: broker.node_id,
                    host: broker.host.into(),
                    port: broker.port,
                    rack: broker.rack.map(Arc::from),
                };
                (broker.node_id, address)
            })
            .collect();
        let mut topics = Vec::new();
        for topic in response.topics {
            let code = ErrorCode::from_code(topic.error_code);
            match code {
                ErrorCode::None => {}
                // There is no such topic.
                ErrorCode::UnknownTopicOrPartition => continue,
                code => {
                    let topic = topic.name.unwrap_or_default().into();
                    return self.fail_attempt(now, id, CommandError::TopicRefused { what, topic, code });
                }
            }
            let name: Arc<str> = topic.name.clone().unwrap_or_default().into();
            topics.push((name, describe(topic, &brokers)));
        }
        topics.sort_by(|(left, _), (right, _)| left.cmp(right));
        let reply = match &job.kind {
            JobKind::ListTopics => CommandReply::Topics(topics),
            _ => CommandReply::Partitions(topics.pop().map(|(_, partitions)| partitions).unwrap_or_default()),
        };
        self.finish(now, id, Ok(reply));
    }
}

fn describe(
    topic: MetadataResponseTopic,
    brokers: &BTreeMap<i32, BrokerAddress>,
) -> Vec<PartitionDescription> {
    let nowhere: Arc<str> = "".into();
    let broker = |id: i32| {
        brokers.get(&id).cloned().unwrap_or_else(|| BrokerAddress {
            id,
            host: Arc::clone(&nowhere),
            port: -1,
            rack: None,
        })
    };
    let all = |ids: &[i32]| ids.iter().map(|id| broker(*id)).collect();
    topic
        .partitions
        .iter()
        .map(|partition| PartitionDescription {
            partition: partition.partition_index,
            leader: (partition.leader_id >= 0).then(|| broker(partition.leader_id)),
            replicas: all(&partition.replica_nodes),
            in_sync_replicas: all(&partition.isr_nodes),
            offline_replicas: all(&partition.offline_replicas),
        })
        .collect()
}
