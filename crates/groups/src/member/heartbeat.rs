//! Heartbeats: when they are sent, what their answers and their absence mean.
//!
//! A member hears that its group rebalances in the answer to a heartbeat. After a round others may be about to join again, with
//! what they gave up for it, so the next heartbeats follow soon and then ever more slowly: see [`next_beat`].

use core::time::Duration;

use kohort_machine::{Instant, Token};

use super::state::Kind;
use super::{
    Action, Cause, Failure, HeartbeatRequest, Member, MemberApi, MemberError, MemberRequest, Refusal, Timer,
};

/// The heartbeat in flight, those that failed in a row, and where they are counted from.
#[derive(Debug, Clone, Default)]
pub(super) struct Heartbeat {
    pub(super) in_flight: Option<Token>,
    failures: u32,
    /// The last answer to JoinGroup or SyncGroup: all members of a generation get it at about the same time.
    since: Instant,
}

/// How long after a round's end the heartbeat after one that is sent `elapsed` after it is due.
///
/// First they are `first` apart, then each follows after half of the time passed, until that is `interval`: a second round that
/// comes after a while is noticed within half of that while, at the price of ten heartbeats or so. Later they are at the multiples
/// of `interval` from the end of the round, which keeps the members of a group in step. The last of a rebalance to hear of it
/// holds up all.
fn next_beat(elapsed: Duration, first: Duration, interval: Duration) -> Duration {
    let first = first.min(interval);
    let quick = elapsed.saturating_add(first.max(elapsed / 2));
    if quick < interval {
        return quick;
    }
    // Not right after one that was late.
    let earliest = elapsed.saturating_add(first);
    let beats = earliest.as_nanos().div_ceil(interval.as_nanos().max(1));
    interval.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX))
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
        self.heartbeat.since = now;
        self.arm_heartbeat(now);
    }

    fn arm_heartbeat(&mut self, now: Instant) {
        let since = self.heartbeat.since;
        let next = next_beat(
            now - since,
            self.config.first_heartbeat,
            self.config.heartbeat_period(),
        );
        self.timers.set(Timer::Heartbeat, since + next);
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
                let error = self.fenced();
                self.reset_identity();
                self.fail(now, error);
            }
            Refusal::GroupAuthorizationFailed => {
                let group_id = self.config.group_id.clone();
                self.reset_identity();
                self.fail(now, MemberError::GroupAuthorization { group_id });
            }
            _ => self.retry_heartbeat(now),
        }
    }

    fn on_alive(&mut self, now: Instant) {
        self.heartbeat.failures = 0;
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

    pub(super) fn fenced(&self) -> MemberError {
        MemberError::FencedInstanceId {
            group_id: self.config.group_id.clone(),
            group_instance_id: self.config.group_instance_id.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn beats(first: u64, interval: u64) -> impl Iterator<Item = u128> {
        let (first, interval) = (Duration::from_millis(first), Duration::from_millis(interval));
        core::iter::successors(Some(Duration::ZERO), move |last| {
            Some(next_beat(*last, first, interval))
        })
        .skip(1)
        .map(|at| at.as_millis())
    }

    #[test]
    fn after_a_round_heartbeats_come_soon_and_then_ever_more_slowly() {
        let beats: Vec<_> = beats(50, 3_000).take(12).collect();
        assert_eq!(
            beats,
            [
                50, 100, 150, 225, 337, 506, 759, 1_139, 1_708, 2_562, 3_000, 6_000
            ]
        );
    }

    #[test]
    fn no_two_heartbeats_are_closer_than_the_first_is_to_the_round() {
        for (first, interval) in [(50, 3_000), (50, 60), (200, 1_000), (1, 1), (500, 100)] {
            let beats: Vec<_> = beats(first, interval).take(60).collect();
            let closest = beats.windows(2).map(|pair| pair[1] - pair[0]).min();
            assert!(
                closest >= Some(u128::from(first.min(interval)) - 1),
                "{first} {interval}: {beats:?}"
            );
        }
    }

    #[test]
    fn a_heartbeat_that_is_late_does_not_move_those_after_it() {
        let second = Duration::from_secs(1);
        let next = |elapsed: Duration| next_beat(elapsed, second / 20, 3 * second);
        assert_eq!(next(second * 7), 9 * second);
        assert_eq!(next(second * 9 - second / 100), 12 * second, "9 s is too close");
    }
}
