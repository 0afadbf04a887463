//! What goes into the coordinator and what comes out.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{Correlated, Token};
use thiserror::Error;

use super::{CoordinatorRecord, GroupRequest, GroupResponse, Rebalance, TopicId};

/// Who sends a request, as groups are described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The `client.id` of the request's header.
    pub id: Arc<str>,
    /// The address that the request came from, as Java prints it (`/127.0.0.1`).
    pub host: Arc<str>,
}

/// What can happen to a [`super::Coordinator`].
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A request, which is answered by exactly one [`Action::Reply`] with the same token.
    Request {
        /// Names the request; the driver's own.
        token: Token,
        /// Wall time, in ms since 1970.
        wall_ms: i64,
        /// The sender.
        client: Client,
        /// What it asks.
        request: Box<GroupRequest>,
    },
    /// The answer to [`Action::Append`].
    Appended {
        /// The append's token.
        token: Token,
        /// Whether the records are in the log now.
        result: Result<(), AppendFailure>,
    },
    /// Records of a partition of `__consumer_offsets` that this node begins to host, in log order; until [`Event::Loaded`] its
    /// groups are answered COORDINATOR_LOAD_IN_PROGRESS.
    Load {
        /// The partition of `__consumer_offsets`.
        partition: i32,
        /// Some of its records.
        records: Vec<CoordinatorRecord>,
    },
    /// The partition was read to its end: its groups are served from now on, and their sessions begin anew.
    Loaded {
        /// The partition of `__consumer_offsets`.
        partition: i32,
        /// Wall time, in ms since 1970.
        wall_ms: i64,
    },
    /// This node no longer hosts the partition: what waits is answered NOT_COORDINATOR, its groups are forgotten.
    Unload {
        /// The partition of `__consumer_offsets`.
        partition: i32,
    },
    /// Topics were deleted: their committed offsets go.
    TopicsDeleted {
        /// Name and id of each.
        topics: Vec<(Arc<str>, TopicId)>,
    },
}

/// What a [`super::Coordinator`] wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Answer a request.
    Reply {
        /// The request's token.
        token: Token,
        /// The answer.
        response: Box<GroupResponse>,
    },
    /// Append the records, in order and all or none, to a partition of `__consumer_offsets`; answer with [`Event::Appended`].
    Append {
        /// Names the append.
        token: Token,
        /// The partition of `__consumer_offsets`.
        partition: i32,
        /// What to append.
        records: Vec<CoordinatorRecord>,
    },
    /// A rebalance of a group has ended; for whoever keeps a journal of them.
    Rebalanced {
        /// The group.
        group_id: Arc<str>,
        /// How it went.
        rebalance: Arc<Rebalance>,
    },
}

/// Why records could not be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AppendFailure {
    /// The partition does not exist, lacks in-sync replicas, or the append timed out.
    #[error("the log is not available")]
    Unavailable,
    /// This node no longer leads the partition, or its storage failed.
    #[error("this node cannot write the log")]
    NotLeader,
    /// The records are more than the log takes at once.
    #[error("the records are too large for the log")]
    TooLarge,
}

impl Correlated for Event {
    fn closes(&self) -> Option<Token> {
        match self {
            Self::Appended { token, .. } => Some(*token),
            _ => None,
        }
    }
}

impl Correlated for Action {
    fn opens(&self) -> Option<Token> {
        match self {
            Self::Append { token, .. } => Some(*token),
            Self::Reply { .. } | Self::Rebalanced { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_actions_are_small() {
        assert!(size_of::<Event>() <= 64, "{}", size_of::<Event>());
        assert!(size_of::<Action>() <= 64, "{}", size_of::<Action>());
    }
}
