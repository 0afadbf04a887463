//! How much members hold by what they have said of themselves: their protocols until they are gone, their assignments until the
//! next ones. All groups share one bound on it, which Kafka has not; what a group keeps of it in the log has Kafka's own, the
//! largest message of `__consumer_offsets`.

use alloc::sync::Arc;

use bytes::Bytes;

use super::{Classic, Member};
use crate::coordinator::cx::Cx;
use crate::coordinator::group::Group;
use crate::coordinator::{Client, JoinProtocol, JoinRequest};

/// What a member takes beside what it says: itself, its timer, its place in the journal.
const MEMBER: usize = 512;

/// What a protocol takes beside its name and metadata. A member may name very many that are empty.
const PROTOCOL: usize = 128;

/// Who says more than this is large: the subscriptions of a thousand topics have a third of it.
const LARGE: usize = 64 << 10;

impl Group {
    /// Whether a join may be kept: what all members of all groups say stays within the bound with it, or this one says no more than
    /// before. To large ones only half of the bound is open, so that a few of them do not shut out everybody else.
    pub(super) fn may_say(&self, cx: &Cx, client: &Client, request: &JoinRequest) -> bool {
        let known = self.classic.as_ref().and_then(|classic| classic.known(request));
        let before = known.map_or(0, |member| of_protocols(&member.protocols));
        let mut after = of_protocols(&request.protocols);
        if known.is_none() {
            let instance = request.group_instance_id.as_deref().unwrap_or_default();
            after += MEMBER + client.id.len() + client.host.len() + instance.len();
        }
        let most = match after > LARGE {
            true => cx.config.most_said / 2,
            false => cx.config.most_said,
        };
        after <= before || cx.said.saturating_sub(before).saturating_add(after) <= most
    }

    /// Counts what the group's members hold now.
    pub(in crate::coordinator) fn count_said(&mut self, cx: &mut Cx) {
        let said = self.classic.as_ref().map_or(0, |classic| classic.said);
        cx.said = cx.said.saturating_sub(self.counted).saturating_add(said);
        self.counted = said;
    }
}

impl Classic {
    /// The member that a join is of: by its id, or a static one by its instance.
    fn known(&self, request: &JoinRequest) -> Option<&Member> {
        let instance = request.group_instance_id.as_ref();
        let holder = instance.and_then(|instance| self.static_ids.get(instance));
        self.members.get(holder.unwrap_or(&request.member_id))
    }

    /// Whether the members may hold these assignments instead of those that they have.
    pub(super) fn may_assign(&self, cx: &Cx, assignments: &[(Arc<str>, Bytes)]) -> bool {
        let before: usize = self.members.values().map(|member| member.assignment.len()).sum();
        let after: usize = assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        let most = cx.config.most_said;
        after <= before || cx.said.saturating_sub(before).saturating_add(after) <= most
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
        MEMBER + names + of_protocols(&self.protocols) + self.assignment.len()
    }
}

/// What an id holds that was given out and not yet used.
pub(super) fn of_pending(member_id: &str) -> usize {
    MEMBER + member_id.len()
}

fn of_protocols(protocols: &[JoinProtocol]) -> usize {
    let of_protocol = |protocol: &JoinProtocol| PROTOCOL + protocol.name.len() + protocol.metadata.len();
    protocols.iter().map(of_protocol).sum()
}
