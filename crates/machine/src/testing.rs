//! The harness: steps one machine on a driven clock, records what went in and came out, and replays it.
//!
//! It asserts the contract of [`crate::Machine`] as it goes: time moves forward, each question is answered once, a spurious
//! time-out does nothing, and a timer that fired does not stay due.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use crate::{Correlated, Deadline, Instant, Machine, Token};

/// What went into a machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<E> {
    /// [`Machine::handle`] with this event.
    Event(E),
    /// [`Machine::handle_timeout`].
    Timeout,
}

/// One turn of a recorded run.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn<E, A> {
    /// The time of the turn.
    pub at: Instant,
    /// What went in.
    pub input: Input<E>,
    /// What came out, in order.
    pub actions: Vec<A>,
}

/// A machine on a driven clock.
#[derive(Debug)]
pub struct Harness<M: Machine> {
    machine: M,
    now: Instant,
    open: BTreeSet<Token>,
    record: Vec<Turn<M::Event, M::Action>>,
}

impl<M: Machine> Harness<M>
where
    M::Event: Correlated + Clone,
    M::Action: Correlated + Clone + PartialEq + Debug,
{
    /// A harness at [`Instant::ZERO`].
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            now: Instant::ZERO,
            open: BTreeSet::new(),
            record: Vec::new(),
        }
    }

    /// The driven clock.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The machine, to ask it questions.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, whose run is over.
    pub fn into_machine(self) -> M {
        self.machine
    }

    /// Questions that were asked and not yet answered.
    pub fn open_tokens(&self) -> Vec<Token> {
        self.open.iter().copied().collect()
    }

    /// The whole run so far.
    pub fn record(&self) -> &[Turn<M::Event, M::Action>] {
        &self.record
    }

    /// Gives one event and returns what the machine wants done.
    pub fn step(&mut self, event: M::Event) -> Vec<M::Action> {
        if let Some(token) = event.closes() {
            assert!(
                self.open.remove(&token),
                "an answer to {token:?}, which is not open"
            );
        }
        self.machine.handle(self.now, event.clone());
        self.drain(Input::Event(event))
    }

    /// Moves the clock by `by`, firing each deadline on its way, and returns the actions in order.
    pub fn advance(&mut self, by: Duration) -> Vec<M::Action> {
        let end = self.now + by;
        let mut actions = Vec::new();
        let mut turns = 0;
        while let Some(Deadline { at, timer }) = self.machine.next_deadline().filter(|next| next.at <= end) {
            turns += 1;
            assert!(turns < 1_000_000, "the deadline {timer:?} stays due");
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            actions.append(&mut self.drain(Input::Timeout));
        }
        self.now = end;
        self.machine.handle_timeout(self.now);
        assert_eq!(
            self.machine.poll_action(),
            None,
            "a spurious time-out did something"
        );
        actions
    }

    /// Moves the clock to the next deadline and fires it; `None` when no timer is armed.
    pub fn advance_to_deadline(&mut self) -> Option<(&'static str, Vec<M::Action>)> {
        let Deadline { at, timer } = self.machine.next_deadline()?;
        let by = at.saturating_since(self.now);
        Some((timer, self.advance(by)))
    }

    fn drain(&mut self, input: Input<M::Event>) -> Vec<M::Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.machine.poll_action() {
            if let Some(token) = action.opens() {
                assert!(self.open.insert(token), "{token:?} was asked twice");
            }
            actions.push(action);
        }
        self.record.push(Turn {
            at: self.now,
            input,
            actions: actions.clone(),
        });
        actions
    }
}

/// Feeds a recorded run to a new machine of the same configuration and seed.
///
/// # Panics
///
/// When a turn gives other actions than the record: the machine is then not deterministic.
pub fn replay<M: Machine>(mut machine: M, record: &[Turn<M::Event, M::Action>])
where
    M::Event: Clone,
    M::Action: PartialEq + Debug,
{
    for (index, turn) in record.iter().enumerate() {
        match &turn.input {
            Input::Event(event) => machine.handle(turn.at, event.clone()),
            Input::Timeout => machine.handle_timeout(turn.at),
        }
        let mut actions = Vec::new();
        while let Some(action) = machine.poll_action() {
            actions.push(action);
        }
        assert_eq!(actions, turn.actions, "turn {index} at {:?} differs", turn.at);
    }
}

#[cfg(test)]
mod tests;
