//! What can come back instead of an answer, and what of it the application must hear. The decision which is which lives in
//! `answers`.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::MemberApi;

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The coordinator answered with an error code.
    Refused(Refusal),
    /// No answer came in time.
    TimedOut,
    /// The connection broke before the answer came.
    Disconnected,
    /// The coordinator could not be found or reached in time; nothing was sent.
    Unreachable,
    /// The coordinator has no version of the request that can say what the member must say.
    Unsupported {
        /// What is missing.
        detail: Box<str>,
    },
    /// The answer could not be read, or says what no coordinator may say.
    Malformed {
        /// What is wrong with it.
        detail: Box<str>,
    },
}

/// An error code of the coordinator, as far as a member tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// COORDINATOR_NOT_AVAILABLE (15).
    CoordinatorNotAvailable,
    /// NOT_COORDINATOR (16).
    NotCoordinator,
    /// COORDINATOR_LOAD_IN_PROGRESS (14).
    CoordinatorLoadInProgress,
    /// UNKNOWN_MEMBER_ID (25).
    UnknownMemberId,
    /// ILLEGAL_GENERATION (22).
    IllegalGeneration,
    /// REBALANCE_IN_PROGRESS (27).
    RebalanceInProgress,
    /// MEMBER_ID_REQUIRED (79): join again with this id.
    MemberIdRequired {
        /// The id given.
        member_id: Arc<str>,
    },
    /// FENCED_INSTANCE_ID (82).
    FencedInstanceId,
    /// INCONSISTENT_GROUP_PROTOCOL (23).
    InconsistentGroupProtocol,
    /// INVALID_SESSION_TIMEOUT (26).
    InvalidSessionTimeout,
    /// INVALID_GROUP_ID (24).
    InvalidGroupId,
    /// GROUP_AUTHORIZATION_FAILED (30).
    GroupAuthorizationFailed,
    /// GROUP_MAX_SIZE_REACHED (81).
    GroupMaxSizeReached,
    /// UNSUPPORTED_VERSION (35).
    UnsupportedVersion,
    /// Any other code.
    Other(i16),
}

/// What ended the membership and must be told to the application. The member tries again only when it is polled again, and after
/// [`MemberError::FencedInstanceId`] not even then: until it unsubscribes, each poll fails so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// Another consumer joined with the same `group.instance.id`.
    #[error(
        "group {group_id}: group.instance.id {group_instance_id} was taken over by another consumer: give each consumer its own"
    )]
    FencedInstanceId {
        /// `group.id`.
        group_id: Arc<str>,
        /// `group.instance.id`.
        group_instance_id: Arc<str>,
    },
    /// The user may not read the group.
    #[error("not authorized to access group {group_id}: allow Read on it")]
    GroupAuthorization {
        /// `group.id`.
        group_id: Arc<str>,
    },
    /// No assignor, or no protocol type, is common to the group's members.
    #[error("group {group_id}: {detail}: let all members share one entry of partition.assignment.strategy")]
    InconsistentProtocol {
        /// `group.id`.
        group_id: Arc<str>,
        /// What does not agree.
        detail: Box<str>,
    },
    /// The broker's limits exclude the session time-out.
    #[error(
        "group {group_id}: session.timeout.ms {session_timeout_ms} is outside the broker's group.min.session.timeout.ms and group.max.session.timeout.ms"
    )]
    InvalidSessionTimeout {
        /// `group.id`.
        group_id: Arc<str>,
        /// `session.timeout.ms`.
        session_timeout_ms: u128,
    },
    /// The broker refuses the group's name.
    #[error("the broker refuses group.id {group_id:?}: set a valid one")]
    InvalidGroupId {
        /// `group.id`.
        group_id: Arc<str>,
    },
    /// The group is full.
    #[error(
        "group {group_id} has its maximum number of members: stop one, or raise the broker's group.max.size"
    )]
    GroupMaxSizeReached {
        /// `group.id`.
        group_id: Arc<str>,
    },
    /// The broker is too old for what is asked.
    #[error(
        "group {group_id}: the broker does not support {detail}: unset group.instance.id, or use a newer broker"
    )]
    UnsupportedVersion {
        /// `group.id`.
        group_id: Arc<str>,
        /// What it does not support.
        detail: Box<str>,
    },
    /// The leader's assignor gave no valid assignment.
    #[error("group {group_id}: assignor {assignor}: {reason}")]
    Assignor {
        /// `group.id`.
        group_id: Arc<str>,
        /// The assignor's name.
        assignor: Arc<str>,
        /// What it did wrong.
        reason: Box<str>,
    },
    /// The coordinator's answer makes no sense.
    #[error("group {group_id}: {api:?}: {detail}")]
    Malformed {
        /// `group.id`.
        group_id: Arc<str>,
        /// The request answered.
        api: MemberApi,
        /// What is wrong with the answer.
        detail: Box<str>,
    },
    /// An error code that the request should not get.
    #[error("group {group_id}: {api:?} was refused with {refusal:?}")]
    Unexpected {
        /// `group.id`.
        group_id: Arc<str>,
        /// The request refused.
        api: MemberApi,
        /// The code.
        refusal: Refusal,
    },
}

impl MemberError {
    /// Whether polling again can help without a change of settings, permissions or code.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self,
            Self::GroupMaxSizeReached { .. } | Self::Malformed { .. } | Self::Unexpected { .. }
        )
    }

    /// The opposite of [`MemberError::is_retriable`].
    pub fn is_fatal(&self) -> bool {
        !self.is_retriable()
    }
}
