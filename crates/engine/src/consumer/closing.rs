//! The ends: unsubscribing and closing. Both give up what is assigned; closing commits before, if that is automatic, and nothing
//! happens after it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::member::{Event as MemberEvent, Failure, LeaveOperation, Refusal};
use kohort_machine::{Instant, Token};

use super::asks::Ask;
use super::engine::Timer;
use super::jobs::{Job, JobKind, JobOwner};
use super::{CommandError, CommandReply, CommitMode, ConsumerEngine, LeaveGroup};

/// A closing under way.
#[derive(Debug)]
pub(super) struct Closing {
    /// Who waits for it.
    pub(super) tokens: Vec<Token>,
    deadline: Instant,
    leave: LeaveGroup,
    timeout: Duration,
    /// Whether the group has to be told.
    is_member: bool,
    /// What is consumed is committed, or cannot be.
    is_committed: bool,
    /// Why it cannot be.
    commit_failure: Option<CommandError>,
    is_leaving: bool,
    /// Why the group was not told.
    leave_failure: Option<Failure>,
}

impl Closing {
    fn operation(&self) -> LeaveOperation {
        match self.leave {
            LeaveGroup::Default => LeaveOperation::Default,
            LeaveGroup::Leave => LeaveOperation::LeaveGroup,
            LeaveGroup::Remain => LeaveOperation::RemainInGroup,
        }
    }
}

impl ConsumerEngine {
    // Kafka: ClassicKafkaConsumer.unsubscribe, ConsumerCoordinator.onLeavePrepare
    pub(super) fn on_unsubscribe(&mut self, now: Instant, token: Token, timeout: Duration) {
        if self.closing.is_none() && self.membership.as_ref().is_some_and(|it| it.is_active()) {
            self.add_job(now, JobOwner::Caller(token), JobKind::Unsubscribe, timeout);
            self.leave_group(now, MemberEvent::Unsubscribed, false);
        } else {
            self.remove_slots(now, self.partitions.slots());
            self.reply(token, Ok(CommandReply::Done));
        }
        self.track_topics(now);
    }

    /// The member is out of its group.
    pub(super) fn on_group_left(&mut self, now: Instant, result: Result<(), Failure>) {
        if let Some(closing) = self.closing.as_mut().filter(|closing| closing.is_leaving) {
            let is_out = |failure: &Failure| {
                let gone = [
                    Refusal::UnknownMemberId,
                    Refusal::IllegalGeneration,
                    Refusal::FencedInstanceId,
                ];
                matches!(failure, Failure::Refused(refusal) if gone.contains(refusal))
            };
            closing.leave_failure = result.err().filter(|failure| !is_out(failure));
            return self.close_now(now);
        }
        for id in self.jobs.ids(|job| matches!(job.kind, JobKind::Unsubscribe)) {
            self.finish(now, id, Ok(CommandReply::Done));
        }
        self.track_topics(now);
    }

    fn is_static(&self) -> bool {
        let group = self.config.group.as_ref();
        group.is_some_and(|group| group.group_instance_id.is_some())
    }

    // Kafka: ConsumerCoordinator.close
    pub(super) fn on_close(&mut self, now: Instant, token: Token, timeout: Duration, leave: LeaveGroup) {
        if let Some(closing) = &mut self.closing {
            return closing.tokens.push(token);
        }
        let deadline = now + timeout;
        // Kafka: AbstractCoordinator.shouldSendLeaveGroupRequest
        let is_member = match leave {
            LeaveGroup::Default => !self.is_static(),
            LeaveGroup::Leave => true,
            LeaveGroup::Remain => false,
        };
        let is_member = is_member && self.member().is_some_and(|member| member.member_id().is_some());
        self.timers.set(Timer::Close, deadline);
        self.timers.cancel(&Timer::AutoCommit);
        self.timers.cancel(&Timer::Names);
        self.closing = Some(Closing {
            tokens: alloc::vec![token],
            deadline,
            leave,
            timeout,
            is_member,
            is_committed: false,
            commit_failure: None,
            is_leaving: false,
            leave_failure: None,
        });
        if self.is_auto_commit() && !self.partitions.is_empty() {
            self.ask_report(Ask::BeforeClose);
        } else {
            self.leave_for_close(now);
        }
    }

    pub(super) fn commit_before_close(&mut self, now: Instant) {
        let Some(closing) = &self.closing else {
            return;
        };
        let timeout = closing.deadline - now;
        let mode = CommitMode::Sync { timeout };
        self.commit_consumed(now, JobOwner::BeforeClose, None, mode, timeout);
    }

    pub(super) fn on_committed_before_close(
        &mut self,
        now: Instant,
        result: Result<CommandReply, CommandError>,
    ) {
        if let Some(closing) = &mut self.closing {
            closing.commit_failure = result.err();
        }
        self.leave_for_close(now);
    }

    /// What is consumed is committed, or cannot be. The commits of the caller that are under way are waited for.
    pub(super) fn leave_for_close(&mut self, now: Instant) {
        let Some(closing) = &mut self.closing else {
            return;
        };
        closing.is_committed = true;
        let is_commit = |job: &Job| matches!(job.kind, JobKind::Commit(_));
        if closing.is_leaving || self.jobs.iter().any(is_commit) {
            return;
        }
        closing.is_leaving = true;
        let operation = closing.operation();
        if self.membership.as_ref().is_some_and(|it| it.is_active()) {
            let reason = "the consumer is being closed".into();
            self.leave_group(now, MemberEvent::Leave { operation, reason }, false);
        } else {
            self.close_now(now);
        }
    }

    /// A commit is over.
    pub(super) fn on_commit_over(&mut self, now: Instant) {
        if self.closing.as_ref().is_some_and(|closing| closing.is_committed) {
            self.leave_for_close(now);
        }
    }

    /// It took too long: what is left of it is given up, and told.
    pub(super) fn expire_close(&mut self, now: Instant) {
        let commits = self.jobs.ids(|job| job.owner == JobOwner::BeforeClose);
        for id in commits {
            self.expire_job(now, id);
        }
        if let Some(closing) = &mut self.closing {
            if !closing.is_committed {
                closing.commit_failure = Some(CommandError::TimedOut {
                    what: "committing offsets",
                    timeout: closing.timeout,
                    last: None,
                });
            }
            closing.leave_failure = closing.is_member.then_some(Failure::TimedOut);
        }
        self.leave_unheard(now);
        self.close_now(now);
    }

    /// Tells the coordinator, if it is not told, although nobody is left to hear of the answer: the others need not wait for the
    /// session to end.
    fn leave_unheard(&mut self, now: Instant) {
        let Some(operation) = self.closing.as_ref().map(Closing::operation) else {
            return;
        };
        if self.membership.as_ref().is_some_and(|it| it.is_active()) {
            let reason = "the consumer is being closed, and its time is over".into();
            self.member_event(now, MemberEvent::LeaveNow { operation, reason });
        }
    }

    fn close_now(&mut self, now: Instant) {
        let Some(closing) = self.closing.take() else {
            return;
        };
        self.is_closed = true;
        self.end_sessions(now);
        self.remove_slots(now, self.partitions.slots());
        self.finish_all(now);
        self.timers.clear();
        let commit = closing.commit_failure.map(Box::new);
        let leave = closing.leave_failure;
        let result = match commit.is_some() || leave.is_some() {
            true => Err(CommandError::Unfinished { commit, leave }),
            false => Ok(CommandReply::Done),
        };
        for token in closing.tokens {
            self.reply(token, result.clone());
        }
    }
}
