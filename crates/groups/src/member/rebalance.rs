//! The way into a generation: give up what must be given up, join, compute as the leader, sync, take the assignment. What
//! refusals mean on this way is in `answers`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Instant, Token};

use super::state::{Call, Kind, LeavePhase, Listening, State, Then, Until};
use super::{
    Action, Assigned, Cause, Computed, JoinRequest, JoinResponse, Member, MemberApi, MemberError,
    MemberRequest, NO_GENERATION, Outcome, PROTOCOL_TYPE, SyncRequest, SyncResponse, Timer,
};
use crate::{Assignment, RebalanceProtocol, Subscription, TopicPartition};

/// How much longer than the rebalance time-out JoinGroup may take.
// Kafka: AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE
const JOIN_GRACE: Duration = Duration::from_secs(5);

/// The assignor that keeps the rules of cooperation itself, by the generations of what is owned.
// Kafka: CooperativeStickyAssignor
const COOPERATIVE_STICKY: &str = "cooperative-sticky";

/// What a leader remembers of its assignment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leadership {
    /// The topics of the whole group.
    pub(super) topics: BTreeSet<Arc<str>>,
    /// Partitions by topic that it assigned.
    snapshot: BTreeMap<Arc<str>, u32>,
}

impl Member {
    /// Begins a rebalance, or notes another cause in the one under way, and goes on to JoinGroup.
    pub(super) fn begin(&mut self, now: Instant, cause: Cause) {
        self.note(now, cause);
        self.pending = None;
        self.prepare(now);
    }

    /// Writes a cause into the journal and into the next JoinGroup.
    pub(super) fn note(&mut self, now: Instant, cause: Cause) {
        self.reason = cause.reason();
        if let Some(number) = self.journal.begin(now, cause.clone()) {
            self.outbox.push(Action::Began {
                number,
                cause: Box::new(cause),
            });
        }
    }

    /// Has the listener give up what the protocol demands before JoinGroup: once per rebalance.
    // Kafka: ConsumerCoordinator.onJoinPrepare
    pub(super) fn prepare(&mut self, now: Instant) {
        self.timers.cancel(&Timer::Rejoin);
        if !self.needs_prepare {
            return self.join(now);
        }
        self.needs_prepare = false;
        self.leadership = None;
        let call = if !self.is_in_generation() {
            Some(Call::Lost(self.owned_list())).filter(|_| !self.owned.is_empty())
        } else {
            match self.rebalance_protocol {
                RebalanceProtocol::Eager => Some(Call::Revoked(self.owned_list())),
                RebalanceProtocol::Cooperative => {
                    let unwanted = self.unwanted();
                    (!unwanted.is_empty()).then_some(Call::Revoked(unwanted))
                }
            }
        };
        match call {
            Some(call) => {
                self.enter(State::Revoking { then: Then::Join });
                self.call(call);
            }
            None => self.join(now),
        }
    }

    fn owned_list(&self) -> Vec<TopicPartition> {
        self.owned.iter().cloned().collect()
    }

    fn unwanted(&self) -> Vec<TopicPartition> {
        let wants = |topic: &Arc<str>| {
            self.subscription
                .as_ref()
                .is_some_and(|topics| topics.contains(topic))
        };
        self.owned
            .iter()
            .filter(|owned| !wants(&owned.topic))
            .cloned()
            .collect()
    }

    /// Asks for one call of the listener. There is never a second one under way.
    fn call(&mut self, call: Call) {
        let step = self.tokens.issue();
        match &call {
            Call::Revoked(partitions) => self.outbox.push(Action::Revoke {
                step,
                partitions: partitions.clone(),
            }),
            Call::Lost(partitions) => self.outbox.push(Action::Lost {
                step,
                partitions: partitions.clone(),
            }),
            Call::Assigned(assigned) => self.outbox.push(Action::Assign {
                step,
                assignment: assigned.clone(),
            }),
        }
        debug_assert!(self.listening.is_none(), "the listener is called while it runs");
        self.listening = Some(Listening { step, call });
    }

    /// Gives up all that is owned: as lost when it may have other owners by now.
    pub(super) fn give_up_all(&mut self, lost: bool) {
        let all = self.owned_list();
        self.call(if lost { Call::Lost(all) } else { Call::Revoked(all) });
    }

    pub(super) fn on_listener_done(&mut self, now: Instant, step: Token) {
        let Some(listening) = self.listening.take_if(|listening| listening.step == step) else {
            return;
        };
        self.note_poll();
        if let Call::Revoked(partitions) | Call::Lost(partitions) = listening.call {
            for partition in &partitions {
                self.owned.remove(partition);
            }
            if let Some(rebalance) = self.journal.open() {
                rebalance.gave_up.extend(partitions);
            }
        }
        match &self.state {
            State::Revoking { then: Then::Join } => self.join(now),
            State::Revoking {
                then: Then::Assign(assignment),
            } => {
                let assignment = assignment.clone();
                if self.is_in_generation() {
                    self.pending.get_or_insert(Cause::GaveUpPartitions);
                    self.take(assignment);
                } else {
                    self.rejoin_without_identity(now);
                }
            }
            State::Assigning => self.complete(now),
            State::Leaving {
                phase: LeavePhase::Listening { .. },
            } => self.leave_owned(now),
            State::Failed => self.lose_after_failure(),
            _ => {}
        }
    }

    /// Sends JoinGroup.
    // Kafka: AbstractCoordinator.sendJoinGroupRequest, ConsumerCoordinator.metadata
    fn join(&mut self, now: Instant) {
        self.stop_heartbeats();
        if let Some(rebalance) = self.journal.open() {
            rebalance.prepared.get_or_insert(now);
        }
        self.joined = self.subscription.clone();
        let topics: Vec<Arc<str>> = self.joined.iter().flatten().cloned().collect();
        let subscription = Subscription {
            topics,
            user_data: None,
            owned: self.owned_list(),
            generation: self.generation(),
            rack: self.config.rack.clone(),
            group_instance_id: None,
        };
        let protocols = self.config.assignors.iter().map(|offered| {
            let user_data = offered.user_data.clone();
            let subscription = Subscription {
                user_data,
                ..subscription.clone()
            };
            (offered.name.clone(), subscription)
        });
        let request = JoinRequest {
            group_id: self.config.group_id.clone(),
            session_timeout: self.config.session_timeout,
            rebalance_timeout: self.config.rebalance_timeout,
            member_id: self.identity.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocols: protocols.collect(),
            reason: self.reason.clone(),
        };
        let patience = self.config.rebalance_timeout.saturating_add(JOIN_GRACE);
        let token = self.send(
            MemberRequest::Join(Box::new(request)),
            patience.max(self.config.request_timeout),
        );
        self.enter(State::Joining { token });
    }

    // Kafka: AbstractCoordinator.JoinGroupResponseHandler
    pub(super) fn on_joined(&mut self, now: Instant, response: JoinResponse) {
        let is_ours = |offered: &super::OfferedAssignor| offered.name == response.protocol;
        if let Some(wrong) = response
            .protocol_type
            .as_deref()
            .filter(|kind| *kind != PROTOCOL_TYPE)
        {
            return self.fail_inconsistent(now, format!("its protocol type is {wrong:?}, not \"consumer\""));
        }
        if response.generation < 0 || response.member_id.is_empty() {
            let detail = "a join without a generation or a member id";
            return self.fail_malformed(now, MemberApi::JoinGroup, detail.into());
        }
        if !self.config.assignors.iter().any(is_ours) {
            let detail = format!(
                "the coordinator chose assignor {:?}, which was not offered",
                response.protocol
            );
            return self.fail_inconsistent(now, detail);
        }
        let leads = response.leader == response.member_id;
        self.identity.member_id = response.member_id;
        self.identity.generation = response.generation;
        self.assignor = Some(response.protocol.clone());
        self.start_heartbeats(now);
        if let Some(rebalance) = self.journal.open() {
            rebalance.joined = Some(now);
            rebalance.generation = Some(response.generation);
            rebalance.led = leads;
        }
        if leads {
            let step = self.tokens.issue();
            let members = Arc::new(response.members);
            self.outbox.push(Action::Compute {
                step,
                assignor: response.protocol,
                members: members.clone(),
                skip: response.skip_assignment,
            });
            self.enter(State::Computing { step, members });
        } else {
            self.sync(BTreeMap::new());
        }
    }

    // Kafka: ConsumerCoordinator.onLeaderElected
    pub(super) fn on_computed(&mut self, now: Instant, step: Token, result: Result<Computed, Box<str>>) {
        let State::Computing { step: asked, members } = &self.state else {
            return;
        };
        if *asked != step {
            return;
        }
        let members = members.clone();
        let computed = match result {
            Ok(computed) => computed,
            Err(reason) => return self.fail_assignor(now, reason),
        };
        let Computed {
            mut assignments,
            partitions,
        } = computed;
        if let Some(moved) = self.moved_too_early(&members, &assignments) {
            let reason = format!(
                "{moved} is given to a new owner before its owner gave it up, against the cooperative protocol"
            );
            return self.fail_assignor(now, reason.into());
        }
        let mut topics: BTreeSet<Arc<str>> = members
            .values()
            .flat_map(|subscription| subscription.topics.iter().cloned())
            .collect();
        topics.extend(partitions.keys().cloned());
        for (topic, count) in &partitions {
            self.counts.insert(topic.clone(), *count);
        }
        self.leadership = Some(Leadership {
            topics,
            snapshot: partitions,
        });
        if !assignments.is_empty() {
            assignments.retain(|member, _| members.contains_key(member));
            for member in members.keys() {
                assignments.entry(member.clone()).or_default();
            }
        }
        self.sync(assignments);
    }

    /// The first partition that an assignor moves although its owner has not given it up.
    // Kafka: ConsumerCoordinator.validateCooperativeAssignment
    fn moved_too_early(
        &self,
        members: &BTreeMap<String, Subscription>,
        assignments: &BTreeMap<String, Assignment>,
    ) -> Option<TopicPartition> {
        if self.rebalance_protocol == RebalanceProtocol::Eager
            || self.assignor.as_deref() == Some(COOPERATIVE_STICKY)
        {
            return None;
        }
        let mut revoked = BTreeSet::new();
        let mut added = BTreeSet::new();
        for (member, assignment) in assignments {
            let owned: BTreeSet<_> = members.get(member).into_iter().flat_map(|of| &of.owned).collect();
            let assigned: BTreeSet<_> = assignment.partitions.iter().collect();
            revoked.extend(owned.difference(&assigned).copied());
            added.extend(assigned.difference(&owned).copied());
        }
        added.intersection(&revoked).next().map(|moved| (*moved).clone())
    }

    /// Sends SyncGroup.
    fn sync(&mut self, assignments: BTreeMap<String, Assignment>) {
        let request = SyncRequest {
            group_id: self.config.group_id.clone(),
            identity: self.identity.clone(),
            protocol: self.assignor.clone().unwrap_or_default(),
            assignments,
        };
        let token = self.send(
            MemberRequest::Sync(Box::new(request)),
            self.config.request_timeout,
        );
        self.enter(State::Syncing { token });
    }

    // Kafka: AbstractCoordinator.SyncGroupResponseHandler, ConsumerCoordinator.onJoinComplete
    pub(super) fn on_synced(&mut self, now: Instant, response: SyncResponse) {
        if let Some(wrong) = response
            .protocol_type
            .as_deref()
            .filter(|kind| *kind != PROTOCOL_TYPE)
        {
            return self.fail_inconsistent(now, format!("its protocol type is {wrong:?}, not \"consumer\""));
        }
        if response.protocol.is_some() && response.protocol != self.assignor {
            let detail = format!(
                "the assignment was made by {:?}, the join by {:?}",
                response.protocol, self.assignor
            );
            return self.fail_inconsistent(now, detail);
        }
        self.failures = 0;
        self.pending = None;
        if let Some(rebalance) = self.journal.open() {
            rebalance.synced = Some(now);
        }
        let assignment = response.assignment;
        if !self.adopt_topics(&assignment) {
            self.needs_prepare = true;
            return self.begin(now, Cause::AssignmentMismatch);
        }
        let kept: BTreeSet<&TopicPartition> = assignment.partitions.iter().collect();
        let revoked: Vec<_> = self
            .owned
            .iter()
            .filter(|owned| !kept.contains(owned))
            .cloned()
            .collect();
        if revoked.is_empty() {
            return self.take(assignment);
        }
        self.enter(State::Revoking {
            then: Then::Assign(assignment),
        });
        self.call(Call::Revoked(revoked));
    }

    /// Whether all topics of the assignment are wanted. A pattern's member trusts its leader for those it has not seen yet.
    // Kafka: SubscriptionState.checkAssignmentMatchedSubscription, ConsumerCoordinator.maybeUpdateJoinedSubscription
    fn adopt_topics(&mut self, assignment: &Assignment) -> bool {
        let (Some(subscription), Some(joined)) = (&mut self.subscription, &mut self.joined) else {
            return false;
        };
        for partition in &assignment.partitions {
            if subscription.contains(&partition.topic) {
                continue;
            }
            if !self.by_pattern {
                return false;
            }
            subscription.insert(partition.topic.clone());
            joined.insert(partition.topic.clone());
        }
        true
    }

    /// Owns the assignment and has the listener take what is new.
    fn take(&mut self, assignment: Assignment) {
        let assigned: BTreeSet<TopicPartition> = assignment.partitions.into_iter().collect();
        let added: Vec<TopicPartition> = assigned.difference(&self.owned).cloned().collect();
        self.owned = assigned;
        if let Some(rebalance) = self.journal.open() {
            rebalance.got = added.clone();
        }
        let assigned = Assigned {
            assignor: self.assignor.clone().unwrap_or_default(),
            identity: self.identity.clone(),
            all: self.owned_list(),
            added,
            user_data: assignment.user_data,
        };
        self.enter(State::Assigning);
        self.call(Call::Assigned(Box::new(assigned)));
    }

    /// The listener has taken the assignment: the rebalance is over, and another one may be due.
    fn complete(&mut self, now: Instant) {
        self.end_rebalance(now, Outcome::Assigned);
        if self.is_in_generation() {
            self.needs_prepare = true;
            self.enter(State::Stable);
            self.rejoin_if_due(now);
        } else {
            self.rejoin_without_identity(now);
        }
    }

    pub(super) fn end_rebalance(&mut self, now: Instant, outcome: Outcome) {
        if let Some(ended) = self.journal.end(now, outcome) {
            self.outbox.push(Action::Ended(Box::new(ended)));
        }
    }

    fn rejoin_without_identity(&mut self, now: Instant) {
        self.needs_prepare = true;
        let cause = self.pending.take().unwrap_or(Cause::FirstJoin);
        self.begin(now, cause);
    }

    /// Joins again when something has changed since the member joined.
    // Kafka: ConsumerCoordinator.rejoinNeededOrPending
    pub(super) fn rejoin_if_due(&mut self, now: Instant) {
        if self.state.kind() != Kind::Stable {
            return;
        }
        let changed = self.changed_topics();
        if !changed.is_empty() {
            self.begin(now, Cause::PartitionsChanged { topics: changed });
        } else if self.joined != self.subscription {
            self.begin(now, Cause::SubscriptionChanged);
        } else if let Some(cause) = self.pending.take() {
            self.begin(now, cause);
        }
    }

    fn changed_topics(&self) -> Vec<Arc<str>> {
        let Some(Leadership { topics, snapshot }) = &self.leadership else {
            return Vec::new();
        };
        let differs = |topic: &&Arc<str>| snapshot.get(*topic) != self.counts.get(*topic);
        topics.iter().filter(differs).cloned().collect()
    }

    /// The coordinator does not count the member to its generation any more. What is owned is lost, unless JoinGroup or the
    /// way out is under way, whose answers say so themselves.
    // Kafka: AbstractCoordinator.resetStateOnResponseError
    pub(super) fn on_identity_lost(&mut self, now: Instant, cause: Cause) {
        let keeps_id = matches!(cause, Cause::IllegalGeneration { .. });
        match self.state.kind() {
            Kind::Joining => return,
            Kind::Assigning => self.pending = Some(cause),
            Kind::Revoking => {
                self.note(now, cause.clone());
                self.pending = Some(cause);
            }
            Kind::Stable | Kind::Computing | Kind::Syncing => {
                self.reset_generation(keeps_id);
                return self.begin(now, cause);
            }
            Kind::Unjoined | Kind::Leaving | Kind::Failed => {}
        }
        self.reset_generation(keeps_id);
    }

    /// Forgets the generation, and the member id unless it is still good.
    pub(super) fn reset_generation(&mut self, keeps_id: bool) {
        self.stop_heartbeats();
        if !keeps_id {
            self.identity.member_id = "".into();
        }
        self.identity.generation = NO_GENERATION;
        self.assignor = None;
        self.needs_prepare = true;
    }

    pub(super) fn reset_identity(&mut self) {
        self.reset_generation(false);
    }

    /// The application does not poll: the member leaves, so that others get its partitions, and comes back when it is polled.
    // Kafka: AbstractCoordinator.handlePollTimeoutExpiry; its thread does not watch before the join is answered
    pub(super) fn on_poll_expired(&mut self, now: Instant) {
        let kind = self.state.kind();
        if matches!(
            kind,
            Kind::Unjoined | Kind::Joining | Kind::Leaving | Kind::Failed
        ) {
            self.unpolled = true;
            return;
        }
        if self.config.group_instance_id.is_none() && !self.identity.member_id.is_empty() {
            let reason = Cause::PollExpired.reason();
            self.send_leave(reason);
        }
        if self.owned.is_empty() && matches!(kind, Kind::Stable | Kind::Computing | Kind::Syncing) {
            self.end_rebalance(now, Outcome::Abandoned);
            self.reset_identity();
            self.enter(State::Unjoined { until: Until::Polled });
        } else {
            self.on_identity_lost(now, Cause::PollExpired);
        }
    }

    pub(super) fn member_id_given(&mut self, member_id: &str) {
        self.identity.member_id = member_id.to_string().into();
        self.identity.generation = NO_GENERATION;
        self.assignor = None;
    }

    fn fail_assignor(&mut self, now: Instant, reason: Box<str>) {
        let error = MemberError::Assignor {
            group_id: self.config.group_id.clone(),
            assignor: self.assignor.clone().unwrap_or_default(),
            reason,
        };
        self.fail(now, error);
    }
}
