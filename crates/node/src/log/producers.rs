//! What a partition remembers of idempotent producers, so that a batch sent twice is stored once and none is stored out of
//! order. Transactions do not live here.

use alloc::collections::{BTreeMap, VecDeque};

use kohort_protocol::ErrorCode;

/// How many of a producer's last batches are recognised when they come again.
// Kafka: ProducerStateEntry.NUM_BATCHES_TO_RETAIN
const BATCHES_KEPT: usize = 5;

/// The producer's part of a batch's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first: i32,
    pub(crate) last: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remembered {
    first: i32,
    last: i32,
    base_offset: i64,
}

#[derive(Debug, Clone, Default)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Remembered>,
}

/// What the sequence of a batch says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It comes next.
    Next,
    /// It is stored already, at this base offset.
    Duplicate(i64),
    /// It must not be stored.
    Refused(ErrorCode),
}

/// The producers of one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Producers {
    by_id: BTreeMap<i64, Producer>,
}

impl Producers {
    /// Judges a batch before it is stored.
    // Kafka: ProducerAppendInfo.checkProducerEpoch, checkSequence; ProducerStateEntry.findDuplicateBatch
    pub(crate) fn judge(&self, sequence: Sequence) -> Verdict {
        let Some(producer) = self.by_id.get(&sequence.producer_id) else {
            // What was known of the producer may have been removed with its records, so any sequence is accepted.
            return Verdict::Next;
        };
        if sequence.epoch < producer.epoch {
            return Verdict::Refused(ErrorCode::InvalidProducerEpoch);
        }
        if sequence.epoch > producer.epoch {
            return match sequence.first {
                0 => Verdict::Next,
                _ => Verdict::Refused(ErrorCode::OutOfOrderSequenceNumber),
            };
        }
        let duplicate = producer
            .batches
            .iter()
            .find(|batch| batch.first == sequence.first && batch.last == sequence.last);
        if let Some(duplicate) = duplicate {
            return Verdict::Duplicate(duplicate.base_offset);
        }
        match producer.batches.back() {
            Some(last) if following(last.last) != sequence.first => {
                Verdict::Refused(ErrorCode::OutOfOrderSequenceNumber)
            }
            _ => Verdict::Next,
        }
    }

    /// Remembers a batch that was stored.
    pub(crate) fn apply(&mut self, sequence: Sequence, base_offset: i64) {
        let producer = self.by_id.entry(sequence.producer_id).or_default();
        if producer.epoch != sequence.epoch {
            producer.epoch = sequence.epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_KEPT {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Remembered {
            first: sequence.first,
            last: sequence.last,
            base_offset,
        });
    }
}

/// The sequence number after `sequence`: they wrap around to 0.
fn following(sequence: i32) -> i32 {
    sequence.checked_add(1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(epoch: i16, first: i32, last: i32) -> Sequence {
        Sequence {
            producer_id: 7,
            epoch,
            first,
            last,
        }
    }

    #[test]
    fn the_batch_after_the_last_one_is_next() {
        let mut producers = Producers::default();
        producers.apply(sequence(0, 0, 4), 100);
        assert_eq!(producers.judge(sequence(0, 5, 5)), Verdict::Next);
    }

    #[test]
    fn a_gap_is_out_of_order() {
        let mut producers = Producers::default();
        producers.apply(sequence(0, 0, 4), 100);
        assert_eq!(
            producers.judge(sequence(0, 6, 6)),
            Verdict::Refused(ErrorCode::OutOfOrderSequenceNumber)
        );
    }

    #[test]
    fn a_batch_that_comes_again_is_a_duplicate_with_its_offset() {
        let mut producers = Producers::default();
        for index in 0..6 {
            producers.apply(sequence(0, index, index), 100 + i64::from(index));
        }
        assert_eq!(producers.judge(sequence(0, 1, 1)), Verdict::Duplicate(101));
        // The sixth last is forgotten.
        assert_eq!(
            producers.judge(sequence(0, 0, 0)),
            Verdict::Refused(ErrorCode::OutOfOrderSequenceNumber)
        );
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_fences_the_old_one() {
        let mut producers = Producers::default();
        producers.apply(sequence(1, 0, 4), 100);
        assert_eq!(
            producers.judge(sequence(2, 5, 5)),
            Verdict::Refused(ErrorCode::OutOfOrderSequenceNumber)
        );
        assert_eq!(producers.judge(sequence(2, 0, 0)), Verdict::Next);
        assert_eq!(
            producers.judge(sequence(0, 5, 5)),
            Verdict::Refused(ErrorCode::InvalidProducerEpoch)
        );
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        let mut producers = Producers::default();
        producers.apply(sequence(0, i32::MAX, i32::MAX), 100);
        assert_eq!(producers.judge(sequence(0, 0, 0)), Verdict::Next);
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        assert_eq!(Producers::default().judge(sequence(3, 17, 20)), Verdict::Next);
    }
}
