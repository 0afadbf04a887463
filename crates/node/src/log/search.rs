//! What one request may take that looks for records by their timestamps. Where they are looked for is in [`super::partition`].

use kohort_records::{Batch, BatchError, Decompressor, OpenBatch};

/// How many bytes of records the batches of a request hold that are more than [`HONEST`] times their size, until it opens no more: as
/// many as one batch may. Kafka has no bound.
const MOST_OPENED: usize = 256 << 20;

/// How many times its size a batch may hold that does not count: few records that somebody wants to read are compressed further, and
/// some clients give up when a partition is not answered.
const HONEST: usize = 16;

/// How many bytes a batch may hold once decompressed. It was appended within its bound.
const LARGEST_DECOMPRESSED: usize = usize::MAX;

/// What the batches took that one request opened so far, and what opens them.
#[derive(Debug, Default)]
pub(crate) struct Search {
    decompressor: Decompressor,
    /// In bytes of records, decompressed, beyond what is honest.
    opened: usize,
}

impl Search {
    /// Whether the request may open no more.
    pub(crate) fn is_spent(&self) -> bool {
        self.opened >= MOST_OPENED
    }

    /// Opens a batch, however much was opened before.
    pub(super) fn open(&mut self, batch: &Batch) -> Result<OpenBatch, BatchError> {
        let opened = batch.open_with(&mut self.decompressor, LARGEST_DECOMPRESSED);
        let bytes = opened.as_ref().map_or(0, OpenBatch::size);
        let honest = batch.size().saturating_mul(HONEST);
        self.opened = self.opened.saturating_add(bytes.saturating_sub(honest));
        opened
    }
}
