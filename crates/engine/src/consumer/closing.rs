//! The ends: unsubscribing and closing. Both give up what is assigned; closing commits before, if that is automatic, and nothing
//! happens after it.

use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::member::{Event as MemberEvent, LeaveOperation};
use kohort_machine::{Instant, Token};

use super::asks::Ask;
use super::engine::Timer;
use super::jobs::{Job, JobKind, JobOwner};
use super::{CommandReply, CommitMode, ConsumerEngine, LeaveGroup};

/// A closing under way.
#[derive(Debug)]
pub(super) struct Closing {
    /// Who waits for it.
    pub(super) tokens: Vec<Token>,
    deadline: Instant,
    leave: LeaveGroup,
    /// What is consumed is committed, or cannot be.
    is_committed: bool,
    is_leaving: bool,
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
    pub(super) fn on_group_left(&mut self, now: Instant) {
        if self.closing.as_ref().is_some_and(|closing| closing.is_leaving) {
            return self.close_now(now);
        }
        for id in self.jobs.ids(|job| matches!(job.kind, JobKind::Unsubscribe)) {
            self.finish(now, id, Ok(CommandReply::Done));
        }
        self.track_topics(now);
    }

    // Kafka: ConsumerCoordinator.close
    pub(super) fn on_close(&mut self, now: Instant, token: Token, timeout: Duration, leave: LeaveGroup) {
        if let Some(closing) = &mut self.closing {
            return closing.tokens.push(token);
        }
        let deadline = now + timeout;
        self.timers.set(Timer::Close, deadline);
        self.timers.cancel(&Timer::AutoCommit);
        self.closing = Some(Closing {
            tokens: alloc::vec![token],
            deadline,
            leave,
            is_committed: false,
            is_leaving: false,
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
        let operation = match closing.leave {
            LeaveGroup::Default => LeaveOperation::Default,
            LeaveGroup::Leave => LeaveOperation::LeaveGroup,
            LeaveGroup::Remain => LeaveOperation::RemainInGroup,
        };
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

    /// It took too long: what is left of it is given up.
    pub(super) fn expire_close(&mut self, now: Instant) {
        self.close_now(now);
    }

    fn close_now(&mut self, now: Instant) {
        let Some(closing) = self.closing.take() else {
            return;
        };
        self.is_closed = true;
        self.remove_slots(now, self.partitions.slots());
        self.finish_all(now);
        self.timers.clear();
        for token in closing.tokens {
            self.reply(token, Ok(CommandReply::Done));
        }
    }
}
