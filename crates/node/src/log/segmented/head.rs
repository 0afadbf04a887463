//! The first bytes of record batches, which say where each lies: walked without reading the records.

use alloc::vec::Vec;

use kohort_records::stored::Placed;

use crate::log::disk::Disk;
use crate::log::storage::{BatchPlace, StorageError};

/// How many bytes are read at once to walk batches: a little more than an index's interval.
const WALKED_AT_ONCE: usize = 16 << 10;

/// Where a batch lies in offsets, time and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) base_offset: i64,
    pub(super) last_offset: i64,
    pub(super) max_timestamp: i64,
    pub(super) size: usize,
}

impl Head {
    pub(super) fn new(place: BatchPlace, size: usize) -> Self {
        Self {
            base_offset: place.base_offset,
            last_offset: place.last_offset,
            max_timestamp: place.max_timestamp,
            size,
        }
    }

    /// The head of the batch that begins at byte 0; `None` when it is cut short or none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let placed = Placed::read(bytes).ok()??;
        Some(Self {
            base_offset: placed.base_offset,
            last_offset: placed.last_offset,
            max_timestamp: placed.max_timestamp,
            size: placed.size,
        })
    }
}

/// Walks the batches of a file from a position on.
pub(super) struct Walk<'a> {
    path: &'a str,
    position: u64,
    end: u64,
    block: Vec<u8>,
    block_at: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(path: &'a str, position: u64, end: u64) -> Self {
        Self {
            path,
            position,
            end,
            block: Vec::new(),
            block_at: 0,
        }
    }

    /// The next batch and where it begins; `None` at the end, or where no whole batch begins.
    pub(super) fn next(&mut self, disk: &mut dyn Disk) -> Result<Option<(u64, Head)>, StorageError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let mut head = self.in_block().and_then(Head::read);
        if head.is_none() {
            self.block = disk.read(self.path, self.position, WALKED_AT_ONCE)?;
            self.block_at = self.position;
            head = Head::read(&self.block);
        }
        let Some(head) = head else { return Ok(None) };
        let after = self.position.saturating_add(head.size as u64);
        if after > self.end {
            return Ok(None);
        }
        let at = core::mem::replace(&mut self.position, after);
        Ok(Some((at, head)))
    }

    /// Where the next batch would begin.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    fn in_block(&self) -> Option<&[u8]> {
        let at = usize::try_from(self.position.checked_sub(self.block_at)?).ok()?;
        self.block.get(at..)
    }
}
