//! The readable trace of a run. It is kept only when somebody will read it: a seed that went wrong is run again with it.

use std::collections::VecDeque;
use std::fmt;

use kohort_machine::Instant;

/// The last events of a run, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Story {
    lines: VecDeque<String>,
    /// How many lines are kept.
    limit: usize,
    dropped: u64,
}

impl Story {
    /// A story that keeps its last `limit` lines; none at all for 0.
    pub fn last(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Adds a line. What is not kept is not even formatted.
    pub(crate) fn note(&mut self, now: Instant, line: impl FnOnce() -> String) {
        if self.limit == 0 {
            return;
        }
        if self.lines.len() == self.limit {
            self.lines.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        let millis = now.as_millis();
        self.lines
            .push_back(format!("{:>4}.{:03} {}", millis / 1000, millis % 1000, line()));
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dropped > 0 {
            writeln!(f, "    ... {} lines before", self.dropped)?;
        }
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
