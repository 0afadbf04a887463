//! The buffers that batches are decompressed into: given back when the last handle of a batch is dropped, wherever that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;

use crate::tally::{Held, Tally};

/// Buffers for one decompressor.
#[derive(Debug)]
pub(super) struct Pool {
    spares: Receiver<Vec<u8>>,
    home: Home,
    /// All buffers that are out.
    out: Tally,
    /// Of whom those that are taken from now on are.
    share: Option<Tally>,
}

/// The way back of the buffers. No lock is in it.
#[derive(Debug, Clone)]
struct Home {
    spares: Sender<Vec<u8>>,
    /// The capacity of the buffers that wait.
    waiting: Arc<AtomicUsize>,
}

impl Default for Pool {
    fn default() -> Self {
        Self::counted(Tally::new())
    }
}

impl Pool {
    /// The most bytes that wait to be used again.
    pub(super) const LARGEST: usize = 4 << 20;

    pub(super) fn counted(out: Tally) -> Self {
        let (sender, spares) = channel();
        Self {
            spares,
            home: Home {
                spares: sender,
                waiting: Arc::default(),
            },
            out,
            share: None,
        }
    }

    pub(super) fn charge(&mut self, share: &Tally) {
        self.share = Some(share.clone());
    }

    /// An empty buffer.
    pub(super) fn take(&self) -> Vec<u8> {
        let buffer = self.spares.try_recv().unwrap_or_default();
        // What is subtracted was added before.
        self.home.waiting.fetch_sub(buffer.capacity(), Ordering::Relaxed);
        buffer
    }

    /// Lends a filled buffer out.
    pub(super) fn lend(&self, buffer: Vec<u8>) -> Bytes {
        let bytes = buffer.capacity() as u64;
        Bytes::from_owner(Lent {
            buffer,
            home: self.home.clone(),
            _out: self.out.count(bytes),
            _share: self.share.as_ref().map(|share| share.count(bytes)),
        })
    }

    /// The capacity of the buffers that wait.
    pub(super) fn waiting(&self) -> usize {
        self.home.waiting.load(Ordering::Relaxed)
    }
}

impl Home {
    fn give(&self, mut buffer: Vec<u8>) {
        let bytes = buffer.capacity();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        buffer.clear();
        // With its decompressor gone, or enough that wait, it is freed.
        if before.saturating_add(bytes) > Pool::LARGEST || self.spares.send(buffer).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// A buffer that is out.
struct Lent {
    buffer: Vec<u8>,
    home: Home,
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
        self.home.give(std::mem::take(&mut self.buffer));
    }
}
