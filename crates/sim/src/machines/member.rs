//! A member's process: the consumer's engine on one side, its caller's side on the other, and the ordered streams between them. How
//! the application behaves is in [`super::application`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kohort_engine::client::{ClientConfig, NetAction};
use kohort_engine::consumer::{
    Action, CallbackKind, Change, Command, CommandError, CommandReply, ConsumerConfig, ConsumerEngine, Event,
    GroupConfig, HandedOut, OffsetReset, SlotId, ToCaller,
};
use kohort_engine::delivery::{Delivery, Due};
use kohort_groups::TopicPartition;
use kohort_groups::assign::by_name;
use kohort_groups::member::OfferedAssignor;
use kohort_machine::{Instant, Machine, Token};

use super::application::State;
use super::broker::{PORT, WALL_MS};
use super::tamper::Tamper;
use crate::ledger::Ledger;
use crate::plan::{
    CommitStyle, GROUP, METADATA_MAX_AGE, Plan, REBOOTSTRAP_TRIGGER, REQUEST_TIMEOUT, SETUP_TIMEOUT,
    SETUP_TIMEOUT_MAX,
};

/// What comes to the caller's side, in order.
#[derive(Debug)]
pub(super) enum Mail {
    Told(ToCaller),
    Answer(Token, Result<CommandReply, CommandError>),
}

/// One life of a member.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) no: usize,
    /// The place that it takes: there is one life at a time in each.
    pub(crate) slot: usize,
    pub(super) engine: ConsumerEngine,
    pub(super) delivery: Delivery,
    pub(super) mail: VecDeque<Mail>,
    pub(super) due: VecDeque<Due>,
    /// The partitions by the names that engine and caller's side have for them.
    slots: BTreeMap<SlotId, TopicPartition>,
    /// Partitions that are handed out no more, of which the listener has not heard.
    suspended: BTreeSet<TopicPartition>,
    /// The generation in which a call of the listener was decided.
    pub(super) generations: BTreeMap<u64, Option<i32>>,
    pub(super) tokens: u64,
    pub(super) polls: u64,
    pub(super) is_inside: bool,
    /// When the last poll ended.
    pub(super) polled_at: Instant,
    /// It is woken for the mail that is there.
    pub(super) is_woken: bool,
    pub(super) state: State,
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// The process does nothing until then.
    pub(crate) frozen_until: Instant,
    /// Records that the application has in hand: partition, first, next.
    pub(super) in_hand: Vec<(TopicPartition, i64, i64)>,
    /// What the listener is giving up.
    pub(super) giving_up: Vec<TopicPartition>,
    /// The next processing takes this long.
    pub(crate) slow: Option<core::time::Duration>,
    /// Everything is fine now: no pauses, no jumps, prompt processing.
    pub(crate) is_calm: bool,
    pub(crate) wants_to_close: bool,
    pub(crate) subscribe_next: Option<BTreeSet<Arc<str>>>,
    pub(super) commits: CommitStyle,
    /// Whether its sink fails now and then.
    pub(super) is_picky: bool,
    pub(super) max_poll_records: usize,
}

/// The settings of every client.
pub(crate) fn client_config(plan: &Plan, name: String) -> ClientConfig {
    let bootstrap = (0..plan.brokers).map(|number| ("sim".to_owned(), PORT + number));
    let mut config = ClientConfig::new(bootstrap);
    config.client_id = name;
    config.request_timeout = REQUEST_TIMEOUT;
    config.metadata_max_age = METADATA_MAX_AGE;
    config.rebootstrap_trigger = REBOOTSTRAP_TRIGGER;
    config.connection_setup_timeout = SETUP_TIMEOUT;
    config.connection_setup_timeout_max = SETUP_TIMEOUT_MAX;
    config
}

impl Member {
    /// A process that has done nothing yet.
    pub(crate) fn new(plan: &Plan, no: usize, slot: usize, seed: u64, topics: BTreeSet<Arc<str>>) -> Self {
        let mut config = ConsumerConfig::new(client_config(plan, format!("m{no}")));
        let assignor = by_name(plan.assignor).expect("the plan names built-in assignors");
        config.group = Some(GroupConfig {
            group_instance_id: plan.is_static.then(|| format!("i{slot}").into()),
            session_timeout: plan.session,
            heartbeat_interval: plan.heartbeat,
            max_poll_interval: plan.max_poll,
            assignors: vec![OfferedAssignor {
                name: plan.assignor.into(),
                protocols: assignor.protocols().to_vec(),
            }],
            ..GroupConfig::new(GROUP)
        });
        config.auto_offset_reset = OffsetReset::Earliest;
        config.enable_auto_commit = plan.commits.is_automatic();
        config.auto_commit_interval = core::time::Duration::from_millis(500);
        config.fetch_max_wait = plan.fetch_wait;
        config.memory_budget = 1 << 20;
        config.max_partition_fetch_bytes = 4096;
        let delivery = Delivery::new(&config);
        let engine = ConsumerEngine::new(config, seed, WALL_MS).expect("these settings go together");
        Self {
            no,
            slot,
            engine,
            delivery,
            mail: VecDeque::new(),
            due: VecDeque::new(),
            slots: BTreeMap::new(),
            suspended: BTreeSet::new(),
            generations: BTreeMap::new(),
            tokens: 0,
            polls: 0,
            is_inside: false,
            polled_at: Instant::ZERO,
            is_woken: false,
            state: State::Starting,
            topics,
            frozen_until: Instant::ZERO,
            in_hand: Vec::new(),
            giving_up: Vec::new(),
            slow: None,
            is_calm: false,
            wants_to_close: false,
            subscribe_next: None,
            commits: plan.commits,
            is_picky: plan.is_picky,
            max_poll_records: plan.max_poll_records,
        }
    }

    /// When the process has something to do without anybody telling it.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let engine = self.engine.next_deadline().map(|next| next.at);
        let first = match (engine, self.state.wakes_at()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        first.map(|at| at.max(self.frozen_until))
    }

    pub(crate) fn is_frozen(&self, now: Instant) -> bool {
        now < self.frozen_until
    }

    /// Whether it has records in hand for long.
    pub(crate) fn is_slow(&self, now: Instant) -> bool {
        matches!(self.state, State::Processing { until } if until > now + core::time::Duration::from_secs(1))
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Whether records are in its hands, or its listener runs.
    pub(crate) fn is_polling(&self) -> bool {
        matches!(self.state, State::Polling { .. })
    }

    pub(crate) fn tell(&mut self, now: Instant, event: Event) {
        self.engine.handle(now, event);
    }

    pub(super) fn change(&mut self, now: Instant, change: Change) {
        self.tell(now, Event::Change(Box::new(change)));
    }

    pub(super) fn command(&mut self, now: Instant, command: Command) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        let command = Box::new(command);
        self.tell(now, Event::Command { token, command });
        token
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.engine.next_deadline().is_some_and(|next| next.at <= now) {
            self.engine.handle_timeout(now);
        }
    }

    /// The engine's next action for the network; everything else is done here. The second is whether the caller's side has mail.
    pub(crate) fn poll_net(
        &mut self,
        now: Instant,
        tamper: &Tamper,
        ledger: &mut Ledger,
    ) -> Option<NetAction> {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Net(net) => return Some(net),
                Action::Reply { token, result } => self.mail.push_back(Mail::Answer(token, *result)),
                Action::ToCaller(told) => self.hear(now, *told, tamper, ledger),
                Action::ReadPollCounter => {
                    let (polls, inside) = (self.polls, self.is_inside);
                    self.engine.handle(
                        now,
                        Event::PollCounter {
                            polls,
                            inside,
                            handed_out: HandedOut::default(),
                        },
                    );
                }
                // For logs, or for assignors and patterns that nobody here uses.
                _ => {}
            }
        }
        None
    }

    fn hear(&mut self, now: Instant, told: ToCaller, tamper: &Tamper, ledger: &mut Ledger) {
        let Some(told) = tamper.told(now, self, told) else {
            return;
        };
        match &told {
            ToCaller::Partitions { removed, added } => {
                self.slots.retain(|slot, _| !removed.contains(slot));
                let added = added
                    .iter()
                    .map(|(slot, partition)| (*slot, (**partition).clone()));
                self.slots.extend(added);
            }
            ToCaller::Suspended(slots) => {
                let named = slots.iter().filter_map(|slot| self.slots.get(slot).cloned());
                self.suspended.extend(named);
                ledger.stops(self.no, &self.suspended);
            }
            ToCaller::Callback {
                step,
                kind: CallbackKind::Assigned,
                ..
            } => {
                let generation = self.engine.member().and_then(|member| member.generation());
                self.generations.insert(*step, generation);
            }
            ToCaller::Callback { partitions, .. } => {
                let stopped = core::mem::take(&mut self.suspended);
                for partition in stopped.iter().filter(|it| !partitions.contains(it)) {
                    let what = format!(
                        "m{} stopped reading {partition}, which it does not give up",
                        self.no
                    );
                    ledger.break_rule("I2", what);
                }
            }
            _ => {}
        }
        self.mail.push_back(Mail::Told(told));
    }

    /// Whether the application has mail and is not on its way to it.
    pub(crate) fn wakes(&mut self) -> bool {
        !self.mail.is_empty() && !core::mem::replace(&mut self.is_woken, true)
    }
}
