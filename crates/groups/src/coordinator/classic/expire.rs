//! The end of a session: a member was silent for too long.

use super::{Classic, RebalanceCause, StateKind};
use crate::coordinator::cx::Cx;
use crate::coordinator::journal::MemberFate;
use crate::coordinator::work::Write;

use alloc::sync::Arc;

impl Classic {
    /// Gives up a silent member, or one that never came back with the id it was given. One whose request waits here is not silent.
    // Kafka: GroupMetadataManager.expireClassicGroupMemberHeartbeat
    pub(in crate::coordinator) fn expire_session(
        &mut self,
        cx: &mut Cx,
        member_id: &Arc<str>,
    ) -> Option<Write> {
        let was_pending = self.pending.contains(member_id);
        if !was_pending && self.members.get(member_id).is_none_or(|member| member.is_heard()) {
            return None;
        }
        let member = self.remove(cx, member_id, MemberFate::SessionExpired);
        let cause = RebalanceCause::SessionExpired { member };
        match self.kind() {
            StateKind::Stable | StateKind::CompletingRebalance if !was_pending => {
                self.prepare_rebalance(cx, cause)
            }
            StateKind::PreparingRebalance => {
                if !was_pending {
                    self.journal.note(cause);
                }
                match self.has_all_joined() {
                    true => self.complete_join(cx),
                    false => None,
                }
            }
            _ => None,
        }
    }
}
