//! The round-robin assignor: all partitions of all topics dealt out in turn.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;

use super::group::{Group, NONE};
use super::{AssignError, Assignor, GroupTopics, Shares};
use crate::Subscription;

/// Deals out the partitions, topic by topic, to the members in turn, passing over those that do not subscribe to the topic.
/// Balanced when all subscribe to the same topics, not in general.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &str {
        "roundrobin"
    }

    // Kafka: RoundRobinAssignor.assign, which knows no racks
    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError> {
        let group = Group::new(topics, members);
        let circle = group.static_first();
        let mut places = vec![0u32; circle.len()];
        for (place, member) in circle.iter().enumerate() {
            places[*member as usize] = place as u32;
        }
        let subscribers = group.subscribers(&circle);
        let mut owners = vec![NONE; group.partitions as usize];
        // The place in the circle whose turn it is.
        let mut turn = 0;
        for (topic, subscribers) in group.topics.iter().zip(&subscribers) {
            // The subscribers are in the order of the circle: the next one is the first at or after the turn.
            let mut next = subscribers.partition_point(|member| places[*member as usize] < turn);
            let first = topic.first as usize;
            for owner in &mut owners[first..first + topic.partitions as usize] {
                let Some(member) = subscribers.get(next).or_else(|| subscribers.first()) else {
                    break;
                };
                next = if next < subscribers.len() { next + 1 } else { 1 };
                *owner = *member;
                turn = places[*member as usize] + 1;
            }
        }
        Ok(group.shares(&owners))
    }
}
