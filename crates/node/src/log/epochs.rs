//! The leader epochs of one partition: which there were, and where each began. What a leader epoch is for, see KIP-101 and
//! KIP-320.

use alloc::vec::Vec;

/// An epoch and the offset of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Epoch {
    number: i32,
    start: i64,
}

/// The leader epochs that have records in the log, and the current one, ascending in number and offset.
// Kafka: LeaderEpochFileCache
#[derive(Debug, Clone, Default)]
pub(crate) struct LeaderEpochs {
    epochs: Vec<Epoch>,
}

impl LeaderEpochs {
    /// The newest epoch; 0 before the first.
    pub(crate) fn latest(&self) -> i32 {
        self.epochs.last().map_or(0, |epoch| epoch.number)
    }

    /// Epoch `number` begins at offset `start`; what was known to begin there or later had no records.
    // Kafka: LeaderEpochFileCache.assign, maybeTruncateNonMonotonicEntries
    pub(crate) fn assign(&mut self, number: i32, start: i64) {
        if self.epochs.last().is_some_and(|last| last.number == number) {
            return;
        }
        self.epochs
            .retain(|known| known.number < number && known.start < start);
        self.epochs.push(Epoch { number, start });
    }

    /// The last epoch that is not above `number`, and the offset where it ended; `None` when that is not known. `end` is the
    /// end of the log.
    // Kafka: LeaderEpochFileCache.endOffsetFor
    pub(crate) fn end_of(&self, number: i32, end: i64) -> Option<(i32, i64)> {
        if number < 0 {
            return None;
        }
        if self.epochs.last().is_some_and(|last| last.number == number) {
            return Some((number, end));
        }
        let above = self.epochs.partition_point(|known| known.number <= number);
        let higher = self.epochs.get(above)?;
        let floor = above.checked_sub(1).and_then(|index| self.epochs.get(index));
        Some((floor.map_or(number, |known| known.number), higher.start))
    }

    /// The epoch of the record at `offset`; -1 when it is not known.
    // Kafka: LeaderEpochFileCache.epochForOffset
    pub(crate) fn epoch_at(&self, offset: i64) -> i32 {
        let after = self.epochs.partition_point(|known| known.start <= offset);
        after
            .checked_sub(1)
            .and_then(|index| self.epochs.get(index))
            .map_or(-1, |known| known.number)
    }

    /// A batch of epoch `number` lies at `offset`: the epoch began there, unless it or a later one is known.
    pub(crate) fn observe(&mut self, number: i32, offset: i64) {
        if number >= 0 && self.epochs.last().is_none_or(|last| last.number < number) {
            self.assign(number, offset);
        }
    }

    /// Each epoch with the offset of its first record.
    pub(crate) fn entries(&self) -> Vec<(i32, i64)> {
        self.epochs
            .iter()
            .map(|epoch| (epoch.number, epoch.start))
            .collect()
    }

    /// The log now begins at `offset`: epochs that ended before are forgotten, the one that holds it begins there. Gives whether
    /// that changed anything.
    // Kafka: LeaderEpochFileCache.truncateFromStartAsyncFlush
    pub(crate) fn remove_before(&mut self, offset: i64) -> bool {
        let after = self.epochs.partition_point(|known| known.start <= offset);
        let Some(holder) = after.checked_sub(1) else {
            return false;
        };
        if holder == 0 && self.epochs.first().is_none_or(|first| first.start == offset) {
            return false;
        }
        self.epochs.drain(..holder);
        if let Some(first) = self.epochs.first_mut() {
            first.start = offset;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epoch 0 from offset 0, 2 from 10, 5 from 30; the log ends at 40.
    fn epochs() -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (number, start) in [(0, 0), (2, 10), (5, 30)] {
            epochs.assign(number, start);
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_began_and_the_last_with_the_log() {
        assert_eq!(epochs().end_of(0, 40), Some((0, 10)));
        assert_eq!(epochs().end_of(2, 40), Some((2, 30)));
        assert_eq!(epochs().end_of(5, 40), Some((5, 40)));
    }

    #[test]
    fn an_epoch_without_records_is_answered_by_the_one_before() {
        assert_eq!(epochs().end_of(1, 40), Some((0, 10)));
        assert_eq!(epochs().end_of(4, 40), Some((2, 30)));
    }

    #[test]
    fn an_epoch_above_all_and_none_have_no_end() {
        assert_eq!(epochs().end_of(6, 40), None);
        assert_eq!(epochs().end_of(-1, 40), None);
        assert_eq!(LeaderEpochs::default().end_of(0, 0), None);
    }

    #[test]
    fn an_epoch_that_wrote_nothing_is_replaced_by_the_next() {
        let mut epochs = epochs();
        epochs.assign(6, 40);
        epochs.assign(7, 40);
        assert_eq!(epochs.end_of(6, 40), Some((5, 40)));
        assert_eq!(epochs.latest(), 7);
    }

    #[test]
    fn an_epoch_that_goes_on_keeps_its_beginning() {
        let mut epochs = epochs();
        epochs.assign(5, 35);
        assert_eq!(epochs.end_of(2, 40), Some((2, 30)));
    }

    #[test]
    fn a_record_belongs_to_the_last_epoch_that_began_at_or_before_it() {
        assert_eq!(epochs().epoch_at(9), 0);
        assert_eq!(epochs().epoch_at(10), 2);
        assert_eq!(epochs().epoch_at(99), 5);
        assert_eq!(LeaderEpochs::default().epoch_at(0), -1);
    }

    #[test]
    fn epochs_before_the_first_offset_are_forgotten() {
        let mut epochs = epochs();
        epochs.remove_before(20);
        assert_eq!(epochs.end_of(0, 40), Some((0, 20)));
        assert_eq!(epochs.epoch_at(19), -1);
        assert_eq!(epochs.epoch_at(20), 2);
    }
}
