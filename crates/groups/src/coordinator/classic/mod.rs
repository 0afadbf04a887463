//! The classic rebalance protocol, the coordinator's side. [`Classic`] is one group; what it knows is here, each request has a
//! file of its own.

mod complete;
mod describe;
mod expire;
mod heartbeat;
mod join;
mod leave;
mod member;
mod rebalance;
mod replace;
mod said;
mod state;
mod stored;
mod sync;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{Instant, Token};

use member::Member;
pub(crate) use replace::Replacement;
use state::State;
pub(crate) use state::StateKind;

use super::cx::{Cx, Timer};
use super::journal::{Journal, MemberFate};
use super::{
    Action, GroupResponse, JoinProtocol, JoinResponse, JoinedGroup, Participant, Rebalance, RebalanceCause,
    Refusal, SyncedMember,
};

/// One classic group.
// Kafka: ClassicGroup
#[derive(Debug)]
pub(crate) struct Classic {
    id: Arc<str>,
    state: State,
    /// When it came to its state, in ms since 1970; unknown for groups stored by old brokers.
    since_ms: Option<i64>,
    protocol_type: Option<Arc<str>>,
    generation: i32,
    /// The assignor of this generation.
    protocol: Option<Arc<str>>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// Instance id → member id.
    static_ids: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids that were given out and not yet used (KIP-394).
    pending: BTreeSet<Arc<str>>,
    /// What the members of this generation subscribe to; `None` when that is not known.
    subscribed: Option<BTreeSet<Arc<str>>>,
    /// How many bytes these topics hold.
    subscribed_bytes: usize,
    /// How many bytes members and pending ones hold.
    said: usize,
    /// How many bytes the assignments have that were stored last. Members lose theirs while a rebalance is under way.
    stored_assignments: usize,
    /// How many those have that are being stored.
    open_assignments: usize,
    journal: Journal,
}

impl Classic {
    /// An empty group.
    pub(super) fn new(id: Arc<str>, wall_ms: i64) -> Self {
        Self {
            id,
            state: State::Empty,
            since_ms: Some(wall_ms),
            protocol_type: None,
            generation: 0,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            static_ids: BTreeMap::new(),
            pending: BTreeSet::new(),
            subscribed: None,
            subscribed_bytes: 0,
            said: 0,
            stored_assignments: 0,
            open_assignments: 0,
            journal: Journal::default(),
        }
    }

    /// Changes the state.
    ///
    /// # Panics
    ///
    /// When the edge is not in the table: this code is then wrong.
    fn enter(&mut self, cx: &Cx, state: State) {
        let edge = (self.state.kind(), state.kind());
        assert!(
            state::EDGES.contains(&edge),
            "{edge:?} is no edge of a classic group"
        );
        self.state = state;
        self.since_ms = Some(cx.wall_ms());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.kind() == StateKind::Empty
    }

    pub(super) fn kind(&self) -> StateKind {
        self.state.kind()
    }

    /// Why the group rebalances, while it waits for its members.
    pub(super) fn rebalance_cause(&self) -> Option<&RebalanceCause> {
        let is_waiting = self.kind() == StateKind::PreparingRebalance;
        self.journal.cause().filter(|_| is_waiting)
    }

    /// The last rebalances, oldest first, and the one under way.
    pub(super) fn rebalances(&self, now: Instant) -> Vec<Arc<Rebalance>> {
        self.journal.rebalances(now)
    }

    /// Hands on a rebalance that has ended.
    fn report(&self, cx: &mut Cx, ended: Option<Arc<Rebalance>>) {
        if let Some(rebalance) = ended {
            let group_id = self.id.clone();
            cx.outbox.push(Action::Rebalanced { group_id, rebalance });
        }
    }

    pub(super) fn since_ms(&self) -> Option<i64> {
        self.since_ms
    }

    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    pub(super) fn has_protocol_type(&self) -> bool {
        self.protocol_type.is_some()
    }

    /// Whether its members are consumers.
    // Kafka: ClassicGroup.usesConsumerGroupProtocol, ConsumerProtocol.PROTOCOL_TYPE
    pub(super) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
    }

    pub(super) fn knows_subscriptions(&self) -> bool {
        self.subscribed.is_some()
    }

    /// Whether a member reads the topic. Consumers whose subscriptions are unknown may read any.
    // Kafka: ClassicGroup.isSubscribedToTopic
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// Refuses who is no member, and the older of two processes with one instance id.
    // Kafka: ClassicGroup.validateMember
    pub(super) fn validate_member(
        &self,
        member_id: &str,
        group_instance_id: Option<&str>,
    ) -> Result<(), Refusal> {
        if let Some(instance) = group_instance_id {
            match self.static_ids.get(instance) {
                None => return Err(Refusal::UnknownMemberId),
                Some(holder) if &**holder != member_id => return Err(Refusal::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(Refusal::UnknownMemberId)
        }
    }

    /// Whether a member with these protocols can work with all that are here.
    // Kafka: ClassicGroup.supportsProtocols
    fn supports_protocols(&self, protocol_type: &str, protocols: &[JoinProtocol]) -> bool {
        if self.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        let supporters = supporters(self.members.values());
        let supported_by_all = |name: &str| supporters.get(name).copied().unwrap_or(0) == self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| supported_by_all(&protocol.name))
    }

    /// What holds of every group between two inputs.
    #[cfg(test)]
    pub(super) fn assert_consistent(&self) {
        assert_eq!(self.leader.is_none(), self.members.is_empty());
        assert!(self.leader.iter().all(|id| self.members.contains_key(id)));
        assert!(self.pending.iter().all(|id| !self.members.contains_key(id)));
        assert_eq!(self.said, self.recounted());
        let assignments: usize = self.members.values().map(|member| member.assignment.len()).sum();
        assert!(assignments <= self.assigned());
        let statics = self.members.values().filter(|member| member.is_static()).count();
        assert_eq!(self.static_ids.len(), statics);
        assert!(self.static_ids.values().all(|id| self.members.contains_key(id)));
        let waits = |member: &Member| (member.awaiting_join.is_some(), member.awaiting_sync.is_some());
        for member in self.members.values() {
            match self.kind() {
                StateKind::PreparingRebalance => assert!(!waits(member).1),
                StateKind::CompletingRebalance => assert!(!waits(member).0),
                StateKind::Stable => assert_eq!(waits(member), (false, false)),
                StateKind::Empty => panic!("an empty group with members"),
            }
        }
    }

    #[cfg(test)]
    pub(super) fn leader_id(&self) -> Option<Arc<str>> {
        self.leader.clone()
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    fn joiners(&self) -> usize {
        self.members
            .values()
            .filter(|member| member.awaiting_join.is_some())
            .count()
    }

    /// Whether every member waits for the join phase to end and none is still to come.
    // Kafka: ClassicGroup.hasAllMembersJoined
    fn has_all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|member| member.awaiting_join.is_some())
    }

    /// The largest rebalance timeout, in ms.
    fn rebalance_timeout_ms(&self) -> i32 {
        self.members
            .values()
            .map(|member| member.rebalance_timeout_ms)
            .max()
            .unwrap_or(0)
            .max(0)
    }

    fn insert(&mut self, member: Member) {
        if let Some(instance) = &member.group_instance_id {
            self.static_ids.insert(instance.clone(), member.id.clone());
        }
        self.leader.get_or_insert_with(|| member.id.clone());
        self.forget_pending(&member.id);
        self.said += member.said();
        if let Some(before) = self.members.insert(member.id.clone(), member) {
            self.said -= before.said();
        }
    }

    /// The id was used, or will not be any more.
    fn forget_pending(&mut self, member_id: &str) {
        if self.pending.remove(member_id) {
            self.said -= said::of_pending(member_id);
        }
    }

    /// Takes a member (or a pending one) out: its session ends, and what it waits for is answered UNKNOWN_MEMBER_ID. Gives who it
    /// was; of a pending one only the id is known.
    // Kafka: ClassicGroup.remove, GroupMetadataManager.removeCurrentMemberFromClassicGroup
    fn remove(&mut self, cx: &mut Cx, member_id: &str, fate: MemberFate) -> Participant {
        let removed = self.members.remove(member_id);
        let who = removed
            .as_ref()
            .map_or_else(|| Participant::pending(member_id), Member::participant);
        if let Some(mut member) = removed {
            self.said -= member.said();
            self.journal
                .gone(member.unread_since(cx.now, fate), member_id, fate);
            if let Some(instance) = &member.group_instance_id {
                self.static_ids.remove(instance);
            }
            refuse_waiting(cx, &mut member, "", Refusal::UnknownMemberId);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.forget_pending(member_id);
        if let State::CompletingRebalance { unsynced } | State::Stable { unsynced } = &mut self.state {
            unsynced.remove(member_id);
        }
        cx.disarm(&self.session_timer(member_id));
        who
    }

    fn session_timer(&self, member_id: &str) -> Timer {
        Timer::Session(self.id.clone(), Arc::from(member_id))
    }

    /// The member was heard: its session begins anew.
    pub(super) fn extend_session(&self, cx: &mut Cx, member_id: &str) {
        if let Some(member) = self.members.get(member_id) {
            cx.arm(self.session_timer(member_id), member.session_timeout_ms);
        }
    }

    /// The generation as it is told to `member_id`; the leader gets the members when `with_members`.
    fn joined(&self, member_id: &str, with_members: bool) -> JoinedGroup {
        let protocol = self.protocol.as_deref();
        let members = if with_members && self.is_leader(member_id) {
            self.members
                .values()
                .map(|member| member.to_joined(protocol))
                .collect()
        } else {
            Vec::new()
        };
        JoinedGroup {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            skip_assignment: false,
            members,
        }
    }

    /// The group is gone: who waits is answered.
    pub(super) fn abandon(self, cx: &mut Cx, refusal: Refusal) {
        for mut member in self.members.into_values() {
            let id = member.id.clone();
            refuse_waiting(cx, &mut member, &id, refusal);
        }
    }
}

/// How many of the members support each assignor. It is counted in one go: members may name very many.
// Kafka: ClassicGroup.supportedProtocols
fn supporters<'a>(members: impl Iterator<Item = &'a Member>) -> BTreeMap<&'a str, usize> {
    let mut supporters = BTreeMap::new();
    for protocol in members.flat_map(|member| &member.protocols) {
        *supporters.entry(&*protocol.name).or_default() += 1;
    }
    supporters
}

fn reply_join(cx: &mut Cx, token: Token, member_id: &str, outcome: Result<JoinedGroup, Refusal>) {
    let member_id = Arc::from(member_id);
    cx.reply(token, GroupResponse::Join(JoinResponse { member_id, outcome }));
}

fn reply_sync(cx: &mut Cx, token: Token, outcome: Result<SyncedMember, Refusal>) {
    cx.reply(token, GroupResponse::Sync(outcome));
}

/// Answers with an error whatever the member waits for; a join is told `member_id`.
fn refuse_waiting(cx: &mut Cx, member: &mut Member, member_id: &str, refusal: Refusal) {
    if let Some(token) = member.awaiting_join.take() {
        reply_join(cx, token, member_id, Err(refusal));
    }
    if let Some(token) = member.awaiting_sync.take() {
        reply_sync(cx, token, Err(refusal));
    }
}
