//! The expiry of committed offsets, and of groups of which nothing is left.

use alloc::vec::Vec;

use super::tombstone;
use crate::coordinator::StoredOffset;
use crate::coordinator::classic::{Classic, StateKind};
use crate::coordinator::cx::Cx;
use crate::coordinator::group::Group;
use crate::coordinator::work::{Then, Write};

/// From when the retention of a group's offsets counts.
enum CountsFrom {
    /// From the group's own last change, if it is known.
    Group(Option<i64>),
    /// From each commit.
    Commit,
}

impl Group {
    /// Tombstones for what has expired. An empty group goes once all its offsets have.
    // Kafka: GroupCoordinatorShard.cleanupGroupMetadata, OffsetMetadataManager.cleanupExpiredOffsets
    pub(in crate::coordinator) fn expire_offsets(&self, cx: &Cx) -> Option<Write> {
        let classic = self.classic.as_ref()?;
        let (now_ms, retention_ms) = (cx.wall_ms(), cx.config.offsets_retention_ms);
        let mut records = Vec::new();
        let mut is_all = true;
        if !self.offsets.is_empty() {
            let counts_from = classic.counts_from()?;
            for (topic, partition, stored) in self.offsets.iter() {
                let is_expired = counts_from.has_expired(stored, now_ms, retention_ms);
                if is_expired && !classic.is_subscribed_to(topic) {
                    records.push(tombstone(&self.id, topic, partition));
                } else {
                    is_all = false;
                }
            }
        }
        if is_all && classic.is_empty() {
            records.push(self.group_tombstone());
        }
        let then = Then::Nothing;
        (!records.is_empty()).then_some(Write { records, then })
    }
}

impl Classic {
    /// `None`: in this state nothing expires.
    // Kafka: ClassicGroup.offsetExpirationCondition
    fn counts_from(&self) -> Option<CountsFrom> {
        if !self.has_protocol_type() {
            Some(CountsFrom::Commit)
        } else if self.is_empty() {
            Some(CountsFrom::Group(self.since_ms()))
        } else if self.is_of_consumers() && self.knows_subscriptions() && self.kind() == StateKind::Stable {
            Some(CountsFrom::Commit)
        } else {
            None
        }
    }
}

impl CountsFrom {
    // Kafka: OffsetExpirationConditionImpl
    fn has_expired(&self, stored: &StoredOffset, now_ms: i64, retention_ms: i64) -> bool {
        if let Some(at_ms) = stored.expire_timestamp_ms {
            return now_ms >= at_ms;
        }
        let from_ms = match self {
            Self::Group(Some(since_ms)) => *since_ms,
            Self::Group(None) | Self::Commit => stored.commit_timestamp_ms,
        };
        now_ms.saturating_sub(from_ms) >= retention_ms
    }
}
