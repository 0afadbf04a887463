//! Assignors: how a leader shares partitions among the members of a classic group.
//!
//! What lives here: the [`Assignor`] trait and those that Kafka ships, by Kafka's names. What does not: the bytes of
//! subscriptions and assignments (`wire`), and when an assignment is made (`member`).

mod order;
mod range;
mod round_robin;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

pub use range::Range;
pub use round_robin::RoundRobin;

use crate::{Assignment, Identity, RebalanceProtocol, Subscription, TopicPartition};

/// Shares the partitions of topics among members that subscribe to them.
///
/// Every member of a group offers the same assignor; the leader's runs for all of them.
///
/// ```
/// use std::collections::BTreeMap;
/// use kohort_groups::{Subscription, TopicPartition};
/// use kohort_groups::assign::{Assignor, Range};
///
/// let partitions = BTreeMap::from([("t".into(), 3)]);
/// let to_t = Subscription { topics: vec!["t".into()], ..Subscription::default() };
/// let members = BTreeMap::from([("a".to_string(), to_t.clone()), ("b".to_string(), to_t)]);
/// let shares = Range.assign(&partitions, &members);
/// assert_eq!(shares["a"], [TopicPartition::new("t", 0), TopicPartition::new("t", 1)]);
/// assert_eq!(shares["b"], [TopicPartition::new("t", 2)]);
/// ```
// Kafka: ConsumerPartitionAssignor
pub trait Assignor: Send + Sync {
    /// The name by which members agree on an assignor.
    fn name(&self) -> &str;

    /// How partitions may be given up under it.
    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Eager]
    }

    /// What it adds to this member's subscription to `topics`.
    fn subscription_user_data(&self, topics: &[Arc<str>]) -> Option<Bytes> {
        let _ = topics;
        None
    }

    /// Tells this member's assignor what the member got.
    fn on_assignment(&self, assignment: &Assignment, identity: &Identity) {
        let _ = (assignment, identity);
    }

    /// Shares `partitions` (their number by topic; a topic that does not exist is left out) among `members`. Each member has an
    /// entry in the result.
    fn assign(
        &self,
        partitions: &BTreeMap<Arc<str>, u32>,
        members: &BTreeMap<String, Subscription>,
    ) -> BTreeMap<String, Vec<TopicPartition>>;
}

/// The built-in assignor of this short name (`range`) or Java class name
/// (`org.apache.kafka.clients.consumer.RangeAssignor`), as `partition.assignment.strategy` lists them.
pub fn by_name(name: &str) -> Option<Arc<dyn Assignor>> {
    match name {
        "range" | "org.apache.kafka.clients.consumer.RangeAssignor" => Some(Arc::new(Range)),
        "roundrobin" | "org.apache.kafka.clients.consumer.RoundRobinAssignor" => Some(Arc::new(RoundRobin)),
        _ => None,
    }
}
