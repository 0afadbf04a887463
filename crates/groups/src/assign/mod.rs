//! Assignors: how a leader shares partitions among the members of a classic group.
//!
//! What lives here: the [`Assignor`] trait and those that Kafka ships, by Kafka's names. What does not: the bytes of
//! subscriptions and assignments (`wire`), and when an assignment is made (`member`).
//!
//! All of Kafka's own work on a group by numbers (`group`); names are looked up once at the start and put back at the end.

mod check;
mod group;
mod order;
mod racks;
mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

pub use check::check;
pub use range::Range;
pub use round_robin::RoundRobin;
pub use sticky::{CooperativeSticky, Sticky};

use crate::{Assignment, Identity, RebalanceProtocol, Subscription};

/// The topics that the members of a group subscribe to, by name. A topic that does not exist is left out.
pub type GroupTopics = BTreeMap<Arc<str>, TopicLayout>;

/// What each member gets.
// Kafka: ConsumerPartitionAssignor.GroupAssignment
pub type Shares = BTreeMap<String, Assignment>;

/// What an assignor is told of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicLayout {
    /// How many partitions it has, numbered from 0.
    pub partitions: u32,
    /// For each partition the racks of its replicas, offline ones too. Shorter where no rack is known.
    pub racks: Vec<Vec<Arc<str>>>,
}

impl TopicLayout {
    /// A topic of so many partitions, on no racks.
    pub fn new(partitions: u32) -> Self {
        Self {
            partitions,
            racks: Vec::new(),
        }
    }
}

/// What a member got the last time that an assignor shared out for its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// What the leader sent.
    pub assignment: Assignment,
    /// The member, with the generation of the assignment.
    pub identity: Identity,
}

/// Shares the partitions of topics among members that subscribe to them.
///
/// Every member of a group offers the same assignor; the leader's runs for all of them. It is to be a pure function of its
/// arguments: what a member should remember from one rebalance to the next is handed back to it as `last`.
///
/// ```
/// use std::collections::BTreeMap;
/// use kohort_groups::{Subscription, TopicPartition};
/// use kohort_groups::assign::{AssignError, Assignor, GroupTopics, Range, TopicLayout};
///
/// let topics = GroupTopics::from([("t".into(), TopicLayout::new(3))]);
/// let to_t = Subscription { topics: vec!["t".into()], ..Subscription::default() };
/// let members = BTreeMap::from([("a".to_string(), to_t.clone()), ("b".to_string(), to_t)]);
/// let shares = Range.assign(&topics, &members)?;
/// assert_eq!(shares["a"].partitions, [TopicPartition::new("t", 0), TopicPartition::new("t", 1)]);
/// assert_eq!(shares["b"].partitions, [TopicPartition::new("t", 2)]);
/// # Ok::<(), AssignError>(())
/// ```
// Kafka: ConsumerPartitionAssignor
pub trait Assignor: Send + Sync {
    /// The name by which members agree on an assignor.
    fn name(&self) -> &str;

    /// The version of its user data. Kafka's clients send it nowhere; it is for whoever reads the user data.
    fn version(&self) -> i16 {
        0
    }

    /// How partitions may be given up under it.
    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Eager]
    }

    /// What it adds to this member's subscription to `topics`, given what it shared out to this member `last`.
    fn subscription_user_data(&self, topics: &[Arc<str>], last: Option<&Assigned>) -> Option<Bytes> {
        let _ = (topics, last);
        None
    }

    /// Tells this member's assignor what the member got under it, before the rebalance listener hears of it.
    fn on_assignment(&self, assigned: &Assigned) {
        let _ = assigned;
    }

    /// Shares the partitions of `topics` among `members`. A member without an entry gets nothing.
    ///
    /// # Errors
    ///
    /// When it cannot; the leader's application then hears of it.
    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError>;
}

/// Why an assignor made no assignment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AssignError(Box<str>);

impl AssignError {
    /// With this message.
    pub fn new(message: impl Into<Box<str>>) -> Self {
        Self(message.into())
    }
}

/// The built-in assignor of this short name (`range`) or Java class name
/// (`org.apache.kafka.clients.consumer.RangeAssignor`), as `partition.assignment.strategy` lists them.
pub fn by_name(name: &str) -> Option<&'static dyn Assignor> {
    let simple = name
        .strip_prefix("org.apache.kafka.clients.consumer.")
        .unwrap_or(name);
    match simple {
        "range" | "RangeAssignor" => Some(&Range),
        "roundrobin" | "RoundRobinAssignor" => Some(&RoundRobin),
        "sticky" | "StickyAssignor" => Some(&Sticky),
        "cooperative-sticky" | "CooperativeStickyAssignor" => Some(&CooperativeSticky),
        _ => None,
    }
}
