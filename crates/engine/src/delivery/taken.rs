//! What one poll hands out.

use alloc::sync::Arc;
use alloc::vec::{self, Vec};
use core::iter::Chain;
use core::{option, slice};

use kohort_groups::TopicPartition;
use kohort_records::{Batch, Chunk};

use crate::consumer::{FetchEpoch, InHand, Position, SlotId};

/// Records of one poll: owned, `Send`, and independent of the consumer.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// The first chunk has its place here, so that a poll of one record takes no memory.
    first: Option<TakenChunk>,
    more: Vec<TakenChunk>,
    records: usize,
    advanced: bool,
}

impl Taken {
    /// Empty, in memory that was used before.
    pub(super) fn within(spare: Vec<TakenChunk>) -> Self {
        Self {
            more: spare,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, chunk: TakenChunk) {
        self.records += chunk.chunk.len();
        self.advanced = true;
        match &self.first {
            None => self.first = Some(chunk),
            Some(_) => self.more.push(chunk),
        }
    }

    /// The memory of the chunks, for others.
    pub(super) fn into_spare(mut self) -> Vec<TakenChunk> {
        self.more.clear();
        self.more
    }

    /// Keeps no compressed batch in memory: nothing of this will be put back.
    pub fn forget_sources(&mut self) {
        for chunk in self.first.iter_mut().chain(&mut self.more) {
            chunk.source = None;
        }
    }

    pub(super) fn advance(&mut self) {
        self.advanced = true;
    }

    /// What is handed out of each partition: runs of offsets in the order of the records, those of one partition that follow each
    /// other as one.
    pub fn in_hand(&self) -> impl Iterator<Item = InHand> + '_ {
        let mut chunks = self.chunks().map(TakenChunk::in_hand).peekable();
        core::iter::from_fn(move || {
            let mut run = chunks.next()?;
            while let Some(more) = chunks.next_if(|more| more.slot == run.slot) {
                run.last = more.last;
            }
            Some(run)
        })
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Whether a position moved, be it without records: control records and those of aborted transactions are not handed out.
    pub fn is_advanced(&self) -> bool {
        self.advanced
    }

    /// The chunks in the order of consumption. Those of one partition that follow each other are consecutive batches.
    pub fn chunks(&self) -> Chain<option::Iter<'_, TakenChunk>, slice::Iter<'_, TakenChunk>> {
        self.first.iter().chain(&self.more)
    }
}

impl IntoIterator for Taken {
    type Item = TakenChunk;
    type IntoIter = Chain<option::IntoIter<TakenChunk>, vec::IntoIter<TakenChunk>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.more)
    }
}

impl<'a> IntoIterator for &'a Taken {
    type Item = &'a TakenChunk;
    type IntoIter = Chain<option::Iter<'a, TakenChunk>, slice::Iter<'a, TakenChunk>>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks()
    }
}

/// Consecutive records of one batch of one partition.
#[derive(Debug, Clone)]
pub struct TakenChunk {
    pub(super) partition: Arc<TopicPartition>,
    pub(super) slot: SlotId,
    pub(super) epoch: FetchEpoch,
    pub(super) chunk: Chunk,
    /// The batch as it was fetched, if it was compressed: what is put back can be closed.
    pub(super) source: Option<Arc<Batch>>,
    /// The position before the first record.
    pub(super) before: Position,
    pub(super) leader_epoch: Option<i32>,
}

impl TakenChunk {
    /// The partition; clones of the handle are cheap.
    pub fn partition(&self) -> &Arc<TopicPartition> {
        &self.partition
    }

    /// The records, at least one.
    pub fn records(&self) -> &Chunk {
        &self.chunk
    }

    /// The leader epoch of the records, if the batch has one (KIP-320).
    pub fn leader_epoch(&self) -> Option<i32> {
        self.leader_epoch
    }

    fn in_hand(&self) -> InHand {
        InHand {
            slot: self.slot,
            first: self.before.offset,
            last: self.chunk.next_offset() - 1,
        }
    }

    /// The position after these records.
    pub fn next_position(&self) -> Position {
        Position {
            offset: self.chunk.next_offset(),
            leader_epoch: self.leader_epoch,
        }
    }
}
