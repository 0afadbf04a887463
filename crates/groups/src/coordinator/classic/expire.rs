//! The end of a session: a member was silent for too long.

use super::{Classic, RebalanceCause, StateKind};
use crate::coordinator::cx::Cx;
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
        self.remove(cx, member_id);
        match self.kind() {
            StateKind::Stable | StateKind::CompletingRebalance if !was_pending => {
                let member_id = member_id.clone();
                self.prepare_rebalance(cx, RebalanceCause::SessionExpired { member_id })
            }
            StateKind::PreparingRebalance if self.has_all_joined() => self.complete_join(cx),
            _ => None,
        }
    }
}
