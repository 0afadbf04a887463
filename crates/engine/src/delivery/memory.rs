//! What memory the batches of this consumer hold, in its queue and with the user: the caller's part of `kohort.memory.budget`.
//! What may be fetched into it is decided in `crate::consumer`.
//!
//! The batches of one fetch lie in one block of memory, which lives as long as any of them does. So the block counts as a
//! whole, until the last handle of a batch in it is dropped; and each partition's part of it counts in its own share, which is
//! for naming the partitions whose records are kept. A decompressed batch is a block of its own.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::TopicPartition;
use kohort_records::{Decompressor, Held, Tally};

use super::Delivery;

/// All memory of one consumer's batches.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Blocks: what fetches brought, and what was decompressed.
    blocks: Tally,
    /// What was decompressed.
    decompressed: Tally,
}

/// What a record that is copied out takes beside its bytes: the owner of the bytes, the block's count, and the words that
/// reference counts and the allocator put before each of the three allocations.
const BESIDE_A_COPY: u64 = (size_of::<Leased>() + size_of::<Held>() + 7 * size_of::<usize>()) as u64;

impl Memory {
    pub(super) fn new() -> Self {
        let blocks = Tally::new();
        let decompressed = blocks.part();
        Self { blocks, decompressed }
    }

    pub(super) fn decompressor(&self) -> Decompressor {
        Decompressor::counted(self.decompressed.clone())
    }

    /// A block that a fetch brought.
    pub(super) fn block(&self, bytes: u64) -> Arc<Held> {
        Arc::new(self.blocks.count(bytes))
    }

    /// A record that is copied out, which counts by its own size and that of its allocations.
    pub(super) fn copied(&self, bytes: Vec<u8>, share: &Tally) -> Bytes {
        let block = self.block(bytes.len() as u64 + BESIDE_A_COPY);
        lease(Bytes::from(bytes), &block, share)
    }

    pub(super) fn decompressed(&self) -> u64 {
        self.decompressed.bytes()
    }

    pub(super) fn blocks(&self) -> u64 {
        self.blocks.bytes()
    }
}

/// A partition's part of a block.
struct Leased {
    records: Bytes,
    _block: Arc<Held>,
    _share: Held,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.records
    }
}

/// Handles of these bytes that count in the share and keep the block counted.
pub(super) fn lease(records: Bytes, block: &Arc<Held>, share: &Tally) -> Bytes {
    let bytes = records.len() as u64;
    Bytes::from_owner(Leased {
        records,
        _block: Arc::clone(block),
        _share: share.count(bytes),
    })
}

/// The shares of all partitions, also of those that are no longer assigned.
#[derive(Debug, Default)]
pub(super) struct Shares {
    whole: Tally,
    each: Vec<(Arc<TopicPartition>, Tally)>,
}

impl Shares {
    /// Whether records that are kept should not keep what was fetched with them: a quarter of the budget is with the user, and not
    /// `queued`.
    pub(super) fn are_tight(&self, budget: u64, queued: u64) -> bool {
        let with_user = self.whole.bytes().saturating_sub(queued);
        with_user > 0 && with_user >= budget / 4
    }

    /// The share of a new assignment.
    pub(super) fn begin(&mut self, partition: &Arc<TopicPartition>) -> Tally {
        let share = self.whole.part();
        // Those of earlier assignments are needed while something is held.
        let is_alone = |tally: &Tally| tally.is_unshared();
        self.each.retain(|(_, share)| !is_alone(share));
        self.each.push((Arc::clone(partition), share.clone()));
        share
    }
}

/// Records that were handed out hold so much memory that nothing more is handed out, or fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldUp {
    /// The partitions whose records are kept, those that hold most first.
    pub partitions: Vec<TopicPartition>,
    /// The bytes of the blocks that are kept.
    pub held: u64,
    /// `kohort.memory.budget`, bytes.
    pub budget: u64,
}

impl Delivery {
    /// Bytes of blocks beyond what is in the queue: those of records handed out, the batch that is being handed out, and what
    /// lies in one block with others that are still there.
    pub fn held(&self) -> u64 {
        self.memory.blocks().saturating_sub(self.table.buffered)
    }

    /// Whether no further batch is decompressed: half of the budget is decompressed, or all of it is used.
    pub(super) fn is_full_of_decompressed(&self) -> bool {
        let decompressed = self.memory.decompressed();
        decompressed > 0 && (decompressed >= self.budget / 2 || self.memory.blocks() >= self.budget)
    }

    /// Whether the last [`Delivery::hand_out`] or the engine, as far as it was told, waits for records to be dropped. Nobody tells
    /// when they are, so take again soon. Unlike [`Delivery::held_up`] this stays so when they were dropped since that take.
    pub fn is_waiting_for_memory(&self) -> bool {
        self.is_stopped || (self.table.reported_held > 0 && self.table.reported_held >= self.budget)
    }

    /// Why there is nothing to take, when that is because records handed out earlier hold too much memory. Only after a
    /// [`Delivery::hand_out`] that gave nothing.
    pub fn held_up(&self) -> Option<HeldUp> {
        let held = self.held();
        let is_full = held > 0 && held >= self.budget;
        let is_stopped = self.is_stopped && self.is_full_of_decompressed();
        (is_full || is_stopped).then(|| HeldUp {
            partitions: self.holders(),
            held,
            budget: self.budget,
        })
    }

    #[cold]
    fn holders(&self) -> Vec<TopicPartition> {
        let mut holders: Vec<(u64, &Arc<TopicPartition>)> = Vec::new();
        for (partition, share) in &self.table.shares.each {
            let buffered = self
                .table
                .peek(partition)
                .ok()
                .filter(|it| it.share.is_same(share));
            let buffered = buffered.map_or(0, |it| it.buffered);
            let bytes = share.bytes().saturating_sub(buffered);
            match holders.iter_mut().find(|(_, known)| *known == partition) {
                _ if bytes == 0 => {}
                Some((sum, _)) => *sum = sum.saturating_add(bytes),
                None => holders.push((bytes, partition)),
            }
        }
        holders.sort_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
        holders
            .into_iter()
            .map(|(_, partition)| TopicPartition::clone(partition))
            .collect()
    }
}
