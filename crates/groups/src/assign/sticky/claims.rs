//! Who owned which partition, from what the members say of themselves.

use alloc::vec;
use alloc::vec::Vec;

use super::user_data;
use crate::assign::group::{Group, Guess, NONE};

/// The generation of a member that knows of none.
// Kafka: AbstractStickyAssignor.DEFAULT_GENERATION
pub(super) const NO_GENERATION: i32 = -1;

/// For each partition, who claims to have owned it last.
pub(super) struct Claims {
    owner: Vec<u32>,
    generation: Vec<i32>,
    /// Two members claim it in the same generation: neither is believed.
    contested: Vec<bool>,
}

impl Claims {
    /// From the user data of the eager assignor: its members own nothing any more when they join.
    // Kafka: StickyAssignor.memberData
    pub(super) fn of_user_data(group: &Group<'_>) -> Self {
        let mut claims = Self::none(group);
        for (index, member) in group.members.iter().enumerate() {
            let Some(said) = member
                .subscription
                .user_data
                .as_ref()
                .and_then(user_data::decode_sticky)
            else {
                continue;
            };
            let mut guess = Guess::default();
            for topic in &said.topics {
                let Some(at) = guess.find(&group.topics, topic.name) else {
                    continue;
                };
                for partition in topic.partitions() {
                    claims.add(group, index, at, partition, said.generation);
                }
            }
        }
        claims
    }

    /// From the subscriptions themselves.
    // Kafka: CooperativeStickyAssignor.memberData
    pub(super) fn of_owned(group: &Group<'_>) -> Self {
        let mut claims = Self::none(group);
        for (index, member) in group.members.iter().enumerate() {
            let subscription = member.subscription;
            let generation = subscription
                .generation
                .or_else(|| user_data::decode_generation(subscription.user_data.as_ref()?))
                .unwrap_or(NO_GENERATION);
            let mut guess = Guess::default();
            for owned in &subscription.owned {
                if let Some(at) = guess.find(&group.topics, &owned.topic) {
                    claims.add(group, index, at, owned.partition, generation);
                }
            }
        }
        claims
    }

    fn none(group: &Group<'_>) -> Self {
        let count = group.partitions as usize;
        Self {
            owner: vec![NONE; count],
            generation: vec![i32::MIN; count],
            contested: vec![false; count],
        }
    }

    /// The newest generation wins.
    // Kafka: AbstractStickyAssignor.allSubscriptionsEqual
    fn add(&mut self, group: &Group<'_>, member: usize, topic: u32, partition: i32, generation: i32) {
        let topic = &group.topics[topic as usize];
        let Some(partition) = u32::try_from(partition)
            .ok()
            .filter(|partition| *partition < topic.partitions)
        else {
            return;
        };
        let at = (topic.first + partition) as usize;
        let member = member as u32;
        if generation > self.generation[at] {
            self.owner[at] = member;
            self.generation[at] = generation;
            self.contested[at] = false;
        } else if generation == self.generation[at] && self.owner[at] != member {
            self.contested[at] = true;
        }
    }

    /// Who owned the partition, if that is clear; [`NONE`] else.
    pub(super) fn owner(&self, partition: usize) -> u32 {
        match self.contested[partition] {
            true => NONE,
            false => self.owner[partition],
        }
    }

    /// Whether the partition must be given up by somebody before `to` may have it.
    pub(super) fn holds_back(&self, partition: usize, to: u32) -> bool {
        self.contested[partition] || (self.owner[partition] != NONE && self.owner[partition] != to)
    }
}
