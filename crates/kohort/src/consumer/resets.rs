//! The positions that `auto.offset.reset` decided, until the user takes them. What decides is in the engine.

use core::ops::Deref;
use std::collections::VecDeque;
use std::{slice, vec};

use kohort_engine::consumer::{PositionReset, ResetCause};

/// What [`Consumer::take_position_resets`](super::Consumer::take_position_resets) gives: a list of resets in order, and how many
/// older ones are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PositionResets {
    resets: Vec<PositionReset>,
    dropped: u64,
}

impl PositionResets {
    /// How many resets, all older than these, are missing: more than 1,000 came before anybody took them. They are in the log.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Deref for PositionResets {
    type Target = [PositionReset];

    fn deref(&self) -> &[PositionReset] {
        &self.resets
    }
}

impl IntoIterator for PositionResets {
    type Item = PositionReset;
    type IntoIter = vec::IntoIter<PositionReset>;

    fn into_iter(self) -> Self::IntoIter {
        self.resets.into_iter()
    }
}

impl<'a> IntoIterator for &'a PositionResets {
    type Item = &'a PositionReset;
    type IntoIter = slice::Iter<'a, PositionReset>;

    fn into_iter(self) -> Self::IntoIter {
        self.resets.iter()
    }
}

/// The resets that the user has not taken.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    newest: VecDeque<PositionReset>,
    dropped: u64,
}

impl Untaken {
    /// How many are kept for a user who does not ask for them.
    const KEPT: usize = 1_000;

    pub(super) fn add(&mut self, resets: Vec<PositionReset>) {
        for reset in resets {
            log(&reset);
            if self.newest.len() == Self::KEPT {
                self.newest.pop_front();
                self.dropped += 1;
            }
            self.newest.push_back(reset);
        }
    }

    pub(super) fn take(&mut self) -> PositionResets {
        let Self { newest, dropped } = core::mem::take(self);
        PositionResets {
            resets: newest.into(),
            dropped,
        }
    }
}

// Kafka: OffsetFetcherUtils logs a reset at INFO
fn log(reset: &PositionReset) {
    let PositionReset {
        partition,
        cause,
        from,
        to,
    } = reset;
    let skipped = reset.skipped();
    match cause {
        ResetCause::NoCommittedOffset => {
            tracing::info!(%partition, from, to, skipped, "no committed offset: auto.offset.reset decides where reading begins");
        }
        _ => {
            let replayed = reset.replayed();
            tracing::warn!(%partition, ?cause, from, to, skipped, replayed, "auto.offset.reset moved the position");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kohort_groups::TopicPartition;

    fn of(partitions: core::ops::Range<i32>) -> Vec<PositionReset> {
        let reset = |partition| PositionReset {
            partition: TopicPartition::new("t", partition),
            cause: ResetCause::NoCommittedOffset,
            from: Some(3),
            to: 9,
        };
        partitions.map(reset).collect()
    }

    #[test]
    fn what_nobody_takes_is_counted_beyond_the_newest_thousand() {
        let mut untaken = Untaken::default();
        untaken.add(of(0..999));
        untaken.add(of(999..1_003));
        let taken = untaken.take();
        assert_eq!(*taken, of(3..1_003));
        assert_eq!(taken.dropped(), 3);
        untaken.add(of(0..1));
        let taken = untaken.take();
        assert_eq!((taken.len(), taken.dropped()), (1, 0), "each is counted once");
    }

    #[test]
    fn a_thousand_are_kept_and_none_is_dropped() {
        let mut untaken = Untaken::default();
        untaken.add(of(0..1_000));
        let taken = untaken.take();
        assert_eq!((taken.len(), taken.dropped()), (1_000, 0));
    }
}
