//! A static member returns under a new member id (KIP-345).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Token;

use super::complete::select_protocol;
use super::{Classic, RebalanceCause, StateKind, refuse_waiting, reply_join};
use crate::coordinator::cx::Cx;
use crate::coordinator::journal::Participant;
use crate::coordinator::work::{Then, Write};
use crate::coordinator::{JoinRequest, Refusal, UNKNOWN_MEMBER_ID};

/// A static member's new id, to be taken over once it is stored.
#[derive(Debug)]
pub(crate) struct Replacement {
    token: Token,
    old_id: Arc<str>,
    new_id: Arc<str>,
    request: JoinRequest,
}

impl Classic {
    /// The new id takes the old one's place. A stable group whose assignor stays the same does not rebalance for it.
    // Kafka: GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin
    pub(super) fn replace_static(
        &mut self,
        cx: &mut Cx,
        token: Token,
        old_id: &Arc<str>,
        new_id: Arc<str>,
        request: &JoinRequest,
    ) -> Option<Write> {
        let replacement = Replacement {
            token,
            old_id: old_id.clone(),
            new_id: new_id.clone(),
            request: request.clone(),
        };
        if self.kind() == StateKind::Stable
            && let Some(write) = self.record_of(&replacement)
        {
            let then = Then::Replaced(Box::new(replacement));
            return Some(Write { then, ..write });
        }
        self.replace(cx, &replacement);
        let mut who = Participant::pending(&new_id);
        if let Some(member) = self.members.get_mut(&new_id) {
            member.awaiting_join = Some(token);
            who = member.participant();
        }
        self.note_join(cx, &new_id);
        let (member, reason) = (who, request.reason.clone());
        self.prepare_or_complete(cx, RebalanceCause::StaticMemberReplaced { member, reason })
    }

    /// The group with the new id, unless the group would then choose another assignor.
    fn record_of(&self, replacement: &Replacement) -> Option<Write> {
        let mut member = self.members.get(&replacement.old_id)?.clone();
        member.id = replacement.new_id.clone();
        member.take_over(&replacement.request);
        let others = self
            .members
            .values()
            .filter(|other| other.id != replacement.old_id);
        let all = others.chain(core::iter::once(&member));
        if select_protocol(all.clone()) != self.protocol {
            return None;
        }
        let leads = self.is_leader(&replacement.old_id);
        let leader = if leads {
            Some(member.id.clone())
        } else {
            self.leader.clone()
        };
        let records = Vec::from([self.record(leader, all.map(|member| (member, member.assignment.clone())))]);
        let then = Then::Nothing;
        Some(Write { records, then })
    }

    /// The new id is in the log, or is not: then the old one stays.
    pub(in crate::coordinator) fn on_replacement_stored(
        &mut self,
        cx: &mut Cx,
        replacement: Replacement,
        result: Result<(), Refusal>,
    ) {
        let Replacement {
            token,
            new_id,
            request,
            ..
        } = &replacement;
        if let Err(refusal) = result {
            return reply_join(cx, *token, UNKNOWN_MEMBER_ID, Err(refusal));
        }
        let leader_before = self.leader.clone();
        self.replace(cx, &replacement);
        let mut joined = self.joined(new_id, request.supports_skipping_assignment);
        if request.supports_skipping_assignment {
            // KIP-814: the leader learns of the members, and that it need not assign.
            joined.skip_assignment = self.is_leader(new_id);
        } else {
            // The old leader's id: a leader that does not know its own name there will not assign anew.
            joined.leader = leader_before;
        }
        reply_join(cx, *token, new_id, Ok(joined));
    }

    // Kafka: ClassicGroup.replaceStaticMember
    fn replace(&mut self, cx: &mut Cx, replacement: &Replacement) {
        let Replacement { old_id, new_id, .. } = replacement;
        let Some(mut member) = self.members.remove(old_id) else {
            return;
        };
        self.said -= member.said();
        refuse_waiting(cx, &mut member, old_id, Refusal::FencedInstanceId);
        cx.disarm(&self.session_timer(old_id));
        cx.arm(self.session_timer(new_id), member.session_timeout_ms);
        if self.is_leader(old_id) {
            self.leader = Some(new_id.clone());
        }
        if let Some(unsynced) = self.unsynced()
            && unsynced.remove(old_id)
        {
            unsynced.insert(new_id.clone());
        }
        self.journal.renamed(old_id, new_id);
        member.id = new_id.clone();
        member.is_new = false;
        member.take_over(&replacement.request);
        self.insert(member);
    }
}
