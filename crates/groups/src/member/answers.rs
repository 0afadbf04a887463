//! What a refused or failed JoinGroup or SyncGroup means: join again at once, after a backoff, without identity, or not until
//! the application has heard of it.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use kohort_machine::Instant;

use super::state::{Kind, State, Until};
use super::{
    Action, Cause, Failure, Member, MemberApi, MemberError, MemberResponse, Outcome, Refusal, Timer,
};
use crate::Identity;

/// How often in a row the member joins again at once. Kafka's has no such bound; the backoff that follows keeps a coordinator
/// that always refuses from being asked without a pause.
const RETRIES_AT_ONCE: u32 = 5;

impl Member {
    pub(super) fn on_join_answered(&mut self, now: Instant, result: Result<MemberResponse, Failure>) {
        match result {
            Ok(MemberResponse::Join(response)) => self.on_joined(now, response),
            Ok(_) => self.fail_malformed(now, MemberApi::JoinGroup, "the answer to another request".into()),
            Err(failure) => self.on_join_failed(now, failure),
        }
    }

    pub(super) fn on_sync_answered(&mut self, now: Instant, result: Result<MemberResponse, Failure>) {
        match result {
            Ok(MemberResponse::Sync(response)) => self.on_synced(now, response),
            Ok(_) => self.fail_malformed(now, MemberApi::SyncGroup, "the answer to another request".into()),
            Err(failure) => self.on_sync_failed(now, failure),
        }
    }

    // Kafka: AbstractCoordinator.JoinGroupResponseHandler
    fn on_join_failed(&mut self, now: Instant, failure: Failure) {
        let api = MemberApi::JoinGroup;
        match failure {
            Failure::Refused(Refusal::MemberIdRequired { member_id }) if !member_id.is_empty() => {
                self.member_id_given(&member_id);
                self.retry_at_once(now, Cause::MemberIdRequired { member_id });
            }
            Failure::Refused(Refusal::UnknownMemberId) => {
                self.reset_identity();
                self.retry_at_once(now, Cause::UnknownMemberId { api });
            }
            Failure::Refused(Refusal::RebalanceInProgress) => {
                self.retry_at_once(now, Cause::RebalanceInProgress { api });
            }
            failure => self.on_attempt_failed(now, api, failure),
        }
    }

    // Kafka: AbstractCoordinator.SyncGroupResponseHandler
    fn on_sync_failed(&mut self, now: Instant, failure: Failure) {
        let api = MemberApi::SyncGroup;
        match failure {
            Failure::Refused(Refusal::RebalanceInProgress) => {
                self.retry_at_once(now, Cause::RebalanceInProgress { api });
            }
            Failure::Refused(Refusal::UnknownMemberId) => {
                self.reset_identity();
                self.retry_at_once(now, Cause::UnknownMemberId { api });
            }
            Failure::Refused(Refusal::IllegalGeneration) => {
                self.reset_generation(true);
                self.retry_at_once(now, Cause::IllegalGeneration { api });
            }
            failure => self.on_attempt_failed(now, api, failure),
        }
    }

    /// What JoinGroup and SyncGroup have in common.
    fn on_attempt_failed(&mut self, now: Instant, api: MemberApi, failure: Failure) {
        let group_id = self.config.group_id.clone();
        let error = match failure {
            Failure::TimedOut
            | Failure::Disconnected
            | Failure::Refused(Refusal::NotCoordinator | Refusal::CoordinatorNotAvailable) => {
                self.outbox.push(Action::CoordinatorMoved);
                return self.retry_later(now, Cause::CoordinatorFailed { api });
            }
            Failure::Unreachable | Failure::Refused(Refusal::CoordinatorLoadInProgress) => {
                return self.retry_later(now, Cause::CoordinatorFailed { api });
            }
            Failure::Refused(Refusal::FencedInstanceId) => return self.fail_fenced(now),
            Failure::Refused(Refusal::GroupAuthorizationFailed) => {
                MemberError::GroupAuthorization { group_id }
            }
            Failure::Refused(Refusal::InconsistentGroupProtocol) => {
                let detail = "no assignor, or not the protocol type, is common to all its members";
                return self.fail_inconsistent(now, detail.into());
            }
            Failure::Refused(Refusal::InvalidSessionTimeout) => MemberError::InvalidSessionTimeout {
                group_id,
                session_timeout_ms: self.config.session_timeout.as_millis(),
            },
            Failure::Refused(Refusal::InvalidGroupId) => MemberError::InvalidGroupId { group_id },
            Failure::Refused(Refusal::GroupMaxSizeReached) => MemberError::GroupMaxSizeReached { group_id },
            Failure::Refused(Refusal::UnsupportedVersion) => MemberError::UnsupportedVersion {
                group_id,
                detail: "the request".into(),
            },
            Failure::Unsupported { detail } => MemberError::UnsupportedVersion { group_id, detail },
            Failure::Malformed { detail } => MemberError::Malformed {
                group_id,
                api,
                detail,
            },
            Failure::Refused(refusal) => MemberError::Unexpected {
                group_id,
                api,
                refusal,
            },
        };
        self.fail(now, error);
    }

    pub(super) fn retry_at_once(&mut self, now: Instant, cause: Cause) {
        if self.failures >= RETRIES_AT_ONCE {
            return self.retry_later(now, cause);
        }
        self.failures = self.failures.saturating_add(1);
        self.begin(now, cause);
    }

    fn retry_later(&mut self, now: Instant, cause: Cause) {
        self.failures = self.failures.saturating_add(1);
        let delay = self.config.backoff.delay(self.failures, &mut self.prng);
        self.stop_heartbeats();
        self.note(now, cause);
        self.timers.set(Timer::Rejoin, now + delay);
        self.enter(State::Unjoined {
            until: Until::Backoff,
        });
    }

    /// A commit was refused for a reason that concerns the membership.
    // Kafka: ConsumerCoordinator.OffsetCommitResponseHandler; FENCED_INSTANCE_ID stays with the commit
    pub(super) fn on_commit_refused(&mut self, now: Instant, identity: &Identity, refusal: Refusal) {
        if *identity != self.identity || !self.is_in_generation() {
            return;
        }
        let api = MemberApi::OffsetCommit;
        match refusal {
            Refusal::RebalanceInProgress => self.on_group_rebalances(now, api),
            Refusal::UnknownMemberId => self.on_identity_lost(now, Cause::UnknownMemberId { api }),
            Refusal::IllegalGeneration => self.on_identity_lost(now, Cause::IllegalGeneration { api }),
            _ => {}
        }
    }

    pub(super) fn fail_inconsistent(&mut self, now: Instant, detail: String) {
        let error = MemberError::InconsistentProtocol {
            group_id: self.config.group_id.clone(),
            detail: detail.into(),
        };
        self.fail(now, error);
    }

    pub(super) fn fail_malformed(&mut self, now: Instant, api: MemberApi, detail: Box<str>) {
        let error = MemberError::Malformed {
            group_id: self.config.group_id.clone(),
            api,
            detail,
        };
        self.fail(now, error);
    }

    /// Stops for good: only leaving ends it.
    pub(super) fn fail_fenced(&mut self, now: Instant) {
        self.is_fenced = true;
        let error = MemberError::FencedInstanceId {
            group_id: self.config.group_id.clone(),
            group_instance_id: self.config.group_instance_id.clone().unwrap_or_default(),
        };
        self.fail_outside(now, error);
    }

    /// As [`fail`](Self::fail), when the coordinator does not count the member to its group any more.
    pub(super) fn fail_outside(&mut self, now: Instant, error: MemberError) {
        let was = (self.generation(), self.member_id().cloned());
        self.reset_identity();
        self.stop_failed(now, error, was);
    }

    /// Stops until the application has heard of the error and polls again.
    pub(super) fn fail(&mut self, now: Instant, error: MemberError) {
        let was = (self.generation(), self.member_id().cloned());
        self.stop_failed(now, error, was);
    }

    /// `was`: the generation and the id that the member had when it failed.
    fn stop_failed(&mut self, now: Instant, error: MemberError, was: (Option<i32>, Option<Arc<str>>)) {
        let kind = self.state.kind();
        if kind == Kind::Leaving {
            return;
        }
        self.stop_heartbeats();
        self.timers.cancel(&Timer::Rejoin);
        self.pending = None;
        // One that fails again, being polled, may still lose what it had.
        if kind != Kind::Failed {
            self.end_rebalance(now, Outcome::Abandoned);
            if self.has_lost_all() {
                let reason = error.to_string().into();
                self.record_out(now, Cause::Failed { reason }, was);
            }
        }
        self.enter(State::Failed);
        self.polled_in_vain = false;
        if self.listening.is_none() {
            self.lose_after_failure(now);
        }
        self.outbox.push(Action::Failed {
            error: Box::new(error),
        });
    }

    /// What a failed member owned without being in a generation has other owners.
    pub(super) fn lose_after_failure(&mut self, now: Instant) {
        if self.has_lost_all() {
            return self.give_up_all(now, true);
        }
        if let Some(failure) = self.journal.open() {
            failure.prepared = Some(now);
        }
        self.end_rebalance(now, Outcome::Failed);
    }

    fn has_lost_all(&self) -> bool {
        !self.is_in_generation() && !self.owned.is_empty()
    }
}
