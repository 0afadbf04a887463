//! Finding where to begin: the group's committed offset, else the reset policy; and going elsewhere when a position is out of
//! range. Where a partition is lives in `partitions`.

mod committed;
mod resets;

use alloc::vec::Vec;

use kohort_groups::TopicPartition;
use kohort_machine::Instant;

use super::partitions::Place;
use super::{
    CommandError, ConsumerEngine, Halt, NewPosition, OffsetReset, OffsetSpec, PollError, Position, Reset,
    ResetCause, SlotId, ToCaller,
};

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
                    reset: assigned.reset.take(),
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

    /// Goes on where the policy says, or fails.
    // Kafka: SubscriptionState.resetInitializingPositions
    fn apply_policy(&mut self, now: Instant, slots: &[SlotId]) {
        if slots.is_empty() {
            return;
        }
        match self.reset_spec(now) {
            Some(spec) => {
                let reset = Reset {
                    cause: ResetCause::NoCommittedOffset,
                    from: None,
                };
                for slot in slots {
                    self.partitions.move_to(*slot, Place::Reset(spec));
                    if let Some(assigned) = self.partitions.get_mut(*slot) {
                        assigned.reset = Some(reset);
                    }
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
}
