//! What a partition remembers of idempotent producers (KIP-98), so that a batch sent twice is stored once and none is stored
//! out of order. It is rebuilt from the log's batches, so nothing of it is written down. Transactions do not live here.

use alloc::collections::{BTreeMap, VecDeque};

use kohort_protocol::ErrorCode;
use kohort_records::Batch;

/// How many of a producer's last batches are recognised when they come again.
// Kafka: ProducerStateEntry.NUM_BATCHES_TO_RETAIN
const BATCHES_KEPT: usize = 5;

/// The producer's part of a batch, and where the batch stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    /// The offset of the first record; not read by [`ProducerStates::check`].
    pub(crate) base_offset: i64,
    /// The greatest timestamp, in milliseconds; not read by [`ProducerStates::check`].
    pub(crate) timestamp: i64,
}

impl Produced {
    /// What the header says; `None` for a batch of a producer without an id.
    // Kafka: RecordBatch.hasProducerId
    pub(crate) fn of(batch: &Batch) -> Option<Self> {
        (batch.producer_id() >= 0).then(|| Self {
            producer_id: batch.producer_id(),
            epoch: batch.producer_epoch(),
            first_sequence: batch.base_sequence(),
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset(),
            timestamp: batch.max_timestamp(),
        })
    }
}

/// One of a producer's last batches.
// Kafka: BatchMetadata
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remembered {
    first: i32,
    last: i32,
    base_offset: i64,
    timestamp: i64,
}

/// What is known of one producer.
// Kafka: ProducerStateEntry
#[derive(Debug, Clone)]
pub(crate) struct ProducerState {
    epoch: i16,
    batches: VecDeque<Remembered>,
    last_timestamp: i64,
}

impl ProducerState {
    /// Its newest epoch.
    pub(crate) fn epoch(&self) -> i16 {
        self.epoch
    }

    /// The sequence number of its last record; -1 for none.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last)
    }

    /// The greatest timestamp of its last batch, in milliseconds.
    pub(crate) fn last_timestamp(&self) -> i64 {
        self.last_timestamp
    }
}

/// What the sequence of a batch says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It comes next.
    Append,
    /// It is stored already.
    Duplicate {
        /// The offset that it was given.
        base_offset: i64,
        /// The greatest timestamp that it was stored with, in milliseconds.
        timestamp: i64,
    },
}

/// The producers of one partition.
// Kafka: ProducerStateManager
#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerStates {
    by_id: BTreeMap<i64, ProducerState>,
}

impl ProducerStates {
    /// Judges a batch before it is stored. The error is the answer to one that must not be stored: INVALID_PRODUCER_EPOCH to
    /// an old epoch, OUT_OF_ORDER_SEQUENCE_NUMBER to a gap.
    // Kafka: UnifiedLog.analyzeAndValidateProducerState, ProducerAppendInfo.checkProducerEpoch and checkSequence
    pub(crate) fn check(&self, batch: &Produced) -> Result<Verdict, ErrorCode> {
        let Some(producer) = self.by_id.get(&batch.producer_id) else {
            // What was known of the producer may be forgotten with its records or for its age, so any sequence is accepted.
            return Ok(Verdict::Append);
        };
        let is_same =
            |kept: &&Remembered| kept.first == batch.first_sequence && kept.last == batch.last_sequence;
        let duplicate = producer.batches.iter().find(is_same);
        if let Some(kept) = duplicate.filter(|_| batch.epoch == producer.epoch) {
            return Ok(Verdict::Duplicate {
                base_offset: kept.base_offset,
                timestamp: kept.timestamp,
            });
        }
        if batch.epoch < producer.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        let expected = match batch.epoch > producer.epoch {
            true => 0,
            false => following(producer.last_sequence()),
        };
        match batch.first_sequence == expected {
            true => Ok(Verdict::Append),
            false => Err(ErrorCode::OutOfOrderSequenceNumber),
        }
    }

    /// Remembers a batch that was stored.
    // Kafka: ProducerStateEntry.addBatch
    pub(crate) fn apply(&mut self, batch: &Produced) {
        let producer = self
            .by_id
            .entry(batch.producer_id)
            .or_insert_with(|| ProducerState {
                epoch: batch.epoch,
                batches: VecDeque::new(),
                last_timestamp: -1,
            });
        if producer.epoch != batch.epoch {
            producer.epoch = batch.epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_KEPT {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Remembered {
            first: batch.first_sequence,
            last: batch.last_sequence,
            base_offset: batch.base_offset,
            timestamp: batch.timestamp,
        });
        producer.last_timestamp = batch.timestamp;
    }

    /// Forgets producers whose last batch is at least `expiration_ms` older than `wall_ms`.
    // Kafka: ProducerStateManager.removeExpiredProducers
    pub(crate) fn expire(&mut self, wall_ms: i64, expiration_ms: i64) {
        self.by_id
            .retain(|_, producer| wall_ms.saturating_sub(producer.last_timestamp) < expiration_ms);
    }

    /// The producers by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &ProducerState)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// Whether none is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether the producer of this id is known.
    pub(crate) fn has(&self, id: i64) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The largest id known that is below `limit`, if any.
    pub(crate) fn largest_id_below(&self, limit: i64) -> Option<i64> {
        self.by_id.range(..limit).next_back().map(|(id, _)| *id)
    }
}

/// The sequence number after `sequence`: they wrap around to 0.
fn following(sequence: i32) -> i32 {
    sequence.checked_add(1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: i16 = 0;

    /// A batch of producer 7 at offset 100 + `first`, with the timestamp 1000 + `first`.
    fn batch(epoch: i16, first: i32, last: i32) -> Produced {
        Produced {
            producer_id: 7,
            epoch,
            first_sequence: first,
            last_sequence: last,
            base_offset: 100 + i64::from(first),
            timestamp: 1000 + i64::from(first),
        }
    }

    fn after(batches: &[Produced]) -> ProducerStates {
        let mut states = ProducerStates::default();
        batches.iter().for_each(|batch| states.apply(batch));
        states
    }

    #[test]
    fn the_batch_after_the_last_one_is_next() {
        let states = after(&[batch(EPOCH, 0, 4)]);
        assert_eq!(states.check(&batch(EPOCH, 5, 5)), Ok(Verdict::Append));
    }

    #[test]
    fn a_gap_is_out_of_order() {
        let states = after(&[batch(EPOCH, 0, 4)]);
        let gap = states.check(&batch(EPOCH, 6, 6));
        assert_eq!(gap, Err(ErrorCode::OutOfOrderSequenceNumber));
    }

    #[test]
    fn a_part_of_a_batch_that_comes_again_is_out_of_order() {
        let states = after(&[batch(EPOCH, 0, 4)]);
        let part = states.check(&batch(EPOCH, 0, 3));
        assert_eq!(part, Err(ErrorCode::OutOfOrderSequenceNumber));
    }

    #[test]
    fn the_last_five_batches_are_duplicates_when_they_come_again_and_the_sixth_last_is_not() {
        let sent: [Produced; 6] = core::array::from_fn(|index| batch(EPOCH, index as i32, index as i32));
        let states = after(&sent);
        for again in &sent[1..] {
            let known = Verdict::Duplicate {
                base_offset: again.base_offset,
                timestamp: again.timestamp,
            };
            assert_eq!(states.check(again), Ok(known));
        }
        assert_eq!(states.check(&sent[0]), Err(ErrorCode::OutOfOrderSequenceNumber));
    }

    #[test]
    fn a_new_epoch_begins_at_zero() {
        let states = after(&[batch(1, 0, 4)]);
        let gap = states.check(&batch(2, 5, 5));
        assert_eq!(gap, Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(states.check(&batch(2, 0, 4)), Ok(Verdict::Append));
    }

    #[test]
    fn a_new_epoch_fences_the_old_one_and_forgets_its_batches() {
        let states = after(&[batch(1, 0, 4), batch(2, 0, 0)]);
        let old = states.check(&batch(1, 0, 4));
        assert_eq!(old, Err(ErrorCode::InvalidProducerEpoch));
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        let states = after(&[batch(EPOCH, i32::MAX, i32::MAX)]);
        assert_eq!(states.check(&batch(EPOCH, 0, 0)), Ok(Verdict::Append));
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        let states = ProducerStates::default();
        assert_eq!(states.check(&batch(3, 17, 20)), Ok(Verdict::Append));
    }

    #[test]
    fn a_producer_expires_when_its_last_batch_is_old_enough() {
        let mut states = after(&[batch(EPOCH, 0, 0)]);
        states.expire(1499, 500);
        assert_eq!(states.iter().count(), 1);
        states.expire(1500, 500);
        assert_eq!(states.iter().count(), 0);
    }

    #[test]
    fn the_header_of_a_stored_batch_says_all_that_is_remembered() {
        let mut builder = kohort_records::BatchBuilder::new(kohort_records::Compression::None, None)
            .expect("no level to refuse");
        builder.set_producer(7, 3, i32::MAX);
        for timestamp in [5, 9] {
            builder
                .append(timestamp, None, None, &[])
                .expect("a small record");
        }
        let bytes = builder.build(40).expect("a batch that is not empty");
        let stored = Batch::decode(bytes, 0)
            .expect("a good batch")
            .expect("a whole batch");
        let produced = Produced::of(&stored).expect("it has a producer");
        assert_eq!(
            produced,
            Produced {
                producer_id: 7,
                epoch: 3,
                first_sequence: i32::MAX,
                last_sequence: 0,
                base_offset: 40,
                timestamp: 9,
            }
        );
    }
}
