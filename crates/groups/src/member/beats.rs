//! The rhythm of heartbeats: when the next one is due. What is sent and what answers mean lives in [`super::heartbeat`].
//!
//! A member hears that its group rebalances in the answer to a heartbeat, so the rhythm decides how soon it hears.
//!
//! * After a round others may be about to join again, with what they gave up for it, so the next heartbeats follow soon and then
//!   ever more slowly: a second round that comes after a while is noticed within half of that while.
//! * Then they are at the multiples of a period from the end of the round, which keeps the members of a group in step: the last of
//!   a rebalance to hear of it holds up all. The period is shorter than `heartbeat.interval.ms`, by a third or more, since nothing
//!   but a heartbeat tells them that somebody came or left.
//! * When a member dies, its session expires `session.timeout.ms` after its last heartbeat. Its heartbeats were at the same times as
//!   one's own, so after each of one's own there is another one, a session and a moment later: the period divides that, and of
//!   the quick ones each has an *echo*. Echoes come as late as may be, so with each session they come nearer to a regular one,
//!   and end there.

use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::Instant;

/// What the settings make of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    /// How long after a round the first heartbeat is sent, and how close two may be.
    first: Duration,
    period: Duration,
    session: Duration,
    /// How far members may be out of step.
    skew: Duration,
}

impl Rhythm {
    const SKEW: Duration = Duration::from_millis(200);

    /// `first` between the first heartbeats after a round; at most two thirds of `interval` between all.
    pub(super) fn new(first: Duration, interval: Duration, session: Duration) -> Self {
        let skew = (session / 30).min(Self::SKEW);
        let whole = session.saturating_add(skew * 2);
        let longest = (interval - interval / 3).max(Duration::from_millis(1));
        let beats = whole.as_nanos().div_ceil(longest.as_nanos()).max(2);
        let period = whole / u32::try_from(beats).unwrap_or(u32::MAX);
        let first = first.min(period);
        Self {
            first,
            period,
            session,
            skew,
        }
    }

    /// How long after a round's end the heartbeat after one at `elapsed` is due, echoes aside.
    fn next(&self, elapsed: Duration) -> Duration {
        let quick = elapsed.saturating_add(self.first.max(elapsed / 2));
        if quick < self.period {
            return quick;
        }
        // Not right after one that was late.
        let earliest = elapsed.saturating_add(self.first);
        self.regular(earliest.as_nanos().div_ceil(self.period.as_nanos().max(1)))
    }

    /// How long after a round's end the regular heartbeat of this number is due.
    fn regular(&self, number: u128) -> Duration {
        self.period
            .saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// How long after a round's end the last heartbeat by `elapsed` is due, echoes aside, if none is late.
    fn last_by(&self, elapsed: Duration) -> Duration {
        let beats = elapsed.as_nanos() / self.period.as_nanos().max(1);
        if beats > 0 {
            return self.regular(beats);
        }
        let mut last = Duration::ZERO;
        loop {
            let next = self.next(last);
            if next > elapsed || next == last {
                return last;
            }
            last = next;
        }
    }

    /// Whether a heartbeat comes late enough after another to be its echo.
    fn is_echo(&self, elapsed: Duration, first: Duration) -> bool {
        elapsed >= first.saturating_add(self.session + self.skew)
    }

    fn is_regular(&self, elapsed: Duration) -> bool {
        let late = elapsed.as_nanos() % self.period.as_nanos().max(1);
        late <= (self.skew / 2).as_nanos()
    }
}

/// Heartbeats since a round.
#[derive(Debug, Clone, Default)]
pub(super) struct Beats {
    /// The last answer to JoinGroup or SyncGroup: all members of a generation get it at about the same time.
    since: Instant,
    /// Those beside the regular ones that the coordinator has answered and that have no echo yet, in order.
    to_echo: Vec<Duration>,
}

impl Beats {
    /// A round ended, or went on to its next step.
    pub(super) fn count_from(&mut self, now: Instant) {
        self.since = now;
        self.to_echo.clear();
    }

    /// When the next heartbeat is due after one that is sent now, which may be an echo that is not yet answered.
    pub(super) fn next(&self, now: Instant, rhythm: &Rhythm) -> Instant {
        let elapsed = now - self.since;
        let regular = rhythm.next(elapsed);
        let echo = self
            .to_echo
            .iter()
            .find(|first| !rhythm.is_echo(elapsed, **first))
            .map(|first| first.saturating_add(rhythm.session + rhythm.skew * 4));
        let next = echo.map_or(regular, |echo| regular.min(echo));
        self.since + next.max(elapsed.saturating_add(rhythm.first))
    }

    /// The last heartbeat that is due by then, the round itself if none is. What else makes the coordinator count the session anew, as a
    /// commit does, is best sent with it: the others beat after the sessions that count from one's heartbeats.
    pub(super) fn last_by(&self, at: Instant, rhythm: &Rhythm) -> Instant {
        self.since + rhythm.last_by(at - self.since)
    }

    /// The coordinator has answered the heartbeat that was sent then: the session counts from it.
    pub(super) fn counted(&mut self, sent: Instant, rhythm: &Rhythm) {
        let elapsed = sent - self.since;
        self.to_echo.retain(|first| !rhythm.is_echo(elapsed, *first));
        if !rhythm.is_regular(elapsed) {
            self.to_echo.push(elapsed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rhythm(first: u64, interval: u64, session: u64) -> Rhythm {
        let ms = Duration::from_millis;
        Rhythm::new(ms(first), ms(interval), ms(session))
    }

    /// When heartbeats are sent that are answered at once, in ms after a round.
    fn beats(rhythm: &Rhythm) -> impl Iterator<Item = u64> {
        let rhythm = *rhythm;
        let mut beats = Beats::default();
        core::iter::successors(Some(Instant::ZERO), move |now| {
            let next = beats.next(*now, &rhythm);
            beats.counted(next, &rhythm);
            Some(next)
        })
        .skip(1)
        .map(Instant::as_millis)
    }

    #[test]
    fn after_a_round_heartbeats_come_soon_and_then_ever_more_slowly() {
        let beats: Vec<_> = beats(&rhythm(50, 3_000, 45_000)).take(13).collect();
        // 23 periods are a session and 400 ms.
        assert_eq!(
            beats,
            [
                50, 100, 150, 225, 337, 506, 759, 1_139, 1_708, 1_973, 3_947, 5_921, 7_895
            ]
        );
    }

    #[test]
    fn the_last_heartbeat_by_a_time_is_one_that_is_sent() {
        let rhythm = rhythm(50, 3_000, 6_000);
        let beats: Vec<_> = beats(&rhythm).take(30).collect();
        for at in (0..20_000).step_by(70) {
            let last = rhythm.last_by(Duration::from_millis(at)).as_millis();
            let last = u64::try_from(last).expect("small");
            assert!(last == 0 || beats.contains(&last), "{at}: {last}");
            let between = rhythm.next(Duration::from_millis(last)).as_millis();
            assert!(last <= at && u128::from(at) < between, "{last} {at} {between}");
        }
    }

    #[test]
    fn no_two_heartbeats_are_closer_than_the_first_is_to_the_round() {
        for (first, interval) in [(50, 3_000), (50, 60), (200, 1_000), (1, 1), (500, 100)] {
            let rhythm = rhythm(first, interval, 6_000);
            let beats: Vec<_> = beats(&rhythm).take(300).collect();
            let closest = beats.windows(2).map(|pair| pair[1] - pair[0]).min();
            assert!(
                closest >= Some(first.min(interval * 2 / 3).saturating_sub(1)),
                "{first} {interval}: {beats:?}"
            );
        }
    }

    #[test]
    fn a_heartbeat_that_is_late_does_not_move_those_after_it() {
        let rhythm = rhythm(50, 3_000, 6_000);
        // Four periods are a session and 400 ms.
        let fourth = SECOND * 64 / 10 / 4;
        assert_eq!(rhythm.next(SECOND * 7), fourth * 5);
        let close = fourth * 5 - SECOND / 25;
        assert_eq!(rhythm.next(close), fourth * 6, "the fifth is too close");
    }

    #[test]
    fn whenever_another_member_died_its_session_is_seen_to_end_within_four_skews() {
        for (interval, session) in [(3_000, 6_000), (3_000, 45_000), (3_000, 10_000), (1_000, 4_500)] {
            let rhythm = rhythm(50, interval, session);
            let skew = u64::try_from(rhythm.skew.as_millis()).expect("small");
            let beats: Vec<_> = beats(&rhythm).take_while(|at| *at < 10 * session).collect();
            for last in beats.iter().filter(|last| **last < 8 * session) {
                let expires = last + session;
                let seen = beats.iter().find(|beat| **beat >= expires + skew);
                let late = seen.expect("beats go on") - expires;
                assert!(
                    late <= 4 * skew,
                    "{interval} {session}: {last} is seen {late} ms late"
                );
            }
        }
    }

    #[test]
    fn an_echo_is_sent_once_though_it_is_answered_later() {
        let rhythm = rhythm(50, 3_000, 6_000);
        let mut beats = Beats::default();
        let (mut now, mut all) = (Instant::ZERO, Vec::new());
        while now < Instant::ZERO + SECOND * 20 {
            let next = beats.next(now, &rhythm);
            // The next one is planned when one is sent, and its answer comes before that.
            if now > Instant::ZERO {
                beats.counted(now, &rhythm);
            }
            all.push(next.as_millis());
            now = next;
        }
        let at_once: Vec<u128> = self::beats(&rhythm).take(all.len()).map(u128::from).collect();
        assert_eq!(all.iter().map(|at| u128::from(*at)).collect::<Vec<_>>(), at_once);
    }

    #[test]
    fn a_round_costs_few_more_heartbeats_and_then_they_are_regular() {
        for session in [6_000, 45_000] {
            let rhythm = rhythm(50, 3_000, session);
            let period = u64::try_from(rhythm.period.as_nanos()).expect("small");
            let end = 12 * session;
            let all = beats(&rhythm).take_while(|at| *at <= end);
            let regular = usize::try_from(end * 1_000_000 / period).expect("small");
            let extra = all.count() - regular;
            assert!(extra <= 25, "{session}: {extra}");
            let late = beats(&rhythm).skip_while(|at| *at < 8 * session).take(50);
            let steps: Vec<_> = late.collect();
            let gaps = steps.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(
                gaps.into_iter().all(|gap| gap.abs_diff(period / 1_000_000) <= 1),
                "{session}"
            );
        }
    }
}
