//! Records that one poll hands out as they are: parts of batches, owned.

use alloc::sync::Arc;
use alloc::vec::{self, Vec};
use core::iter::Chain;
use core::ops::ControlFlow;
use core::{option, slice};

use kohort_groups::TopicPartition;
use kohort_records::Chunk;

use super::portion::{Portion, Sink};
use crate::consumer::Position;

/// Records of one poll: owned, `Send`, and independent of the consumer.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// The first chunk has its place here, so that a poll of one record takes no memory.
    first: Option<TakenChunk>,
    more: Vec<TakenChunk>,
    records: usize,
}

impl Taken {
    /// The number of records.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The chunks in the order of consumption. Those of one partition that follow each other are consecutive batches.
    pub fn chunks(&self) -> Chain<option::Iter<'_, TakenChunk>, slice::Iter<'_, TakenChunk>> {
        self.first.iter().chain(&self.more)
    }
}

impl Sink for Taken {
    fn take(&mut self, portion: &mut Portion<'_>) -> ControlFlow<()> {
        let chunk = TakenChunk {
            partition: Arc::clone(portion.partition()),
            leader_epoch: portion.leader_epoch(),
            chunk: portion.chunk(),
        };
        self.records += chunk.chunk.len();
        match &self.first {
            None => self.first = Some(chunk),
            Some(_) => self.more.push(chunk),
        }
        ControlFlow::Continue(())
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
    partition: Arc<TopicPartition>,
    chunk: Chunk,
    leader_epoch: Option<i32>,
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
