//! Time for the engines: read through tokio, so that a paused tokio clock drives everything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kohort_machine::Instant;

/// The driver's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: tokio::time::Instant::now(),
        }
    }

    /// A clock and the wall time at its start, which is read again when something else ran between the two.
    pub(crate) fn start_with_wall() -> (Self, SystemTime) {
        const CLOSE: Duration = Duration::from_micros(100);
        const ATTEMPTS: usize = 10;
        let mut both = (Self::start(), SystemTime::now());
        for _ in 1..ATTEMPTS {
            if both.0.start.elapsed() < CLOSE {
                break;
            }
            both = (Self::start(), SystemTime::now());
        }
        both
    }

    pub(crate) fn now(&self) -> Instant {
        let nanos = self.start.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When tokio's clock shows `instant`; far ahead stays far ahead.
    pub(crate) fn at(&self, instant: Instant) -> tokio::time::Instant {
        let year = Duration::from_secs(31_536_000);
        self.start + (instant - Instant::ZERO).min(self.start.elapsed() + year)
    }
}

/// Wall time: a base read once, and what tokio says has passed since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall {
    start: tokio::time::Instant,
    // Not in milliseconds: what two roundings down lose would put the wall time up to 2 ms behind.
    base: Duration,
}

impl Wall {
    pub(crate) fn start() -> Self {
        Self {
            start: tokio::time::Instant::now(),
            base: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        let wall = self.base.saturating_add(self.start.elapsed());
        i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
    }
}
