//! The ids of idempotent producers. What a partition remembers of a producer is in [`crate::log`].

/// Hands out producer ids, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerIds {
    next: i64,
}

impl ProducerIds {
    /// An id not given before.
    pub(crate) fn issue(&mut self) -> i64 {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        id
    }
}
