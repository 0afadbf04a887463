//! The range assignor: each topic on its own, in ranges.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Assignor;
use super::order::in_order;
use crate::{Subscription, TopicPartition};

/// Gives each subscriber of a topic one range of its partitions; the first subscribers get one more where the numbers do not
/// divide. Topics with equally many partitions and the same subscribers are so co-partitioned: partition `n` of each goes to
/// the same member.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &str {
        "range"
    }

    // Kafka: RangeAssignor.assignPartitions, without racks
    fn assign(
        &self,
        partitions: &BTreeMap<Arc<str>, u32>,
        members: &BTreeMap<String, Subscription>,
    ) -> BTreeMap<String, Vec<TopicPartition>> {
        let mut subscribers: BTreeMap<&Arc<str>, Vec<&String>> = BTreeMap::new();
        for (member, subscription) in in_order(members) {
            for topic in &subscription.topics {
                let of_topic = subscribers.entry(topic).or_default();
                // A member may name a topic twice; its topics are walked in one go, so it is the last one then.
                if of_topic.last() != Some(&member) {
                    of_topic.push(member);
                }
            }
        }
        let mut shares: BTreeMap<String, Vec<TopicPartition>> = members
            .keys()
            .map(|member| (member.clone(), Vec::new()))
            .collect();
        for (topic, of_topic) in subscribers {
            let count = partitions.get(topic).copied().unwrap_or(0) as usize;
            let mut next = 0;
            for (index, member) in of_topic.iter().enumerate() {
                let share = count / of_topic.len() + usize::from(index < count % of_topic.len());
                let range = next..next + share;
                if let Some(owned) = shares.get_mut(*member) {
                    owned.extend(range.map(|partition| TopicPartition::new(topic.clone(), partition as i32)));
                }
                next += share;
            }
        }
        shares
    }
}
