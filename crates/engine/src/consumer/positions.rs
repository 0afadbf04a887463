//! Finding where to begin: the group's committed offset, else the reset policy; and going elsewhere when a position is out of
//! range. Where a partition is lives in `partitions`.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::Instant;
use kohort_protocol::messages::{ListOffsetsResponse, OffsetFetchResponse};
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody};

use super::engine::{Purpose, Timer};
use super::offset_wire::{self, Names};
use super::partitions::Place;
use super::{
    CommandError, ConsumerEngine, FetchEpoch, FoundOffset, Halt, NewPosition, OffsetReset, OffsetSpec,
    PollError, Position, SlotId, ToCaller,
};
use crate::client::{RequestFailure, Target};

/// How the search for positions goes.
#[derive(Debug, Default)]
pub(super) struct Finding {
    /// Whether a request for committed offsets is under way.
    is_asking_committed: bool,
    /// Attempts for committed offsets that failed in a row.
    failures: u32,
    /// Not to ask the coordinator before.
    not_before: Instant,
}

impl ConsumerEngine {
    /// Looks for the positions that are not known and not being looked for.
    pub(super) fn find_positions(&mut self, now: Instant) {
        let lost: Vec<(SlotId, Place)> = self
            .partitions
            .lost()
            .map(|(slot, it)| (slot, it.place))
            .collect();
        if lost.is_empty() {
            return;
        }
        let mut initial = Vec::new();
        let mut resets = Vec::new();
        for (slot, place) in lost {
            match place {
                Place::Initial => initial.push(slot),
                Place::Reset(spec) => resets.push((slot, spec)),
                Place::At(_) | Place::Stuck => {}
            }
        }
        if !initial.is_empty() {
            if self.config.group.is_some() {
                self.ask_committed(now, &initial);
            } else {
                self.apply_policy(now, &initial);
                return self.find_positions(now);
            }
        }
        self.ask_resets(now, resets);
    }

    // Kafka: ConsumerCoordinator.fetchCommittedOffsets
    fn ask_committed(&mut self, now: Instant, slots: &[SlotId]) {
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
    pub(super) fn on_committed_found(
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

    /// The positions are found.
    fn begin_at(&mut self, now: Instant, places: Vec<(SlotId, Position)>) {
        let mut told = Vec::new();
        for (slot, position) in &places {
            self.partitions.move_to(*slot, Place::At(*position));
            if let Some(assigned) = self.partitions.get_mut(*slot) {
                assigned.consumed = Some(*position);
                told.push(NewPosition {
                    slot: *slot,
                    epoch: assigned.epoch,
                    position: Some(*position),
                });
            }
        }
        if !told.is_empty() {
            self.tell(ToCaller::Positions(told));
        }
        for (slot, _) in places {
            self.finish_position_jobs(now, slot);
        }
    }

    fn search_committed_later(&mut self, now: Instant) {
        self.finding.failures = self.finding.failures.saturating_add(1);
        self.finding.not_before = now + self.delay(self.finding.failures);
    }

    /// Goes on where the policy says, or fails.
    // Kafka: SubscriptionState.resetInitializingPositions
    fn apply_policy(&mut self, now: Instant, slots: &[SlotId]) {
        if slots.is_empty() {
            return;
        }
        match self.reset_spec(now) {
            Some(spec) => {
                for slot in slots {
                    self.partitions.move_to(*slot, Place::Reset(spec));
                }
            }
            None => {
                let partitions = slots.iter().filter_map(|slot| self.partitions.get(*slot));
                let partitions = partitions
                    .map(|it| TopicPartition::clone(&it.partition))
                    .collect();
                self.fail_search(now, slots, PollError::NoOffsetForPartition { partitions });
            }
        }
    }

    /// Where `auto.offset.reset` sends a partition.
    pub(super) fn reset_spec(&self, now: Instant) -> Option<OffsetSpec> {
        match self.config.auto_offset_reset {
            OffsetReset::Latest => Some(OffsetSpec::Latest),
            OffsetReset::Earliest => Some(OffsetSpec::Earliest),
            OffsetReset::None => None,
            OffsetReset::ByDuration(age) => {
                let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
                Some(OffsetSpec::Timestamp(
                    self.wall_ms(now).saturating_sub(age).max(0),
                ))
            }
        }
    }

    /// The caller hears of the error at its next poll, once; the search begins again after that.
    fn fail_search(&mut self, now: Instant, slots: &[SlotId], error: PollError) {
        let mut telling = Some(error.clone());
        for slot in slots {
            let Some(assigned) = self.partitions.get_mut(*slot) else {
                continue;
            };
            assigned.halted = true;
            let halt = Halt {
                slot: *slot,
                epoch: assigned.epoch,
                error: telling.take(),
            };
            self.tell(ToCaller::Halted(halt));
            self.fail_position_jobs(now, *slot, &CommandError::Poll(error.clone()));
        }
    }

    /// The caller consumed everything before the halt, and has heard of its error.
    pub(super) fn on_halt_reached(&mut self, slot: SlotId) {
        let Some(assigned) = self.partitions.get(slot) else {
            return;
        };
        // A reset jumps: the position is not known from now on.
        if let Place::Reset(spec) = assigned.place {
            self.begin_reset(slot, spec);
        }
    }

    /// Jumps: what was fetched for the old position is void, the new one is looked for.
    pub(super) fn begin_reset(&mut self, slot: SlotId, spec: OffsetSpec) {
        self.partitions.move_to(slot, Place::Reset(spec));
        let Some(assigned) = self.partitions.get_mut(slot) else {
            return;
        };
        assigned.epoch = assigned.epoch.after_reset();
        assigned.consumed = None;
        assigned.asked = false;
        let epoch = assigned.epoch;
        self.tell(ToCaller::Positions(alloc::vec![NewPosition {
            slot,
            epoch,
            position: None,
        }]));
    }

    // Kafka: OffsetFetcher.resetPositionsAsync
    fn ask_resets(&mut self, now: Instant, resets: Vec<(SlotId, OffsetSpec)>) {
        let mut by_leader: BTreeMap<i32, Vec<(SlotId, FetchEpoch, OffsetSpec)>> = BTreeMap::new();
        for (slot, spec) in resets {
            let Some(assigned) = self.partitions.get(slot) else {
                continue;
            };
            if assigned.not_before > now {
                self.timers.set_no_later(Timer::Positions, assigned.not_before);
                continue;
            }
            let partition = &assigned.partition;
            // Without a leader: the client asks for metadata, and the change of it brings us back here.
            if let Some(leader) = self
                .client
                .cluster()
                .leader(&partition.topic, partition.partition)
            {
                by_leader
                    .entry(leader)
                    .or_default()
                    .push((slot, assigned.epoch, spec));
            }
        }
        for (leader, slots) in by_leader {
            let mut partitions = Vec::new();
            for (slot, _, spec) in &slots {
                if let Some(assigned) = self.partitions.get_mut(*slot) {
                    assigned.asked = true;
                    partitions.push((TopicPartition::clone(&assigned.partition), *spec));
                }
            }
            let isolation = self.config.isolation_level;
            let body = offset_wire::list_offsets(partitions, isolation, self.client.cluster());
            let timeout = self.config.client.request_timeout;
            let id = self.client.request(now, Target::Broker(leader), body, timeout);
            self.requests.insert(id, Purpose::FindReset { slots });
        }
    }

    pub(super) fn on_reset_found(
        &mut self,
        now: Instant,
        slots: &[(SlotId, FetchEpoch, OffsetSpec)],
        result: Result<ResponseBody, RequestFailure>,
    ) {
        let mut by_name: BTreeMap<TopicPartition, (SlotId, OffsetSpec)> = BTreeMap::new();
        for (slot, epoch, spec) in slots {
            if let Some(assigned) = self.partitions.get_mut(*slot)
                && assigned.epoch == *epoch
            {
                assigned.asked = false;
                by_name.insert(TopicPartition::clone(&assigned.partition), (*slot, *spec));
            }
        }
        let response = result
            .ok()
            .and_then(|body| ListOffsetsResponse::try_from(body).ok());
        let listed = response.map(offset_wire::listed).unwrap_or_default();
        let mut found = Vec::new();
        for (partition, result) in listed {
            let Some((slot, spec)) = by_name.remove(&partition) else {
                continue;
            };
            match result {
                Ok(Some(offset)) => found.push((slot, self.found_position(now, &partition, offset))),
                // Kafka: KIP-1106: without a record that young, at the end.
                Ok(None) if matches!(spec, OffsetSpec::Timestamp(_)) => {
                    self.partitions.move_to(slot, Place::Reset(OffsetSpec::Latest));
                }
                Err(ErrorCode::TopicAuthorizationFailed) => {
                    let topics = alloc::vec![partition.topic];
                    self.fail_search(now, &[slot], PollError::TopicAuthorization { topics });
                }
                Ok(None) | Err(_) => {
                    by_name.insert(partition, (slot, spec));
                }
            }
        }
        if !by_name.is_empty() {
            self.client.refresh_metadata(now);
            let not_before = now + self.delay(1);
            for (slot, _) in by_name.into_values() {
                if let Some(assigned) = self.partitions.get_mut(slot) {
                    assigned.not_before = not_before;
                }
            }
        }
        self.begin_at(now, found);
    }

    fn found_position(&mut self, now: Instant, partition: &TopicPartition, found: FoundOffset) -> Position {
        if let Some(epoch) = found.leader_epoch {
            self.client
                .note_leader_epoch(now, &partition.topic, partition.partition, epoch);
        }
        Position {
            offset: found.offset,
            leader_epoch: found.leader_epoch,
        }
    }

    /// Whether the code says that the coordinator moved; it is forgotten then.
    pub(super) fn is_coordinator_trouble(&mut self, now: Instant, code: ErrorCode) -> bool {
        let moved = matches!(
            code,
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::RequestTimedOut
        );
        if moved && let Some(group) = &self.config.group {
            self.client.forget_coordinator(now, &group.group_id);
        }
        moved || code == ErrorCode::CoordinatorLoadInProgress
    }

    pub(super) fn group_error(&self, code: ErrorCode) -> PollError {
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
