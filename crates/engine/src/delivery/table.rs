//! The table of assigned partitions on the caller's side. What is buffered for them lives in [`super::queue`], what memory they
//! hold in [`super::memory`].

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::TopicPartition;
use kohort_records::Tally;

use super::memory::Shares;
use crate::consumer::{FetchEpoch, Position, SlotId};

/// The partition is not assigned to this consumer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{partition} is not assigned to this consumer")]
pub struct NotAssigned {
    /// Which partition.
    pub partition: TopicPartition,
}

/// One assigned partition.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) partition: Arc<TopicPartition>,
    pub(super) epoch: FetchEpoch,
    pub(super) position: Option<Position>,
    pub(super) paused: bool,
    /// About to be revoked: nothing is handed out any more.
    pub(super) suspended: bool,
    pub(super) high_watermark: Option<i64>,
    pub(super) last_stable_offset: Option<i64>,
    /// Bytes in the queue.
    pub(super) buffered: u64,
    /// Bytes of its batches, compressed in the queue or open, that anyone holds.
    pub(super) share: Tally,
    /// Bytes that left the queue since the last report.
    pub(super) freed: u64,
    /// The position as the engine knows it.
    pub(super) reported: Option<(FetchEpoch, Option<Position>)>,
}

/// All assigned partitions, by slot and by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: BTreeMap<SlotId, Entry>,
    by_name: BTreeMap<Arc<TopicPartition>, SlotId>,
    /// Manual assignments so far: their slots are odd.
    own_slots: u64,
    /// Bytes in the queue, of all slots.
    pub(super) buffered: u64,
    pub(super) shares: Shares,
    /// What the engine was told last of the bytes that are held.
    pub(super) reported_held: u64,
    /// Bytes that left the queue since the last report, of all slots.
    pub(super) freed: u64,
    /// Whether some partition's buffer ran low since the last report.
    pub(super) ran_low: bool,
    /// Halts that were reached since the last report.
    pub(super) reached: Vec<(SlotId, FetchEpoch)>,
}

impl Table {
    pub(super) fn insert(&mut self, slot: SlotId, partition: Arc<TopicPartition>) {
        let entry = Entry {
            partition: Arc::clone(&partition),
            epoch: FetchEpoch::default(),
            position: None,
            paused: false,
            suspended: false,
            high_watermark: None,
            last_stable_offset: None,
            buffered: 0,
            share: self.shares.begin(&partition),
            freed: 0,
            reported: None,
        };
        self.entries.insert(slot, entry);
        self.by_name.insert(partition, slot);
    }

    pub(super) fn remove(&mut self, slot: SlotId) {
        let Some(entry) = self.entries.remove(&slot) else {
            return;
        };
        self.buffered = self.buffered.saturating_sub(entry.buffered);
        if self.by_name.get(&entry.partition) == Some(&slot) {
            self.by_name.remove(&entry.partition);
        }
    }

    /// So many bytes more are in the queue.
    pub(super) fn buffer(&mut self, slot: SlotId, bytes: u64) {
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.buffered = entry.buffered.saturating_add(bytes);
            self.buffered = self.buffered.saturating_add(bytes);
        }
    }

    /// Replaces all by these; gives the slots that are gone and those that are new.
    pub(super) fn assign(
        &mut self,
        partitions: &[TopicPartition],
    ) -> (Vec<SlotId>, Vec<(SlotId, Arc<TopicPartition>)>) {
        let removed: Vec<SlotId> = self
            .entries
            .iter()
            .filter(|(_, entry)| !partitions.contains(&entry.partition))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in &removed {
            self.remove(*slot);
        }
        let mut added = Vec::new();
        for partition in partitions {
            if self.by_name.contains_key(partition) {
                continue;
            }
            let slot = SlotId(self.own_slots * 2 + 1);
            self.own_slots += 1;
            let partition = Arc::new(partition.clone());
            self.insert(slot, Arc::clone(&partition));
            added.push((slot, partition));
        }
        (removed, added)
    }

    pub(super) fn get_mut(&mut self, slot: SlotId) -> Option<&mut Entry> {
        self.entries.get_mut(&slot)
    }

    pub(super) fn get(&self, slot: SlotId) -> Option<&Entry> {
        self.entries.get(&slot)
    }

    pub(super) fn slot(&self, partition: &TopicPartition) -> Result<SlotId, NotAssigned> {
        self.by_name.get(partition).copied().ok_or_else(|| NotAssigned {
            partition: partition.clone(),
        })
    }

    pub(super) fn peek(&self, partition: &TopicPartition) -> Result<&Entry, NotAssigned> {
        let entry = self.entries.get(&self.slot(partition)?);
        entry.ok_or_else(|| NotAssigned {
            partition: partition.clone(),
        })
    }

    pub(super) fn entry(&mut self, partition: &TopicPartition) -> Result<&mut Entry, NotAssigned> {
        let slot = self.slot(partition)?;
        self.entries.get_mut(&slot).ok_or_else(|| NotAssigned {
            partition: partition.clone(),
        })
    }

    /// In the order of the partitions' names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SlotId, &Entry)> {
        self.by_name
            .values()
            .filter_map(|slot| Some((*slot, self.entries.get(slot)?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SlotId, &mut Entry)> {
        self.entries.iter_mut().map(|(slot, entry)| (*slot, entry))
    }
}
