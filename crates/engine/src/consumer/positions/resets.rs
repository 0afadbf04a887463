//! Jumps to an end of the log or to a time: the brokers are asked for the offset there.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use kohort_groups::TopicPartition;
use kohort_machine::Instant;
use kohort_protocol::messages::ListOffsetsResponse;
use kohort_protocol::{ErrorCode, ResponseBody};

use crate::client::{RequestFailure, Target};
use crate::consumer::engine::{Purpose, Timer};
use crate::consumer::offset_wire;
use crate::consumer::partitions::Place;
use crate::consumer::{
    ConsumerEngine, FetchEpoch, FoundOffset, NewPosition, OffsetSpec, PollError, Position, SlotId, ToCaller,
};

impl ConsumerEngine {
    /// Jumps: what was fetched for the old position is void, the new one is looked for.
    pub(in crate::consumer) fn begin_reset(&mut self, slot: SlotId, spec: OffsetSpec) {
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
            reset: None,
        }]));
    }

    // Kafka: OffsetFetcher.resetPositionsAsync
    pub(super) fn ask_resets(&mut self, now: Instant, resets: Vec<(SlotId, OffsetSpec)>) {
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
            self.ask_starts(now, leader, &slots);
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

    /// Asks where these logs begin, if nothing else says from where the reset goes: what it passes over is told. The leader
    /// answers in order, so this is known when the reset is; if it fails, reading begins all the same.
    fn ask_starts(&mut self, now: Instant, leader: i32, slots: &[(SlotId, FetchEpoch, OffsetSpec)]) {
        let mut asked = Vec::new();
        let mut partitions = Vec::new();
        for (slot, epoch, spec) in slots {
            if let Some(assigned) = self.partitions.get(*slot)
                && assigned.reset.is_some_and(|reset| reset.from.is_none())
                && *spec != OffsetSpec::Earliest
            {
                asked.push((*slot, *epoch));
                let partition = TopicPartition::clone(&assigned.partition);
                partitions.push((partition, OffsetSpec::Earliest));
            }
        }
        if asked.is_empty() {
            return;
        }
        let isolation = self.config.isolation_level;
        let body = offset_wire::list_offsets(partitions, isolation, self.client.cluster());
        let timeout = self.config.client.request_timeout;
        let id = self.client.request(now, Target::Broker(leader), body, timeout);
        self.requests.insert(id, Purpose::FindStart { slots: asked });
    }

    pub(in crate::consumer) fn on_start_found(
        &mut self,
        slots: &[(SlotId, FetchEpoch)],
        result: Result<ResponseBody, RequestFailure>,
    ) {
        let known =
            |(partition, found): (_, Result<Option<FoundOffset>, _>)| Some((partition, found.ok()??.offset));
        let starts: BTreeMap<TopicPartition, i64> = listed(result).into_iter().filter_map(known).collect();
        for (slot, epoch) in slots {
            if let Some(assigned) = self.partitions.get_mut(*slot)
                && assigned.epoch == *epoch
                && let Some(reset) = &mut assigned.reset
            {
                reset.from = reset.from.or(starts.get(&*assigned.partition).copied());
            }
        }
    }

    pub(in crate::consumer) fn on_reset_found(
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
        let mut found = Vec::new();
        for (partition, result) in listed(result) {
            let Some((slot, spec)) = by_name.remove(&partition) else {
                continue;
            };
            match result {
                Ok(Some(offset)) => {
                    if spec == OffsetSpec::Earliest
                        && let Some(assigned) = self.partitions.get_mut(slot)
                        && let Some(reset) = &mut assigned.reset
                    {
                        reset.from = reset.from.or(Some(offset.offset));
                    }
                    found.push((slot, self.found_position(now, &partition, offset)));
                }
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
}

/// What a leader answered; nothing when it did not.
fn listed(result: Result<ResponseBody, RequestFailure>) -> offset_wire::Listed {
    let response = result
        .ok()
        .and_then(|body| ListOffsetsResponse::try_from(body).ok());
    response.map(offset_wire::listed).unwrap_or_default()
}
