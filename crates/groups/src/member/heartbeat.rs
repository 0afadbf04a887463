//! Heartbeats: what their answers and their absence mean. When they are due lives in [`super::beats`].

use core::time::Duration;

use kohort_machine::{Instant, Token};

use super::beats::Beats;
use super::state::Kind;
use super::{
    Action, Cause, Failure, HeartbeatRequest, Member, MemberApi, MemberError, MemberRequest, Refusal, Timer,
};

/// The heartbeat in flight, those that failed in a row, and when they are due.
#[derive(Debug, Clone, Default)]
pub(super) struct Heartbeat {
    pub(super) in_flight: Option<Token>,
    sent: Instant,
    failures: u32,
    beats: Beats,
}

impl Member {
    /// Starts the heartbeats of a new generation.
    // Kafka: AbstractCoordinator.JoinGroupResponseHandler enables the heartbeat thread
    pub(super) fn start_heartbeats(&mut self, now: Instant) {
        self.heartbeat = Heartbeat::default();
        self.count_heartbeats_from(now);
        self.timers.set(Timer::Session, now + self.config.session_timeout);
        // Kafka: Heartbeat.resetTimeouts gives a whole interval from here.
        if self.unpolled {
            self.timers.set(Timer::Poll, now + self.config.rebalance_timeout);
        }
    }

    /// A round went on to its next step: who has to join again will do so soon.
    pub(super) fn count_heartbeats_from(&mut self, now: Instant) {
        self.heartbeat.beats.count_from(now);
        self.arm_heartbeat(now);
    }

    fn arm_heartbeat(&mut self, now: Instant) {
        let next = self.heartbeat.beats.next(now, &self.config.rhythm());
        self.timers.set(Timer::Heartbeat, next);
    }

    /// The last heartbeat that is due by then, if heartbeats are sent: the time for commits that can choose theirs.
    /// The coordinator counts the session from a commit, too, and the other members are soonest to notice that it ended if it
    /// counts from a heartbeat.
    // Kafka: OffsetMetadataManager.commitOffset, "the offset commits maintains the session"
    pub fn heartbeat_by(&self, at: Instant) -> Option<Instant> {
        let is_beating = self.heartbeat.in_flight.is_some() || self.timers.is_set(&Timer::Heartbeat);
        is_beating.then(|| self.heartbeat.beats.last_by(at, &self.config.rhythm()))
    }

    /// Stops them: the coordinator keeps a member that waits in JoinGroup, and forgets one that is out.
    // Kafka: MemberState.hasNotJoinedGroup
    pub(super) fn stop_heartbeats(&mut self) {
        self.heartbeat.in_flight = None;
        self.timers.cancel(&Timer::Heartbeat);
        self.timers.cancel(&Timer::Session);
        self.timers.cancel(&Timer::Poll);
    }

    /// Time for a heartbeat. One is in flight at a time: a second would wait behind it.
    pub(super) fn expire_heartbeat(&mut self, now: Instant) {
        if self.heartbeat.in_flight.is_none() {
            self.send_heartbeat(now);
        } else {
            self.arm_heartbeat(now);
        }
    }

    /// No heartbeat was answered for `session.timeout.ms`: the coordinator is looked for again. Whether the member is still
    /// in its group is for the coordinator to say.
    // Kafka: AbstractCoordinator.HeartbeatThread
    pub(super) fn expire_session(&mut self, now: Instant) {
        self.outbox.push(Action::CoordinatorMoved);
        self.send_heartbeat(now);
        self.timers.set(Timer::Session, now + self.config.session_timeout);
    }

    fn send_heartbeat(&mut self, now: Instant) {
        let request = HeartbeatRequest {
            group_id: self.config.group_id.clone(),
            identity: self.identity.clone(),
        };
        let token = self.send(
            MemberRequest::Heartbeat(request.into()),
            self.config.request_timeout,
        );
        self.heartbeat.in_flight = Some(token);
        self.heartbeat.sent = now;
        self.arm_heartbeat(now);
    }

    // Kafka: AbstractCoordinator.HeartbeatResponseHandler
    pub(super) fn on_heartbeat_answered(&mut self, now: Instant, failure: Option<Failure>) {
        self.heartbeat.in_flight = None;
        let api = MemberApi::Heartbeat;
        let refusal = match failure {
            None => return self.on_alive(now),
            Some(Failure::Refused(refusal)) => refusal,
            Some(Failure::TimedOut | Failure::Disconnected) => {
                self.outbox.push(Action::CoordinatorMoved);
                return self.retry_heartbeat(now);
            }
            Some(Failure::Unreachable | Failure::Unsupported { .. } | Failure::Malformed { .. }) => {
                return self.retry_heartbeat(now);
            }
        };
        match refusal {
            Refusal::RebalanceInProgress => {
                self.on_alive(now);
                self.on_group_rebalances(now, api);
            }
            Refusal::CoordinatorNotAvailable | Refusal::NotCoordinator => {
                self.outbox.push(Action::CoordinatorMoved);
                self.retry_heartbeat(now);
            }
            Refusal::UnknownMemberId => self.on_identity_lost(now, Cause::UnknownMemberId { api }),
            Refusal::IllegalGeneration => self.on_identity_lost(now, Cause::IllegalGeneration { api }),
            Refusal::FencedInstanceId => {
                self.fail_fenced(now);
            }
            Refusal::GroupAuthorizationFailed => {
                let group_id = self.config.group_id.clone();
                self.fail_outside(now, MemberError::GroupAuthorization { group_id });
            }
            _ => self.retry_heartbeat(now),
        }
    }

    fn on_alive(&mut self, now: Instant) {
        self.heartbeat.failures = 0;
        self.heartbeat
            .beats
            .counted(self.heartbeat.sent, &self.config.rhythm());
        self.timers.set(Timer::Session, now + self.config.session_timeout);
    }

    fn retry_heartbeat(&mut self, now: Instant) {
        self.heartbeat.failures = self.heartbeat.failures.saturating_add(1);
        let delay = self.config.backoff.delay(self.heartbeat.failures, &mut self.prng);
        self.timers
            .set(Timer::Heartbeat, now + delay.max(Duration::from_millis(1)));
    }

    /// Another member made the group rebalance. While this one is on its way already, that is no news.
    pub(super) fn on_group_rebalances(&mut self, now: Instant, api: MemberApi) {
        let cause = Cause::RebalanceInProgress { api };
        match self.state.kind() {
            Kind::Stable => self.begin(now, cause),
            Kind::Assigning => self.pending = Some(cause),
            _ => {}
        }
    }
}
