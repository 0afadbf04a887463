//! What happens when, in one order: by time, then by when it was scheduled.

use std::collections::BTreeMap;
use std::ops::Bound;

use kohort_machine::Instant;

/// Events to come.
#[derive(Debug)]
pub(crate) struct Schedule<E> {
    queue: BTreeMap<(Instant, u64), E>,
    issued: u64,
}

impl<E> Schedule<E> {
    pub(crate) fn new() -> Self {
        Self {
            queue: BTreeMap::new(),
            issued: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Instant, event: E) {
        self.queue.insert((at, self.issued), event);
        self.issued = self.issued.wrapping_add(1);
    }

    /// All events to come.
    pub(crate) fn all(&self) -> impl Iterator<Item = &E> {
        self.queue.values()
    }

    /// The events that come later than this.
    pub(crate) fn after(&self, at: Instant) -> impl Iterator<Item = &E> {
        let later = (Bound::Excluded((at, u64::MAX)), Bound::Unbounded);
        self.queue.range(later).map(|(_, event)| event)
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<E> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
