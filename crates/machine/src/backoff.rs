//! Exponential backoff with jitter, as Kafka's clients do it.

use core::time::Duration;

use crate::Prng;

/// Delays that double from `initial` up to `max`, each spread by ±20 %.
///
/// The attempt count is the caller's, so one value serves many retried things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
}

impl Backoff {
    /// Doubles from `initial` to `max`; a `max` below `initial` counts as `initial`.
    pub fn new(initial: Duration, max: Duration) -> Self {
        Self {
            initial,
            max: max.max(initial),
        }
    }

    /// The delay before the attempt that follows `failures` failures in a row: `initial × 2^(failures − 1) × [0.8, 1.2)`, at
    /// most `max × 1.2`. Zero failures need no delay.
    // Kafka: ExponentialBackoff.backoff, CommonClientConfigs.RETRY_BACKOFF_JITTER
    pub fn delay(&self, failures: u32, prng: &mut Prng) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings.min(31)).unwrap_or(u32::MAX);
        let base = self.initial.saturating_mul(factor).min(self.max);
        let nanos = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX / 2);
        let spread = nanos / 5 * 2;
        Duration::from_nanos(nanos - nanos / 5 + prng.below(spread.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_within_their_jitter_up_to_the_maximum() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut prng = Prng::from_seed(1);
        for (failures, base) in [(1, 100u64), (2, 200), (3, 400), (4, 800), (5, 1000), (40, 1000)] {
            let delay = backoff.delay(failures, &mut prng).as_micros() as u64;
            assert!((base * 800..=base * 1200).contains(&delay), "{failures}: {delay}");
        }
    }

    #[test]
    fn no_failure_needs_no_delay() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(backoff.delay(0, &mut Prng::from_seed(1)), Duration::ZERO);
    }

    #[test]
    fn a_huge_initial_delay_does_not_overflow() {
        let backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(backoff.delay(9, &mut Prng::from_seed(1)) > Duration::from_secs(1));
    }
}
