//! How a rebalance begins, and when the join phase may end.

use bytes::Bytes;

use super::member::Member;
use super::state::InitialDelay;
use super::{Classic, RebalanceCause, State, StateKind, reply_sync};
use crate::coordinator::Refusal;
use crate::coordinator::cx::{Cx, Timer};
use crate::coordinator::journal::Journal;
use crate::coordinator::work::Write;

impl Classic {
    /// Begins a rebalance unless one waits for members already, which may then be complete.
    // Kafka: GroupMetadataManager.maybePrepareRebalanceOrCompleteJoin
    pub(super) fn prepare_or_complete(&mut self, cx: &mut Cx, cause: RebalanceCause) -> Option<Write> {
        if self.kind() == StateKind::PreparingRebalance {
            self.journal.note(cause);
            self.complete_if_joined(cx)
        } else {
            self.prepare_rebalance(cx, cause)
        }
    }

    /// Begins a rebalance. An empty group first waits for more members.
    // Kafka: GroupMetadataManager.prepareRebalance
    pub(super) fn prepare_rebalance(&mut self, cx: &mut Cx, cause: RebalanceCause) -> Option<Write> {
        let (now, generation) = ((cx.now, cx.wall_ms()), self.generation);
        let interrupted = self.journal.begin(now, cause, generation, self.is_of_consumers());
        self.report(cx, interrupted);
        if self.kind() == StateKind::CompletingRebalance {
            self.drop_assignments(cx, Refusal::RebalanceInProgress);
        }
        cx.disarm(&Timer::Sync(self.id.clone()));
        let mut from_empty = None;
        if self.is_empty() {
            let delay_ms = cx.config.initial_rebalance_delay_ms;
            let remaining_ms = self.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
            from_empty = Some(InitialDelay {
                delay_ms: Some(delay_ms),
                remaining_ms,
                new_member_added: false,
            });
            cx.arm(Timer::Join(self.id.clone()), delay_ms);
        }
        self.enter(cx, State::PreparingRebalance { from_empty });
        self.note_joins(cx);
        if from_empty.is_some() {
            None
        } else if self.has_all_joined() {
            self.complete_join(cx)
        } else {
            cx.arm(Timer::Join(self.id.clone()), self.rebalance_timeout_ms());
            None
        }
    }

    /// Members whose joins wait have begun to take part.
    fn note_joins(&mut self, cx: &Cx) {
        for member in self.members.values() {
            note_join(&mut self.journal, cx, member);
        }
    }

    /// A member whose join waits has begun to take part, if the group waits for members.
    pub(super) fn note_join(&mut self, cx: &Cx, member_id: &str) {
        if self.kind() == StateKind::PreparingRebalance
            && let Some(member) = self.members.get(member_id)
        {
            note_join(&mut self.journal, cx, member);
        }
    }

    /// Ends the join phase when all are there; that of a group that was empty ends by time alone.
    // Kafka: GroupMetadataManager.maybeCompleteJoinPhase
    pub(super) fn complete_if_joined(&mut self, cx: &mut Cx) -> Option<Write> {
        let ends_early = matches!(self.state, State::PreparingRebalance { from_empty: None, .. });
        if ends_early && self.has_all_joined() {
            return self.complete_join(cx);
        }
        None
    }

    /// Takes back the assignments of an unfinished rebalance; who waits for one is refused.
    // Kafka: GroupMetadataManager.resetAndPropagateAssignmentWithError
    pub(super) fn drop_assignments(&mut self, cx: &mut Cx, refusal: Refusal) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(token) = member.awaiting_sync.take() {
                reply_sync(cx, token, Err(refusal));
                cx.arm(
                    Timer::Session(self.id.clone(), member.id.clone()),
                    member.session_timeout_ms,
                );
            }
        }
    }
}

fn note_join(journal: &mut Journal, cx: &Cx, member: &Member) {
    if member.awaiting_join.is_some() {
        // All assignors of a member are told the same of what it owns.
        let metadata = member.protocols.first().map(|protocol| &protocol.metadata);
        journal.joined(cx.now, || member.participant(), &member.id, metadata);
    }
}
