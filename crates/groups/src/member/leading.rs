//! The leader's work: the assignment it makes, and the changes of metadata it watches for.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{Instant, Token};

use super::state::State;
use super::{Computed, Member, MemberError};
use crate::assign::{GroupTopics, TopicLayout, by_name, check};
use crate::{Assignment, RebalanceProtocol, Subscription, TopicPartition};

/// The assignor that keeps the rules of cooperation itself, by the generations of what is owned.
// Kafka: CooperativeStickyAssignor
const COOPERATIVE_STICKY: &str = "cooperative-sticky";

/// What a leader remembers of its assignment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leadership {
    /// The topics of the whole group.
    pub(super) topics: BTreeSet<Arc<str>>,
    /// Those of them that it assigned.
    assigned: GroupTopics,
}

impl Member {
    // Kafka: ConsumerCoordinator.onLeaderElected
    pub(super) fn on_computed(&mut self, now: Instant, step: Token, result: Result<Computed, Box<str>>) {
        let State::Computing {
            step: asked,
            members,
            skip_assignment,
        } = &self.state
        else {
            return;
        };
        if *asked != step {
            return;
        }
        let skip_assignment = *skip_assignment;
        let members = members.clone();
        let computed = match result {
            Ok(computed) => computed,
            Err(reason) => return self.fail_assignor(now, reason),
        };
        let Computed {
            mut assignments,
            topics: assigned,
        } = computed;
        let is_kafkas = self.assignor.as_deref().and_then(by_name).is_some();
        if !is_kafkas && let Err(error) = check(&assignments, &assigned, &members) {
            return self.fail_assignor(now, error.to_string().into());
        }
        if let Some(moved) = self.moved_too_early(&members, &assignments) {
            let reason = format!(
                "{moved} is given to a new owner before its owner gave it up, against the cooperative protocol"
            );
            return self.fail_assignor(now, reason.into());
        }
        let mut topics: BTreeSet<Arc<str>> = members
            .values()
            .flat_map(|subscription| subscription.topics.iter().cloned())
            .collect();
        topics.extend(assigned.keys().cloned());
        for (topic, layout) in &assigned {
            self.topics.insert(topic.clone(), layout.clone());
        }
        self.leadership = Some(Leadership { topics, assigned });
        // An own assignor may leave out whom it gives nothing; the coordinator wants all.
        if !skip_assignment {
            assignments.retain(|member, _| members.contains_key(member));
            for member in members.keys() {
                assignments.entry(member.clone()).or_default();
            }
        }
        self.sync(assignments);
    }

    /// The first partition that an assignor moves although its owner has not given it up.
    // Kafka: ConsumerCoordinator.validateCooperativeAssignment
    fn moved_too_early(
        &self,
        members: &BTreeMap<String, Subscription>,
        assignments: &BTreeMap<String, Assignment>,
    ) -> Option<TopicPartition> {
        if self.rebalance_protocol == RebalanceProtocol::Eager
            || self.assignor.as_deref() == Some(COOPERATIVE_STICKY)
        {
            return None;
        }
        let mut revoked = BTreeSet::new();
        let mut added = BTreeSet::new();
        for (member, assignment) in assignments {
            let owned: BTreeSet<_> = members.get(member).into_iter().flat_map(|of| &of.owned).collect();
            let assigned: BTreeSet<_> = assignment.partitions.iter().collect();
            revoked.extend(owned.difference(&assigned).copied());
            added.extend(assigned.difference(&owned).copied());
        }
        added.intersection(&revoked).next().map(|moved| (*moved).clone())
    }

    fn fail_assignor(&mut self, now: Instant, reason: Box<str>) {
        let error = MemberError::Assignor {
            group_id: self.config.group_id.clone(),
            assignor: self.assignor.clone().unwrap_or_default(),
            reason,
        };
        self.fail(now, error);
    }

    // Kafka: ConsumerCoordinator.rejoinNeededOrPending, MetadataSnapshot.matches; KAFKA-14867 for racks
    pub(super) fn changed_topics(&self) -> Vec<Arc<str>> {
        let Some(Leadership { topics, assigned }) = &self.leadership else {
            return Vec::new();
        };
        let has_rack = self.config.rack.is_some();
        let differs = |topic: &&Arc<str>| match (assigned.get(*topic), self.topics.get(*topic)) {
            (Some(then), Some(now)) => {
                then.partitions != now.partitions || (has_rack && !has_same_racks(then, now))
            }
            (then, now) => then.is_some() != now.is_some(),
        };
        topics.iter().filter(differs).cloned().collect()
    }
}

/// Whether each partition is on the same racks, in whatever order its replicas are named.
// Kafka: ConsumerCoordinator.PartitionRackInfo
fn has_same_racks(left: &TopicLayout, right: &TopicLayout) -> bool {
    let racks = |layout: &TopicLayout, partition: usize| -> BTreeSet<Arc<str>> {
        layout
            .racks
            .get(partition)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    };
    let partitions = left.racks.len().max(right.racks.len());
    left.racks == right.racks || (0..partitions).all(|number| racks(left, number) == racks(right, number))
}
