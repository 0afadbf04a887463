//! The words in which engine and delivery speak of one assigned partition: its slot, its fetch epoch, its position. No rule
//! lives here.

use core::fmt;

/// Names one partition for as long as it stays assigned. Never reused: a partition that is assigned again has a new slot, so
/// nothing that was fetched for an earlier assignment can be handed out.
///
/// Slots of a group's assignment are issued by the engine and are even; slots of a manual assignment are issued by
/// [`Delivery`](crate::delivery::Delivery) and are odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u64);

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}", self.0)
    }
}

/// Counts the jumps of a partition's position. What was fetched before a jump carries an older epoch and is dropped.
///
/// Both sides may jump without asking the other: the caller by a seek, the engine by a reset. A seek counts more than any
/// reset, so a reset that was under way when the caller sought is the older one on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FetchEpoch {
    /// Seeks by the caller.
    pub seeks: u32,
    /// Resets by the engine since the last seek.
    pub resets: u32,
}

impl FetchEpoch {
    /// The epoch after one more seek.
    pub fn after_seek(self) -> Self {
        Self {
            seeks: self.seeks.wrapping_add(1),
            resets: 0,
        }
    }

    /// The epoch after one more reset.
    pub fn after_reset(self) -> Self {
        Self {
            seeks: self.seeks,
            resets: self.resets.wrapping_add(1),
        }
    }
}

/// Where a partition goes on: the offset of the next record, and what is known of the log there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The offset of the next record.
    pub offset: i64,
    /// The leader epoch of the last record before it, if known (KIP-320): a commit stores it, a fetch tells it the broker.
    pub leader_epoch: Option<i32>,
}

impl Position {
    /// `offset` without a leader epoch.
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seek_is_newer_than_any_reset_before_it() {
        let start = FetchEpoch::default();
        let reset_twice = start.after_reset().after_reset();
        assert!(reset_twice < start.after_seek());
        assert!(start.after_seek() < start.after_seek().after_reset());
    }
}
