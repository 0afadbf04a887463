//! The queue of what was fetched, in the order it came, and what is set aside because its partition is paused.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_records::{Held, batches};

use super::fetched::{Aborted, Content, Fetched, Run};
use super::memory::{Memory, lease};
use super::table::Table;
use crate::consumer::{FetchedBatches, Halt, SlotId};

#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Fetched>,
    /// Items of paused partitions that came to the front, oldest first.
    aside: Vec<Fetched>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.aside.is_empty()
    }

    /// Adds what a fetch brought as part of a block, unless it is of an older epoch.
    pub(super) fn push_batches(&mut self, fetched: FetchedBatches, block: &Arc<Held>, table: &mut Table) {
        let held = fetched.records.len() as u64;
        table.buffer(fetched.slot, held);
        let Some(entry) = table.get_mut(fetched.slot) else {
            return;
        };
        if fetched.epoch != entry.epoch || entry.suspended {
            // It was on its way when the position jumped. The engine counts it as buffered until told otherwise.
            table.free(fetched.slot, held, 0);
            return;
        }
        let known = |offset: i64| (offset >= 0).then_some(offset);
        entry.high_watermark = known(fetched.high_watermark).or(entry.high_watermark);
        entry.last_stable_offset = known(fetched.last_stable_offset).or(entry.last_stable_offset);
        if held == 0 {
            return;
        }
        let aborted = (!fetched.aborted.is_empty()).then(|| Box::new(Aborted::new(&fetched.aborted)));
        self.items.push_back(Fetched {
            slot: fetched.slot,
            epoch: fetched.epoch,
            content: Content::Batches(Box::new(Run {
                batches: batches(lease(fetched.records, block, &entry.share)),
                open: None,
                unreadable: None,
                held,
                drained: 0,
                to_free: 0,
                is_alone: held == block.bytes(),
                aborted,
            })),
        });
    }

    pub(super) fn push_halt(&mut self, halt: Halt, table: &Table) {
        if table
            .get(halt.slot)
            .is_some_and(|entry| entry.epoch == halt.epoch && !entry.suspended)
        {
            self.items.push_back(Fetched {
                slot: halt.slot,
                epoch: halt.epoch,
                content: Content::Halt(halt.error),
            });
        }
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Fetched> {
        self.items.front_mut()
    }

    /// Removes the front item; the rest of its bytes is free.
    pub(super) fn pop_front(&mut self, table: &mut Table, low_water: u64) {
        if let Some(item) = self.items.pop_front() {
            free(&item, table, low_water);
        }
    }

    /// Sets the front item aside until its partition is resumed. That may be long, so it must not hold more memory than its
    /// own: the open batch is closed, and what shares its block with others is copied out of it.
    pub(super) fn set_front_aside(&mut self, table: &Table, memory: &Memory) {
        let Some(mut item) = self.items.pop_front() else {
            return;
        };
        if let Content::Batches(run) = &mut item.content {
            run.close_early();
            if !run.is_alone
                && let Some(entry) = table.get(item.slot)
            {
                let rest = run.batches.rest();
                let block = memory.block(rest.len() as u64);
                run.batches = batches(lease(Bytes::copy_from_slice(&rest), &block, &entry.share));
                run.drained = 0;
                run.is_alone = true;
            }
        }
        self.aside.push(item);
    }

    /// Puts what was set aside for this slot back to the front, in its order. The batch that was being handed out is closed:
    /// it must not keep those before it from being decompressed.
    pub(super) fn readmit(&mut self, slot: SlotId) {
        if self.aside.iter().any(|item| item.slot == slot)
            && let Some(Fetched {
                content: Content::Batches(run),
                ..
            }) = self.items.front_mut()
        {
            run.close_early();
        }
        for index in (0..self.aside.len()).rev() {
            if self.aside.get(index).is_some_and(|item| item.slot == slot) {
                self.items.push_front(self.aside.remove(index));
            }
        }
    }

    /// Drops everything of this slot.
    pub(super) fn discard(&mut self, slot: SlotId, table: &mut Table) {
        let mut keep = |item: &Fetched| {
            let drop = item.slot == slot;
            if drop {
                free(item, table, 0);
            }
            !drop
        };
        self.items.retain(&mut keep);
        self.aside.retain(&mut keep);
    }
}

fn free(item: &Fetched, table: &mut Table, low_water: u64) {
    if let Content::Batches(run) = &item.content {
        table.free(item.slot, run.held + run.to_free, low_water);
    }
}
