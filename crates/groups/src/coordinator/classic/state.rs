//! The states of a classic group and the edges between them.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

/// The state of a classic group, with what belongs to that state alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; offsets may be there.
    Empty,
    /// Waits for the members to join.
    PreparingRebalance {
        /// Set when the group was empty: the join phase then ends by time alone.
        from_empty: Option<InitialDelay>,
    },
    /// Waits for the leader's assignment.
    CompletingRebalance {
        /// Members that did not ask for their assignment yet.
        unsynced: BTreeSet<Arc<str>>,
    },
    /// Has its assignment.
    Stable {
        /// Members that did not ask for their assignment yet.
        unsynced: BTreeSet<Arc<str>>,
    },
}

/// The wait for more members after an empty group's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitialDelay {
    /// The wait under way, in ms; `None` once the waits are over.
    pub(super) delay_ms: Option<i32>,
    /// How much longer the waits may be extended, in ms.
    pub(super) remaining_ms: i32,
    /// A member joined during the wait.
    pub(super) new_member_added: bool,
}

/// A state without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateKind {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

use StateKind::{CompletingRebalance, Empty, PreparingRebalance, Stable};

/// Every change of state that there is. The state Dead of Kafka is a group that is not there.
// Kafka: ClassicGroupState
pub(super) const EDGES: [(StateKind, StateKind); 6] = [
    (Empty, PreparingRebalance),
    (Stable, PreparingRebalance),
    (CompletingRebalance, PreparingRebalance),
    (PreparingRebalance, CompletingRebalance),
    (PreparingRebalance, Empty),
    (CompletingRebalance, Stable),
];

impl State {
    pub(super) fn kind(&self) -> StateKind {
        match self {
            Self::Empty => Empty,
            Self::PreparingRebalance { .. } => PreparingRebalance,
            Self::CompletingRebalance { .. } => CompletingRebalance,
            Self::Stable { .. } => Stable,
        }
    }

    /// Kafka's name of the state.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind() {
            Empty => "Empty",
            PreparingRebalance => "PreparingRebalance",
            CompletingRebalance => "CompletingRebalance",
            Stable => "Stable",
        }
    }
}
