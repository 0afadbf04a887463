//! What one poll hands out.

use alloc::sync::Arc;
use alloc::vec::{self, Vec};

use kohort_groups::TopicPartition;
use kohort_records::{Batch, Chunk, Cursor};

use crate::consumer::{FetchEpoch, Position, SlotId};

/// Records of one poll: owned, `Send`, and independent of the consumer.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    chunks: Vec<TakenChunk>,
    records: usize,
    advanced: bool,
}

impl Taken {
    /// Empty, in memory that was used before.
    pub(super) fn within(spare: Vec<TakenChunk>) -> Self {
        Self {
            chunks: spare,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, chunk: TakenChunk) {
        self.records += chunk.chunk.len();
        self.advanced = true;
        self.chunks.push(chunk);
    }

    pub(super) fn into_chunks(self) -> Vec<TakenChunk> {
        self.chunks
    }

    /// Keeps no compressed batch in memory: nothing of this will be put back.
    pub fn forget_sources(&mut self) {
        for chunk in &mut self.chunks {
            chunk.source = None;
        }
    }

    pub(super) fn advance(&mut self) {
        self.advanced = true;
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
    pub fn chunks(&self) -> &[TakenChunk] {
        &self.chunks
    }
}

impl IntoIterator for Taken {
    type Item = TakenChunk;
    type IntoIter = vec::IntoIter<TakenChunk>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter()
    }
}

impl<'a> IntoIterator for &'a Taken {
    type Item = &'a TakenChunk;
    type IntoIter = core::slice::Iter<'a, TakenChunk>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.iter()
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
    pub(super) source: Option<Batch>,
    /// Where the chunk begins in its batch.
    pub(super) start: Cursor,
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

    /// The position after these records.
    pub fn next_position(&self) -> Position {
        Position {
            offset: self.chunk.next_offset(),
            leader_epoch: self.leader_epoch,
        }
    }
}
