//! What takes records on the caller's side: all that there are or, where the seed says so, now and then none, not all, or none
//! because it panics.

use core::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use kohort_engine::consumer::{PollError, Seek};
use kohort_engine::delivery::{Delivery, Portion, Sink};
use kohort_groups::TopicPartition;
use kohort_machine::Prng;

use crate::logs::{id_of, is_unreadable};

/// Records of one partition that follow each other.
#[derive(Debug)]
pub(super) struct Reads {
    pub(super) partition: TopicPartition,
    /// Offsets and identities.
    pub(super) records: Vec<(i64, u64)>,
    /// The position behind them.
    pub(super) next: i64,
}

/// A record that was not taken.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    pub(super) id: u64,
}

/// What one call brought.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) reads: Vec<Reads>,
    pub(super) refused: Option<Refused>,
    /// The sink wanted none.
    pub(super) is_declined: bool,
    /// The sink panicked, and what it had taken is taken back by these jumps.
    pub(super) taken_back: Option<Vec<Seek>>,
}

/// What the sink panics with: every other panic is a bug.
struct OnPurpose;

/// A sink that keeps what it takes.
struct Taking<'a> {
    prng: &'a mut Prng,
    /// Whether anything can go wrong, and whether it does by chance.
    is_picky: bool,
    is_calm: bool,
    brought: Brought,
}

impl Sink for Taking<'_> {
    fn take(&mut self, portion: &mut Portion<'_>) -> ControlFlow<()> {
        let (is_picky, is_moody) = (self.is_picky, self.is_picky && !self.is_calm);
        if is_moody && self.prng.chance(1, 50) {
            self.brought.is_declined = true;
            return match self.prng.chance(1, 2) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
        }
        let partition = TopicPartition::clone(portion.partition());
        let mut records = Vec::new();
        let taken = portion.try_for_each(|record| {
            let id = id_of(record.value);
            if is_moody && self.prng.chance(1, 150) {
                // Nobody is to print it.
                resume_unwind(Box::new(OnPurpose));
            }
            if is_picky && is_unreadable(id) || is_moody && self.prng.chance(1, 80) {
                return Err((record.offset, id));
            }
            records.push((record.offset, id));
            Ok(())
        });
        if let Some(next) = portion.next_offset() {
            let partition = partition.clone();
            self.brought.reads.push(Reads {
                partition,
                records,
                next,
            });
        }
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err((offset, id)) => {
                self.brought.refused = Some(Refused {
                    partition,
                    offset,
                    id,
                });
                ControlFlow::Break(())
            }
        }
    }
}

/// Hands out up to `max` records to a sink that is picky or not. What one that panics has got is taken back, unless `loses`.
pub(super) fn hand_out(
    delivery: &mut Delivery,
    prng: &mut Prng,
    max: usize,
    is_picky: bool,
    is_calm: bool,
    loses: bool,
) -> Result<Brought, PollError> {
    let mut taking = Taking {
        prng,
        is_picky,
        is_calm,
        brought: Brought::default(),
    };
    match catch_unwind(AssertUnwindSafe(|| delivery.hand_out(max, &mut taking))) {
        Ok(handed_out) => handed_out.map(|_| taking.brought),
        Err(panic) if panic.is::<OnPurpose>() => Ok(Brought {
            taken_back: Some(if loses { Vec::new() } else { delivery.take_back() }),
            ..Brought::default()
        }),
        Err(panic) => resume_unwind(panic),
    }
}
