//! Where mutants are put in between the public consumer and its application: on what a poll brings, on calls of the listener, on
//! seeks and commits. So they have the effects that bugs of driver and caller's side would have. Without a mutant everything passes
//! as it is. Those between clients and broker are in [`crate::messages`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kohort::{OffsetAndMetadata, TopicPartition};

use super::run::Run;
use crate::mutants::Mutant;

/// A record as an application sees it.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    pub(super) id: u64,
}

/// What the mutant has to remember of one member.
#[derive(Debug, Default)]
struct Memory {
    /// What a poll brought last.
    last: Vec<Read>,
    /// What of that was revoked since.
    revoked: Vec<Read>,
    /// What was committed of each partition before the last time.
    older: BTreeMap<TopicPartition, i64>,
    /// What was committed last.
    newer: BTreeMap<TopicPartition, i64>,
    /// What a poll has decoded.
    decoded: BTreeSet<u64>,
    /// What of that nobody gets.
    lost: BTreeSet<u64>,
}

/// The border of one member, shared with its listener.
#[derive(Debug, Clone)]
pub(super) struct Border {
    mutant: Option<Mutant>,
    memory: Arc<Mutex<Memory>>,
}

impl Border {
    pub(super) fn new(mutant: Option<Mutant>) -> Self {
        let memory = Arc::default();
        Self { mutant, memory }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the application gets of what a poll brought.
    pub(super) fn brought(&self, run: &Run, mut reads: Vec<Read>) -> Vec<Read> {
        let mut memory = self.memory();
        if !reads.is_empty() {
            let lost = core::mem::take(&mut memory.lost);
            reads.retain(|read| !lost.contains(&read.id));
            memory.decoded.clear();
        }
        if self.is(Mutant::PositionBeforeDelivery) && !reads.is_empty() && run.chance(1, 10) {
            reads.remove(0);
        }
        if self.is(Mutant::HandOutAfterRevoke) {
            let mut late = core::mem::take(&mut memory.revoked);
            late.append(&mut reads);
            reads = late;
        }
        if self.mutant.is_some() && !reads.is_empty() {
            memory.last.clone_from(&reads);
        }
        reads
    }

    /// Whether a poll brings nothing while the group rebalances.
    pub(super) fn pauses_in_rebalances(&self) -> bool {
        self.is(Mutant::RetainedIsPaused)
    }

    /// Whether a poll that is given up halfway has taken its records, which nobody gets.
    pub(super) fn loses_dropped_polls(&self) -> bool {
        self.is(Mutant::DroppedPollLosesRecords)
    }

    /// A record is decoded.
    pub(super) fn decoded(&self, id: u64) {
        if self.is(Mutant::PanicLosesDecoded) {
            self.memory().decoded.insert(id);
        }
    }

    /// A deserializer has panicked.
    pub(super) fn panicked(&self) {
        if self.is(Mutant::PanicLosesDecoded) {
            let memory = &mut *self.memory();
            memory.lost.append(&mut memory.decoded);
        }
    }

    /// Whether the position moves past a record that cannot be decoded.
    pub(super) fn passes_over_failures(&self) -> bool {
        self.is(Mutant::FailurePassedOver)
    }

    /// Whether an `unsubscribe` that is dropped was never begun.
    pub(super) fn forgets_to_unsubscribe(&self) -> bool {
        self.is(Mutant::DroppedUnsubscribeForgotten)
    }

    /// What a `close` that is dropped commits of these, if that is older than what was committed.
    pub(super) fn takes_back(
        &self,
        mine: Vec<TopicPartition>,
    ) -> Option<Vec<(TopicPartition, OffsetAndMetadata)>> {
        if !self.is(Mutant::DroppedCloseTakesBack) {
            return None;
        }
        let memory = self.memory();
        let older = mine.into_iter().filter_map(|partition| {
            let offset = *memory.older.get(&partition)?;
            Some((partition, OffsetAndMetadata::new(offset)))
        });
        Some(older.collect())
    }

    /// `done` is about to be committed; what is committed before that, though it is older than what was.
    pub(super) fn commits_older(
        &self,
        run: &Run,
        done: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Option<Vec<(TopicPartition, OffsetAndMetadata)>> {
        if !self.is(Mutant::DroppedCloseTakesBack) && !self.is(Mutant::CommitTakenBack) {
            return None;
        }
        let memory = &mut *self.memory();
        let mut older = Vec::new();
        for (partition, committed) in done {
            if let Some(before) = memory.newer.insert(partition.clone(), committed.offset) {
                older.push((partition.clone(), OffsetAndMetadata::new(before - 1)));
                memory.older.insert(partition.clone(), before - 1);
            }
        }
        (self.is(Mutant::CommitTakenBack) && !older.is_empty() && run.chance(1, 10)).then_some(older)
    }

    /// How often an assignment is told.
    pub(super) fn times_assigned(&self) -> usize {
        match self.is(Mutant::ListenerCalledTwice) {
            true => 2,
            false => 1,
        }
    }

    /// Whether the application hears of a revocation.
    pub(super) fn hears_revoked(&self, partitions: &[TopicPartition]) -> bool {
        if self.mutant.is_some() {
            let memory = &mut *self.memory();
            let revoked = memory.last.iter();
            let revoked = revoked.filter(|read| partitions.contains(&read.partition));
            memory.revoked = revoked.cloned().collect();
        }
        !self.is(Mutant::RevocationSkipped)
    }

    /// Whether a seek reaches the consumer.
    pub(super) fn seeks(&self) -> bool {
        !self.is(Mutant::StaleFetchAccepted)
    }

    /// What is committed beside `done`: `None` for what the consumer commits by itself.
    pub(super) fn commits(
        &self,
        done: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Option<Vec<(TopicPartition, OffsetAndMetadata)>> {
        if !self.is(Mutant::RevokedStaysConsumed) {
            return None;
        }
        let late = core::mem::take(&mut self.memory().revoked).into_iter();
        let mut offsets: Vec<(TopicPartition, OffsetAndMetadata)> = late
            .map(|read| (read.partition, OffsetAndMetadata::new(read.offset + 1)))
            .collect();
        offsets.extend_from_slice(done);
        // Of each partition the last one counts.
        offsets.reverse();
        let mut known: Vec<TopicPartition> = Vec::new();
        offsets.retain(|(partition, _)| {
            let is_new = !known.contains(partition);
            known.push(partition.clone());
            is_new
        });
        Some(offsets)
    }
}
