//! Whether the caller polls often enough: `max.poll.interval.ms`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::TopicPartition;
use kohort_groups::member::Event as MemberEvent;
use kohort_machine::Instant;

use crate::consumer::asks::Ask;
use crate::consumer::engine::Timer;
use crate::consumer::{Action, ConsumerEngine, HandedOut, InHand, LatePoll, ToCaller};

/// What is known of the caller's polls.
#[derive(Debug)]
pub(super) struct PollWatch {
    pub(super) interval: Duration,
    /// How often the poll counter is looked at.
    pub(super) sample: Duration,
    pub(super) polls: u64,
    pub(super) last_seen: Instant,
    pub(super) expired: bool,
    /// What the caller was busy with when it was missed.
    pub(super) handed_out: HandedOut,
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
    pub(in crate::consumer) fn on_poll_counter(
        &mut self,
        now: Instant,
        polls: u64,
        inside: bool,
        handed_out: HandedOut,
    ) {
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
            watch.handed_out = handed_out;
            self.member_event(now, MemberEvent::PollExpired);
            self.ask_report(Ask::Poll);
        }
    }

    /// Says what the caller was busy with, now that its member is out for it.
    pub(super) fn tell_late_poll(&mut self, now: Instant) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let watch = &mut membership.polls;
        let (idle, interval) = (now - watch.last_seen, watch.interval);
        let HandedOut {
            runs,
            more_runs,
            records,
        } = core::mem::take(&mut watch.handed_out);
        let known = runs.len();
        let of_partition = |run: InHand| {
            let assigned = self.partitions.get(run.slot)?;
            Some((TopicPartition::clone(&assigned.partition), run.first, run.last))
        };
        let in_hand: Vec<_> = runs.into_iter().filter_map(of_partition).collect();
        let late = Box::new(LatePoll {
            idle,
            interval,
            // A partition that is not assigned any more has no name here.
            more_runs: more_runs + (known - in_hand.len()),
            in_hand,
            records,
        });
        self.outbox.push(Action::PollLate(late.clone()));
        self.tell(ToCaller::PollLate(late));
    }

    /// The caller polls: after it subscribed, after the interval had passed, or after it was told an error.
    pub(in crate::consumer) fn on_polled_again(&mut self, now: Instant) {
        // What is due inside of a poll is done on the way out as well: nobody polls, and nothing is to be joined.
        if self.closing.is_some() || self.is_caller_gone {
            return;
        }
        if let Some(membership) = &mut self.membership {
            membership.polls.last_seen = now;
            membership.polls.expired = false;
            if membership.active {
                self.timers
                    .set(Timer::PollInterval, now + membership.polls.sample);
            }
            if core::mem::take(&mut membership.waits_for_poll) {
                self.tell_subscription(now);
            }
        }
        self.member_event(now, MemberEvent::Polled);
        let enforced = self.membership.as_mut().and_then(|it| it.enforced.take());
        if let Some(reason) = enforced {
            self.member_event(now, MemberEvent::Enforced { reason });
        }
    }
}
