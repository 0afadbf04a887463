//! The classic group member: joins its group, leads it when asked to, keeps its session alive, and gives up and takes
//! partitions through the application's listener.
//!
//! What lives here: the member's side of JoinGroup, SyncGroup, Heartbeat and LeaveGroup, eager and cooperative (KIP-429),
//! static members (KIP-345), reasons (KIP-800) and skipped assignments (KIP-814). What does not: finding the coordinator and
//! sending to it, commits and positions (the engine's), the bytes of the requests (`wire`), the assignors (`assign`).
//!
//! The phases have a module each: `listener` (give up), `rebalance` (join, sync, take), `leading` (compute, watch), `heartbeat`,
//! `leave`; `answers` reads the coordinator's refusals; `identity` is about members that are out without having left; `journal`
//! remembers why (`cause`).

mod answers;
mod beats;
mod cause;
mod config;
mod event;
mod failure;
mod heartbeat;
mod identity;
mod journal;
mod leading;
mod leave;
mod listener;
mod rebalance;
mod request;
mod state;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{Deadline, Instant, Machine, Outbox, Prng, Timers, Token, TokenSource};

pub use cause::Cause;
pub use config::{ConfigError, MemberConfig, OfferedAssignor};
pub use event::{Action, Assigned, Computed, Event, LeaveOperation};
pub use failure::{Failure, MemberError, Refusal};
pub use journal::{Outcome, Phases, Rebalance};
pub use request::{
    HeartbeatRequest, JoinRequest, JoinResponse, LeaveRequest, MemberApi, MemberRequest, MemberResponse,
    PROTOCOL_TYPE, SyncRequest, SyncResponse,
};

use crate::assign::GroupTopics;
use crate::{Identity, RebalanceProtocol, TopicPartition, assign};
use heartbeat::Heartbeat;
use journal::Journal;
use leading::Leadership;
use state::{Kind, LeavePhase, Listening, State, Until};

/// The generation of a member that is in none.
// Kafka: OffsetCommitRequest.DEFAULT_GENERATION_ID
const NO_GENERATION: i32 = -1;

/// When a member wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// When to send the next heartbeat.
    Heartbeat,
    /// When the session is over without an answer.
    Session,
    /// When to try to join again.
    Rejoin,
    /// When a member that was not polled while it joined has not been polled since either.
    Poll,
}

/// A member of a classic group.
///
/// ```
/// use kohort_groups::RebalanceProtocol;
/// use kohort_groups::member::{Action, Event, Member, MemberConfig, MemberRequest, OfferedAssignor};
/// use kohort_machine::{Instant, Machine};
///
/// let range = OfferedAssignor::new("range", vec![RebalanceProtocol::Eager]);
/// let mut member = Member::new(MemberConfig::new("orders", vec![range]), 42)?;
/// member.handle(Instant::ZERO, Event::Subscribed { topics: vec!["paid".into()], by_pattern: false });
/// assert!(matches!(member.poll_action(), Some(Action::Began { .. })));
/// let Some(Action::Send { request: MemberRequest::Join(join), .. }) = member.poll_action() else { panic!() };
/// assert_eq!(&*join.group_id, "orders");
/// # Ok::<(), kohort_groups::member::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Member {
    config: MemberConfig,
    rebalance_protocol: RebalanceProtocol,
    state: State,
    outbox: Outbox<Action>,
    timers: Timers<Timer>,
    prng: Prng,
    tokens: TokenSource,
    /// What the application wants.
    subscription: Option<BTreeSet<Arc<str>>>,
    /// What the last JoinGroup said.
    joined: Option<BTreeSet<Arc<str>>>,
    /// With an empty id for a new member, and no generation (-1) outside of one.
    identity: Identity,
    /// The assignor of the generation.
    assignor: Option<Arc<str>>,
    owned: BTreeSet<TopicPartition>,
    /// What each assignor made of this member when it was last in use, for what the next JoinGroup says under it.
    last: BTreeMap<Arc<str>, assign::Assigned>,
    /// Whether the listener must give up partitions before the next JoinGroup.
    needs_prepare: bool,
    listening: Option<Listening>,
    /// Why to join again once the member is stable.
    pending: Option<Cause>,
    leadership: Option<Leadership>,
    /// The topics, as the metadata has them now.
    topics: GroupTopics,
    heartbeat: Heartbeat,
    /// Attempts to join that failed in a row.
    failures: u32,
    /// What the next JoinGroup says (KIP-800).
    reason: Arc<str>,
    /// Whether the subscription comes from a pattern.
    by_pattern: bool,
    /// Whether `max.poll.interval.ms` passed while the group was being joined.
    unpolled: bool,
    /// There was a poll since the failure that a listener kept from joining again.
    polled_in_vain: bool,
    /// Another consumer has the `group.instance.id`.
    is_fenced: bool,
    journal: Journal,
}

impl Member {
    /// A member that has not joined; `seed` is for the jitter of its retries.
    ///
    /// # Errors
    ///
    /// When settings do not go together.
    pub fn new(config: MemberConfig, seed: u64) -> Result<Self, ConfigError> {
        let rebalance_protocol = config.check()?;
        let identity = Identity {
            member_id: "".into(),
            generation: NO_GENERATION,
            group_instance_id: config.group_instance_id.clone(),
        };
        Ok(Self {
            config,
            rebalance_protocol,
            state: State::Unjoined {
                until: Until::Subscribed,
            },
            outbox: Outbox::new(),
            timers: Timers::new(),
            prng: Prng::from_seed(seed),
            tokens: TokenSource::new(),
            subscription: None,
            joined: None,
            identity,
            assignor: None,
            owned: BTreeSet::new(),
            last: BTreeMap::new(),
            needs_prepare: true,
            listening: None,
            pending: None,
            leadership: None,
            topics: GroupTopics::new(),
            heartbeat: Heartbeat::default(),
            failures: 0,
            reason: "".into(),
            by_pattern: false,
            unpolled: false,
            polled_in_vain: false,
            is_fenced: false,
            journal: Journal::default(),
        })
    }

    /// Who the member is, to commit with: `None` while it has no generation or is between two.
    // Kafka: AbstractCoordinator.generationIfStable (its STABLE includes the listener's calls)
    pub fn identity(&self) -> Option<&Identity> {
        let can_commit = match &self.state {
            State::Stable | State::Assigning | State::Revoking { .. } => true,
            State::Leaving {
                phase: LeavePhase::Listening { rebalancing, .. },
            } => !rebalancing,
            _ => false,
        };
        (can_commit && self.is_in_generation()).then_some(&self.identity)
    }

    /// Whether the member has its assignment and nothing is under way.
    pub fn is_stable(&self) -> bool {
        self.state.kind() == Kind::Stable
    }

    /// Whether the member is on its way into a generation, so that a commit is to be tried again later. One that was removed is
    /// not before it joins again: what it would commit is lost.
    // Kafka: AbstractCoordinator.rebalanceInProgress, resetStateOnResponseError
    pub fn is_rebalancing(&self) -> bool {
        match self.state.kind() {
            Kind::Joining | Kind::Computing | Kind::Syncing => true,
            Kind::Revoking | Kind::Assigning => self.is_in_generation(),
            // Between two attempts a member that was not removed is still in its generation.
            Kind::Unjoined => self.waits_for_backoff() && self.is_in_generation(),
            _ => false,
        }
    }

    fn waits_for_backoff(&self) -> bool {
        let until = Until::Backoff;
        self.state == State::Unjoined { until }
    }

    /// Whether the member is out of its group, with nothing under way.
    pub fn is_unjoined(&self) -> bool {
        self.state.kind() == Kind::Unjoined
    }

    /// Whether another member has taken the `group.instance.id` over, so that this one is out for good.
    pub fn is_fenced(&self) -> bool {
        self.is_fenced
    }

    /// Whether the member led the assignment of its generation.
    pub fn is_leader(&self) -> bool {
        self.leadership.is_some()
    }

    /// What the member owns. Partitions count until the listener has given them up.
    pub fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// The generation that the member is in.
    pub fn generation(&self) -> Option<i32> {
        self.is_in_generation().then_some(self.identity.generation)
    }

    /// What `assignor` made of this member when it was last in use.
    pub fn last_assigned(&self, assignor: &str) -> Option<&assign::Assigned> {
        self.last.get(assignor)
    }

    /// The id that the coordinator gave.
    pub fn member_id(&self) -> Option<&Arc<str>> {
        (!self.identity.member_id.is_empty()).then_some(&self.identity.member_id)
    }

    /// How the member gives up partitions.
    pub fn rebalance_protocol(&self) -> RebalanceProtocol {
        self.rebalance_protocol
    }

    /// The topics whose partitions the member wants to hear of: its own, and for a leader those of its group.
    // Kafka: SubscriptionState.metadataTopics
    pub fn watched_topics(&self) -> BTreeSet<Arc<str>> {
        let own = self.subscription.iter().flatten();
        let group = self.leadership.iter().flat_map(|lead| &lead.topics);
        own.chain(group).cloned().collect()
    }

    fn is_in_generation(&self) -> bool {
        self.identity.generation != NO_GENERATION && !self.identity.member_id.is_empty()
    }

    fn enter(&mut self, state: State) {
        let (from, to) = (self.state.kind(), state.kind());
        debug_assert!(state::is_edge(from, to), "no edge from {from:?} to {to:?}");
        self.state = state;
    }

    fn send(&mut self, request: MemberRequest, timeout: core::time::Duration) -> Token {
        let token = self.tokens.issue();
        self.outbox.push(Action::Send {
            token,
            request,
            timeout,
        });
        token
    }

    fn on_reply(&mut self, now: Instant, token: Token, result: Result<MemberResponse, Failure>) {
        if self.heartbeat.in_flight == Some(token) {
            return self.on_heartbeat_answered(now, result.err());
        }
        match &self.state {
            State::Joining { token: asked } if *asked == token => self.on_join_answered(now, result),
            State::Syncing { token: asked } if *asked == token => self.on_sync_answered(now, result),
            State::Leaving {
                phase: LeavePhase::Telling { token: asked },
            } if *asked == token => self.on_left(now, result.map(|_| ())),
            // An answer to an attempt that was given up.
            _ => {}
        }
    }

    /// The application is in its poll, or its listener was, which runs there.
    fn note_poll(&mut self) {
        self.unpolled = false;
        self.timers.cancel(&Timer::Poll);
    }

    fn on_polled(&mut self, now: Instant) {
        self.note_poll();
        match &self.state {
            State::Unjoined { until: Until::Polled } => self.begin(now, Cause::PollExpired),
            // To join again would be to take the id back from its new holder, which would take it back in turn.
            // Kafka: ConsumerCoordinator keeps the member id, so that each further JoinGroup is refused
            State::Failed if self.is_fenced => self.fail_fenced(now),
            State::Failed if self.subscription.is_some() => match self.listening {
                None => self.begin(now, Cause::PolledAfterError),
                Some(_) => self.polled_in_vain = true,
            },
            _ => {}
        }
    }

    fn on_subscribed(&mut self, now: Instant, topics: Vec<Arc<str>>, by_pattern: bool) {
        self.by_pattern = by_pattern;
        self.subscription = Some(topics.into_iter().collect());
        match &self.state {
            State::Unjoined {
                until: Until::Subscribed,
            } => self.begin(now, Cause::FirstJoin),
            State::Stable => self.rejoin_if_due(now),
            // The next JoinGroup carries it, or it is seen when the member is stable.
            _ => {}
        }
    }
}

impl Machine for Member {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Subscribed { topics, by_pattern } => self.on_subscribed(now, topics, by_pattern),
            Event::Unsubscribed => self.on_leave(
                now,
                LeaveOperation::Default,
                "the consumer unsubscribed from all topics".into(),
            ),
            Event::Partitions { topics } => {
                self.topics = topics;
                self.rejoin_if_due(now);
            }
            Event::Reply { token, result } => self.on_reply(now, token, result.map(|response| *response)),
            Event::Revoked { step } | Event::Lost { step } | Event::Assigned { step } => {
                self.on_listener_done(now, step)
            }
            Event::Computed { step, result } => self.on_computed(now, step, result.map(|computed| *computed)),
            Event::CommitRefused { identity, refusal } => self.on_commit_refused(now, &identity, refusal),
            Event::JoinAnew { token } => {
                if self.state == (State::Joining { token }) {
                    self.join_anew(now);
                }
            }
            Event::PollExpired => self.on_poll_expired(now),
            Event::Polled => self.on_polled(now),
            Event::Enforced { reason } => self.on_enforced(now, reason),
            Event::Leave { operation, reason } => self.on_leave(now, operation, reason),
            Event::LeaveNow { operation, reason } => self.on_leave_now(now, operation, reason),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Heartbeat => self.expire_heartbeat(now),
                Timer::Session => self.expire_session(now),
                Timer::Rejoin => self.prepare(now),
                Timer::Poll => self.on_poll_expired(now),
            }
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.timers.next_deadline(|timer| match timer {
            Timer::Heartbeat => "heartbeat",
            Timer::Session => "session",
            Timer::Rejoin => "join again",
            Timer::Poll => "poll interval",
        })
    }
}
