//! The node's time: tokio's clock, and wall time as a base read once plus what tokio's clock elapsed since. A paused tokio
//! clock drives both.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Reads tokio's clock for a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    start_wall_ms: i64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            start: Instant::now(),
            start_wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// The machine's time.
    pub(crate) fn now(&self) -> kohort_machine::Instant {
        let nanos = self.start.elapsed().as_nanos();
        kohort_machine::Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Wall time at the machine's time `now`, in milliseconds since the epoch.
    pub(crate) fn wall_ms(&self, now: kohort_machine::Instant) -> i64 {
        self.start_wall_ms
            .saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    /// When tokio's clock reaches the machine's time `at`; `None` when that is beyond tokio's clock.
    pub(crate) fn tokio_instant(&self, at: kohort_machine::Instant) -> Option<Instant> {
        self.start
            .checked_add(std::time::Duration::from_nanos(at.as_nanos()))
    }
}
