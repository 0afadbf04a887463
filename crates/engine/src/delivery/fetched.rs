//! One item of the queue: what one fetch brought for one partition, or the place where fetching it stopped.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use kohort_records::{BatchError, Batches, Cursor, OpenBatch};

use crate::consumer::{FetchEpoch, PollError, SlotId};

#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) slot: SlotId,
    pub(super) epoch: FetchEpoch,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Batches(Box<Run>),
    Halt(Option<PollError>),
}

/// Batches of one fetch, the first of them opened when it is its turn.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) batches: Batches,
    pub(super) open: Option<Open>,
    /// Why the rest cannot be read; it stays, and so does the position.
    pub(super) unreadable: Option<Unreadable>,
    /// Bytes that count as buffered until this run is done.
    pub(super) held: u64,
    /// Bytes that are done, and in memory until all of this run is.
    pub(super) drained: u64,
    /// The part of them that still counts as buffered.
    pub(super) to_free: u64,
    /// Whether nothing else lies in the same block of memory.
    pub(super) is_alone: bool,
    pub(super) aborted: Option<Box<Aborted>>,
}

/// The batch that is being handed out.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) batch: OpenBatch,
    pub(super) cursor: Cursor,
    /// Where it begins in [`Run::batches`].
    pub(super) at: usize,
    /// The batch's part of [`Run::held`], given free when it is done.
    pub(super) size: u64,
    /// Whether the records lie in memory of their own.
    pub(super) is_decompressed: bool,
    /// Why the batch ends before its end.
    pub(super) cut: Option<Unreadable>,
}

#[derive(Debug, Clone)]
pub(super) struct Unreadable {
    pub(super) error: BatchError,
    pub(super) next_offset: Option<i64>,
}

/// Transactions that were aborted, as a Fetch response lists them.
// Kafka: CompletedFetch.abortedTransactions, abortedProducerIds
#[derive(Debug)]
pub(super) struct Aborted {
    /// (first offset, producer), the first one last.
    ahead: Vec<(i64, i64)>,
    producers: BTreeSet<i64>,
}

impl Aborted {
    /// `transactions` are (producer, first offset).
    pub(super) fn new(transactions: &[(i64, i64)]) -> Self {
        let mut ahead: Vec<_> = transactions
            .iter()
            .map(|(producer, first)| (*first, *producer))
            .collect();
        ahead.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            ahead,
            producers: BTreeSet::new(),
        }
    }

    /// The batch that ends at `offset` is next: transactions that began up to there are under way.
    pub(super) fn reach(&mut self, offset: i64) {
        while let Some((_, producer)) = self.ahead.pop_if(|(first, _)| *first <= offset) {
            self.producers.insert(producer);
        }
    }

    /// An abort marker of the producer: what it writes after is another transaction.
    pub(super) fn end(&mut self, producer: i64) {
        self.producers.remove(&producer);
    }

    pub(super) fn contains(&self, producer: i64) -> bool {
        self.producers.contains(&producer)
    }
}
