//! What happens when, in one order: by time, then by when it was scheduled.

use std::collections::BTreeMap;

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

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<E> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
