//! How a rebalance begins, and when the join phase may end.

use bytes::Bytes;

use super::state::InitialDelay;
use super::{Classic, RebalanceCause, State, StateKind, reply_sync};
use crate::coordinator::Refusal;
use crate::coordinator::cx::{Cx, Timer};
use crate::coordinator::work::Write;

impl Classic {
    /// Begins a rebalance unless one waits for members already, which may then be complete.
    // Kafka: GroupMetadataManager.maybePrepareRebalanceOrCompleteJoin
    pub(super) fn prepare_or_complete(&mut self, cx: &mut Cx, cause: RebalanceCause) -> Option<Write> {
        if self.kind() == StateKind::PreparingRebalance {
            self.complete_if_joined(cx)
        } else {
            self.prepare_rebalance(cx, cause)
        }
    }

    /// Begins a rebalance. An empty group first waits for more members.
    // Kafka: GroupMetadataManager.prepareRebalance
    pub(super) fn prepare_rebalance(&mut self, cx: &mut Cx, cause: RebalanceCause) -> Option<Write> {
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
        self.enter(cx, State::PreparingRebalance { cause, from_empty });
        if from_empty.is_some() {
            None
        } else if self.has_all_joined() {
            self.complete_join(cx)
        } else {
            cx.arm(Timer::Join(self.id.clone()), self.rebalance_timeout_ms());
            None
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
