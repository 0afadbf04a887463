//! The node's time: tokio's clock, and wall time as a base read once plus what tokio's clock elapsed since. A paused tokio
//! clock drives both.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Reads tokio's clock for a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    // Not in milliseconds: what two roundings down lose would put the node up to 2 ms behind.
    start_wall: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            start_wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// The machine's time.
    pub(crate) fn now(&self) -> kohort_machine::Instant {
        let nanos = self.start.elapsed().as_nanos();
        kohort_machine::Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Wall time at the machine's time `now`, in milliseconds since the epoch.
    pub(crate) fn wall_ms(&self, now: kohort_machine::Instant) -> i64 {
        let wall = self
            .start_wall
            .saturating_add(Duration::from_nanos(now.as_nanos()));
        i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
    }

    /// When tokio's clock reaches the machine's time `at`; `None` when that is beyond tokio's clock.
    pub(crate) fn tokio_instant(&self, at: kohort_machine::Instant) -> Option<Instant> {
        self.start.checked_add(Duration::from_nanos(at.as_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_rounded_down_once() {
        let clock = Clock {
            start: Instant::now(),
            start_wall: Duration::from_micros(5_700),
        };
        assert_eq!(clock.wall_ms(kohort_machine::Instant::from_nanos(200_000)), 5);
        assert_eq!(clock.wall_ms(kohort_machine::Instant::from_nanos(1_300_000)), 7);
    }
}
