//! How much members hold by what they have said of themselves, until they are gone, and by their assignments, until the next ones
//! are stored; and how much the topics hold that members subscribe to. All groups share one bound on each, which Kafka has not; what a group keeps in the log has Kafka's own, the
//! largest message of `__consumer_offsets`.

use alloc::sync::Arc;

use bytes::Bytes;

use super::{Classic, Member};
use crate::coordinator::cx::{Cx, Held};
use crate::coordinator::group::Group;
use crate::coordinator::{Client, JoinProtocol, JoinRequest};

/// What a member takes beside what it says: itself, its timer, its place in the journal.
const MEMBER: usize = 512;

/// What follows the name in a member's id: a hyphen and a UUID.
const UUID: usize = 37;

/// What a protocol takes beside its name and metadata. A member may name very many that are empty.
const PROTOCOL: usize = 128;

/// What a topic takes that a group is known to read, beside its name.
const TOPIC: usize = 64;

/// Who says more than this is large: the subscriptions of a thousand topics have a third of it.
const LARGE: usize = 64 << 10;

/// How much more than when it came a member may say in the share that newcomers leave: what it owns, by topics and numbers of
/// partitions, once or for each of several assignors.
const GROWTH: usize = 16 << 10;

impl Group {
    /// Whether a join may be kept: what all members of all groups say stays within the bound with it, or this one says no more than
    /// before. To newcomers only a part of the bound is open, and half of it to large ones, so that a few of them do not shut out
    /// everybody else. The rest is for members that say a little more than when they came, as those do that name what they own.
    pub(super) fn may_say(&self, cx: &Cx, client: &Client, request: &JoinRequest) -> bool {
        let known = self.classic.as_ref().and_then(|classic| classic.known(request));
        let before = known.map_or(0, |member| of_protocols(&member.protocols));
        let mut after = of_protocols(&request.protocols);
        if known.is_none() {
            let instance = request.group_instance_id.as_deref().unwrap_or_default();
            // The id that it gets begins with one of these names.
            let id = client.id.len().max(instance.len()) + UUID;
            after += MEMBER + id + client.id.len() + client.host.len() + instance.len();
        }
        let most = match known {
            Some(member) if after <= member.came_with.saturating_add(GROWTH) => cx.config.most_said,
            None if after > LARGE => cx.config.most_said / 2,
            _ => for_newcomers(cx),
        };
        after <= before || cx.held.said.saturating_sub(before).saturating_add(after) <= most
    }

    /// Counts what the group's members hold now.
    pub(in crate::coordinator) fn count_said(&mut self, cx: &mut Cx) {
        let held = self.classic.as_ref().map(Classic::held).unwrap_or_default();
        cx.held.replace(self.counted, held);
        self.counted = held;
    }
}

impl Classic {
    /// The member that a join is of: by its id, or a static one by its instance.
    fn known(&self, request: &JoinRequest) -> Option<&Member> {
        let instance = request.group_instance_id.as_ref();
        let holder = instance.and_then(|instance| self.static_ids.get(instance));
        self.members.get(holder.unwrap_or(&request.member_id))
    }

    /// Whether the group may hold so many bytes of assignments instead of those that it has. No more than before it always may: it
    /// would else never be stable again. A group that has none yet leaves a share of the bound to those that have, and when it wants
    /// many half of it to everybody else.
    pub(super) fn may_assign(&self, cx: &Cx, after: usize) -> bool {
        let before = self.assigned();
        let most = match (before > 0, after > LARGE) {
            (true, _) => cx.config.most_said,
            (false, false) => for_newcomers(cx),
            (false, true) => cx.config.most_said / 2,
        };
        after <= before || cx.held.assigned.saturating_sub(before).saturating_add(after) <= most
    }

    /// What the assignments hold: those that are stored last, also while members wait for others, or those that are being stored.
    pub(in crate::coordinator) fn assigned(&self) -> usize {
        self.stored_assignments.max(self.open_assignments)
    }

    pub(super) fn held(&self) -> Held {
        Held {
            said: self.said,
            assigned: self.assigned(),
            topics: self.subscribed_bytes,
        }
    }

    /// The bytes of all members and of ids that were given out.
    #[cfg(test)]
    pub(in crate::coordinator) fn recounted(&self) -> usize {
        let members: usize = self.members.values().map(Member::said).sum();
        let pending: usize = self.pending.iter().map(|member_id| of_pending(member_id)).sum();
        members + pending
    }
}

impl Member {
    /// The bytes that it holds.
    pub(super) fn said(&self) -> usize {
        let instance = self.group_instance_id.as_deref().unwrap_or_default();
        let names = self.id.len() + instance.len() + self.client.id.len() + self.client.host.len();
        MEMBER + names + of_protocols(&self.protocols)
    }
}

/// How far newcomers may fill a bound: the rest is for members and groups that are there and say a little more.
fn for_newcomers(cx: &Cx) -> usize {
    cx.config.most_said - cx.config.most_said / 8
}

/// What assignments hold.
pub(super) fn of_assignments(assignments: &[(Arc<str>, Bytes)]) -> usize {
    assignments.iter().map(|(_, assignment)| assignment.len()).sum()
}

/// What a topic holds that a group is known to read: several times what its name has in a subscription.
pub(super) fn of_topic(topic: &str) -> usize {
    TOPIC + topic.len()
}

/// What an id holds that was given out and not yet used.
pub(super) fn of_pending(member_id: &str) -> usize {
    MEMBER + member_id.len()
}

/// What protocols hold.
pub(super) fn of_protocols(protocols: &[JoinProtocol]) -> usize {
    let of_protocol = |protocol: &JoinProtocol| PROTOCOL + protocol.name.len() + protocol.metadata.len();
    protocols.iter().map(of_protocol).sum()
}
