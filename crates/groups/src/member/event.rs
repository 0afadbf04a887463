//! What a member is told and what it wants done.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Correlated, Token};

use super::{Cause, Failure, MemberError, MemberRequest, MemberResponse, Rebalance, Refusal};
use crate::assign::{GroupTopics, Shares};
use crate::{Assignment, Identity, Subscription, TopicPartition};

/// What can happen to a member.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The application wants these topics (a pattern's topics as far as they are known; possibly none yet). A member that is
    /// not in its group joins; one that is joins again when the set differs from the one it joined with.
    Subscribed {
        /// The topics, in any order.
        topics: Vec<Arc<str>>,
        /// They are those that match a pattern: the leader, which may know more of them, may assign others. It is for the
        /// engine to see whether those match.
        by_pattern: bool,
    },
    /// The application wants no topics any more: as [`Event::Leave`] by default.
    Unsubscribed,
    /// How many partitions each topic has now, and on which racks; topics that do not exist are left out. A leader joins again
    /// when this differs from what it assigned (in racks only if it has one itself). Send it whenever the metadata of one of
    /// [`Member::watched_topics`](super::Member::watched_topics) changed, with all of those that exist.
    Partitions {
        /// What an assignor would be told of each topic.
        topics: GroupTopics,
    },
    /// The one answer to [`Action::Send`].
    Reply {
        /// The request's token.
        token: Token,
        /// What came of it.
        result: Result<Box<MemberResponse>, Failure>,
    },
    /// The listener ran for [`Action::Revoke`] (offsets are committed by then, if they are to be).
    Revoked {
        /// The action's step.
        step: Token,
    },
    /// The listener ran for [`Action::Lost`].
    Lost {
        /// The action's step.
        step: Token,
    },
    /// The listener ran for [`Action::Assign`].
    Assigned {
        /// The action's step.
        step: Token,
    },
    /// The assignor ran for [`Action::Compute`], or failed with this message.
    Computed {
        /// The action's step.
        step: Token,
        /// Its assignment, or why there is none.
        result: Result<Box<Computed>, Box<str>>,
    },
    /// A commit under `identity` was refused. UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION and REBALANCE_IN_PROGRESS concern the
    /// membership; others are ignored.
    CommitRefused {
        /// The identity that the commit carried.
        identity: Box<Identity>,
        /// The code.
        refusal: Refusal,
    },
    /// The JoinGroup of this [`Action::Send`] was not sent, because what it says may be out of date: it is made anew, with what
    /// was subscribed to meanwhile.
    JoinAnew {
        /// The request's token.
        token: Token,
    },
    /// `max.poll.interval.ms` passed without a poll.
    PollExpired,
    /// The application polled; needed only after [`Event::PollExpired`], and after the error of [`Action::Failed`] was handed
    /// to it. A member that was fenced fails again.
    Polled,
    /// The application wants the member to join again (KIP-568), and polls. One that is on its way to a generation, or out of its
    /// group, does not join for it.
    Enforced {
        /// Why, for JoinGroup (KIP-800).
        reason: Arc<str>,
    },
    /// Leave the group and stay out of it. A second one while leaving joins the first.
    Leave {
        /// Who of static and dynamic members tells the coordinator.
        operation: LeaveOperation,
        /// Why, for the broker's log (KIP-800).
        reason: Arc<str>,
    },
    /// The time for [`Event::Leave`] is over: the coordinator is told at once, if it is to be, and neither the listener nor
    /// the answer is waited for. What comes of it is not said.
    LeaveNow {
        /// As in [`Event::Leave`].
        operation: LeaveOperation,
        /// As in [`Event::Leave`].
        reason: Arc<str>,
    },
}

/// Whether leaving is told to the coordinator (KIP-1092).
// Kafka: CloseOptions.GroupMembershipOperation
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaveOperation {
    /// Dynamic members tell it, static ones stay until their session expires.
    #[default]
    Default,
    /// All tell it.
    LeaveGroup,
    /// None tells it.
    RemainInGroup,
}

/// An assignor's result.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Computed {
    /// What each member gets; a member that is left out gets nothing.
    pub assignments: BTreeMap<String, Assignment>,
    /// The topics that it was computed from.
    pub topics: GroupTopics,
}

impl Computed {
    /// What an assignor made of these topics.
    pub fn of(assignments: Shares, topics: GroupTopics) -> Self {
        Self { assignments, topics }
    }
}

/// What a member wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this to the group's coordinator, finding it first. Answered by [`Event::Reply`].
    Send {
        /// Names the request.
        token: Token,
        /// The request.
        request: MemberRequest,
        /// How long to wait for the answer, the search for the coordinator included.
        timeout: Duration,
    },
    /// Forget the coordinator and look for it again.
    CoordinatorMoved,
    /// Stop the fetching of these partitions, commit if that is automatic, run the listener. Answered by [`Event::Revoked`].
    Revoke {
        /// Names the step.
        step: Token,
        /// What is given up.
        partitions: Vec<TopicPartition>,
    },
    /// Stop the fetching of these partitions, which may have another owner already; do not commit; run the listener. Answered
    /// by [`Event::Lost`].
    Lost {
        /// Names the step.
        step: Token,
        /// What is lost.
        partitions: Vec<TopicPartition>,
    },
    /// Own `all` from now on, run the listener for `added`, even if that is empty. Answered by [`Event::Assigned`].
    Assign {
        /// Names the step.
        step: Token,
        /// What changed.
        assignment: Box<Assigned>,
    },
    /// Get fresh metadata of every member's topics, run the assignor. Answered by [`Event::Computed`].
    Compute {
        /// Names the step.
        step: Token,
        /// The assignor's name.
        assignor: Arc<str>,
        /// Every member and what it subscribes to.
        members: Arc<BTreeMap<String, Subscription>>,
        /// Do not run the assignor: the old assignment stands, and only the partitions are to be told (KIP-814).
        skip: bool,
    },
    /// A rebalance began (for the journal).
    Began {
        /// Its number.
        number: u64,
        /// Why.
        cause: Box<Cause>,
    },
    /// A rebalance ended (for the journal).
    Ended(Box<Rebalance>),
    /// The member is out of its group; the answer to [`Event::Leave`] and [`Event::Unsubscribed`].
    Left {
        /// What the coordinator said; the member is out in any case.
        result: Result<(), Failure>,
    },
    /// The member gives its generation up because the application does not poll: at [`Event::PollExpired`], or, where it was
    /// joining then, a whole interval after it has joined.
    PollExpired,
    /// The membership ended with an error for the application.
    Failed {
        /// The error.
        error: Box<MemberError>,
    },
}

/// What a member owns after a rebalance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The assignor by which it was made.
    pub assignor: Arc<str>,
    /// The generation in which it holds.
    pub identity: Identity,
    /// All partitions owned, in order.
    pub all: Vec<TopicPartition>,
    /// Those of them that were not owned before, in order.
    pub added: Vec<TopicPartition>,
    /// What the assignor sent along.
    pub user_data: Option<bytes::Bytes>,
}

impl Correlated for Action {
    fn opens(&self) -> Option<Token> {
        match self {
            Self::Send { token, .. } => Some(*token),
            Self::Revoke { step, .. }
            | Self::Lost { step, .. }
            | Self::Assign { step, .. }
            | Self::Compute { step, .. } => Some(*step),
            _ => None,
        }
    }
}

impl Correlated for Event {
    fn closes(&self) -> Option<Token> {
        match self {
            Self::Reply { token, .. } | Self::JoinAnew { token } => Some(*token),
            Self::Revoked { step }
            | Self::Lost { step }
            | Self::Assigned { step }
            | Self::Computed { step, .. } => Some(*step),
            _ => None,
        }
    }
}
