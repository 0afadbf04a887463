//! The round-robin assignor: all partitions of all topics dealt out in turn.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Assignor;
use super::order::{compare, in_order};
use crate::{Subscription, TopicPartition};

/// Deals out the partitions, topic by topic, to the members in turn, passing over those that do not subscribe to the topic.
/// Balanced when all subscribe to the same topics, not in general.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &str {
        "roundrobin"
    }

    // Kafka: RoundRobinAssignor.assign
    fn assign(
        &self,
        partitions: &BTreeMap<Arc<str>, u32>,
        members: &BTreeMap<String, Subscription>,
    ) -> BTreeMap<String, Vec<TopicPartition>> {
        let mut hands: Vec<Hand<'_>> = in_order(members)
            .into_iter()
            .map(|(member, subscription)| Hand {
                member,
                topics: subscription.topics.iter().collect(),
                dealt: Vec::new(),
            })
            .collect();
        let subscribed: BTreeSet<&Arc<str>> = hands
            .iter()
            .flat_map(|hand| hand.topics.iter().copied())
            .collect();
        let mut topics: Vec<&Arc<str>> = subscribed.into_iter().collect();
        topics.sort_by(|a, b| compare(a, b));
        let mut turn = 0;
        for topic in topics {
            for partition in 0..partitions.get(topic).copied().unwrap_or(0) {
                // Once around at most: some member subscribes to the topic.
                for _ in 0..hands.len() {
                    let at = turn;
                    turn = (turn + 1) % hands.len();
                    if let Some(hand) = hands.get_mut(at).filter(|hand| hand.topics.contains(topic)) {
                        hand.dealt
                            .push(TopicPartition::new(topic.clone(), partition as i32));
                        break;
                    }
                }
            }
        }
        hands
            .into_iter()
            .map(|hand| (hand.member.clone(), hand.dealt))
            .collect()
    }
}

/// A member and what it was dealt.
struct Hand<'a> {
    member: &'a String,
    topics: BTreeSet<&'a Arc<str>>,
    dealt: Vec<TopicPartition>,
}
