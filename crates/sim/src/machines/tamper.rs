//! Where mutants are put in between a consumer's engine and its caller's side. Without a mutant everything passes as it is. Those
//! between clients and broker are in [`crate::messages`], the disk's in [`super::disk`].

use std::collections::BTreeMap;

use kohort_engine::consumer::{CallbackKind, Event, FetchEpoch, Progress, Seek, SlotId, ToCaller};
use kohort_engine::delivery::Delivery;
use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::{Instant, Prng};

use super::member::Member;
use crate::mutants::Mutant;

/// The mutant, and what it has to remember.
#[derive(Debug)]
pub(crate) struct Tamper {
    mutant: Option<Mutant>,
    /// Where positions jumped to.
    epochs: BTreeMap<SlotId, FetchEpoch>,
    /// What each member has committed last.
    committed: BTreeMap<(usize, TopicPartition), i64>,
}

impl Tamper {
    pub(crate) fn new(mutant: Option<Mutant>) -> Self {
        Self {
            mutant,
            epochs: BTreeMap::new(),
            committed: BTreeMap::new(),
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// What the engine tells the caller's side; `None` when it is kept from it.
    pub(super) fn told(&self, now: Instant, member: &mut Member, told: ToCaller) -> Option<ToCaller> {
        match (self.mutant, told) {
            (Some(Mutant::RevocationSkipped | Mutant::HandOutAfterRevoke), ToCaller::Suspended(_)) => None,
            (
                Some(Mutant::RevocationSkipped),
                ToCaller::Callback {
                    step,
                    kind: CallbackKind::Revoked,
                    ..
                },
            ) => {
                member.tell(now, Event::ListenerDone { step });
                None
            }
            (Some(Mutant::HandOutAfterRevoke), ToCaller::Partitions { added, .. }) => {
                Some(ToCaller::Partitions {
                    removed: Vec::new(),
                    added,
                })
            }
            (Some(Mutant::CommitGuardSkipped), ToCaller::ProgressWanted { step }) if !member.is_polling() => {
                member.report_too_early(now, step);
                None
            }
            (_, told) => Some(told),
        }
    }

    /// The listener has given up.
    pub(super) fn give_up(&self, delivery: &mut Delivery, partitions: &[TopicPartition]) {
        if !self.is(Mutant::HandOutAfterRevoke) && !self.is(Mutant::RevokedStaysConsumed) {
            delivery.give_up(partitions);
        }
    }

    /// What the caller's side takes in.
    pub(super) fn accept(&self, told: ToCaller) -> ToCaller {
        match told {
            ToCaller::Batches(mut fetched) if self.is(Mutant::StaleFetchAccepted) => {
                for batches in &mut fetched {
                    if let Some(epoch) = self.epochs.get(&batches.slot) {
                        batches.epoch = batches.epoch.max(*epoch);
                    }
                }
                ToCaller::Batches(fetched)
            }
            told => told,
        }
    }

    /// What the caller's side reports.
    pub(super) fn progress(&self, member: &mut Member, now: Instant, mut progress: Progress) {
        if self.is(Mutant::ProgressNotReported) {
            for position in &mut progress.positions {
                position.freed = 0;
            }
        }
        member.tell(now, Event::Progress(Box::new(progress)));
    }

    /// Whether the caller's side keeps what was fetched to itself.
    pub(super) fn holds_back(&self, member: &Member) -> bool {
        let is_stable = member.engine.member().is_none_or(|it| it.is_stable());
        self.is(Mutant::RetainedIsPaused) && !is_stable
    }

    pub(super) fn sought(&mut self, seek: Seek) {
        self.epochs.insert(seek.slot, seek.epoch);
    }

    /// Whether what a sink has got that panics is not taken back.
    pub(super) fn loses_what_was_decoded(&self) -> bool {
        self.is(Mutant::PanicLosesDecoded)
    }

    /// Whether the position moves past a record that is not taken.
    pub(super) fn passes_over_failures(&self) -> bool {
        self.is(Mutant::FailurePassedOver)
    }

    /// A member is about to commit this; what is committed before that, though it is older than what was.
    pub(super) fn commits_older(
        &mut self,
        prng: &mut Prng,
        no: usize,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Option<Vec<(TopicPartition, OffsetAndMetadata)>> {
        if !self.is(Mutant::CommitTakenBack) {
            return None;
        }
        let mut older = Vec::new();
        for (partition, consumed) in offsets {
            let before = self
                .committed
                .insert((no, partition.clone()), consumed.offset)
                .filter(|before| *before > 0);
            older.extend(before.map(|before| (partition.clone(), OffsetAndMetadata::new(before - 1))));
        }
        (!older.is_empty() && prng.chance(1, 10)).then_some(older)
    }

    pub(super) fn skips_a_record(&self, prng: &mut Prng) -> bool {
        self.is(Mutant::PositionBeforeDelivery) && prng.chance(1, 40)
    }
}
