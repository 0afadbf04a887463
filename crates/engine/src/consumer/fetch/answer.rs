//! What the answer to a Fetch brings: batches for the caller, and the errors of single partitions.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::TopicPartition;
use kohort_machine::Instant;
use kohort_protocol::messages::FetchResponse;
use kohort_protocol::messages::fetch::{NodeEndpoint, PartitionData};
use kohort_protocol::{ErrorCode, ResponseBody};
use kohort_records::batches;

use super::session::{Answered, Said};
use super::{Asked, UnderWay};
use crate::client::{Broker, RequestFailure};
use crate::consumer::partitions::Place;
use crate::consumer::{
    ConsumerEngine, FetchedBatches, Halt, IsolationLevel, PollError, Position, Reset, ResetCause, ToCaller,
};

impl ConsumerEngine {
    pub(in crate::consumer) fn on_fetched(
        &mut self,
        now: Instant,
        node: i32,
        result: Result<ResponseBody, RequestFailure>,
    ) {
        let Some(under_way) = self.fetches.under_way.remove(&node) else {
            return;
        };
        let response = match result.map(FetchResponse::try_from) {
            Ok(Ok(response)) if response.error_code == 0 => response,
            Ok(Ok(response)) => return self.on_fetch_error(now, node, &under_way, response.error_code),
            Err(failure @ RequestFailure::UnsupportedVersion { .. }) => {
                self.fetches.sessions.forget(node);
                let what = alloc::format!("{failure}").into();
                return self.on_fetch_refused(now, node, &under_way, &PollError::Unsupported { what });
            }
            Ok(Err(_)) | Err(_) => {
                self.fetches.sessions.restart(node);
                return self.fetch_later(now, node);
            }
        };
        let mut told = Vec::new();
        let mut answered = Answered::to(&under_way.step);
        let endpoints: Endpoints<'_> = response
            .node_endpoints
            .iter()
            .map(|endpoint| (endpoint.node_id, endpoint))
            .collect();
        for topic in response.responses {
            let Some(asked) = under_way.asked.topics.answered(&topic.topic, topic.topic_id) else {
                answered.note_unasked();
                continue;
            };
            for data in topic.partitions {
                let Some(it) = asked.partitions.get(&data.partition_index).copied() else {
                    answered.note_unasked();
                    continue;
                };
                // What comes twice is taken once, or every entry of an answer could cost a look at all that waits.
                if !answered.note(&it) {
                    continue;
                }
                // Sought, reset, revoked, or served by another broker meanwhile: this is for an old position.
                // Kafka: FetchCollector.handleInitializeSuccess, "Discarding stale fetch response"
                if !self.partitions.get(it.slot).is_some_and(|now| it.is_current(now)) {
                    continue;
                }
                match ErrorCode::from_code(data.error_code) {
                    ErrorCode::None => told.extend(self.on_data(now, it, data)),
                    code => self.on_partition_error(now, &asked.name, it, code, &data, &endpoints),
                }
            }
        }
        if !told.is_empty() {
            self.tell(ToCaller::Batches(told));
        }
        let said = Said {
            session_id: response.session_id,
            fits: answered.fits(&under_way.asked.topics),
        };
        self.fetches
            .sessions
            .answered(node, &under_way.step, under_way.asked, said);
    }

    /// The whole Fetch was refused.
    // Kafka: FetchSessionHandler.handleResponse
    fn on_fetch_error(&mut self, now: Instant, node: i32, under_way: &UnderWay, code: i16) {
        let code = ErrorCode::from_code(code);
        match code {
            ErrorCode::FetchSessionIdNotFound => self.fetches.sessions.forget(node),
            _ => self.fetches.sessions.restart(node),
        }
        // Sessions end for reasons of the broker's: the Fetch that begins another one need not wait.
        if !code.is_of_fetch_session() || under_way.step.known.is_none() {
            self.fetch_later(now, node);
        }
    }

    /// Data of one partition, unless it brings nothing new.
    fn on_data(&mut self, now: Instant, asked: Asked, data: PartitionData) -> Option<FetchedBatches> {
        let records = data.records.unwrap_or_default();
        let end = match self.config.isolation_level {
            IsolationLevel::ReadUncommitted => data.high_watermark,
            IsolationLevel::ReadCommitted => data.last_stable_offset,
        };
        let (next, is_whole) = walk(&records, asked.position);
        let assigned = self.partitions.get_mut(asked.slot)?;
        assigned.not_before = now;
        let has_news = assigned.end != Some(end);
        assigned.end = (end >= 0).then_some(end);
        if !records.is_empty() {
            self.fetches.served += 1;
            assigned.served = self.fetches.served;
            assigned.barren = 0;
        } else if has_news {
            self.note_barren(now, asked);
        }
        let place = if is_whole { Place::At(next) } else { Place::Stuck };
        self.partitions.move_to(asked.slot, place);
        self.partitions.add_buffered(asked.slot, records.len() as u64);
        if records.is_empty() && !has_news {
            return None;
        }
        let aborted = data.aborted_transactions.unwrap_or_default();
        Some(FetchedBatches {
            slot: asked.slot,
            epoch: asked.epoch,
            records,
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
            aborted: aborted
                .into_iter()
                .map(|it| (it.producer_id, it.first_offset))
                .collect(),
        })
    }

    // Kafka: FetchCollector.handleInitializeErrors
    fn on_partition_error(
        &mut self,
        now: Instant,
        topic: &Arc<str>,
        asked: Asked,
        code: ErrorCode,
        data: &PartitionData,
        endpoints: &Endpoints<'_>,
    ) {
        let partition = TopicPartition::new(Arc::clone(topic), data.partition_index);
        match code {
            ErrorCode::OffsetOutOfRange => self.on_out_of_range(now, partition, asked),
            ErrorCode::NotLeaderOrFollower
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::KafkaStorageError
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::OffsetNotAvailable
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::UnknownTopicId
            | ErrorCode::InconsistentTopicId => {
                let leader = &data.current_leader;
                // KIP-951: the broker may say who leads now.
                if leader.leader_id >= 0 && leader.leader_epoch >= 0 {
                    let endpoint = endpoints.get(&leader.leader_id).and_then(|it| broker(it));
                    let (id, epoch) = (leader.leader_id, leader.leader_epoch);
                    self.client
                        .update_leader(now, topic, partition.partition, id, epoch, endpoint);
                }
                let known = self.client.cluster().partition(topic, partition.partition);
                if known.and_then(|known| known.leader_epoch) <= asked.leader_epoch {
                    self.client.refresh_metadata(now);
                    self.delay_slot(now, asked);
                }
            }
            ErrorCode::UnknownLeaderEpoch | ErrorCode::UnknownServerError => self.delay_slot(now, asked),
            ErrorCode::TopicAuthorizationFailed => {
                let topics = alloc::vec![Arc::clone(topic)];
                self.halt(asked, Some(PollError::TopicAuthorization { topics }));
            }
            code => {
                let error = PollError::Partition {
                    partition,
                    offset: asked.position.offset,
                    code,
                };
                self.halt(asked, Some(error));
            }
        }
    }

    /// The caller is told something, and has no record to take for it. Such answers in a row are waited for longer and longer: a
    /// caller that does not poll meanwhile would hold ever more of them, as nothing is buffered that bounds them.
    fn note_barren(&mut self, now: Instant, asked: Asked) {
        let before = self.partitions.get(asked.slot).map_or(0, |it| it.barren);
        let not_before = match before {
            0 => now,
            before => now + self.delay(before),
        };
        if let Some(assigned) = self.partitions.get_mut(asked.slot) {
            assigned.barren = before.saturating_add(1);
            assigned.not_before = not_before;
        }
    }

    /// The log has no such offset: everything fetched before is handed out first, then the policy is asked.
    fn on_out_of_range(&mut self, now: Instant, partition: TopicPartition, asked: Asked) {
        let Some(spec) = self.reset_spec(now) else {
            let error = PollError::OffsetOutOfRange {
                partition,
                offset: asked.position.offset,
            };
            return self.halt(asked, Some(error));
        };
        self.note_barren(now, asked);
        if let Some(assigned) = self.partitions.get_mut(asked.slot) {
            assigned.reset = Some(Reset {
                cause: ResetCause::OutOfRange,
                from: Some(asked.position.offset),
            });
        }
        if self.partitions.get(asked.slot).is_some_and(|it| it.buffered == 0) {
            return self.begin_reset(asked.slot, spec);
        }
        self.partitions.move_to(asked.slot, Place::Reset(spec));
        self.halt(asked, None);
    }

    fn halt(&mut self, asked: Asked, error: Option<PollError>) {
        if let Some(assigned) = self.partitions.get_mut(asked.slot) {
            assigned.halted = true;
        }
        self.tell(ToCaller::Halted(Halt {
            slot: asked.slot,
            epoch: asked.epoch,
            error,
        }));
    }

    fn delay_slot(&mut self, now: Instant, asked: Asked) {
        let not_before = now + self.delay(1);
        if let Some(assigned) = self.partitions.get_mut(asked.slot) {
            assigned.not_before = not_before;
        }
    }

    /// The broker did not answer, or not what was asked.
    fn fetch_later(&mut self, now: Instant, node: i32) {
        self.client.refresh_metadata(now);
        let at = now + self.delay(1);
        self.fetches.not_before.insert(node, at);
    }

    fn on_fetch_refused(&mut self, now: Instant, node: i32, under_way: &UnderWay, error: &PollError) {
        let mut telling = Some(error.clone());
        for asked in under_way.asked.topics.partitions() {
            self.halt(*asked, telling.take());
        }
        self.fetch_later(now, node);
    }
}

/// The addresses that an answer has, by node id.
type Endpoints<'a> = BTreeMap<i32, &'a NodeEndpoint>;

fn broker(endpoint: &NodeEndpoint) -> Option<Broker> {
    let (host, rack) = (endpoint.host.clone(), endpoint.rack.clone());
    Broker::advertised(endpoint.node_id, host, endpoint.port, rack)
}

/// Where the fetch after these batches begins, and whether they can be split to the end.
fn walk(records: &Bytes, from: Position) -> (Position, bool) {
    let mut next = from;
    for batch in batches(records.clone()) {
        let Ok(batch) = batch else {
            return (next, false);
        };
        if batch.next_offset() > next.offset {
            let epoch = batch.partition_leader_epoch();
            next = Position {
                offset: batch.next_offset(),
                leader_epoch: (epoch >= 0).then_some(epoch),
            };
        }
    }
    (next, true)
}
