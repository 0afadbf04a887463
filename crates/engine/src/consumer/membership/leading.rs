//! The leader's work: an assignor shares partitions out once the metadata of all members' topics is there.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;

use kohort_groups::assign::by_name;
use kohort_groups::member::{Computed, Event as MemberEvent};
use kohort_groups::{Assignment, Subscription};
use kohort_machine::{Instant, Token};

use crate::consumer::{Action, Compute, ConsumerEngine};

/// What is to be shared out.
#[derive(Debug)]
pub(super) struct Computing {
    step: Token,
    assignor: Arc<str>,
    members: Arc<BTreeMap<String, Subscription>>,
    skip: bool,
    pub(super) topics: BTreeSet<Arc<str>>,
}

impl ConsumerEngine {
    /// The leader needs the metadata of all members' topics.
    // Kafka: ConsumerCoordinator.onLeaderElected, updateGroupSubscription
    pub(super) fn prepare_compute(
        &mut self,
        now: Instant,
        step: Token,
        assignor: Arc<str>,
        members: Arc<BTreeMap<String, Subscription>>,
        skip: bool,
    ) {
        let topics: BTreeSet<Arc<str>> = members
            .values()
            .flat_map(|member| member.topics.iter().cloned())
            .collect();
        if let Some(membership) = &mut self.membership {
            membership.computing = Some(Computing {
                step,
                assignor,
                members,
                skip,
                topics,
            });
        }
        self.track_topics(now);
        self.compute(now);
    }

    /// Lets the leader go on if the metadata it needs is there.
    fn compute(&mut self, now: Instant) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let is_ready = |computing: &mut Computing| {
            let is_there = |topic: &Arc<str>| self.client.cluster().topic(topic).is_some();
            computing.topics.iter().all(is_there)
        };
        let Some(computing) = membership.computing.take_if(is_ready) else {
            return;
        };
        let partitions = self.partition_counts(&computing.topics);
        let assignments = if computing.skip {
            BTreeMap::new()
        } else if let Some(assignor) = by_name(&computing.assignor) {
            let shares = assignor.assign(&partitions, &computing.members);
            let assignment = |(member, partitions)| {
                (
                    member,
                    Assignment {
                        partitions,
                        user_data: None,
                    },
                )
            };
            shares.into_iter().map(assignment).collect()
        } else {
            self.outbox.push(Action::Compute(Box::new(Compute {
                step: computing.step.0,
                assignor: Arc::clone(&computing.assignor),
                members: Arc::clone(&computing.members),
                partitions,
            })));
            return;
        };
        let step = computing.step;
        let result = Ok(Box::new(Computed {
            assignments,
            partitions,
        }));
        self.member_event(now, MemberEvent::Computed { step, result });
    }

    pub(in crate::consumer) fn on_computed(
        &mut self,
        now: Instant,
        step: u64,
        result: Result<Computed, Box<str>>,
    ) {
        let step = Token(step);
        let result = result.map(Box::new);
        self.member_event(now, MemberEvent::Computed { step, result });
    }

    fn partition_counts(&self, topics: &BTreeSet<Arc<str>>) -> BTreeMap<Arc<str>, u32> {
        let count = |topic: &Arc<str>| {
            let count = self.client.cluster().partition_count(topic)?;
            Some((Arc::clone(topic), u32::try_from(count).ok()?))
        };
        topics.iter().filter_map(count).collect()
    }

    /// Metadata came.
    pub(in crate::consumer) fn on_group_metadata(&mut self, now: Instant, changed: bool) {
        let Some(membership) = self.membership.as_ref().filter(|it| it.active) else {
            return;
        };
        if changed {
            let counts = self.partition_counts(&membership.member.watched_topics());
            self.member_event(now, MemberEvent::Partitions { counts });
        }
        self.compute(now);
    }
}
