//! The buffers that batches are decompressed into: given back when the last handle of a batch is dropped, wherever that is.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};

use bytes::Bytes;

use crate::tally::{Held, Tally};

/// Spare buffers, the last one given back on top.
#[derive(Debug, Default)]
struct Spares {
    buffers: Vec<Vec<u8>>,
    /// The capacity of all.
    bytes: usize,
}

/// Buffers for one decompressor.
#[derive(Debug, Default)]
pub(super) struct Pool {
    spares: Arc<Mutex<Spares>>,
    /// All buffers that are out.
    out: Tally,
    /// Of whom those that are taken from now on are.
    share: Option<Tally>,
}

impl Pool {
    /// The most bytes that wait to be used again.
    pub(super) const LARGEST: usize = 4 << 20;

    pub(super) fn counted(out: Tally) -> Self {
        Self {
            out,
            ..Self::default()
        }
    }

    pub(super) fn charge(&mut self, share: &Tally) {
        self.share = Some(share.clone());
    }

    /// An empty buffer.
    pub(super) fn take(&self) -> Vec<u8> {
        let Some(mut spares) = at_hand(&self.spares) else {
            return Vec::new();
        };
        let buffer = spares.buffers.pop().unwrap_or_default();
        spares.bytes = spares.bytes.saturating_sub(buffer.capacity());
        buffer
    }

    /// Lends a filled buffer out.
    pub(super) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        let bytes = buffer.capacity() as u64;
        Bytes::from_owner(Lent {
            buffer,
            home: Arc::downgrade(&self.spares),
            _out: self.out.count(bytes),
            _share: self.share.as_ref().map(|share| share.count(bytes)),
        })
    }

    /// The capacity of the buffers that wait.
    pub(super) fn waiting(&self) -> usize {
        at_hand(&self.spares).map_or(0, |spares| spares.bytes)
    }
}

/// Nobody waits for the other: who comes at the wrong moment does without.
fn at_hand(spares: &Mutex<Spares>) -> Option<MutexGuard<'_, Spares>> {
    match spares.try_lock() {
        Ok(spares) => Some(spares),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A buffer that is out.
struct Lent {
    buffer: Vec<u8>,
    home: Weak<Mutex<Spares>>,
    _out: Held,
    _share: Option<Held>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let Some(mut spares) = at_hand(&home) else {
            return;
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        if spares.bytes.saturating_add(buffer.capacity()) <= Pool::LARGEST {
            buffer.clear();
            spares.bytes += buffer.capacity();
            spares.buffers.push(buffer);
        }
    }
}
