//! The sequences of one partition: by them the broker knows a batch that it has, and one that comes too early (KIP-98,
//! KIP-360). What follows from an answer is decided in `engine`.

/// A producer id with its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

/// Whether batches carry sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idempotence {
    Off,
    /// No producer id is there yet: nothing is sent.
    Waiting,
    On(Identity),
}

/// What a batch carries from its first attempt on; a retry repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) identity: Identity,
    pub(super) first: i32,
    pub(super) last: i32,
}

/// The sequence that comes `count` after another.
// Kafka: DefaultRecordBatch.incrementSequence
fn after(sequence: i32, count: usize) -> i32 {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    sequence.wrapping_add(count) & i32::MAX
}

// Kafka: TxnPartitionEntry
#[derive(Debug, Default)]
pub(super) struct Sequences {
    identity: Option<Identity>,
    next: i32,
    last_acked: Option<i32>,
    /// The sequence after that of a batch that was given up and may be in the log all the same. No new batch is sent until
    /// it is known.
    unresolved: Option<i32>,
}

impl Sequences {
    /// Begins anew with sequence 0.
    // Kafka: TxnPartitionEntry.startSequencesAtBeginning
    pub(super) fn restart(&mut self, identity: Identity) {
        *self = Self {
            identity: Some(identity),
            ..Self::default()
        };
    }

    pub(super) fn is_of(&self, identity: Identity) -> bool {
        self.identity == Some(identity)
    }

    /// Whether the broker has acknowledged a batch of this identity.
    pub(super) fn has_begun(&self) -> bool {
        self.last_acked.is_some()
    }

    /// The stamp of a new batch of so many records.
    pub(super) fn stamp(&mut self, identity: Identity, records: usize) -> Stamp {
        let first = self.next;
        self.next = after(first, records);
        Stamp {
            identity,
            first,
            last: after(first, records.saturating_sub(1)),
        }
    }

    /// A batch is in the log. Answers may come out of order, so this never goes back.
    // Kafka: TxnPartitionEntry.maybeUpdateLastAckedSequence
    pub(super) fn on_acked(&mut self, stamp: Stamp) {
        // Sequences begin again after the largest, so the larger number is not always the later one.
        let is_later = |last: i32| (stamp.last.wrapping_sub(last) & i32::MAX) < i32::MAX / 2;
        if self.is_of(stamp.identity) && self.last_acked.is_none_or(is_later) {
            self.last_acked = Some(stamp.last);
        }
    }

    /// Whether everything before this sequence is acknowledged.
    // Kafka: TransactionManager.isNextSequence
    fn is_next(&self, sequence: i32) -> bool {
        sequence == self.last_acked.map_or(0, |last| after(last, 1))
    }

    /// A batch was given up after it was sent.
    // Kafka: TransactionManager.markSequenceUnresolved
    pub(super) fn mark_unresolved(&mut self, stamp: Stamp) {
        let next = after(stamp.last, 1);
        self.unresolved = Some(self.unresolved.map_or(next, |other| other.max(next)));
    }

    pub(super) fn is_unresolved(&self) -> bool {
        self.unresolved.is_some()
    }

    /// What the last acknowledgements tell once nothing is in flight any more: whether no batch is missing.
    // Kafka: TransactionManager.maybeResolveSequences
    pub(super) fn resolve(&mut self) -> bool {
        self.unresolved = None;
        self.is_next(self.next)
    }

    /// What follows when the broker says that this batch does not continue the sequence: whether there is a gap that will not
    /// close. Else a batch before it is on its way.
    // Kafka: TransactionManager.canRetry
    pub(super) fn is_gap(&self, stamp: Stamp, was_rewritten: bool) -> bool {
        match self.unresolved {
            None => !was_rewritten && self.is_next(stamp.first),
            Some(next) => next == stamp.first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { id: 7, epoch: 0 };

    fn begun() -> Sequences {
        let mut sequences = Sequences::default();
        sequences.restart(IDENTITY);
        sequences
    }

    #[test]
    fn stamps_follow_each_other() {
        let mut sequences = begun();
        let (first, second) = (sequences.stamp(IDENTITY, 3), sequences.stamp(IDENTITY, 1));
        assert_eq!((first.first, first.last, second.first, second.last), (0, 2, 3, 3));
    }

    // Kafka: DefaultRecordBatchTest.testIncrementSequence
    #[test]
    fn sequences_begin_again_after_the_largest() {
        assert_eq!(after(0, 10), 10);
        assert_eq!(after(i32::MAX, 1), 0);
        assert_eq!(after(i32::MAX - 5, 10), 4);
    }

    #[test]
    fn a_batch_after_a_missing_one_is_no_gap_and_the_next_one_is() {
        let mut sequences = begun();
        let (first, second) = (sequences.stamp(IDENTITY, 1), sequences.stamp(IDENTITY, 1));
        assert!(!sequences.is_gap(second, false), "the first may still come");
        assert!(sequences.is_gap(first, false));
        assert!(
            !sequences.is_gap(first, true),
            "it is judged by its new sequence only"
        );
        sequences.on_acked(first);
        assert!(sequences.is_gap(second, false));
    }

    #[test]
    fn what_is_acknowledged_late_does_not_take_a_later_acknowledgement_back() {
        let mut sequences = begun();
        let (first, second) = (sequences.stamp(IDENTITY, 3), sequences.stamp(IDENTITY, 1));
        sequences.on_acked(second);
        sequences.on_acked(first);
        assert!(sequences.resolve());
        let stamp = |last| Stamp { last, ..second };
        sequences.on_acked(stamp(i32::MAX / 2));
        sequences.on_acked(stamp(i32::MAX - 10));
        sequences.on_acked(stamp(4));
        assert!(sequences.is_next(5), "4 comes after the largest");
    }

    #[test]
    fn what_was_given_up_is_resolved_by_what_comes_after_it() {
        let mut sequences = begun();
        let (lost, after_it) = (sequences.stamp(IDENTITY, 1), sequences.stamp(IDENTITY, 1));
        sequences.mark_unresolved(lost);
        assert!(sequences.is_unresolved() && sequences.is_gap(after_it, false));
        sequences.on_acked(after_it);
        assert!(sequences.resolve(), "the broker has the batch before, too");
        let lost = sequences.stamp(IDENTITY, 1);
        sequences.mark_unresolved(lost);
        assert!(!sequences.resolve());
    }
}
