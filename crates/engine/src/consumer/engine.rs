//! The engine itself: what it holds, and how events, replies and time reach its parts. The rules are in the parts.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::member::ConfigError;
use kohort_machine::{Backoff, Deadline, Instant, Machine, Outbox, Prng, Timers, Token};

use super::asks::Asks;
use super::closing::Closing;
use super::fetch::Fetches;
use super::jobs::{JobId, JobRequest, Jobs};
use super::membership::Membership;
use super::offset_wire::Names;
use super::partitions::Partitions;
use super::pattern::PatternSubscription;
use super::positions::Finding;
use super::topics::Tracked;
use super::{
    Action, Change, Command, CommandError, CommandReply, ConsumerConfig, Event, FetchEpoch, OffsetSpec,
    Progress, SlotId, ToCaller,
};
use crate::client::{Client, NetAction, NetEvent, NetMachine, Reply, RequestId};

/// When the engine wants to be woken, beside its client and its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// When to look for positions again.
    Positions,
    /// When to plan fetches again.
    Fetch,
    /// When to commit automatically.
    AutoCommit,
    /// When to try a job again.
    Retry(JobId),
    /// When a job has taken too long.
    Deadline(JobId),
    /// When to look whether the caller polls.
    PollInterval,
    /// When to join with the topics that are known to match the pattern.
    Names,
    /// When closing has taken too long.
    Close,
}

/// What a request of the client is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Data of one broker; the rest is in [`Fetches`].
    Fetch { node: i32 },
    /// Committed offsets to begin at.
    FindCommitted {
        slots: Vec<(SlotId, FetchEpoch)>,
        names: Names,
    },
    /// Ends of logs to begin at.
    FindReset {
        slots: Vec<(SlotId, FetchEpoch, OffsetSpec)>,
    },
    /// Beginnings of logs, to say what the ends pass over.
    FindStart { slots: Vec<(SlotId, FetchEpoch)> },
    /// Part of a job.
    Job { job: JobId, detail: JobRequest },
    /// The member's; whether it is a JoinGroup, which the coordinator answers only when others have joined.
    Member { token: Token, is_join: bool },
}

/// A Kafka consumer as a machine; see the [module](super).
///
/// ```
/// use kohort_engine::client::{ClientConfig, NetAction};
/// use kohort_engine::consumer::{Action, Change, ConsumerConfig, ConsumerEngine, Event, GroupConfig};
/// use kohort_machine::{Instant, Machine};
///
/// let mut config = ConsumerConfig::new(ClientConfig::new([("localhost".into(), 9092)]));
/// config.group = Some(GroupConfig::new("readers"));
/// let mut engine = ConsumerEngine::new(config, 42, 0)?;
/// let topics = vec!["orders".into()];
/// engine.handle(Instant::ZERO, Event::Change(Box::new(Change::Subscribe { topics })));
/// let mut actions = std::iter::from_fn(|| engine.poll_action());
/// assert!(actions.any(|action| matches!(action, Action::Net(NetAction::Connect { .. }))));
/// # Ok::<(), kohort_groups::member::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct ConsumerEngine {
    pub(super) config: ConsumerConfig,
    pub(super) client: Client,
    pub(super) outbox: Outbox<Action>,
    pub(super) timers: Timers<Timer>,
    pub(super) prng: Prng,
    pub(super) backoff: Backoff,
    /// Milliseconds since 1970 at [`Instant::ZERO`].
    wall_ms: i64,
    pub(super) requests: BTreeMap<RequestId, Purpose>,
    pub(super) partitions: Partitions,
    pub(super) finding: Finding,
    pub(super) fetches: Fetches,
    pub(super) jobs: Jobs,
    pub(super) asks: Asks,
    pub(super) membership: Option<Membership>,
    /// The topics subscribed to; with a pattern, those that match it.
    pub(super) subscription: BTreeSet<Arc<str>>,
    pub(super) pattern: Option<PatternSubscription>,
    /// Questions about topics so far.
    pub(super) questions: u64,
    pub(super) closing: Option<Closing>,
    pub(super) is_closed: bool,
    pub(super) is_caller_gone: bool,
    /// When the interval of automatic commits ends.
    pub(super) auto_commit_due: Instant,
    /// The last automatic commit failed.
    pub(super) is_commit_failing: bool,
    pub(super) tracked: Tracked,
}

impl ConsumerEngine {
    /// An engine that has done nothing yet.
    ///
    /// `seed` is for jitter, `wall_ms` is the wall clock (milliseconds since 1970) at the driver's [`Instant::ZERO`].
    ///
    /// # Errors
    ///
    /// When the settings of the group do not go together.
    pub fn new(config: ConsumerConfig, seed: u64, wall_ms: i64) -> Result<Self, ConfigError> {
        let mut prng = Prng::from_seed(seed);
        let membership = match &config.group {
            Some(group) => Some(Membership::new(group, &config, prng.next_u64())?),
            None => None,
        };
        Ok(Self {
            client: Client::new(config.client.clone(), prng.next_u64()),
            backoff: Backoff::new(config.client.retry_backoff, config.client.retry_backoff_max),
            config,
            outbox: Outbox::new(),
            timers: Timers::new(),
            prng,
            wall_ms,
            requests: BTreeMap::new(),
            partitions: Partitions::default(),
            finding: Finding::default(),
            fetches: Fetches::default(),
            jobs: Jobs::default(),
            asks: Asks::default(),
            membership,
            subscription: BTreeSet::new(),
            pattern: None,
            questions: 0,
            closing: None,
            is_closed: false,
            is_caller_gone: false,
            auto_commit_due: Instant::ZERO,
            is_commit_failing: false,
            tracked: Tracked::default(),
        })
    }

    /// The member of the group, if `group.id` is set: its generation, what it owns.
    pub fn member(&self) -> Option<&kohort_groups::member::Member> {
        self.membership.as_ref().map(Membership::member)
    }

    pub(super) fn tell(&mut self, told: ToCaller) {
        self.outbox.push(Action::ToCaller(Box::new(told)));
    }

    pub(super) fn reply(&mut self, token: Token, result: Result<CommandReply, CommandError>) {
        self.outbox.push(Action::Reply {
            token,
            result: Box::new(result),
        });
    }

    /// The wall clock at `now`, in milliseconds since 1970.
    pub(super) fn wall_ms(&self, now: Instant) -> i64 {
        let since = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        self.wall_ms.saturating_add(since)
    }

    fn on_change(&mut self, now: Instant, change: Change) {
        match change {
            Change::Subscribe { topics } => self.on_subscribe(now, topics),
            Change::SubscribePattern { pattern } => self.on_subscribe_pattern(now, pattern),
            Change::EnforceRebalance { reason } => self.on_enforce(reason),
            Change::Assign { removed, added } => {
                for slot in removed {
                    self.partitions.remove(slot);
                }
                for (slot, partition) in added {
                    self.partitions.add(slot, partition);
                }
                self.start_auto_commit(now);
            }
            Change::Seek(seeks) => {
                for seek in seeks {
                    if self.partitions.seek(seek) {
                        self.finish_position_jobs(now, seek.slot);
                    }
                }
            }
            Change::Pause(slots) => self.set_paused(slots, true),
            Change::Resume(slots) => self.set_paused(slots, false),
            Change::Gone => self.is_caller_gone = true,
        }
        self.track_topics(now);
    }

    fn set_paused(&mut self, slots: Vec<SlotId>, paused: bool) {
        for slot in slots {
            if let Some(assigned) = self.partitions.get_mut(slot) {
                assigned.paused = paused;
            }
        }
    }

    fn on_progress(&mut self, now: Instant, progress: Progress) {
        self.fetches.held = progress.held;
        for report in progress.positions {
            self.partitions.free_buffered(report.slot, report.freed);
            if let Some(assigned) = self.partitions.get_mut(report.slot)
                && assigned.epoch == report.epoch
            {
                assigned.consumed = report.position;
            }
        }
        for (slot, epoch) in progress.reached {
            if let Some(assigned) = self.partitions.get_mut(slot)
                && assigned.epoch == epoch
            {
                assigned.halted = false;
                self.on_halt_reached(slot);
            }
        }
        if let Some(step) = progress.answers {
            self.on_report(now, step);
        }
    }

    fn on_reply(&mut self, now: Instant, reply: Reply) {
        let Some(purpose) = self.requests.remove(&reply.id) else {
            return;
        };
        match purpose {
            Purpose::Fetch { node } => self.on_fetched(now, node, reply.result),
            Purpose::FindCommitted { slots, names } => {
                self.on_committed_found(now, &slots, &names, reply.result)
            }
            Purpose::FindReset { slots } => self.on_reset_found(now, &slots, reply.result),
            Purpose::FindStart { slots } => self.on_start_found(&slots, reply.result),
            Purpose::Job { job, detail } => self.on_job_reply(now, job, reply.id, detail, reply.result),
            Purpose::Member { token, .. } => self.on_member_reply(now, token, reply),
        }
    }

    /// Takes what the client has, then does what became possible.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(reply) = self.client.poll_reply() {
                self.on_reply(now, reply);
                continue;
            }
            if let Some(change) = self.client.poll_cluster_change() {
                self.on_cluster_change(now, &change);
                continue;
            }
            self.find_positions(now);
            self.plan_fetches(now);
            // What was asked for just now may have failed at once.
            match self.client.poll_reply() {
                Some(reply) => self.on_reply(now, reply),
                None => break,
            }
        }
        while let Some(action) = self.client.poll_net() {
            self.outbox.push(Action::Net(action));
        }
    }

    fn fire(&mut self, now: Instant, timer: Timer) {
        match timer {
            // What these wait for is done after each event.
            Timer::Positions | Timer::Fetch => {}
            Timer::AutoCommit => self.expire_auto_commit(now),
            Timer::Retry(job) => self.attempt(now, job),
            Timer::Deadline(job) => self.expire_job(now, job),
            Timer::PollInterval => self.expire_poll_sample(now),
            Timer::Names => self.on_names_good(now),
            Timer::Close => self.expire_close(now),
        }
    }

    /// A delay before the next attempt after so many failures in a row.
    pub(super) fn delay(&mut self, failures: u32) -> Duration {
        self.backoff.delay(failures, &mut self.prng)
    }
}

impl Machine for ConsumerEngine {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, now: Instant, event: Event) {
        if self.is_closed {
            return self.refuse(event);
        }
        match event {
            Event::Net(event) => self.client.handle_net(now, event),
            Event::Command { token, command } => self.on_command(now, token, *command),
            Event::Abandon { token } => self.on_abandon(now, token),
            Event::Change(change) => self.on_change(now, *change),
            Event::Progress(progress) => self.on_progress(now, *progress),
            Event::ListenerDone { step } => self.on_called(now, step),
            Event::Computed { step, result } => self.on_computed(now, step, *result),
            Event::TopicsMatched { step, verdicts } => self.on_topics_matched(now, step, verdicts),
            Event::Described { step, user_data } => self.on_described(now, step, user_data),
            Event::PollCounter {
                polls,
                inside,
                handed_out,
            } => self.on_poll_counter(now, polls, inside, handed_out),
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.is_closed {
            return;
        }
        let mut is_due = false;
        if self.client.next_deadline().is_some_and(|next| next.at <= now) {
            is_due = true;
            self.client.handle_timeout(now);
        }
        is_due |= self.expire_membership(now);
        while let Some(timer) = self.timers.pop_due(now) {
            is_due = true;
            self.fire(now, timer);
        }
        if is_due {
            self.settle(now);
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        if self.is_closed {
            return None;
        }
        let own = self.timers.next_deadline(|timer| match timer {
            Timer::Positions => "look for positions again",
            Timer::Fetch => "fetch again",
            Timer::AutoCommit => "commit automatically",
            Timer::Retry(_) => "try a command again",
            Timer::Deadline(_) => "answer a command with a time-out",
            Timer::PollInterval => "look whether the consumer is polled",
            Timer::Names => "join with the topics that are known",
            Timer::Close => "give up closing",
        });
        let member = self
            .membership
            .as_ref()
            .and_then(|it| it.member().next_deadline());
        Deadline::earliest(Deadline::earliest(self.client.next_deadline(), member), own)
    }
}

impl NetMachine for ConsumerEngine {
    fn net(event: NetEvent) -> Event {
        Event::Net(event)
    }

    fn split(action: Action) -> Result<NetAction, Action> {
        match action {
            Action::Net(action) => Ok(action),
            other => Err(other),
        }
    }
}

impl ConsumerEngine {
    fn on_command(&mut self, now: Instant, token: Token, command: Command) {
        match command {
            Command::Close { timeout, leave } => self.on_close(now, token, timeout, leave),
            Command::Unsubscribe { timeout } => self.on_unsubscribe(now, token, timeout),
            Command::GroupMetadata => {
                let no_group = CommandError::NoGroup {
                    what: "group metadata",
                };
                let member = self.member().ok_or(no_group);
                let identity = member.map(|member| CommandReply::GroupMetadata(member.identity().cloned()));
                self.reply(token, identity);
            }
            command => self.start_job(now, token, command),
        }
    }

    /// Nothing happens after closing, but each command is answered.
    fn refuse(&mut self, event: Event) {
        if let Event::Command { token, command } = event {
            let result = match *command {
                Command::Close { .. } => Ok(CommandReply::Done),
                _ => Err(CommandError::Closed),
            };
            self.reply(token, result);
        }
    }
}
