//! Hosts the group's member: carries its requests to the coordinator, and brings what it decides to the caller in one order
//! with everything else. The rules of membership live in `kohort-groups`.
//!
//! What is revoked is suspended first, so that nothing of it is handed out any more; then the caller reports its positions and
//! these are committed, if that is automatic; then the listener runs; then the member goes on.

mod handover;
mod leading;
mod own;
mod polls;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::member::{
    Action as MemberAction, ConfigError, Event as MemberEvent, Failure, Member, MemberApi, MemberConfig,
    MemberRequest, Refusal,
};
use kohort_groups::wire::member as wire;
use kohort_machine::{Backoff, Instant, Machine, Token};
use kohort_protocol::{ApiKey, ErrorCode};

use super::asks::Ask;
use super::engine::{Purpose, Timer};
use super::pattern::PatternSubscription;
use super::{
    Action, CallbackKind, ConsumerConfig, ConsumerEngine, GroupConfig, HandedOut, PollError, RebalanceBegan,
    ToCaller,
};
use crate::client::{Reply, RequestFailure, Target, WaitedFor};
use handover::Listening;
use leading::Computing;
use own::Describing;
use polls::PollWatch;

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
    /// A JoinGroup to which the application's own assignors have something to add.
    describing: Option<Describing>,
    /// Whether what is given up on the way out is committed first.
    commits_on_leave: bool,
    polls: PollWatch,
    /// Whether the caller has subscribed and not polled since: until it does the group is not joined, nor joined again for it.
    // Kafka: KafkaConsumer.subscribe only notes what is wanted; ConsumerCoordinator.poll joins
    waits_for_poll: bool,
    /// Why the caller wants the group to be joined again, until it polls.
    enforced: Option<Arc<str>>,
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
            first_heartbeat: group.first_heartbeat,
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
            describing: None,
            commits_on_leave: false,
            polls: PollWatch {
                interval: group.max_poll_interval,
                sample: sample.max(Duration::from_millis(1)),
                polls: 0,
                last_seen: Instant::ZERO,
                expired: false,
                handed_out: HandedOut::default(),
            },
            waits_for_poll: false,
            enforced: None,
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
        self.subscription = topics.into_iter().collect();
        self.end_pattern(now);
        self.activate_membership();
    }

    /// The application subscribes; what it wants counts from its next poll on.
    pub(super) fn activate_membership(&mut self) {
        if let Some(membership) = &mut self.membership {
            membership.active = true;
            membership.commits_on_leave = true;
            membership.waits_for_poll = true;
            self.ask_report(Ask::Poll);
        }
    }

    /// The application wants its member to join again: with its next poll.
    // Kafka: KafkaConsumer.enforceRebalance only notes it; ConsumerCoordinator.poll joins
    pub(super) fn on_enforce(&mut self, reason: Arc<str>) {
        if let Some(membership) = self.membership.as_mut().filter(|it| it.active) {
            membership.enforced = Some(reason);
            self.ask_report(Ask::Poll);
        }
    }

    /// Tells the member what is subscribed to, unless the caller has to poll first, or the topics of a pattern are not known.
    pub(super) fn tell_subscription(&mut self, now: Instant) {
        let waits = |it: &Membership| !it.active || it.waits_for_poll;
        let is_open = |it: &PatternSubscription| !it.is_settled();
        if self.membership.as_ref().is_none_or(waits) || self.pattern.as_ref().is_some_and(is_open) {
            return;
        }
        let topics: Vec<Arc<str>> = self.subscription.iter().cloned().collect();
        let by_pattern = self.pattern.is_some();
        // What matches a pattern was told when it was found.
        let told = (!by_pattern).then(|| topics.clone());
        self.member_event(now, MemberEvent::Subscribed { topics, by_pattern });
        // What is given up for it is suspended before the caller hears of this.
        if let Some(topics) = told {
            self.tell(ToCaller::Subscribed(topics));
        }
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
        self.look_for_loss();
    }

    fn on_member_action(&mut self, now: Instant, action: MemberAction) {
        match action {
            MemberAction::Send {
                token,
                request: MemberRequest::Join(join),
                timeout,
            } => {
                if !self.waits_for_names(now, token) {
                    self.send_join(now, token, join, timeout);
                }
            }
            MemberAction::Send {
                token,
                request,
                timeout,
            } => self.send_member_request(now, token, request, timeout),
            MemberAction::CoordinatorMoved => {
                if let Some(membership) = &self.membership {
                    self.client.forget_coordinator(now, &membership.group);
                }
            }
            MemberAction::Revoke { step, partitions } => {
                self.give_up(step, CallbackKind::Revoked, partitions)
            }
            MemberAction::Lost { step, partitions } => self.give_up(step, CallbackKind::Lost, partitions),
            MemberAction::Assign { step, assignment } => {
                self.tell_assignor(&assignment.assignor);
                self.take(now, step, *assignment);
            }
            MemberAction::Compute {
                step,
                assignor,
                members,
                skip,
            } => {
                self.prepare_compute(now, step, assignor, members, skip);
            }
            MemberAction::PollExpired => self.tell_late_poll(now),
            MemberAction::Ended(rebalance) => self.outbox.push(Action::Rebalanced(rebalance)),
            MemberAction::Began { number, cause } => {
                let (cause, at) = (*cause, now);
                let began = RebalanceBegan { number, cause, at };
                self.outbox.push(Action::RebalanceBegan(Box::new(began)));
            }
            MemberAction::Left { result } => self.on_left(now, result),
            MemberAction::Failed { error } => {
                self.tell(ToCaller::Failed(PollError::Membership(error)));
                self.ask_report(Ask::Poll);
            }
        }
    }

    fn send_member_request(&mut self, now: Instant, token: Token, request: MemberRequest, timeout: Duration) {
        let Some(membership) = &self.membership else {
            return;
        };
        // A coordinator that is not known is not looked for to be told that a member goes; on closing there is time to.
        // Kafka: AbstractCoordinator.shouldSendLeaveGroupRequest
        let is_leaving = matches!(request, MemberRequest::Leave(_)) && self.closing.is_none();
        if is_leaving && self.client.coordinator(&membership.group).is_none() {
            let result = Err(Failure::Unreachable);
            return self.member_event(now, MemberEvent::Reply { token, result });
        }
        let api = match request.api() {
            MemberApi::JoinGroup => ApiKey::JoinGroup,
            MemberApi::SyncGroup => ApiKey::SyncGroup,
            MemberApi::Heartbeat => ApiKey::Heartbeat,
            MemberApi::LeaveGroup => ApiKey::LeaveGroup,
            MemberApi::OffsetCommit => return,
        };
        let build = Box::new(move |version| wire::request(&request, version).ok());
        let target = match api {
            ApiKey::LeaveGroup => self.for_leaving(now, &membership.group),
            _ => Target::Coordinator(Arc::clone(&membership.group)),
        };
        let is_join = api == ApiKey::JoinGroup;
        let id = self.client.request_with(now, target, api, build, timeout);
        self.requests.insert(id, Purpose::Member { token, is_join });
    }

    /// Where the coordinator hears at once that the member goes. A connection's requests are answered in their order, so that
    /// behind a JoinGroup that waits for others it would hear of it when the rebalance is over. It answers such a JoinGroup then;
    /// a SyncGroup it would not, so that waits for its answer.
    // Kafka: GroupMetadataManager.removeMemberAndUpdateClassicGroup, ClassicGroup.remove
    fn for_leaving(&self, now: Instant, group: &Arc<str>) -> Target {
        let is_join = |purpose: &Purpose| matches!(purpose, Purpose::Member { is_join: true, .. });
        let node = self.client.coordinator(group).map(|broker| broker.id);
        match node.filter(|node| self.client.cluster().broker(*node).is_some()) {
            Some(node) if self.requests.values().any(is_join) => {
                let is_ready = |target: &Target| self.client.is_ready(now, target);
                let ready = [Target::Broker(node), Target::Fetch(node)]
                    .into_iter()
                    .find(is_ready);
                ready.unwrap_or(Target::Broker(node))
            }
            _ => Target::Coordinator(Arc::clone(group)),
        }
    }

    pub(super) fn on_member_reply(&mut self, now: Instant, token: Token, reply: Reply) {
        let result = match reply.result {
            Ok(body) => wire::response(body).map(Box::new),
            Err(failure) => Err(member_failure(&failure)),
        };
        self.member_event(now, MemberEvent::Reply { token, result });
    }

    /// Leaves the group; `commits`: what is given up is committed first if that is automatic.
    pub(super) fn leave_group(&mut self, now: Instant, event: MemberEvent, commits: bool) {
        self.subscription.clear();
        self.pattern = None;
        self.timers.cancel(&Timer::Names);
        self.timers.cancel(&Timer::PollInterval);
        if let Some(membership) = &mut self.membership {
            membership.waits_for_poll = false;
            membership.commits_on_leave = commits;
            membership.computing = None;
        }
        self.member_event(now, event);
    }

    fn on_left(&mut self, now: Instant, result: Result<(), Failure>) {
        // Subscribed again meanwhile: the member joins anew by itself.
        if let Some(membership) = &mut self.membership
            && self.subscription.is_empty()
            && self.pattern.is_none()
        {
            membership.active = false;
        }
        self.on_group_left(now, result);
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
