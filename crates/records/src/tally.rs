//! Counting memory that is held: a [`Tally`] knows how many bytes are out, a [`Held`] is some of them until it is dropped. What
//! is done when there are too many is for whoever reads the tally.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes are held, counted up by [`Tally::count`] and down when a [`Held`] is dropped, on any thread. Clones share
/// the count.
///
/// ```
/// use kohort_records::Tally;
///
/// let all = Tally::new();
/// let part = all.part();
/// let held = part.count(100);
/// assert_eq!((part.bytes(), all.bytes()), (100, 100));
/// drop(held);
/// assert_eq!((part.bytes(), all.bytes()), (0, 0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<Node>);

#[derive(Debug, Default)]
struct Node {
    bytes: AtomicU64,
    whole: Option<Tally>,
}

impl Tally {
    /// A tally at 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tally at 0 whose bytes count in this one, too.
    pub fn part(&self) -> Self {
        Self(Arc::new(Node {
            bytes: AtomicU64::new(0),
            whole: Some(self.clone()),
        }))
    }

    /// The bytes that are held now.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Acquire)
    }

    /// Whether there is no other handle: neither a clone nor a [`Held`] nor a part.
    pub fn is_unshared(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Whether the other is a clone of this one.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Counts so many bytes as held until the guard is dropped.
    pub fn count(&self, bytes: u64) -> Held {
        let mut node = Some(self);
        while let Some(Self(counted)) = node {
            counted.bytes.fetch_add(bytes, Ordering::Relaxed);
            node = counted.whole.as_ref();
        }
        Held {
            tally: self.clone(),
            bytes,
        }
    }
}

/// Bytes that count as held as long as this lives.
#[derive(Debug)]
pub struct Held {
    tally: Tally,
    bytes: u64,
}

impl Held {
    /// How many.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut node = Some(&self.tally);
        while let Some(Tally(counted)) = node {
            // What is subtracted was added before.
            counted.bytes.fetch_sub(self.bytes, Ordering::Release);
            node = counted.whole.as_ref();
        }
    }
}
