//! What the engine is told of consumption, and when: at low water, when enough bytes were given free, when a halt was reached,
//! or when it asks.

use alloc::vec::Vec;

use super::table::Table;
use crate::consumer::{Progress, SlotId, SlotProgress};

impl Table {
    /// Bytes of `slot` left the queue. A partition runs low when the engine believes it to be above the low water mark and it
    /// is not.
    pub(super) fn free(&mut self, slot: SlotId, bytes: u64, low_water: u64) {
        if bytes == 0 {
            return;
        }
        let Some(entry) = self.get_mut(slot) else {
            return;
        };
        let leaves = bytes.min(entry.buffered);
        let believed = entry.buffered.saturating_add(entry.freed);
        entry.buffered = entry.buffered.saturating_sub(bytes);
        entry.freed = entry.freed.saturating_add(bytes);
        let ran_low = believed > low_water && entry.buffered <= low_water;
        self.buffered = self.buffered.saturating_sub(leaves);
        self.ran_low |= ran_low;
        self.freed = self.freed.saturating_add(bytes);
    }

    /// There is nothing left to hand out, and so many bytes are held. Up to `unreported` bytes that left the queue are not worth a
    /// report: the engine counts on them.
    pub(super) fn ran_dry(&mut self, held: u64, unreported: u64) {
        self.ran_low |= self.freed > unreported || held < self.reported_held;
    }

    pub(super) fn is_report_due(&self, report_after: u64) -> bool {
        self.ran_low || self.freed > report_after || !self.reached.is_empty()
    }

    pub(super) fn report(&mut self, answers: Option<u64>, held: u64) -> Progress {
        self.reported_held = held;
        self.ran_low = false;
        self.freed = 0;
        let reached = core::mem::take(&mut self.reached);
        let mut positions = Vec::new();
        for (slot, entry) in self.iter_mut() {
            let now = (entry.epoch, entry.position);
            if entry.freed == 0 && entry.reported == Some(now) {
                continue;
            }
            entry.reported = Some(now);
            positions.push(SlotProgress {
                slot,
                epoch: entry.epoch,
                position: entry.position,
                freed: core::mem::take(&mut entry.freed),
            });
        }
        Progress {
            positions,
            reached,
            held,
            answers,
        }
    }
}
