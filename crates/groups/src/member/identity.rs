//! The ways out of a generation that the member does not choose: unknown to the coordinator, or not polled.

use alloc::string::ToString;

use kohort_machine::Instant;

use super::state::{Kind, State, Until};
use super::{Action, Cause, Member, NO_GENERATION, Outcome};

impl Member {
    /// The coordinator does not count the member to its generation any more. What is owned is lost, unless JoinGroup or the
    /// way out is under way, whose answers say so themselves.
    // Kafka: AbstractCoordinator.resetStateOnResponseError
    pub(super) fn on_identity_lost(&mut self, now: Instant, cause: Cause) {
        let keeps_id = matches!(cause, Cause::IllegalGeneration { .. });
        match self.state.kind() {
            Kind::Joining => return,
            Kind::Assigning => self.pending = Some(cause),
            Kind::Revoking => {
                self.note(now, cause.clone());
                self.pending = Some(cause);
            }
            Kind::Stable | Kind::Computing | Kind::Syncing => {
                self.reset_generation(keeps_id);
                return self.begin(now, cause);
            }
            Kind::Unjoined | Kind::Leaving | Kind::Failed => {}
        }
        self.reset_generation(keeps_id);
    }

    /// Forgets the generation, and the member id unless it is still good.
    pub(super) fn reset_generation(&mut self, keeps_id: bool) {
        self.stop_heartbeats();
        if !keeps_id {
            self.identity.member_id = "".into();
        }
        self.identity.generation = NO_GENERATION;
        self.assignor = None;
        self.needs_prepare = true;
    }

    pub(super) fn reset_identity(&mut self) {
        self.reset_generation(false);
    }

    /// The application does not poll: the member leaves, so that others get its partitions, and comes back when it is polled.
    // Kafka: AbstractCoordinator.handlePollTimeoutExpiry; its thread does not watch before the join is answered
    pub(super) fn on_poll_expired(&mut self, now: Instant) {
        let kind = self.state.kind();
        if matches!(
            kind,
            Kind::Unjoined | Kind::Joining | Kind::Leaving | Kind::Failed
        ) {
            self.unpolled = true;
            return;
        }
        if self.is_in_generation() {
            self.outbox.push(Action::PollExpired);
        }
        if self.config.group_instance_id.is_none() && !self.identity.member_id.is_empty() {
            let reason = Cause::PollExpired.reason();
            self.send_leave(reason);
        }
        if self.owned.is_empty() && matches!(kind, Kind::Stable | Kind::Computing | Kind::Syncing) {
            self.end_rebalance(now, Outcome::Abandoned);
            self.reset_identity();
            self.enter(State::Unjoined { until: Until::Polled });
        } else {
            self.on_identity_lost(now, Cause::PollExpired);
        }
    }

    pub(super) fn member_id_given(&mut self, member_id: &str) {
        self.identity.member_id = member_id.to_string().into();
        self.identity.generation = NO_GENERATION;
        self.assignor = None;
    }
}
