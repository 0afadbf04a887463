//! The listener's calls: what is given up before a join, when, and what follows once it is. There is one call at a time.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{Instant, Token};

use super::state::{Call, LeavePhase, Listening, State, Then};
use super::{Action, Cause, Member, Timer};
use crate::{RebalanceProtocol, TopicPartition};

impl Member {
    /// Has the listener give up what the protocol demands before JoinGroup: once per rebalance.
    // Kafka: ConsumerCoordinator.onJoinPrepare
    pub(super) fn prepare(&mut self, now: Instant) {
        self.timers.cancel(&Timer::Rejoin);
        if !self.needs_prepare {
            return self.join(now);
        }
        self.needs_prepare = false;
        self.leadership = None;
        let call = if !self.is_in_generation() {
            Some(Call::Lost(self.owned_list())).filter(|_| !self.owned.is_empty())
        } else {
            match self.rebalance_protocol {
                RebalanceProtocol::Eager => Some(Call::Revoked(self.owned_list())),
                RebalanceProtocol::Cooperative => self.unwanted_call(),
            }
        };
        self.join_after(now, call);
    }

    /// As [`prepare`](Self::prepare), when what is subscribed to may have changed since: what a cooperative member does not want
    /// any more it gives up before it joins, so that it need not join once more for that.
    pub(super) fn join_anew(&mut self, now: Instant) {
        let is_cooperative = self.rebalance_protocol == RebalanceProtocol::Cooperative;
        let gives_up = is_cooperative && self.is_in_generation();
        let call = self.unwanted_call().filter(|_| gives_up);
        if call.is_some() {
            // The listener may take its time.
            self.start_heartbeats(now);
        }
        self.join_after(now, call);
    }

    /// Joins, once the listener has run if it is to be called.
    fn join_after(&mut self, now: Instant, call: Option<Call>) {
        match call {
            Some(call) => {
                self.enter(State::Revoking { then: Then::Join });
                self.call(now, call);
            }
            None => self.join(now),
        }
    }

    pub(super) fn owned_list(&self) -> Vec<TopicPartition> {
        self.owned.iter().cloned().collect()
    }

    /// The call that revokes what is owned and not subscribed to, if there is any.
    fn unwanted_call(&self) -> Option<Call> {
        let wants = |topic: &Arc<str>| {
            self.subscription
                .as_ref()
                .is_some_and(|topics| topics.contains(topic))
        };
        let unwanted = self.owned.iter().filter(|owned| !wants(&owned.topic));
        let unwanted: Vec<_> = unwanted.cloned().collect();
        (!unwanted.is_empty()).then_some(Call::Revoked(unwanted))
    }

    /// Asks for one call of the listener. There is never a second one under way.
    pub(super) fn call(&mut self, now: Instant, call: Call) {
        let step = self.tokens.issue();
        if let Call::Revoked(partitions) | Call::Lost(partitions) = &call {
            self.journal.stopped(now, partitions);
        }
        match &call {
            Call::Revoked(partitions) => self.outbox.push(Action::Revoke {
                step,
                partitions: partitions.clone(),
            }),
            Call::Lost(partitions) => self.outbox.push(Action::Lost {
                step,
                partitions: partitions.clone(),
            }),
            Call::Assigned(assigned) => self.outbox.push(Action::Assign {
                step,
                assignment: assigned.clone(),
            }),
        }
        debug_assert!(self.listening.is_none(), "the listener is called while it runs");
        self.listening = Some(Listening { step, call });
    }

    /// Gives up all that is owned: as lost when it may have other owners by now.
    pub(super) fn give_up_all(&mut self, now: Instant, lost: bool) {
        let all = self.owned_list();
        self.call(now, if lost { Call::Lost(all) } else { Call::Revoked(all) });
    }

    pub(super) fn on_listener_done(&mut self, now: Instant, step: Token) {
        let Some(listening) = self.listening.take_if(|listening| listening.step == step) else {
            return;
        };
        self.note_poll();
        let are_lost = matches!(listening.call, Call::Lost(_));
        if let Call::Revoked(partitions) | Call::Lost(partitions) = listening.call {
            for partition in &partitions {
                self.owned.remove(partition);
            }
            self.journal.given_up(partitions, are_lost);
        }
        match &self.state {
            // The generation may have ended meanwhile: then what is left is lost.
            State::Revoking { then: Then::Join } => self.prepare(now),
            State::Revoking {
                then: Then::Assign(assignment),
            } => {
                let assignment = assignment.clone();
                if self.is_in_generation() {
                    self.pending.get_or_insert(Cause::GaveUpPartitions);
                    self.take(now, assignment);
                } else {
                    self.rejoin_without_identity(now);
                }
            }
            State::Assigning => self.complete(now),
            State::Leaving {
                phase: LeavePhase::Listening { .. },
            } => self.leave_owned(now),
            State::Failed => {
                self.lose_after_failure(now);
                if self.listening.is_none() && self.polled_in_vain {
                    self.begin(now, Cause::PolledAfterError);
                }
            }
            _ => {}
        }
    }
}
