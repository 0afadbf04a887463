//! Hosts the group's member: carries its requests to the coordinator, and brings what it decides to the caller in one order
//! with everything else. The rules of membership live in `kohort-groups`.
//!
//! What is revoked is suspended first, so that nothing of it is handed out any more; then the caller reports its positions and
//! these are committed, if that is automatic; then the listener runs; then the member goes on.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::assign::by_name;
use kohort_groups::member::{
    Action as MemberAction, Assigned, Computed, ConfigError, Event as MemberEvent, Failure, Member,
    MemberApi, MemberConfig, MemberRequest, Refusal,
};
use kohort_groups::wire::member as wire;
use kohort_groups::{Assignment, Subscription, TopicPartition};
use kohort_machine::{Backoff, Instant, Machine, Token};
use kohort_protocol::{ApiKey, ErrorCode};

use super::asks::Ask;
use super::engine::{Purpose, Timer};
use super::jobs::JobOwner;
use super::{
    Action, CallbackKind, CommitMode, ConsumerConfig, ConsumerEngine, GroupConfig, PollError, SlotId,
    ToCaller,
};
use crate::client::{Reply, RequestFailure, Target, WaitedFor};

/// The member, and what it waits for.
#[derive(Debug)]
pub(super) struct Membership {
    member: Member,
    group: Arc<str>,
    /// Whether the application is subscribed, or the member is still on its way out.
    active: bool,
    /// What the listener is asked for.
    listening: Option<Listening>,
    /// What is to be computed when the metadata of all members' topics is there.
    computing: Option<Computing>,
    /// Whether what is given up on the way out is committed first.
    commits_on_leave: bool,
    polls: PollWatch,
}

/// One call of the listener.
#[derive(Debug)]
struct Listening {
    step: Token,
    kind: CallbackKind,
    partitions: Vec<TopicPartition>,
    slots: Vec<SlotId>,
}

/// The leader's work.
#[derive(Debug)]
struct Computing {
    step: Token,
    assignor: Arc<str>,
    members: Arc<BTreeMap<String, Subscription>>,
    skip: bool,
    topics: BTreeSet<Arc<str>>,
}

/// Whether the caller polls often enough.
#[derive(Debug)]
struct PollWatch {
    interval: Duration,
    sample: Duration,
    polls: u64,
    last_seen: Instant,
    expired: bool,
}

impl Membership {
    pub(super) fn new(group: &GroupConfig, config: &ConsumerConfig, seed: u64) -> Result<Self, ConfigError> {
        let rack = (!config.client_rack.is_empty()).then(|| config.client_rack.as_str().into());
        let member = MemberConfig {
            group_instance_id: group.group_instance_id.clone(),
            rack,
            session_timeout: group.session_timeout,
            rebalance_timeout: group.max_poll_interval,
            heartbeat_interval: group.heartbeat_interval,
            request_timeout: config.client.request_timeout,
            backoff: Backoff::new(config.client.retry_backoff, config.client.retry_backoff_max),
            ..MemberConfig::new(Arc::clone(&group.group_id), group.assignors.clone())
        };
        let sample = group.heartbeat_interval.min(group.max_poll_interval / 10);
        Ok(Self {
            member: Member::new(member, seed)?,
            group: Arc::clone(&group.group_id),
            active: false,
            listening: None,
            computing: None,
            commits_on_leave: false,
            polls: PollWatch {
                interval: group.max_poll_interval,
                sample: sample.max(Duration::from_millis(1)),
                polls: 0,
                last_seen: Instant::ZERO,
                expired: false,
            },
        })
    }

    pub(super) fn member(&self) -> &Member {
        &self.member
    }

    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    /// The topics that the member wants to hear of.
    pub(super) fn topics(&self) -> BTreeSet<Arc<str>> {
        let mut topics = self.member.watched_topics();
        topics.extend(
            self.computing
                .iter()
                .flat_map(|computing| computing.topics.iter().cloned()),
        );
        topics
    }
}

impl ConsumerEngine {
    pub(super) fn on_subscribe(&mut self, now: Instant, topics: Vec<Arc<str>>) {
        self.subscription = topics.iter().cloned().collect();
        let Some(membership) = &mut self.membership else {
            return;
        };
        membership.active = true;
        membership.commits_on_leave = true;
        if !self.timers.is_set(&Timer::PollInterval) {
            membership.polls.last_seen = now;
            membership.polls.expired = false;
            self.timers
                .set(Timer::PollInterval, now + membership.polls.sample);
        }
        let by_pattern = false;
        self.member_event(now, MemberEvent::Subscribed { topics, by_pattern });
    }

    pub(super) fn member_event(&mut self, now: Instant, event: MemberEvent) {
        if let Some(membership) = &mut self.membership {
            membership.member.handle(now, event);
        }
        self.drain_member(now);
    }

    /// Fires what is due in the member; whether anything was.
    pub(super) fn expire_membership(&mut self, now: Instant) -> bool {
        let Some(membership) = &mut self.membership else {
            return false;
        };
        let is_due = membership
            .member
            .next_deadline()
            .is_some_and(|next| next.at <= now);
        if is_due {
            membership.member.handle_timeout(now);
            self.drain_member(now);
        }
        is_due
    }

    fn drain_member(&mut self, now: Instant) {
        while let Some(action) = self.membership.as_mut().and_then(|it| it.member.poll_action()) {
            self.on_member_action(now, action);
        }
    }

    fn on_member_action(&mut self, now: Instant, action: MemberAction) {
        match action {
            MemberAction::Send {
                token,
                request,
                timeout,
            } => self.send_for_member(now, token, request, timeout),
            MemberAction::CoordinatorMoved => {
                if let Some(membership) = &self.membership {
                    self.client.forget_coordinator(now, &membership.group);
                }
            }
            MemberAction::Revoke { step, partitions } => {
                self.give_up(step, CallbackKind::Revoked, partitions)
            }
            MemberAction::Lost { step, partitions } => self.give_up(step, CallbackKind::Lost, partitions),
            MemberAction::Assign { step, assignment } => self.take(now, step, *assignment),
            MemberAction::Compute {
                step,
                assignor,
                members,
                skip,
            } => {
                self.prepare_compute(now, step, assignor, members, skip);
            }
            MemberAction::Ended(rebalance) => self.outbox.push(Action::Rebalanced(rebalance)),
            MemberAction::Began { .. } => {}
            MemberAction::Left { .. } => self.on_left(now),
            MemberAction::Failed { error } => {
                self.tell(ToCaller::Failed(PollError::Membership(error)));
                self.ask_report(Ask::Poll);
            }
        }
    }

    fn send_for_member(&mut self, now: Instant, token: Token, request: MemberRequest, timeout: Duration) {
        let Some(membership) = &self.membership else {
            return;
        };
        let api = match request.api() {
            MemberApi::JoinGroup => ApiKey::JoinGroup,
            MemberApi::SyncGroup => ApiKey::SyncGroup,
            MemberApi::Heartbeat => ApiKey::Heartbeat,
            MemberApi::LeaveGroup => ApiKey::LeaveGroup,
            MemberApi::OffsetCommit => return,
        };
        let build = Box::new(move |version| wire::request(&request, version).ok());
        let target = Target::Coordinator(Arc::clone(&membership.group));
        let id = self.client.request_with(now, target, api, build, timeout);
        self.requests.insert(id, Purpose::Member { token });
    }

    pub(super) fn on_member_reply(&mut self, now: Instant, token: Token, reply: Reply) {
        let result = match reply.result {
            Ok(body) => wire::response(body).map(Box::new),
            Err(failure) => Err(member_failure(&failure)),
        };
        self.member_event(now, MemberEvent::Reply { token, result });
    }

    /// The member gives partitions up: revoked or lost.
    fn give_up(&mut self, step: Token, kind: CallbackKind, partitions: Vec<TopicPartition>) {
        let gone: BTreeSet<&TopicPartition> = partitions.iter().collect();
        let slots = self
            .partitions
            .iter()
            .filter(|(_, assigned)| gone.contains(&*assigned.partition));
        let slots: Vec<SlotId> = slots.map(|(slot, _)| slot).collect();
        for slot in &slots {
            if let Some(assigned) = self.partitions.get_mut(*slot) {
                assigned.suspended = true;
            }
        }
        if !slots.is_empty() {
            self.tell(ToCaller::Suspended(slots.clone()));
        }
        let commits = kind == CallbackKind::Revoked && self.is_auto_commit() && !slots.is_empty();
        let Some(membership) = &mut self.membership else {
            return;
        };
        let commits = commits && membership.commits_on_leave;
        membership.listening = Some(Listening {
            step,
            kind,
            partitions,
            slots,
        });
        if commits && self.closing.is_none() {
            self.ask_report(Ask::BeforeRevoke);
        } else {
            self.call_after_commit();
        }
    }

    // Kafka: ConsumerCoordinator.onJoinPrepare, maybeAutoCommitOffsetsAsync
    pub(super) fn commit_before_revoke(&mut self, now: Instant) {
        let Some(membership) = &self.membership else {
            return;
        };
        // The caller may have unsubscribed meanwhile, or be gone.
        if !membership.commits_on_leave || !self.is_auto_commit() {
            return self.call_after_commit();
        }
        let timeout = membership.polls.interval;
        let slots = membership.listening.as_ref().map(|it| it.slots.clone());
        let mode = CommitMode::Sync { timeout };
        // Of these only: what stays goes on being consumed, and a late attempt must not take a newer commit of it back.
        self.commit_consumed(now, JobOwner::BeforeRevoke, slots.as_deref(), mode, timeout);
    }

    /// Runs the listener for what is being given up.
    pub(super) fn call_after_commit(&mut self) {
        let listening = self.membership.as_ref().and_then(|it| it.listening.as_ref());
        if let Some((kind, partitions)) = listening.map(|it| (it.kind, it.partitions.clone())) {
            self.ask_listener(kind, partitions);
        }
    }

    /// The member takes an assignment.
    fn take(&mut self, now: Instant, step: Token, assignment: Assigned) {
        let known: BTreeSet<TopicPartition> = self
            .partitions
            .iter()
            .map(|(_, assigned)| TopicPartition::clone(&assigned.partition))
            .collect();
        let mut added = Vec::new();
        for partition in assignment
            .all
            .into_iter()
            .filter(|partition| !known.contains(partition))
        {
            added.push(self.partitions.add_of_group(partition));
        }
        let slots = added.iter().map(|(slot, _)| *slot).collect();
        if !added.is_empty() {
            let removed = Vec::new();
            self.tell(ToCaller::Partitions { removed, added });
        }
        if let Some(membership) = &mut self.membership {
            membership.listening = Some(Listening {
                step,
                kind: CallbackKind::Assigned,
                partitions: assignment.added.clone(),
                slots,
            });
        }
        self.track_topics(now);
        self.ask_listener(CallbackKind::Assigned, assignment.added);
    }

    /// The listener ran: what it gave up is gone, what it took is fetched.
    pub(super) fn on_listener_done(&mut self, now: Instant) {
        let Some(Listening {
            step, kind, slots, ..
        }) = self.membership.as_mut().and_then(|it| it.listening.take())
        else {
            return;
        };
        let event = match kind {
            CallbackKind::Assigned => {
                for slot in slots {
                    if let Some(assigned) = self.partitions.get_mut(slot) {
                        assigned.untaken = false;
                    }
                }
                self.start_auto_commit(now);
                MemberEvent::Assigned { step }
            }
            CallbackKind::Revoked | CallbackKind::Lost => {
                self.remove_slots(now, slots);
                match kind {
                    CallbackKind::Revoked => MemberEvent::Revoked { step },
                    _ => MemberEvent::Lost { step },
                }
            }
        };
        self.member_event(now, event);
        self.track_topics(now);
    }

    /// Takes partitions out of the table, on both sides.
    pub(super) fn remove_slots(&mut self, now: Instant, slots: Vec<SlotId>) {
        if slots.is_empty() {
            return;
        }
        for slot in &slots {
            self.partitions.remove(*slot);
            self.fail_position_jobs(now, *slot, &super::CommandError::NotAssigned);
        }
        let added = Vec::new();
        self.tell(ToCaller::Partitions {
            removed: slots,
            added,
        });
    }

    /// The leader needs the metadata of all members' topics.
    // Kafka: ConsumerCoordinator.onLeaderElected, updateGroupSubscription
    fn prepare_compute(
        &mut self,
        now: Instant,
        step: Token,
        assignor: Arc<str>,
        members: Arc<BTreeMap<String, Subscription>>,
        skip: bool,
    ) {
        let topics: BTreeSet<Arc<str>> = members
            .values()
            .flat_map(|member| member.topics.iter().cloned())
            .collect();
        if let Some(membership) = &mut self.membership {
            membership.computing = Some(Computing {
                step,
                assignor,
                members,
                skip,
                topics,
            });
        }
        self.track_topics(now);
        self.compute(now);
    }

    /// Lets the leader go on if the metadata it needs is there.
    fn compute(&mut self, now: Instant) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let is_ready = |computing: &mut Computing| {
            let is_there = |topic: &Arc<str>| self.client.cluster().topic(topic).is_some();
            computing.topics.iter().all(is_there)
        };
        let Some(computing) = membership.computing.take_if(is_ready) else {
            return;
        };
        let partitions = self.partition_counts(&computing.topics);
        let assignments = if computing.skip {
            BTreeMap::new()
        } else if let Some(assignor) = by_name(&computing.assignor) {
            let shares = assignor.assign(&partitions, &computing.members);
            let assignment = |(member, partitions)| {
                (
                    member,
                    Assignment {
                        partitions,
                        user_data: None,
                    },
                )
            };
            shares.into_iter().map(assignment).collect()
        } else {
            self.outbox.push(Action::Compute(Box::new(super::Compute {
                step: computing.step.0,
                assignor: Arc::clone(&computing.assignor),
                members: Arc::clone(&computing.members),
                partitions,
            })));
            return;
        };
        let step = computing.step;
        let result = Ok(Box::new(Computed {
            assignments,
            partitions,
        }));
        self.member_event(now, MemberEvent::Computed { step, result });
    }

    pub(super) fn on_computed(&mut self, now: Instant, step: u64, result: Result<Computed, Box<str>>) {
        let step = Token(step);
        let result = result.map(Box::new);
        self.member_event(now, MemberEvent::Computed { step, result });
    }

    fn partition_counts(&self, topics: &BTreeSet<Arc<str>>) -> BTreeMap<Arc<str>, u32> {
        let count = |topic: &Arc<str>| {
            let count = self.client.cluster().partition_count(topic)?;
            Some((Arc::clone(topic), u32::try_from(count).ok()?))
        };
        topics.iter().filter_map(count).collect()
    }

    /// Metadata came.
    pub(super) fn on_group_metadata(&mut self, now: Instant, changed: bool) {
        let Some(membership) = self.membership.as_ref().filter(|it| it.active) else {
            return;
        };
        if changed {
            let counts = self.partition_counts(&membership.member.watched_topics());
            self.member_event(now, MemberEvent::Partitions { counts });
        }
        self.compute(now);
    }

    /// The time for another look at the poll counter.
    pub(super) fn expire_poll_sample(&mut self, _now: Instant) {
        if self
            .membership
            .as_ref()
            .is_some_and(|it| it.active && !it.polls.expired)
        {
            self.outbox.push(Action::ReadPollCounter);
        }
    }

    // Kafka: Heartbeat.pollTimeoutExpired, AbstractCoordinator.HeartbeatThread
    pub(super) fn on_poll_counter(&mut self, now: Instant, polls: u64, inside: bool) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let watch = &mut membership.polls;
        if inside || polls != watch.polls {
            watch.polls = polls;
            watch.last_seen = now;
        }
        let expires = watch.last_seen + watch.interval;
        if expires > now {
            self.timers
                .set(Timer::PollInterval, expires.min(now + watch.sample));
        } else if !watch.expired {
            watch.expired = true;
            self.member_event(now, MemberEvent::PollExpired);
            self.ask_report(Ask::Poll);
        }
    }

    /// The caller polls again after the interval had passed, or after it was told an error.
    pub(super) fn on_polled_again(&mut self, now: Instant) {
        if let Some(membership) = &mut self.membership {
            membership.polls.last_seen = now;
            membership.polls.expired = false;
            if membership.active {
                self.timers
                    .set(Timer::PollInterval, now + membership.polls.sample);
            }
        }
        self.member_event(now, MemberEvent::Polled);
    }

    /// Leaves the group; `commits`: what is given up is committed first if that is automatic.
    pub(super) fn leave_group(&mut self, now: Instant, event: MemberEvent, commits: bool) {
        self.subscription.clear();
        self.timers.cancel(&Timer::PollInterval);
        if let Some(membership) = &mut self.membership {
            membership.commits_on_leave = commits;
            membership.computing = None;
        }
        self.member_event(now, event);
    }

    fn on_left(&mut self, now: Instant) {
        // Subscribed again meanwhile: the member joins anew by itself.
        if let Some(membership) = &mut self.membership
            && self.subscription.is_empty()
        {
            membership.active = false;
        }
        self.on_group_left(now);
    }
}

/// What a request's failure means to the member.
fn member_failure(failure: &RequestFailure) -> Failure {
    let detail = || alloc::format!("{failure}").into_boxed_str();
    match failure {
        RequestFailure::TimedOut {
            waited_for: WaitedFor::Answer(_),
            ..
        } => Failure::TimedOut,
        RequestFailure::Disconnected { .. } => Failure::Disconnected,
        RequestFailure::CoordinatorNotFound { error, .. } => Failure::Refused(coordinator_refusal(*error)),
        RequestFailure::UnsupportedVersion { .. } => Failure::Unsupported { detail: detail() },
        RequestFailure::Malformed { .. } | RequestFailure::Unencodable { .. } => {
            Failure::Malformed { detail: detail() }
        }
        _ => Failure::Unreachable,
    }
}

fn coordinator_refusal(code: ErrorCode) -> Refusal {
    wire::refusal(code).unwrap_or(Refusal::CoordinatorNotAvailable)
}
