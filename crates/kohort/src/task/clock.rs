//! Time for the engines: read through tokio, so that a paused tokio clock drives everything.

use std::time::{SystemTime, UNIX_EPOCH};

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

    pub(crate) fn now(&self) -> Instant {
        let nanos = self.start.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When tokio's clock shows `instant`; far ahead stays far ahead.
    pub(crate) fn at(&self, instant: Instant) -> tokio::time::Instant {
        let year = core::time::Duration::from_secs(31_536_000);
        self.start + (instant - Instant::ZERO).min(self.start.elapsed() + year)
    }
}

/// Wall time: a base read once, and what tokio says has passed since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall {
    start: tokio::time::Instant,
    base_ms: i64,
}

impl Wall {
    pub(crate) fn start() -> Self {
        let base = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            start: tokio::time::Instant::now(),
            base_ms: i64::try_from(base.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.base_ms.saturating_add(elapsed)
    }
}
