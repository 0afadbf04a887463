//! LeaveGroup.

use alloc::vec::Vec;

use kohort_machine::Token;

use super::{Classic, RebalanceCause, StateKind};
use crate::coordinator::cx::Cx;
use crate::coordinator::journal::{MemberFate, Participant};
use crate::coordinator::work::Write;
use crate::coordinator::{
    GroupResponse, LeaveRequest, LeavingMember, LeftMember, Refusal, UNKNOWN_MEMBER_ID,
};

impl Classic {
    /// Each member of the request leaves or is told why not; the group rebalances once.
    // Kafka: GroupMetadataManager.classicGroupLeaveToClassicGroup
    pub(in crate::coordinator) fn handle_leave(
        &mut self,
        cx: &mut Cx,
        token: Token,
        request: LeaveRequest,
    ) -> Option<Write> {
        let mut left = Vec::new();
        let mut members = Vec::new();
        let mut reason = None;
        for member in request.members {
            let outcome = self.leave(cx, &member).map(|gone| {
                members.push(gone);
                reason = reason.take().or(member.reason);
            });
            left.push(LeftMember {
                member_id: member.member_id,
                group_instance_id: member.group_instance_id,
                outcome,
            });
        }
        cx.reply(token, GroupResponse::Leave(Ok(left)));
        if members.is_empty() {
            return None;
        }
        let cause = RebalanceCause::MembersLeft {
            members,
            unlisted: 0,
            reason,
        };
        match self.kind() {
            StateKind::Stable | StateKind::CompletingRebalance => self.prepare_rebalance(cx, cause),
            StateKind::PreparingRebalance => {
                self.journal.note(cause);
                self.complete_if_joined(cx)
            }
            StateKind::Empty => None,
        }
    }

    fn leave(&mut self, cx: &mut Cx, leaving: &LeavingMember) -> Result<Participant, Refusal> {
        let instance = leaving.group_instance_id.as_deref();
        let mut member_id = leaving.member_id.clone();
        if &*member_id == UNKNOWN_MEMBER_ID {
            // KIP-345: an administrator removes a static member by its instance id alone.
            let holder = instance.and_then(|instance| self.static_ids.get(instance));
            member_id = holder.ok_or(Refusal::UnknownMemberId)?.clone();
        } else if !self.pending.contains(&member_id) {
            self.validate_member(&member_id, instance)?;
        }
        Ok(self.remove(cx, &member_id, MemberFate::Left))
    }
}
