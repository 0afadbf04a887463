//! JoinGroup.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Token;

use super::said::of_pending;
use super::{Classic, Member, RebalanceCause, State, StateKind, reply_join};
use crate::coordinator::cx::{Cx, Timer};
use crate::coordinator::group::Group;
use crate::coordinator::journal::{MemberFate, Participant};
use crate::coordinator::work::{Then, Work, Write};
use crate::coordinator::{Client, JoinRequest, Refusal, UNKNOWN_MEMBER_ID};

impl Group {
    /// A join without member id creates the group.
    // Kafka: GroupMetadataManager.classicGroupJoinToClassicGroup
    pub(in crate::coordinator) fn handle_join(
        &mut self,
        cx: &mut Cx,
        token: Token,
        client: Client,
        request: JoinRequest,
    ) -> Option<Write> {
        let is_unknown = &*request.member_id == UNKNOWN_MEMBER_ID;
        if self.classic.is_none() && !is_unknown {
            return self.refuse(cx, Work::Join(token, client, request), Refusal::UnknownMemberId);
        }
        if !self.may_say(cx, &client, &request) {
            return self.refuse(cx, Work::Join(token, client, request), Refusal::NotAvailable);
        }
        let is_created = self.classic.is_none();
        let classic = self
            .classic
            .get_or_insert_with(|| Classic::new(self.id.clone(), cx.wall_ms()));
        let write = if !classic.has_room_for(cx, &request.member_id) {
            classic.remove(cx, &request.member_id, MemberFate::Left);
            reply_join(cx, token, UNKNOWN_MEMBER_ID, Err(Refusal::GroupMaxSizeReached));
            None
        } else if !classic.supports_protocols(&request.protocol_type, &request.protocols) {
            let refusal = Refusal::InconsistentGroupProtocol;
            reply_join(cx, token, &request.member_id, Err(refusal));
            None
        } else if is_unknown {
            classic.join_new(cx, token, client, &request)
        } else {
            classic.join_known(cx, token, client, &request)
        };
        if is_created && write.is_none() {
            let records = Vec::from([classic.empty_record()]);
            let then = Then::Created;
            return Some(Write { records, then });
        }
        write
    }
}

impl Classic {
    /// Whether `group.max.size` leaves room: joiners count while the group waits for its members, else members.
    // Kafka: GroupMetadataManager.acceptJoiningMember
    fn has_room_for(&self, cx: &Cx, member_id: &str) -> bool {
        let member = self.members.get(member_id);
        match self.kind() {
            StateKind::Empty => true,
            StateKind::PreparingRebalance => {
                member.is_some_and(|member| member.awaiting_join.is_some())
                    || self.joiners() < cx.config.max_size
            }
            StateKind::CompletingRebalance | StateKind::Stable => {
                member.is_some() || self.members.len() < cx.config.max_size
            }
        }
    }

    // Kafka: GroupMetadataManager.classicGroupJoinNewMember and what it calls
    fn join_new(
        &mut self,
        cx: &mut Cx,
        token: Token,
        client: Client,
        request: &JoinRequest,
    ) -> Option<Write> {
        if let Some(instance) = &request.group_instance_id {
            let member_id = self.new_member_id(cx, instance);
            return match self.static_ids.get(instance).cloned() {
                Some(old_id) => self.replace_static(cx, token, &old_id, member_id, request),
                None => self.add(cx, token, member_id, client, request),
            };
        }
        let member_id = self.new_member_id(cx, &client.id);
        if !request.requires_known_member_id {
            return self.add(cx, token, member_id, client, request);
        }
        // KIP-394: the id first, so that a lost response leaves no member behind.
        self.said += of_pending(&member_id);
        self.pending.insert(member_id.clone());
        cx.arm(self.session_timer(&member_id), request.session_timeout_ms);
        reply_join(cx, token, &member_id, Err(Refusal::MemberIdRequired));
        None
    }

    /// An id that no member has: a restarted node may draw the same numbers again.
    fn new_member_id(&self, cx: &mut Cx, prefix: &str) -> Arc<str> {
        loop {
            let member_id = cx.member_id(prefix);
            if !self.members.contains_key(&member_id) && !self.pending.contains(&member_id) {
                return member_id;
            }
        }
    }

    // Kafka: GroupMetadataManager.classicGroupJoinExistingMember
    fn join_known(
        &mut self,
        cx: &mut Cx,
        token: Token,
        client: Client,
        request: &JoinRequest,
    ) -> Option<Write> {
        let member_id = &request.member_id;
        if self.pending.contains(member_id) {
            if request.group_instance_id.is_some() {
                reply_join(cx, token, member_id, Err(Refusal::Unexpected));
                return None;
            }
            return self.add(cx, token, member_id.clone(), client, request);
        }
        if let Err(refusal) = self.validate_member(member_id, request.group_instance_id.as_deref()) {
            reply_join(cx, token, member_id, Err(refusal));
            return None;
        }
        let (member_id, reason) = (member_id.clone(), request.reason.clone());
        let known = self
            .members
            .get(&member_id)
            .map(|member| (member.participant(), member.protocols == request.protocols));
        // It was validated.
        let (member, matches) = known.unwrap_or_else(|| (Participant::pending(&member_id), false));
        match self.kind() {
            // A leader rejoins when partitions or members changed, so its rejoin always counts; an unchanged follower's is a retry.
            StateKind::Stable if self.is_leader(&member_id) => {
                self.update(cx, token, request);
                self.prepare_rebalance(cx, RebalanceCause::LeaderRejoined { member, reason })
            }
            StateKind::Stable | StateKind::CompletingRebalance if matches => {
                let with_members = self.kind() == StateKind::CompletingRebalance;
                reply_join(cx, token, &member_id, Ok(self.joined(&member_id, with_members)));
                None
            }
            StateKind::Stable | StateKind::CompletingRebalance => {
                self.update(cx, token, request);
                self.prepare_rebalance(cx, RebalanceCause::MetadataChanged { member, reason })
            }
            StateKind::PreparingRebalance => {
                self.update(cx, token, request);
                self.complete_if_joined(cx)
            }
            StateKind::Empty => {
                reply_join(cx, token, &member_id, Err(Refusal::UnknownMemberId));
                None
            }
        }
    }

    // Kafka: GroupMetadataManager.addMemberThenRebalanceOrCompleteJoin
    fn add(
        &mut self,
        cx: &mut Cx,
        token: Token,
        member_id: Arc<str>,
        client: Client,
        request: &JoinRequest,
    ) -> Option<Write> {
        if let State::PreparingRebalance {
            from_empty: Some(initial),
            ..
        } = &mut self.state
        {
            initial.new_member_added = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        let mut member = Member::joining(member_id.clone(), client, request);
        member.awaiting_join = Some(token);
        let who = member.participant();
        self.insert(member);
        self.note_join(cx, &member_id);
        cx.arm(
            self.session_timer(&member_id),
            cx.config.new_member_join_timeout_ms,
        );
        let reason = request.reason.clone();
        self.prepare_or_complete(cx, RebalanceCause::MemberJoined { member: who, reason })
    }

    /// Takes over what a rejoining member says, and lets its join wait.
    // Kafka: ClassicGroup.updateMember
    pub(super) fn update(&mut self, cx: &mut Cx, token: Token, request: &JoinRequest) {
        let member_id = &request.member_id;
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        self.said -= member.said();
        member.take_over(request);
        self.said += member.said();
        // Kafka forgets an older join that waits; here it is answered, so that its connection goes on.
        if let Some(older) = member.awaiting_join.replace(token) {
            reply_join(cx, older, member_id, Err(Refusal::RebalanceInProgress));
        }
        self.note_join(cx, member_id);
    }

    /// The wait of a group that was empty is over: it goes on when a member came meanwhile, else the join phase ends.
    // Kafka: GroupMetadataManager.tryCompleteInitialRebalanceElseSchedule
    pub(in crate::coordinator) fn expire_join(&mut self, cx: &mut Cx) -> Option<Write> {
        let State::PreparingRebalance { from_empty, .. } = &mut self.state else {
            return None;
        };
        if let Some(initial) = from_empty
            && let Some(delay_ms) = initial.delay_ms
            && initial.new_member_added
            && initial.remaining_ms != 0
        {
            let next_ms = cx.config.initial_rebalance_delay_ms.min(initial.remaining_ms);
            initial.new_member_added = false;
            initial.delay_ms = Some(next_ms);
            initial.remaining_ms = initial.remaining_ms.saturating_sub(delay_ms).max(0);
            cx.arm(Timer::Join(self.id.clone()), next_ms);
            return None;
        }
        self.complete_join(cx)
    }
}
