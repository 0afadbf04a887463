//! The way into a generation: join, sync, take the assignment, and join again when something has changed. What is given up
//! before is in `listener`, the leader's part in `leading`, what refusals mean on this way in `answers`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::Instant;

use super::state::{Call, Kind, State, Then};
use super::{
    Action, Assigned, Cause, JoinRequest, JoinResponse, Member, MemberApi, MemberRequest, Outcome,
    PROTOCOL_TYPE, SyncRequest, SyncResponse,
};
use crate::assign::{self, by_name};
use crate::{Assignment, Subscription, TopicPartition};

/// How much longer than the rebalance time-out JoinGroup may take.
// Kafka: AbstractCoordinator.JOIN_GROUP_TIMEOUT_LAPSE
const JOIN_GRACE: Duration = Duration::from_secs(5);

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

    /// Sends JoinGroup.
    // Kafka: AbstractCoordinator.sendJoinGroupRequest, ConsumerCoordinator.metadata
    pub(super) fn join(&mut self, now: Instant) {
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
            let last = self.last.get(&offered.name);
            // The engine adds the user data of the application's own assignors.
            let user_data = by_name(&offered.name)
                .and_then(|kafkas| kafkas.subscription_user_data(&subscription.topics, last));
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
            rebalance.member_id = Some(self.identity.member_id.clone());
            rebalance.leader = Some(response.leader);
            rebalance.assignor = Some(response.protocol.clone());
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
            self.enter(State::Computing {
                step,
                members,
                skip_assignment: response.skip_assignment,
            });
        } else {
            self.sync(BTreeMap::new());
        }
    }

    /// Sends SyncGroup.
    pub(super) fn sync(&mut self, assignments: BTreeMap<String, Assignment>) {
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
        self.pending = None;
        self.count_heartbeats_from(now);
        if let Some(rebalance) = self.journal.open() {
            rebalance.synced = Some(now);
        }
        let assignment = response.assignment;
        if !self.adopt_topics(&assignment) {
            self.needs_prepare = true;
            // A leader that stays wrong is not to be asked without a pause.
            return self.retry_at_once(now, Cause::AssignmentMismatch);
        }
        self.failures = 0;
        let kept: BTreeSet<&TopicPartition> = assignment.partitions.iter().collect();
        let revoked: Vec<_> = self
            .owned
            .iter()
            .filter(|owned| !kept.contains(owned))
            .cloned()
            .collect();
        if revoked.is_empty() {
            return self.take(now, assignment);
        }
        self.enter(State::Revoking {
            then: Then::Assign(assignment),
        });
        self.call(now, Call::Revoked(revoked));
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
    pub(super) fn take(&mut self, now: Instant, assignment: Assignment) {
        // Kafka: ConsumerPartitionAssignor.onAssignment
        if let Some(assignor) = &self.assignor {
            let last = assign::Assigned {
                assignment: assignment.clone(),
                identity: self.identity.clone(),
            };
            self.last.insert(assignor.clone(), last);
        }
        let assigned: BTreeSet<TopicPartition> = assignment.partitions.into_iter().collect();
        let added: Vec<TopicPartition> = assigned.difference(&self.owned).cloned().collect();
        self.owned = assigned;
        if let Some(rebalance) = self.journal.open() {
            rebalance.got = added.clone();
            rebalance.kept = self.owned.len() - added.len();
        }
        let assigned = Assigned {
            assignor: self.assignor.clone().unwrap_or_default(),
            identity: self.identity.clone(),
            all: self.owned_list(),
            added,
            user_data: assignment.user_data,
        };
        self.enter(State::Assigning);
        self.call(now, Call::Assigned(Box::new(assigned)));
    }

    /// The listener has taken the assignment: the rebalance is over, and another one may be due.
    pub(super) fn complete(&mut self, now: Instant) {
        self.journal.taken(now);
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
        if let Some(ended) = self.journal.end(now, outcome, &self.owned) {
            self.outbox.push(Action::Ended(Box::new(ended)));
        }
    }

    pub(super) fn rejoin_without_identity(&mut self, now: Instant) {
        self.needs_prepare = true;
        let cause = self.pending.take().unwrap_or(Cause::FirstJoin);
        self.begin(now, cause);
    }

    /// The application wants the member to join again. While it takes what the last round brought that is remembered.
    // Kafka: AbstractCoordinator.requestRejoin; a join that is answered clears it
    pub(super) fn on_enforced(&mut self, now: Instant, reason: Arc<str>) {
        let cause = Cause::Enforced { reason };
        match self.state.kind() {
            Kind::Stable => self.begin(now, cause),
            Kind::Assigning => {
                self.pending.get_or_insert(cause);
            }
            _ => {}
        }
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
}
