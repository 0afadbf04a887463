//! The way out of a group: give up what is owned, tell the coordinator if that is due.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use kohort_machine::{Instant, Token};

use super::state::{Kind, LeavePhase, State, Until};
use super::{
    Action, Cause, Failure, LeaveOperation, LeaveRequest, Member, MemberRequest, Outcome, Timer, cause,
};

impl Member {
    // Kafka: AbstractCoordinator.close, ConsumerCoordinator.onLeavePrepare
    pub(super) fn on_leave(&mut self, now: Instant, operation: LeaveOperation, reason: Arc<str>) {
        self.leave(now, operation, reason, false);
    }

    /// `drops`: what is owned is so no more, without that the application gave it up.
    fn leave(&mut self, now: Instant, operation: LeaveOperation, reason: Arc<str>, drops: bool) {
        self.subscription = None;
        self.joined = None;
        let kind = self.state.kind();
        if kind == Kind::Leaving {
            return;
        }
        self.timers.cancel(&Timer::Rejoin);
        self.pending = None;
        self.end_rebalance(now, Outcome::Abandoned);
        if self.is_in_generation() || !self.owned.is_empty() {
            let (generation, member_id) = (self.generation(), self.member_id().cloned());
            let cause = Cause::Leaving {
                reason: reason.clone(),
            };
            self.record_out(now, cause, (generation, member_id));
        }
        let rebalancing = matches!(kind, Kind::Joining | Kind::Computing | Kind::Syncing);
        self.enter(State::Leaving {
            phase: LeavePhase::Listening {
                operation,
                reason,
                rebalancing,
            },
        });
        if drops {
            self.drop_owned(now);
        }
        if self.listening.is_none() {
            self.leave_owned(now);
        }
    }

    /// That a member goes, and what it gives up for that, is of use to whoever asks why its group rebalances. `was`: the generation
    /// and the id that it goes from.
    pub(super) fn record_out(&mut self, now: Instant, cause: Cause, was: (Option<i32>, Option<Arc<str>>)) {
        self.note(now, cause);
        if let Some(going) = self.journal.open() {
            (going.generation, going.member_id) = was;
        }
    }

    /// Tells the coordinator although the application has not given up what it owns, and may never.
    // Kafka: AbstractCoordinator.close sends LeaveGroup even when its timer has run out
    pub(super) fn on_leave_now(&mut self, now: Instant, operation: LeaveOperation, reason: Arc<str>) {
        self.listening = None;
        if let State::Leaving {
            phase:
                LeavePhase::Listening {
                    operation: before,
                    reason: said,
                    ..
                },
        } = &mut self.state
        {
            // It was on its way out before, and waited for the listener. What is said last counts.
            (*before, *said) = (operation, reason);
            self.drop_owned(now);
            return self.leave_owned(now);
        }
        self.leave(now, operation, reason, true);
    }

    /// Ends that anything is owned, without the listener.
    fn drop_owned(&mut self, now: Instant) {
        let dropped: Vec<_> = mem::take(&mut self.owned).into_iter().collect();
        self.journal.stopped(now, &dropped);
        let are_lost = self.leaves_lost();
        self.journal.given_up(dropped, are_lost);
    }

    /// Whether what is owned on the way out may have other owners by now.
    fn leaves_lost(&self) -> bool {
        let rebalancing = matches!(
            self.state,
            State::Leaving {
                phase: LeavePhase::Listening {
                    rebalancing: true,
                    ..
                },
            }
        );
        rebalancing || !self.is_in_generation()
    }

    /// Gives up what is owned, then tells the coordinator.
    pub(super) fn leave_owned(&mut self, now: Instant) {
        let State::Leaving {
            phase: LeavePhase::Listening {
                operation, reason, ..
            },
        } = &self.state
        else {
            return;
        };
        if !self.owned.is_empty() {
            let lost = self.leaves_lost();
            return self.give_up_all(now, lost);
        }
        // Kafka: AbstractCoordinator.shouldSendLeaveGroupRequest
        let tells = match operation {
            LeaveOperation::Default => self.config.group_instance_id.is_none(),
            LeaveOperation::LeaveGroup => true,
            LeaveOperation::RemainInGroup => false,
        };
        let reason = reason.clone();
        // It is out whatever the coordinator answers, and a close whose time is over does not wait for that.
        if let Some(leaving) = self.journal.open() {
            leaving.prepared = Some(now);
        }
        // Without an id the coordinator does not know it, or forgot it.
        let is_out = tells || self.identity.member_id.is_empty();
        self.end_rebalance(now, if is_out { Outcome::Left } else { Outcome::Stayed });
        if !tells || self.identity.member_id.is_empty() {
            return self.on_left(now, Ok(()));
        }
        let token = self.send_leave(reason);
        self.reset_identity();
        self.enter(State::Leaving {
            phase: LeavePhase::Telling { token },
        });
    }

    pub(super) fn send_leave(&mut self, reason: Arc<str>) -> Token {
        let request = LeaveRequest {
            group_id: self.config.group_id.clone(),
            member_id: self.identity.member_id.clone(),
            reason: cause::truncated(&reason),
        };
        self.send(
            MemberRequest::Leave(Box::new(request)),
            self.config.request_timeout,
        )
    }

    pub(super) fn on_left(&mut self, now: Instant, result: Result<(), Failure>) {
        self.reset_identity();
        self.leadership = None;
        self.failures = 0;
        self.is_fenced = false;
        self.outbox.push(Action::Left { result });
        self.enter(State::Unjoined {
            until: Until::Subscribed,
        });
        if self.subscription.is_some() {
            self.begin(now, Cause::FirstJoin);
        }
    }
}
