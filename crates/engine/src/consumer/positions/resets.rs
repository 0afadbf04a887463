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
}
