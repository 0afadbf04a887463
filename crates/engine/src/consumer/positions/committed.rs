//! The group's committed offsets, where a partition begins that has one.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::Instant;
use kohort_protocol::messages::OffsetFetchResponse;
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody};

use crate::client::{RequestFailure, Target};
use crate::consumer::engine::{Purpose, Timer};
use crate::consumer::offset_wire::{self, Names};
use crate::consumer::{ConsumerEngine, FetchEpoch, PollError, Position, SlotId};

impl ConsumerEngine {
    // Kafka: ConsumerCoordinator.fetchCommittedOffsets
    pub(super) fn ask_committed(&mut self, now: Instant, slots: &[SlotId]) {
        let Some(group) = self
            .config
            .group
            .as_ref()
            .map(|group| Arc::clone(&group.group_id))
        else {
            return;
        };
        if self.finding.is_asking_committed {
            return;
        }
        if self.finding.not_before > now {
            self.timers
                .set_no_later(Timer::Positions, self.finding.not_before);
            return;
        }
        let mut partitions = Vec::new();
        let mut asked = Vec::new();
        for slot in slots {
            let Some(assigned) = self.partitions.get_mut(*slot) else {
                continue;
            };
            if assigned.not_before > now {
                let at = assigned.not_before;
                self.timers.set_no_later(Timer::Positions, at);
                continue;
            }
            assigned.asked = true;
            asked.push((*slot, assigned.epoch));
            partitions.push(TopicPartition::clone(&assigned.partition));
        }
        if partitions.is_empty() {
            return;
        }
        self.finding.is_asking_committed = true;
        let names = Names::new(
            self.client.cluster(),
            partitions.iter().map(|partition| &partition.topic),
        );
        let build = offset_wire::fetch_committed(&group, &partitions, names.clone());
        let timeout = self.config.client.request_timeout;
        let id = self.client.request_with(
            now,
            Target::Coordinator(group),
            ApiKey::OffsetFetch,
            build,
            timeout,
        );
        self.requests
            .insert(id, Purpose::FindCommitted { slots: asked, names });
    }

    // Kafka: ConsumerCoordinator.OffsetFetchResponseHandler, initWithCommittedOffsetsIfNeeded
    pub(in crate::consumer) fn on_committed_found(
        &mut self,
        now: Instant,
        slots: &[(SlotId, FetchEpoch)],
        names: &Names,
        result: Result<ResponseBody, RequestFailure>,
    ) {
        self.finding.is_asking_committed = false;
        let mut by_name: BTreeMap<TopicPartition, SlotId> = BTreeMap::new();
        for (slot, epoch) in slots {
            if let Some(assigned) = self.partitions.get_mut(*slot)
                && assigned.epoch == *epoch
            {
                assigned.asked = false;
                by_name.insert(TopicPartition::clone(&assigned.partition), *slot);
            }
        }
        let response = match result {
            Ok(body) => OffsetFetchResponse::try_from(body).map_err(|_| None),
            Err(failure) => Err(Some(failure)),
        };
        let answer = match response {
            Ok(response) => offset_wire::committed(response, names),
            Err(Some(RequestFailure::CoordinatorNotFound { error, .. })) => Err(error),
            Err(Some(failure)) if !failure.is_retriable() => {
                let what = alloc::format!("{failure}").into();
                let slots: Vec<SlotId> = by_name.into_values().collect();
                return self.fail_search(now, &slots, PollError::Unsupported { what });
            }
            Err(_) => return self.search_committed_later(now),
        };
        match answer {
            Ok(committed) => {
                self.finding.failures = 0;
                self.on_committed_offsets(now, committed, &mut by_name);
            }
            Err(code) if self.is_coordinator_trouble(now, code) || code.is_retriable() => {
                self.search_committed_later(now);
            }
            Err(code) => {
                let slots: Vec<SlotId> = by_name.into_values().collect();
                let error = self.group_error(code);
                self.fail_search(now, &slots, error);
            }
        }
    }

    fn on_committed_offsets(
        &mut self,
        now: Instant,
        committed: offset_wire::Committed,
        by_name: &mut BTreeMap<TopicPartition, SlotId>,
    ) {
        let mut found = Vec::new();
        let mut none = Vec::new();
        let mut again = false;
        let mut unauthorized = (Vec::new(), Vec::new());
        for (partition, result) in committed {
            let Some(slot) = by_name.remove(&partition) else {
                continue;
            };
            match result {
                Ok(Some(offset)) => found.push((slot, partition, offset)),
                Ok(None) => none.push(slot),
                Err(ErrorCode::TopicAuthorizationFailed) => {
                    unauthorized.0.push(slot);
                    unauthorized.1.push(partition.topic);
                }
                Err(code) if code.is_retriable() => again = true,
                Err(code) => {
                    let error = PollError::Partition {
                        partition,
                        offset: -1,
                        code,
                    };
                    self.fail_search(now, &[slot], error);
                }
            }
        }
        // A partition that the answer leaves out is asked for again, too.
        if again || !by_name.is_empty() {
            self.search_committed_later(now);
        }
        if !unauthorized.0.is_empty() {
            unauthorized.1.dedup();
            let error = PollError::TopicAuthorization {
                topics: unauthorized.1,
            };
            self.fail_search(now, &unauthorized.0, error);
        }
        self.begin_at_committed(now, found);
        self.apply_policy(now, &none);
    }

    fn begin_at_committed(&mut self, now: Instant, found: Vec<(SlotId, TopicPartition, OffsetAndMetadata)>) {
        let mut places = Vec::new();
        for (slot, partition, offset) in found {
            if let Some(epoch) = offset.leader_epoch {
                self.client
                    .note_leader_epoch(now, &partition.topic, partition.partition, epoch);
            }
            places.push((
                slot,
                Position {
                    offset: offset.offset,
                    leader_epoch: offset.leader_epoch,
                },
            ));
        }
        self.begin_at(now, places);
    }

    fn search_committed_later(&mut self, now: Instant) {
        self.finding.failures = self.finding.failures.saturating_add(1);
        self.finding.not_before = now + self.delay(self.finding.failures);
    }

    /// Whether the code says that the coordinator moved; it is forgotten then.
    pub(in crate::consumer) fn is_coordinator_trouble(&mut self, now: Instant, code: ErrorCode) -> bool {
        let moved = matches!(
            code,
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::RequestTimedOut
        );
        if moved && let Some(group) = &self.config.group {
            self.client.forget_coordinator(now, &group.group_id);
        }
        moved || code == ErrorCode::CoordinatorLoadInProgress
    }

    pub(in crate::consumer) fn group_error(&self, code: ErrorCode) -> PollError {
        let group = self
            .config
            .group
            .as_ref()
            .map(|group| Arc::clone(&group.group_id));
        PollError::Group {
            group: group.unwrap_or_default(),
            code,
        }
    }
}
