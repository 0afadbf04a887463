//! Whether the caller polls often enough: `max.poll.interval.ms`.

use core::time::Duration;

use kohort_groups::member::Event as MemberEvent;
use kohort_machine::Instant;

use crate::consumer::asks::Ask;
use crate::consumer::engine::Timer;
use crate::consumer::{Action, ConsumerEngine};

/// What is known of the caller's polls.
#[derive(Debug)]
pub(super) struct PollWatch {
    pub(super) interval: Duration,
    /// How often the poll counter is looked at.
    pub(super) sample: Duration,
    pub(super) polls: u64,
    pub(super) last_seen: Instant,
    pub(super) expired: bool,
}

impl ConsumerEngine {
    /// The time for another look at the poll counter.
    pub(in crate::consumer) fn expire_poll_sample(&mut self, _now: Instant) {
        if self
            .membership
            .as_ref()
            .is_some_and(|it| it.active && !it.polls.expired)
        {
            self.outbox.push(Action::ReadPollCounter);
        }
    }

    // Kafka: Heartbeat.pollTimeoutExpired, AbstractCoordinator.HeartbeatThread
    pub(in crate::consumer) fn on_poll_counter(&mut self, now: Instant, polls: u64, inside: bool) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let watch = &mut membership.polls;
        if inside || polls != watch.polls {
            watch.polls = polls;
            watch.last_seen = now;
        }
        let expires = watch.last_seen + watch.interval;
        if expires > now {
            self.timers
                .set(Timer::PollInterval, expires.min(now + watch.sample));
        } else if !watch.expired {
            watch.expired = true;
            self.member_event(now, MemberEvent::PollExpired);
            self.ask_report(Ask::Poll);
        }
    }

    /// The caller polls again after the interval had passed, or after it was told an error.
    pub(in crate::consumer) fn on_polled_again(&mut self, now: Instant) {
        if let Some(membership) = &mut self.membership {
            membership.polls.last_seen = now;
            membership.polls.expired = false;
            if membership.active {
                self.timers
                    .set(Timer::PollInterval, now + membership.polls.sample);
            }
        }
        self.member_event(now, MemberEvent::Polled);
    }
}
