//! The leader's work: an assignor shares partitions out once the metadata of all members' topics is there.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use kohort_groups::Subscription;
use kohort_groups::assign::{GroupTopics, Shares, TopicLayout, by_name};
use kohort_groups::member::{Computed, Event as MemberEvent};
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
    /// Which metadata there was when it began.
    since: u64,
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
                since: self.client.cluster().version(),
            });
        }
        self.track_topics(now);
        self.refresh_for_leading(now);
        self.compute(now);
    }

    /// Topics that are not in the metadata of the whole cluster may be new.
    fn refresh_for_leading(&mut self, now: Instant) {
        let cluster = self.client.cluster();
        let computing = self.membership.as_ref().and_then(|it| it.computing.as_ref());
        if cluster.is_whole()
            && computing.is_some_and(|it| it.topics.iter().any(|topic| cluster.topic(topic).is_none()))
        {
            self.client.refresh_metadata(now);
        }
    }

    /// Lets the leader go on if the metadata it needs is there.
    fn compute(&mut self, now: Instant) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let is_ready = |computing: &mut Computing| {
            let cluster = self.client.cluster();
            let is_there = |topic: &Arc<str>| cluster.topic(topic).is_some();
            // Metadata of the whole cluster says nothing of a topic that does not exist.
            let is_whole = cluster.is_whole() && cluster.version() > computing.since;
            is_whole || computing.topics.iter().all(is_there)
        };
        let Some(computing) = membership.computing.take_if(is_ready) else {
            return;
        };
        let Computing {
            step,
            assignor,
            members,
            skip,
            topics,
            since: _,
        } = computing;
        let topics = self.layouts(&topics);
        let shares = if skip {
            Ok(Shares::new())
        } else if let Some(kafkas) = by_name(&assignor) {
            kafkas.assign(&topics, &members)
        } else {
            self.outbox.push(Action::Compute(Box::new(Compute {
                step: step.0,
                assignor,
                members,
                topics,
            })));
            return;
        };
        let result = match shares {
            Ok(assignments) => Ok(Box::new(Computed::of(assignments, topics))),
            Err(error) => Err(error.to_string().into()),
        };
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

    /// What an assignor is told of those of these topics that exist.
    // Kafka: AbstractPartitionAssignor takes all replicas into account, in sync or not.
    fn layouts(&self, topics: &BTreeSet<Arc<str>>) -> GroupTopics {
        let cluster = self.client.cluster();
        let racks = cluster.racks();
        let layout = |topic: &Arc<str>| {
            let known = cluster.topic(topic).filter(|known| known.error.is_none())?;
            let partitions = u32::try_from(known.partitions.len()).ok()?;
            let mut layout = TopicLayout::new(partitions);
            if !racks.is_empty() {
                layout.racks = (0..partitions as i32)
                    .map(|number| known.partitions.get(&number))
                    .map(|partition| {
                        let replicas = partition.map(|partition| partition.replicas.iter());
                        replicas
                            .into_iter()
                            .flatten()
                            .filter_map(|replica| racks.get(replica).cloned())
                            .collect()
                    })
                    .collect();
            }
            Some((Arc::clone(topic), layout))
        };
        topics.iter().filter_map(layout).collect()
    }

    /// Metadata came.
    pub(in crate::consumer) fn on_group_metadata(&mut self, now: Instant, changed: bool) {
        let Some(membership) = self.membership.as_ref().filter(|it| it.active) else {
            return;
        };
        if changed {
            let topics = self.layouts(&membership.member.watched_topics());
            self.member_event(now, MemberEvent::Partitions { topics });
        }
        self.compute(now);
    }
}
