//! The loop of a client's task: perform the actions, arm the one deadline, wait for an answer, the deadline or a command.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use kohort_engine::client::{NetEvent, NetMachine};
use kohort_machine::Instant;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Sleep;

use super::Clock;
use super::links::Links;
use crate::transport::Transport;

/// A delay of the task that is worth a warning.
const LATE: Duration = Duration::from_secs(2);
/// Turns that a task takes before it lets others run.
const TURNS: u32 = 64;

/// The side of a task that faces the handle: what the machine's own actions and the handle's messages mean.
pub(crate) trait Host<M: NetMachine>: Send + 'static {
    /// A message of the handle.
    type Input: Send + 'static;
    /// The event that a message is.
    fn accept(&mut self, input: Self::Input) -> M::Event;
    /// The events when every handle is gone; asked once.
    fn abandoned(&mut self) -> Vec<M::Event>;
    /// Performs an action that is not the network's; it may answer at once.
    fn perform(&mut self, action: M::Action) -> Option<M::Event>;
    /// Whether the task may end.
    fn is_finished(&self) -> bool;
}

/// A client's task.
pub(crate) struct Driver<M: NetMachine, H: Host<M>> {
    machine: M,
    host: H,
    inputs: UnboundedReceiver<H::Input>,
    inputs_open: bool,
    links: Links,
    clock: Clock,
}

enum Wake<I> {
    Net(NetEvent),
    Input(I),
    Abandoned,
    Due,
}

impl<M: NetMachine, H: Host<M>> Driver<M, H> {
    pub(crate) fn new(
        machine: M,
        host: H,
        inputs: UnboundedReceiver<H::Input>,
        transport: Transport,
        max_frame: usize,
        clock: Clock,
    ) -> Self {
        Self {
            machine,
            host,
            inputs,
            inputs_open: true,
            links: Links::new(transport, max_frame),
            clock,
        }
    }

    /// Runs until the host is finished.
    pub(crate) async fn run(mut self) {
        let mut sleep = Box::pin(tokio::time::sleep_until(self.clock.at(Instant::ZERO)));
        let mut armed = None;
        let mut turns = 0_u32;
        loop {
            let now = self.clock.now();
            self.perform_actions(now);
            if self.host.is_finished() {
                return self.links.end();
            }
            let deadline = self.machine.next_deadline().map(|deadline| deadline.at);
            // The clock decides, not the timer's readiness: tokio's cooperation may hold a ready timer back.
            if deadline.is_some_and(|at| at <= now) {
                self.machine.handle_timeout(now);
                continue;
            }
            if let Some(at) = deadline.filter(|at| armed != Some(*at)) {
                sleep.as_mut().reset(self.clock.at(at));
            }
            armed = deadline;
            // Inputs and connections take turns in coming first, so that neither starves the other.
            let wake = self
                .wait(&mut sleep, deadline.is_some(), turns.is_multiple_of(2))
                .await;
            let now = self.clock.now();
            if let Some(late) = deadline.map(|at| now - at).filter(|late| *late > LATE) {
                tracing::warn!(
                    late_ms = late.as_millis(),
                    "the runtime did not let this client's task run in time; do not block its threads, or set kohort.runtime=own"
                );
            }
            match wake {
                Wake::Net(event) => self.machine.handle(now, M::net(event)),
                Wake::Input(input) => {
                    let event = self.host.accept(input);
                    self.machine.handle(now, event);
                }
                Wake::Abandoned => {
                    for event in self.host.abandoned() {
                        self.machine.handle(now, event);
                    }
                }
                // A timer of tokio's fires up to a millisecond early or late; what is due is decided above.
                Wake::Due => armed = None,
            }
            turns += 1;
            if turns == TURNS {
                turns = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    fn perform_actions(&mut self, now: Instant) {
        while let Some(action) = self.machine.poll_action() {
            match M::split(action) {
                Ok(net) => self.links.perform(net),
                Err(other) => {
                    if let Some(event) = self.host.perform(other) {
                        self.machine.handle(now, event);
                    }
                }
            }
        }
    }

    async fn wait(&mut self, sleep: &mut Pin<Box<Sleep>>, timed: bool, inputs_first: bool) -> Wake<H::Input> {
        poll_fn(|cx| {
            if inputs_first && let Poll::Ready(wake) = self.poll_input(cx) {
                return Poll::Ready(wake);
            }
            if let Poll::Ready(event) = self.links.poll(cx) {
                return Poll::Ready(Wake::Net(event));
            }
            if timed && sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Wake::Due);
            }
            match inputs_first {
                true => Poll::Pending,
                false => self.poll_input(cx),
            }
        })
        .await
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Wake<H::Input>> {
        if !self.inputs_open {
            return Poll::Pending;
        }
        self.inputs.poll_recv(cx).map(|input| match input {
            Some(input) => Wake::Input(input),
            None => {
                self.inputs_open = false;
                Wake::Abandoned
            }
        })
    }
}
