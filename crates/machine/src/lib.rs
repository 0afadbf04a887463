//! The one idiom of Kohort: protocol rules live in machines.
//!
//! A [`Machine`] takes inputs and a time, and gives out actions. It has no socket, no task, no lock, no clock and calls no
//! user code, so a run is replayed exactly from `(configuration, seed, events)`.
//!
//! What lives here: the [`Machine`] trait and the parts that every machine is made of ([`Outbox`], [`Timers`], [`Prng`],
//! [`Backoff`], [`Token`]), and, with the feature `testing`, the harness that steps a machine on a driven clock. What does
//! not: any rule of Kafka.
//!
//! # The canonical loop
//!
//! A driver repeats these steps; nothing else is allowed to touch the machine:
//!
//! 1. Perform every action that [`Machine::poll_action`] gives, in that order.
//! 2. Arm one timer for [`Machine::next_deadline`].
//! 3. Wait for an input or for that timer.
//! 4. Read the time once; call [`Machine::handle`] with the input, or [`Machine::handle_timeout`] if `now` has reached the
//!    deadline.
//!
//! # The contract
//!
//! * **Order**: actions are performed in the order polled. `handle` may be called again before all are drained; none is lost.
//! * **Requests**: an action that carries a [`Token`] as a question is answered by exactly one event with that token. A
//!   time-out and a disconnection are answers too. The harness asserts it (see [`Correlated`]).
//! * **Errors**: what the network or the other end does wrong is an event. What the user does wrong is answered in the reply
//!   of the user's command. What this code does wrong is an assertion. So `handle` returns nothing.
//! * **Time** only moves forward. Wall time is a field of the event that needs it.
//! * **Randomness** is a seed given to the constructor.
//! * **User code** is never called: an action asks the driver to run it, an event says that it is done.
//!
//! # Example
//!
//! A machine that asks once and tries again after a delay until it is answered:
//!
//! ```
//! use core::time::Duration;
//! use kohort_machine::{Deadline, Instant, Machine, Outbox, Timers};
//!
//! #[derive(Debug, Clone, PartialEq)]
//! enum Event { Start, Answered }
//! #[derive(Debug, Clone, PartialEq)]
//! enum Action { Ask }
//! #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
//! enum Timer { Retry }
//!
//! #[derive(Default)]
//! struct Asker { outbox: Outbox<Action>, timers: Timers<Timer> }
//!
//! impl Asker {
//!     fn ask(&mut self, now: Instant) {
//!         self.outbox.push(Action::Ask);
//!         self.timers.set(Timer::Retry, now + Duration::from_secs(1));
//!     }
//! }
//!
//! impl Machine for Asker {
//!     type Event = Event;
//!     type Action = Action;
//!     fn handle(&mut self, now: Instant, event: Event) {
//!         match event {
//!             Event::Start => self.ask(now),
//!             Event::Answered => self.timers.cancel(&Timer::Retry),
//!         }
//!     }
//!     fn handle_timeout(&mut self, now: Instant) {
//!         while let Some(Timer::Retry) = self.timers.pop_due(now) {
//!             self.ask(now);
//!         }
//!     }
//!     fn poll_action(&mut self) -> Option<Action> { self.outbox.pop() }
//!     fn next_deadline(&self) -> Option<Deadline> {
//!         self.timers.next_deadline(|timer| match timer { Timer::Retry => "ask again" })
//!     }
//! }
//!
//! let mut asker = Asker::default();
//! asker.handle(Instant::ZERO, Event::Start);
//! assert_eq!(asker.poll_action(), Some(Action::Ask));
//! let deadline = asker.next_deadline().expect("a retry is armed");
//! asker.handle_timeout(deadline.at);
//! assert_eq!(asker.poll_action(), Some(Action::Ask));
//! asker.handle(deadline.at, Event::Answered);
//! assert_eq!(asker.next_deadline(), None);
//! ```
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

mod backoff;
mod outbox;
mod prng;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time;
mod timers;
mod token;

pub use backoff::Backoff;
pub use outbox::Outbox;
pub use prng::Prng;
pub use time::{Deadline, Instant};
pub use timers::Timers;
pub use token::{Correlated, Token, TokenSource};

/// A protocol rule as a value: events and a time in, actions out. The contract is in the crate's documentation.
pub trait Machine {
    /// What can happen to the machine: plain data, small (rare large ones boxed).
    type Event;
    /// What the machine wants done: plain data, small, plural (a thousand partitions are one action).
    type Action;

    /// Takes one input. It cannot fail and never blocks; `now` never moves backwards.
    fn handle(&mut self, now: Instant, event: Self::Event);

    /// Fires every timer that is due: those with `at <= now`. A call with nothing due does nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// The oldest action not yet taken. Call until `None` after each `handle` and `handle_timeout`.
    fn poll_action(&mut self) -> Option<Self::Action>;

    /// When the machine next wants [`Machine::handle_timeout`], and why; `None` when no timer is armed. A pure read.
    fn next_deadline(&self) -> Option<Deadline>;
}
