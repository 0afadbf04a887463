//! The coordinator's durable records: what `__consumer_offsets` holds, typed. The wire module has their bytes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::OffsetAndMetadata;

/// The id of a topic (KIP-516), sixteen bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

/// One record of `__consumer_offsets`. A value of `None` is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub enum CoordinatorRecord {
    /// A committed offset (key type 1).
    Offset {
        /// The group.
        group_id: Arc<str>,
        /// The topic.
        topic: Arc<str>,
        /// The partition of that topic.
        partition: i32,
        /// What was committed.
        value: Option<StoredOffset>,
    },
    /// A classic group (key type 2).
    Group {
        /// The group.
        group_id: Arc<str>,
        /// The group as of its last rebalance.
        value: Option<StoredGroup>,
    },
}

impl CoordinatorRecord {
    /// The group that the record belongs to.
    pub fn group_id(&self) -> &Arc<str> {
        match self {
            Self::Offset { group_id, .. } | Self::Group { group_id, .. } => group_id,
        }
    }
}

/// A committed offset as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOffset {
    /// The offset, its leader epoch and note.
    pub offset: OffsetAndMetadata,
    /// When it was committed, in ms since 1970.
    pub commit_timestamp_ms: i64,
    /// When it expires, for commits that named a retention time (OffsetCommit before version 5).
    pub expire_timestamp_ms: Option<i64>,
    /// The topic's id, when the committer told it.
    pub topic_id: Option<TopicId>,
}

/// A classic group as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGroup {
    /// `consumer` for consumers; empty for a group that no member has joined.
    pub protocol_type: Arc<str>,
    /// The generation.
    pub generation: i32,
    /// The assignor in use.
    pub protocol: Option<Arc<str>>,
    /// The member that assigns.
    pub leader: Option<Arc<str>>,
    /// When the group came to its state, in ms since 1970.
    pub state_timestamp_ms: Option<i64>,
    /// The members; none in an empty group.
    pub members: Vec<StoredMember>,
}

/// A member of a classic group as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// `group.instance.id`.
    pub group_instance_id: Option<Arc<str>>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// The address it joined from.
    pub client_host: Arc<str>,
    /// How long it may take to rejoin, in ms.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent, in ms.
    pub session_timeout_ms: i32,
    /// Its metadata for the assignor in use.
    pub subscription: Bytes,
    /// What it was assigned.
    pub assignment: Bytes,
}
