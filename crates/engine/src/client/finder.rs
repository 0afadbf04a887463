//! Finds the coordinators of groups: who asks is told once it is known, however often the brokers say "not yet".
//!
//! What does not live here: the request itself (the client encodes FindCoordinator for the version at hand) and the
//! connections. One lookup serves everybody who waits for a group; lookups that start together share one request from
//! version 4 on (KIP-699).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{
    Backoff, Correlated, Deadline, Instant, Machine, Outbox, Prng, Timers, Token, TokenSource,
};
use kohort_protocol::ErrorCode;

use super::cluster::Broker;

/// What the finder is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinderEvent {
    /// Somebody waits for the coordinators of these groups.
    Wanted(Vec<Arc<str>>),
    /// Nobody waits for this group's coordinator any longer.
    Unwanted(Arc<str>),
    /// What is known of this group's coordinator is wrong (NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE).
    Forget(Arc<str>),
    /// The connection to the coordinator with this node id was lost; all groups that it coordinated are looked up again.
    NodeLost(i32),
    /// The answer to [`FinderAction::Ask`].
    Answered {
        /// The question's token.
        token: Token,
        /// One entry per group that the broker answered for.
        result: Result<Vec<Lookup>, AskFailure>,
    },
}

/// What a broker said of one group's coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The group.
    pub group: Arc<str>,
    /// The coordinator, or the broker's error.
    pub result: Result<Broker, ErrorCode>,
}

/// Why no broker answered a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskFailure {
    /// The broker only knows versions that look up one group at a time.
    NotBatched,
    /// The request was lost, timed out or could not be understood.
    Failed,
}

/// What the finder wants done, or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinderAction {
    /// Ask any broker for the coordinators of these groups.
    Ask {
        /// Names the question.
        token: Token,
        /// The groups, at least one.
        groups: Vec<Arc<str>>,
    },
    /// The coordinator of a group is known now.
    Found(Arc<str>),
    /// The group's coordinator cannot be had: an error that a later attempt does not mend.
    Refused {
        /// The group.
        group: Arc<str>,
        /// GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID, or another fatal error.
        error: ErrorCode,
    },
}

impl Correlated for FinderEvent {
    fn closes(&self) -> Option<Token> {
        match self {
            Self::Answered { token, .. } => Some(*token),
            _ => None,
        }
    }
}

impl Correlated for FinderAction {
    fn opens(&self) -> Option<Token> {
        match self {
            Self::Ask { token, .. } => Some(*token),
            _ => None,
        }
    }
}

#[derive(Debug)]
enum State {
    /// A request is under way.
    Asked,
    /// The last answer was no answer; the timer of the group is armed.
    BackingOff,
    Known(Broker),
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// Answers in a row that did not name the coordinator.
    failures: u32,
    /// The last answer's error, if a broker answered.
    last_error: Option<ErrorCode>,
    is_wanted: bool,
}

/// Looks coordinators up, with backoff, and remembers them until told to forget.
///
/// ```
/// use kohort_engine::client::{Finder, FinderAction, FinderEvent};
/// use kohort_machine::{Backoff, Instant, Machine};
/// use core::time::Duration;
///
/// let mut finder = Finder::new(Backoff::new(Duration::from_millis(100), Duration::from_secs(1)), 7);
/// finder.handle(Instant::ZERO, FinderEvent::Wanted(vec!["orders".into()]));
/// assert!(matches!(finder.poll_action(), Some(FinderAction::Ask { .. })));
/// ```
#[derive(Debug)]
pub struct Finder {
    backoff: Backoff,
    prng: Prng,
    tokens: TokenSource,
    outbox: Outbox<FinderAction>,
    /// When to look a group up again.
    timers: Timers<Arc<str>>,
    groups: BTreeMap<Arc<str>, Entry>,
    asked: BTreeMap<Token, Vec<Arc<str>>>,
    can_batch: bool,
}

impl Finder {
    /// A finder that knows nothing; `backoff` is `retry.backoff.ms` to `retry.backoff.max.ms`.
    pub fn new(backoff: Backoff, seed: u64) -> Self {
        Self {
            backoff,
            prng: Prng::from_seed(seed),
            tokens: TokenSource::new(),
            outbox: Outbox::new(),
            timers: Timers::new(),
            groups: BTreeMap::new(),
            asked: BTreeMap::new(),
            can_batch: true,
        }
    }

    /// The coordinator of `group`, if it is known.
    pub fn coordinator(&self, group: &str) -> Option<&Broker> {
        match &self.groups.get(group)?.state {
            State::Known(coordinator) => Some(coordinator),
            _ => None,
        }
    }

    /// The groups that an open question asks for.
    pub fn asked(&self, token: Token) -> &[Arc<str>] {
        self.asked.get(&token).map_or(&[], Vec::as_slice)
    }

    /// The error of the last answer while `group` is being looked up; none while no broker answered.
    pub fn last_error(&self, group: &str) -> Option<ErrorCode> {
        self.groups.get(group)?.last_error
    }

    /// How many answers in a row did not name the coordinator of `group`.
    pub(super) fn failures(&self, group: &str) -> u32 {
        self.groups.get(group).map_or(0, |entry| entry.failures)
    }

    fn on_wanted(&mut self, groups: Vec<Arc<str>>) {
        let mut fresh = Vec::new();
        for group in groups {
            if let Some(entry) = self.groups.get_mut(&group) {
                entry.is_wanted = true;
                if matches!(entry.state, State::Known(_)) {
                    self.outbox.push(FinderAction::Found(group));
                }
                continue;
            }
            let entry = Entry {
                state: State::Asked,
                failures: 0,
                last_error: None,
                is_wanted: true,
            };
            self.groups.insert(group.clone(), entry);
            fresh.push(group);
        }
        self.ask(fresh);
    }

    fn on_unwanted(&mut self, group: &Arc<str>) {
        let Some(entry) = self.groups.get_mut(group) else {
            return;
        };
        entry.is_wanted = false;
        if matches!(entry.state, State::BackingOff) {
            self.timers.cancel(group);
            self.groups.remove(group);
        }
    }

    fn on_forget(&mut self, group: &Arc<str>) {
        if self.coordinator(group).is_some() {
            self.groups.remove(group);
        }
    }

    fn on_answered(&mut self, now: Instant, token: Token, result: Result<Vec<Lookup>, AskFailure>) {
        let asked = self.asked.remove(&token).unwrap_or_default();
        let mut unanswered: BTreeSet<Arc<str>> = asked.into_iter().collect();
        match result {
            Ok(lookups) => {
                for Lookup { group, result } in lookups {
                    if unanswered.remove(&group) {
                        self.on_lookup(now, group, result);
                    }
                }
            }
            // Kafka: FindCoordinatorRequest.NoBatchedFindCoordinatorsException
            Err(AskFailure::NotBatched) if unanswered.len() > 1 => {
                self.can_batch = false;
                self.ask(core::mem::take(&mut unanswered).into_iter().collect());
            }
            Err(_) => {}
        }
        for group in unanswered {
            self.retry_later(now, group);
        }
    }

    // Kafka: AbstractCoordinator.FindCoordinatorResponseHandler
    fn on_lookup(&mut self, now: Instant, group: Arc<str>, result: Result<Broker, ErrorCode>) {
        match result {
            Ok(coordinator) => {
                let entry = Entry {
                    state: State::Known(coordinator),
                    failures: 0,
                    last_error: None,
                    is_wanted: true,
                };
                self.groups.insert(group.clone(), entry);
                self.outbox.push(FinderAction::Found(group));
            }
            Err(error) if error.is_retriable() => {
                if let Some(entry) = self.groups.get_mut(&group) {
                    entry.last_error = Some(error);
                }
                self.retry_later(now, group);
            }
            Err(error) => {
                self.groups.remove(&group);
                self.outbox.push(FinderAction::Refused { group, error });
            }
        }
    }

    fn retry_later(&mut self, now: Instant, group: Arc<str>) {
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        if !entry.is_wanted {
            self.groups.remove(&group);
            return;
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.state = State::BackingOff;
        let delay = self.backoff.delay(entry.failures, &mut self.prng);
        self.timers.set(group, now + delay);
    }

    fn ask(&mut self, groups: Vec<Arc<str>>) {
        if groups.is_empty() {
            return;
        }
        let questions = match self.can_batch {
            true => alloc::vec![groups],
            false => groups.into_iter().map(|group| alloc::vec![group]).collect(),
        };
        for groups in questions {
            let token = self.tokens.issue();
            self.asked.insert(token, groups.clone());
            self.outbox.push(FinderAction::Ask { token, groups });
        }
    }
}

impl Machine for Finder {
    type Event = FinderEvent;
    type Action = FinderAction;

    fn handle(&mut self, now: Instant, event: FinderEvent) {
        match event {
            FinderEvent::Wanted(groups) => self.on_wanted(groups),
            FinderEvent::Unwanted(group) => self.on_unwanted(&group),
            FinderEvent::Forget(group) => self.on_forget(&group),
            FinderEvent::NodeLost(node) => self.groups.retain(
                |_, entry| !matches!(&entry.state, State::Known(coordinator) if coordinator.id == node),
            ),
            FinderEvent::Answered { token, result } => self.on_answered(now, token, result),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let mut due = Vec::new();
        while let Some(group) = self.timers.pop_due(now) {
            if let Some(entry) = self.groups.get_mut(&group) {
                entry.state = State::Asked;
                due.push(group);
            }
        }
        self.ask(due);
    }

    fn poll_action(&mut self) -> Option<FinderAction> {
        self.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.timers.next_deadline(|_| "look the coordinator up again")
    }
}

#[cfg(test)]
mod tests;
