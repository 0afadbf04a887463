//! Why the coordinator refuses: Kafka's errors by their meaning. The wire module maps them to codes.

use thiserror::Error;

use super::AppendFailure;

/// The coordinator's "no" to a request, a member or a partition. Each is the error of the same name in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// INVALID_GROUP_ID: the group id is empty.
    #[error("the group id is empty: set group.id")]
    InvalidGroupId,
    /// INVALID_SESSION_TIMEOUT: outside `group.min.session.timeout.ms` .. `group.max.session.timeout.ms`.
    #[error("session.timeout.ms is outside the broker's bounds")]
    InvalidSessionTimeout,
    /// COORDINATOR_LOAD_IN_PROGRESS: the group's partition of `__consumer_offsets` is being read.
    #[error("the coordinator is loading the group: try again")]
    LoadInProgress,
    /// COORDINATOR_NOT_AVAILABLE: too many requests wait, members have said too much, or an append timed out.
    #[error("the coordinator is not available: try again")]
    NotAvailable,
    /// NOT_COORDINATOR: another node hosts the group.
    #[error("this node does not coordinate the group: find its coordinator again")]
    NotCoordinator,
    /// UNKNOWN_MEMBER_ID: no such member; join anew.
    #[error("the group has no such member: join anew")]
    UnknownMemberId,
    /// MEMBER_ID_REQUIRED: join again with the id in the response (KIP-394).
    #[error("join again with the member id that was given")]
    MemberIdRequired,
    /// FENCED_INSTANCE_ID: a newer process uses the same `group.instance.id`.
    #[error("another member uses the same group.instance.id")]
    FencedInstanceId,
    /// ILLEGAL_GENERATION: the member's generation is not the group's.
    #[error("the generation is not the group's")]
    IllegalGeneration,
    /// INCONSISTENT_GROUP_PROTOCOL: no assignor in common with all members, or another kind of group.
    #[error("no protocol in common with all members of the group")]
    InconsistentGroupProtocol,
    /// REBALANCE_IN_PROGRESS: join again.
    #[error("the group rebalances: join again")]
    RebalanceInProgress,
    /// GROUP_MAX_SIZE_REACHED: the group has `group.max.size` members.
    #[error("the group has group.max.size members")]
    GroupMaxSizeReached,
    /// GROUP_ID_NOT_FOUND.
    #[error("there is no such group")]
    GroupIdNotFound,
    /// NON_EMPTY_GROUP: the group has members.
    #[error("the group has members")]
    NonEmptyGroup,
    /// GROUP_SUBSCRIBED_TO_TOPIC: members still read the topic.
    #[error("members of the group subscribe to the topic")]
    GroupSubscribedToTopic,
    /// OFFSET_METADATA_TOO_LARGE: the note is longer than `offset.metadata.max.bytes`.
    #[error("the committed offset's metadata is longer than offset.metadata.max.bytes")]
    OffsetMetadataTooLarge,
    /// UNKNOWN_SERVER_ERROR: a request that makes no sense, or an append larger than the log takes.
    #[error("the coordinator could not do this")]
    Unexpected,
}

impl From<AppendFailure> for Refusal {
    // Kafka: CoordinatorOperationExceptionHelper.handleOperationException
    fn from(failure: AppendFailure) -> Self {
        match failure {
            AppendFailure::Unavailable => Self::NotAvailable,
            AppendFailure::NotLeader => Self::NotCoordinator,
            AppendFailure::TooLarge => Self::Unexpected,
        }
    }
}
