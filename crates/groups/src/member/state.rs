//! The states of a member and the moves between them. What happens in a state lives in the modules named after its phase.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Token;

use super::{Assigned, LeaveOperation};
use crate::{Assignment, Subscription, TopicPartition};

/// Where a member stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// Not in a generation, and nothing is asked.
    Unjoined { until: Until },
    /// The listener gives up partitions; `then` follows.
    Revoking { then: Then },
    /// JoinGroup was sent.
    Joining { token: Token },
    /// The member leads, the assignor runs.
    Computing {
        step: Token,
        members: Arc<BTreeMap<String, Subscription>>,
        skip_assignment: bool,
    },
    /// SyncGroup was sent.
    Syncing { token: Token },
    /// The listener takes the assignment.
    Assigning,
    /// In a generation, with an assignment.
    Stable,
    /// On the way out of the group.
    Leaving { phase: LeavePhase },
    /// The application must hear of an error.
    Failed,
}

/// What a member that has not joined waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// A subscription.
    Subscribed,
    /// A poll, after `max.poll.interval.ms` was exceeded.
    Polled,
    /// The end of a backoff.
    Backoff,
}

/// What follows when partitions were given up.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Then {
    /// JoinGroup.
    Join,
    /// The assignment that made them be given up (KIP-429).
    Assign(Assignment),
}

/// How far leaving is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LeavePhase {
    /// The listener runs: for what was under way before, or for the partitions owned.
    Listening {
        operation: LeaveOperation,
        reason: Arc<str>,
        rebalancing: bool,
    },
    /// LeaveGroup was sent.
    Telling { token: Token },
}

/// The one call of the listener that is under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listening {
    pub(super) step: Token,
    pub(super) call: Call,
}

/// What the listener is called for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Call {
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
    Assigned(Box<Assigned>),
}

/// A state without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unjoined,
    Revoking,
    Joining,
    Computing,
    Syncing,
    Assigning,
    Stable,
    Leaving,
    Failed,
}

impl State {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Unjoined { .. } => Kind::Unjoined,
            Self::Revoking { .. } => Kind::Revoking,
            Self::Joining { .. } => Kind::Joining,
            Self::Computing { .. } => Kind::Computing,
            Self::Syncing { .. } => Kind::Syncing,
            Self::Assigning => Kind::Assigning,
            Self::Stable => Kind::Stable,
            Self::Leaving { .. } => Kind::Leaving,
            Self::Failed => Kind::Failed,
        }
    }
}

/// The moves that a member can make.
const EDGES: &[(Kind, &[Kind])] = {
    use Kind::{Assigning, Computing, Failed, Joining, Leaving, Revoking, Stable, Syncing, Unjoined};
    &[
        (Unjoined, &[Revoking, Joining, Leaving, Failed]),
        (Revoking, &[Revoking, Joining, Assigning, Leaving, Failed]),
        (
            Joining,
            &[Unjoined, Revoking, Joining, Computing, Syncing, Leaving, Failed],
        ),
        (
            Computing,
            &[Unjoined, Revoking, Joining, Syncing, Leaving, Failed],
        ),
        (
            Syncing,
            &[Unjoined, Revoking, Joining, Assigning, Leaving, Failed],
        ),
        (Assigning, &[Stable, Unjoined, Revoking, Joining, Leaving, Failed]),
        (Stable, &[Unjoined, Revoking, Joining, Leaving, Failed]),
        (Leaving, &[Unjoined, Leaving]),
        (Failed, &[Unjoined, Revoking, Joining, Leaving, Failed]),
    ]
};

/// Whether a member may move from `from` to `to`.
pub(super) fn is_edge(from: Kind, to: Kind) -> bool {
    EDGES
        .iter()
        .any(|(kind, targets)| *kind == from && targets.contains(&to))
}
