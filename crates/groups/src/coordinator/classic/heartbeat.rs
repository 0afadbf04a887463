//! Heartbeat.

use super::{Classic, StateKind};
use crate::coordinator::cx::Cx;
use crate::coordinator::{HeartbeatRequest, Refusal};

impl Classic {
    /// Keeps the session; says so when the member has to join again.
    // Kafka: GroupMetadataManager.classicGroupHeartbeatToClassicGroup
    pub(in crate::coordinator) fn handle_heartbeat(
        &self,
        cx: &mut Cx,
        request: &HeartbeatRequest,
    ) -> Result<(), Refusal> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation != self.generation {
            return Err(Refusal::IllegalGeneration);
        }
        self.extend_session(cx, &request.member_id);
        match self.kind() {
            StateKind::PreparingRebalance => Err(Refusal::RebalanceInProgress),
            StateKind::CompletingRebalance | StateKind::Stable => Ok(()),
            StateKind::Empty => Err(Refusal::UnknownMemberId),
        }
    }
}
