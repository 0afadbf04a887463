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
        /// Who, the first [`RebalanceCause::MAX_MEMBERS`].
        members: Vec<Participant>,
        /// How many more.
        unlisted: usize,
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
        /// Who, the first [`RebalanceCause::MAX_MEMBERS`].
        members: Vec<Participant>,
        /// How many more.
        unlisted: usize,
    },
    /// Members were there before and did not join again in time.
    JoinExpired {
        /// Who, the first [`RebalanceCause::MAX_MEMBERS`].
        members: Vec<Participant>,
        /// How many more.
        unlisted: usize,
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
    /// How many members a cause lists, and fewer where their names have more than 64 KiB.
    pub const MAX_MEMBERS: usize = 1_000;

    /// How many bytes of names it lists where it is about several members.
    pub(super) const MAX_NAMES: usize = 64 << 10;

    /// The same with no more members than are listed; the others are counted.
    pub(super) fn shortened(mut self) -> Self {
        if let Self::MembersLeft {
            members, unlisted, ..
        }
        | Self::SyncExpired { members, unlisted }
        | Self::JoinExpired { members, unlisted } = &mut self
        {
            *unlisted += keep_names(members, Self::MAX_MEMBERS, Self::MAX_NAMES, Participant::names);
        }
        self
    }

    /// The bytes of the names and of the reason in it.
    pub(super) fn names(&self) -> usize {
        let names = self.members().iter().map(Participant::names);
        names.sum::<usize>() + self.reason().map_or(0, str::len)
    }

    /// How many members it is about that [`RebalanceCause::members`] does not list.
    pub fn members_unlisted(&self) -> usize {
        match self {
            Self::MembersLeft { unlisted, .. }
            | Self::SyncExpired { unlisted, .. }
            | Self::JoinExpired { unlisted, .. } => *unlisted,
            _ => 0,
        }
    }

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
            | Self::SyncExpired { members, .. }
            | Self::JoinExpired { members, .. } => members,
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

/// Keeps the first of a list, no more than `most` and only as long as their names have no more than `bytes`. Gives how many go.
pub(super) fn keep_names<T>(
    listed: &mut Vec<T>,
    most: usize,
    mut bytes: usize,
    names: impl Fn(&T) -> usize,
) -> usize {
    let fits = |one: &&T| {
        let left = bytes.checked_sub(names(one));
        bytes = left.unwrap_or(bytes);
        left.is_some()
    };
    let kept = listed.iter().take(most).take_while(fits).count();
    let gone = listed.len() - kept;
    listed.truncate(kept);
    listed.shrink_to_fit();
    gone
}
