//! SyncGroup.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_machine::Token;

use super::said::of_assignments;
use super::{Classic, RebalanceCause, State, StateKind, reply_sync};
use crate::coordinator::cx::{Cx, Timer};
use crate::coordinator::journal::{MemberFate, RebalanceOutcome};
use crate::coordinator::work::{Then, Write};
use crate::coordinator::{Refusal, SyncRequest, SyncedMember};

impl Classic {
    /// Members wait for the leader's assignment, which is stored before anyone gets it.
    // Kafka: GroupMetadataManager.classicGroupSyncToClassicGroup
    pub(in crate::coordinator) fn handle_sync(
        &mut self,
        cx: &mut Cx,
        token: Token,
        request: SyncRequest,
    ) -> Option<Write> {
        let refusal = match (self.validate_sync(&request), self.kind()) {
            (Err(refusal), _) => Some(refusal),
            (Ok(()), StateKind::PreparingRebalance) => Some(Refusal::RebalanceInProgress),
            (Ok(()), StateKind::Empty) => Some(Refusal::UnknownMemberId),
            (Ok(()), StateKind::CompletingRebalance | StateKind::Stable) => None,
        };
        if let Some(refusal) = refusal {
            reply_sync(cx, token, Err(refusal));
            return None;
        }
        let member_id = &request.member_id;
        self.on_synced(cx, member_id);
        if self.kind() == StateKind::Stable {
            let assignment = self.assignment(member_id);
            self.journal.told(cx.now, member_id, &assignment);
            self.end_if_told(cx);
            reply_sync(cx, token, Ok(self.synced(assignment)));
            return None;
        }
        if let Some(member) = self.members.get_mut(member_id) {
            // Kafka forgets an older sync that waits; here it is answered, so that its connection goes on.
            if let Some(older) = member.awaiting_sync.replace(token) {
                reply_sync(cx, older, Err(Refusal::RebalanceInProgress));
            }
        }
        if !self.is_leader(member_id) {
            return None;
        }
        let mut told: BTreeMap<_, _> = request.assignments.into_iter().collect();
        let assignments: Vec<_> = self
            .members
            .keys()
            .map(|id| (id.clone(), told.remove(id).unwrap_or_default()))
            .collect();
        let bytes = of_assignments(&assignments);
        if !self.may_assign(cx, bytes) {
            return self.on_assignment_stored(cx, assignments, Err(Refusal::NotAvailable));
        }
        // Other groups know of it from now on.
        self.open_assignments = bytes;
        let each = self
            .members
            .values()
            .zip(assignments.iter().map(|(_, assignment)| assignment.clone()));
        let records = Vec::from([self.record(self.leader.clone(), each)]);
        let then = Then::Assigned(assignments);
        Some(Write { records, then })
    }

    // Kafka: GroupMetadataManager.validateSyncGroup
    fn validate_sync(&self, request: &SyncRequest) -> Result<(), Refusal> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        let differs = |told: &Option<Arc<str>>, ours: &Option<Arc<str>>| {
            told.is_some() && ours.is_some() && told != ours
        };
        if request.generation != self.generation {
            Err(Refusal::IllegalGeneration)
        } else if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol, &self.protocol)
        {
            Err(Refusal::InconsistentGroupProtocol)
        } else {
            Ok(())
        }
    }

    /// The leader's assignment is in the log, or is not: all get it, or all begin again.
    pub(in crate::coordinator) fn on_assignment_stored(
        &mut self,
        cx: &mut Cx,
        assignments: Vec<(Arc<str>, Bytes)>,
        result: Result<(), Refusal>,
    ) -> Option<Write> {
        self.open_assignments = 0;
        // The group was closed to other changes meanwhile.
        let State::CompletingRebalance { unsynced } = &self.state else {
            return None;
        };
        if let Err(refusal) = result {
            self.drop_assignments(cx, refusal);
            return self.prepare_rebalance(cx, RebalanceCause::AssignmentNotStored { refusal });
        }
        let unsynced = unsynced.clone();
        self.stored_assignments = of_assignments(&assignments);
        self.enter(cx, State::Stable { unsynced });
        for (member_id, assignment) in assignments {
            let Some(member) = self.members.get_mut(&member_id) else {
                continue;
            };
            member.assignment = assignment.clone();
            if let Some(token) = member.awaiting_sync.take() {
                self.journal.told(cx.now, &member_id, &assignment);
                reply_sync(cx, token, Ok(self.synced(assignment)));
                self.extend_session(cx, &member_id);
            }
        }
        self.end_if_told(cx);
        None
    }

    /// The rebalance has ended when every member was given its assignment.
    fn end_if_told(&mut self, cx: &mut Cx) {
        if matches!(&self.state, State::Stable { unsynced } if unsynced.is_empty()) {
            let ended = self.journal.end(cx.now, RebalanceOutcome::Stable);
            self.report(cx, ended);
        }
    }

    /// Members that joined and did not ask for their assignment are out.
    // Kafka: GroupMetadataManager.expirePendingSync
    pub(in crate::coordinator) fn expire_sync(&mut self, cx: &mut Cx) -> Option<Write> {
        let member_ids: Vec<_> = self.unsynced()?.iter().cloned().collect();
        if member_ids.is_empty() {
            return None;
        }
        let remove = |member_id: &Arc<str>| self.remove(cx, member_id, MemberFate::SyncExpired);
        let members = member_ids.iter().map(remove).collect();
        self.prepare_rebalance(cx, RebalanceCause::SyncExpired { members, unlisted: 0 })
    }

    fn on_synced(&mut self, cx: &mut Cx, member_id: &str) {
        let timer = Timer::Sync(self.id.clone());
        if let Some(unsynced) = self.unsynced() {
            unsynced.remove(member_id);
            if unsynced.is_empty() {
                cx.disarm(&timer);
            }
        }
    }

    fn synced(&self, assignment: Bytes) -> SyncedMember {
        SyncedMember {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }

    fn assignment(&self, member_id: &str) -> Bytes {
        self.members
            .get(member_id)
            .map(|member| member.assignment.clone())
            .unwrap_or_default()
    }

    /// Members of this generation that did not ask for their assignment yet.
    pub(super) fn unsynced(&mut self) -> Option<&mut BTreeSet<Arc<str>>> {
        match &mut self.state {
            State::CompletingRebalance { unsynced } | State::Stable { unsynced } => Some(unsynced),
            State::Empty | State::PreparingRebalance { .. } => None,
        }
    }
}
