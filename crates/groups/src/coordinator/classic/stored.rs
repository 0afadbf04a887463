//! A classic group to and from its durable record.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use bytes::Bytes;

use super::said::of_topic;
use super::{Classic, Member, RebalanceCause, State};
use crate::coordinator::cx::Cx;
use crate::coordinator::work::Write;
use crate::coordinator::{CoordinatorRecord, StoredGroup};
use crate::wire::coordinator::subscribed_topics;

impl Classic {
    /// The group as it was stored.
    // Kafka: GroupMetadataManager.replay(GroupMetadataKey, GroupMetadataValue)
    pub(in crate::coordinator) fn from_stored(id: Arc<str>, stored: &StoredGroup) -> Self {
        let mut group = Self::new(id, 0);
        group.since_ms = stored.state_timestamp_ms;
        group.protocol_type = Some(stored.protocol_type.clone()).filter(|name| !name.is_empty());
        group.generation = stored.generation;
        group.protocol = stored.protocol.clone();
        group.leader = stored.leader.clone();
        let protocol = stored.protocol.clone().unwrap_or_default();
        for member in &stored.members {
            // Anyone may write the record: of members that are named twice the first counts.
            let instance = member.group_instance_id.as_ref();
            if group.members.contains_key(&member.member_id)
                || instance.is_some_and(|instance| group.static_ids.contains_key(instance))
            {
                continue;
            }
            let member = Member::from_stored(member, &protocol);
            group.journal.restore(member.participant(), &member.assignment);
            group.stored_assignments += member.assignment.len();
            group.insert(member);
        }
        let is_member = |id: &Arc<str>| group.members.contains_key(id);
        let leader = group.leader.take().filter(is_member);
        group.leader = leader.or_else(|| group.members.keys().next().cloned());
        if !group.members.is_empty() {
            let unsynced = BTreeSet::new();
            group.state = State::Stable { unsynced };
        }
        group
    }

    /// Sessions begin anew; a group that is too large rebalances, so that its members commit.
    // Kafka: GroupMetadataManager.onLoaded
    pub(in crate::coordinator) fn on_loaded(&mut self, cx: &mut Cx) -> Option<Write> {
        self.subscribe(cx);
        for member_id in self.members.keys() {
            self.extend_session(cx, member_id);
        }
        let members = self.members.len();
        if members > cx.config.max_size {
            return self.prepare_rebalance(cx, RebalanceCause::GroupTooLarge { members });
        }
        None
    }

    /// The record of the group with these assignments.
    // Kafka: GroupCoordinatorRecordHelpers.newGroupMetadataRecord
    pub(super) fn record<'a>(
        &self,
        leader: Option<Arc<str>>,
        members: impl Iterator<Item = (&'a Member, Bytes)>,
    ) -> CoordinatorRecord {
        let protocol = self.protocol.as_deref();
        CoordinatorRecord::Group {
            group_id: self.id.clone(),
            value: Some(StoredGroup {
                protocol_type: self.protocol_type.clone().unwrap_or_default(),
                generation: self.generation,
                protocol: self.protocol.clone(),
                leader,
                state_timestamp_ms: self.since_ms,
                members: members
                    .map(|(member, assignment)| member.to_stored(protocol, assignment))
                    .collect(),
            }),
        }
    }

    /// The first record of a new group.
    // Kafka: GroupCoordinatorRecordHelpers.newEmptyGroupMetadataRecord
    pub(super) fn empty_record(&self) -> CoordinatorRecord {
        CoordinatorRecord::Group {
            group_id: self.id.clone(),
            value: Some(StoredGroup {
                protocol_type: Arc::default(),
                generation: 0,
                protocol: None,
                leader: None,
                state_timestamp_ms: self.since_ms,
                members: alloc::vec::Vec::new(),
            }),
        }
    }

    /// Learns what all members subscribe to now.
    pub(super) fn subscribe(&mut self, cx: &Cx) {
        let others = cx.held.topics.saturating_sub(self.held().topics);
        let room = cx.config.most_said.saturating_sub(others);
        self.subscribed = self.subscriptions(room);
        let topics = self.subscribed.iter().flatten();
        self.subscribed_bytes = topics.map(|topic| of_topic(topic)).sum();
    }

    /// What all members subscribe to; `None` when the group is not of consumers, when a subscription cannot be read, and when the
    /// topics would hold more than `room`.
    // Kafka: ClassicGroup.computeSubscribedTopics
    fn subscriptions(&self, mut room: usize) -> Option<BTreeSet<Arc<str>>> {
        if !self.is_of_consumers() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            for topic in subscribed_topics(member.metadata(Some(protocol)))? {
                let bytes = of_topic(&topic);
                if topics.insert(topic) {
                    room = room.checked_sub(bytes)?;
                }
            }
        }
        Some(topics)
    }
}
