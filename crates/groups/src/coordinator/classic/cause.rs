//! Why a classic group rebalances: what is passed to `prepare_rebalance`, for logs and the rebalance journal.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::coordinator::Refusal;

/// Why a rebalance began.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RebalanceCause {
    /// A member joined.
    MemberJoined {
        /// Its id.
        member_id: Arc<str>,
        /// Its own reason.
        reason: Option<String>,
    },
    /// The leader joined again: it wants to assign anew.
    LeaderRejoined {
        /// Its id.
        member_id: Arc<str>,
        /// Its own reason.
        reason: Option<String>,
    },
    /// A member joined again with other metadata.
    MetadataChanged {
        /// Its id.
        member_id: Arc<str>,
        /// Its own reason.
        reason: Option<String>,
    },
    /// A static member returned under a new id.
    StaticMemberReplaced {
        /// Its new id.
        member_id: Arc<str>,
        /// Its own reason.
        reason: Option<String>,
    },
    /// Members left.
    MembersLeft {
        /// Their ids, as they told them.
        member_ids: Vec<Arc<str>>,
    },
    /// A member was silent for longer than its session timeout.
    SessionExpired {
        /// Its id.
        member_id: Arc<str>,
    },
    /// Members joined and then did not ask for their assignment.
    SyncExpired {
        /// Their ids.
        member_ids: Vec<Arc<str>>,
    },
    /// The assignment could not be stored.
    AssignmentNotStored {
        /// Why.
        refusal: Refusal,
    },
    /// A loaded group has more members than `group.max.size`.
    GroupTooLarge {
        /// How many it has.
        members: usize,
    },
}
