//! Why a member joins its group: in a word for programs, and in the words that JoinGroup carries.

use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, string::String};
use core::fmt;

use super::MemberApi;

/// Why a member joins its group, or tries to again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It was subscribed and is not a member yet.
    FirstJoin,
    /// The set of subscribed topics changed.
    SubscriptionChanged,
    /// It leads, and the partitions of these topics are no longer those that it assigned.
    PartitionsChanged {
        /// The topics, in order.
        topics: Vec<Arc<str>>,
    },
    /// The coordinator said that the group rebalances.
    RebalanceInProgress {
        /// In the answer to which request.
        api: MemberApi,
    },
    /// The coordinator gave an id to join with; part of the same rebalance.
    MemberIdRequired {
        /// The id.
        member_id: Arc<str>,
    },
    /// The coordinator does not know the member: its session expired, it was removed, or the group is gone.
    UnknownMemberId {
        /// In the answer to which request.
        api: MemberApi,
    },
    /// The group went on to a generation without this member.
    IllegalGeneration {
        /// In the answer to which request.
        api: MemberApi,
    },
    /// The application did not poll for `max.poll.interval.ms`.
    PollExpired,
    /// The coordinator moved, is loading, or could not be reached while the group was being joined.
    CoordinatorFailed {
        /// Which request failed.
        api: MemberApi,
    },
    /// The leader assigned topics that the member does not subscribe to any more.
    AssignmentMismatch,
    /// Partitions were given up for other members, which get them in the next generation (KIP-429).
    GaveUpPartitions,
    /// The application polled again after an error.
    PolledAfterError,
    /// The application asked for it (KIP-568).
    Enforced {
        /// Why, as the application says it.
        reason: Arc<str>,
    },
    /// The member leaves, and joins no more. A static one may stay in its group.
    Leaving {
        /// Why, as LeaveGroup says it.
        reason: Arc<str>,
    },
    /// The member failed and is out of its generation: it loses all it had. The application polls again, or it ends.
    Failed {
        /// The error that the application hears of.
        reason: Arc<str>,
    },
}

impl Cause {
    /// The cause in one word, for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FirstJoin => "first_join",
            Self::SubscriptionChanged => "subscription_changed",
            Self::PartitionsChanged { .. } => "partitions_changed",
            Self::RebalanceInProgress { .. } => "rebalance_in_progress",
            Self::MemberIdRequired { .. } => "member_id_required",
            Self::UnknownMemberId { .. } => "unknown_member_id",
            Self::IllegalGeneration { .. } => "illegal_generation",
            Self::PollExpired => "poll_expired",
            Self::CoordinatorFailed { .. } => "coordinator_failed",
            Self::AssignmentMismatch => "assignment_mismatch",
            Self::GaveUpPartitions => "gave_up_partitions",
            Self::PolledAfterError => "polled_after_error",
            Self::Enforced { .. } => "enforced",
            Self::Leaving { .. } => "leaving",
            Self::Failed { .. } => "failed",
        }
    }

    /// The words that JoinGroup carries to the broker's log (KIP-800).
    pub fn reason(&self) -> Arc<str> {
        let text: String = match self {
            Self::FirstJoin => return "".into(),
            Self::SubscriptionChanged => return "subscription has changed".into(),
            Self::PartitionsChanged { topics } => {
                format!("partitions have changed: {}", topics.join(", "))
            }
            Self::RebalanceInProgress { api } => {
                format!("group is already rebalancing, said {}", api_name(*api))
            }
            Self::MemberIdRequired { member_id } => format!("joining with the given member id {member_id}"),
            Self::UnknownMemberId { api } => format!("UNKNOWN_MEMBER_ID from {}", api_name(*api)),
            Self::IllegalGeneration { api } => format!("ILLEGAL_GENERATION from {}", api_name(*api)),
            Self::PollExpired => return "max.poll.interval.ms was exceeded".into(),
            Self::CoordinatorFailed { api } => format!("coordinator failed at {}", api_name(*api)),
            Self::AssignmentMismatch => return "assignment does not match the current subscription".into(),
            Self::GaveUpPartitions => return "partitions were revoked for other members".into(),
            Self::PolledAfterError => return "polled again after an error".into(),
            Self::Enforced { reason } | Self::Leaving { reason } | Self::Failed { reason } => {
                return truncated(reason);
            }
        };
        truncated(&text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstJoin => f.write_str("subscribed"),
            other => f.write_str(&other.reason()),
        }
    }
}

fn api_name(api: MemberApi) -> &'static str {
    match api {
        MemberApi::JoinGroup => "JOIN_GROUP",
        MemberApi::SyncGroup => "SYNC_GROUP",
        MemberApi::Heartbeat => "HEARTBEAT",
        MemberApi::LeaveGroup => "LEAVE_GROUP",
        MemberApi::OffsetCommit => "OFFSET_COMMIT",
    }
}

/// At most 255 characters, as the broker keeps.
// Kafka: JoinGroupRequest.maybeTruncateReason
pub(super) fn truncated(reason: &str) -> Arc<str> {
    match reason.char_indices().nth(255) {
        Some((end, _)) => reason.get(..end).unwrap_or_default().into(),
        None => reason.into(),
    }
}
