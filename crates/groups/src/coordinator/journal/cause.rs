//! Why a classic group rebalances: what is passed to `prepare_rebalance`, and what the rebalance journal tells.

use alloc::string::String;
use alloc::vec::Vec;
use core::slice;

use super::Participant;
use crate::coordinator::Refusal;

/// Why a rebalance began, or what happened to the group while it waited for its members.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RebalanceCause {
    /// A member joined.
    MemberJoined {
        /// The member.
        member: Participant,
        /// Its own reason (KIP-800).
        reason: Option<String>,
    },
    /// The leader joined again: it wants to assign anew.
    LeaderRejoined {
        /// The leader.
        member: Participant,
        /// Its own reason.
        reason: Option<String>,
    },
    /// A member joined again with other metadata.
    MetadataChanged {
        /// The member.
        member: Participant,
        /// Its own reason.
        reason: Option<String>,
    },
    /// A static member returned under a new id.
    StaticMemberReplaced {
        /// The member, under its new id.
        member: Participant,
        /// Its own reason.
        reason: Option<String>,
    },
    /// Members left, or were removed by an administrator.
    MembersLeft {
        /// Who.
        members: Vec<Participant>,
        /// The reason of the first that gave one.
        reason: Option<String>,
    },
    /// A member was silent for longer than its session timeout.
    SessionExpired {
        /// The member.
        member: Participant,
    },
    /// Members joined and then did not ask for their assignment.
    SyncExpired {
        /// Who.
        members: Vec<Participant>,
    },
    /// Members were there before and did not join again in time.
    JoinExpired {
        /// Who.
        members: Vec<Participant>,
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

impl RebalanceCause {
    /// The cause in one word, as the journal's records name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MemberJoined { .. } => "member_joined",
            Self::LeaderRejoined { .. } => "leader_rejoined",
            Self::MetadataChanged { .. } => "metadata_changed",
            Self::StaticMemberReplaced { .. } => "static_member_replaced",
            Self::MembersLeft { .. } => "members_left",
            Self::SessionExpired { .. } => "session_expired",
            Self::SyncExpired { .. } => "sync_expired",
            Self::JoinExpired { .. } => "join_expired",
            Self::AssignmentNotStored { .. } => "assignment_not_stored",
            Self::GroupTooLarge { .. } => "group_too_large",
        }
    }

    /// The members that it is about; none where it is about the group.
    pub fn members(&self) -> &[Participant] {
        match self {
            Self::MemberJoined { member, .. }
            | Self::LeaderRejoined { member, .. }
            | Self::MetadataChanged { member, .. }
            | Self::StaticMemberReplaced { member, .. }
            | Self::SessionExpired { member } => slice::from_ref(member),
            Self::MembersLeft { members, .. }
            | Self::SyncExpired { members }
            | Self::JoinExpired { members } => members,
            Self::AssignmentNotStored { .. } | Self::GroupTooLarge { .. } => &[],
        }
    }

    /// What the member itself gave as reason.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::MemberJoined { reason, .. }
            | Self::LeaderRejoined { reason, .. }
            | Self::MetadataChanged { reason, .. }
            | Self::StaticMemberReplaced { reason, .. }
            | Self::MembersLeft { reason, .. } => reason.as_deref(),
            Self::SessionExpired { .. }
            | Self::SyncExpired { .. }
            | Self::JoinExpired { .. }
            | Self::AssignmentNotStored { .. }
            | Self::GroupTooLarge { .. } => None,
        }
    }
}
