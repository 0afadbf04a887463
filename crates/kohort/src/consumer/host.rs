//! The task's side of a consumer: the engine's own actions become messages to the consumer. When the consumer is dropped
//! without `close`, this side takes the callbacks' place and leaves the group.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kohort_engine::consumer::ConsumerEngine;
use kohort_engine::consumer::{
    Action, AutomaticCommit, Change, Command, Compute, Event, FailedCommit, LeaveGroup, Progress, ToCaller,
};
use kohort_groups::Assignment;
use kohort_groups::assign::Assignor;
use kohort_groups::member::Computed;
use kohort_machine::Token;

use super::channel::{ToConsumer, Told};
use crate::task::Host;

/// How long leaving may take after the consumer was dropped.
const LEAVING: Duration = Duration::from_secs(5);
/// The token of the task's own command; the consumer counts from 0.
const LEAVE: Token = Token(u64::MAX);

pub(super) struct ConsumerHost {
    consumer: ToConsumer,
    /// The application's own.
    assignors: Vec<Arc<dyn Assignor>>,
    /// The callback that the consumer has to run, and the report that it has to make.
    owed_callback: Option<u64>,
    owed_report: Option<u64>,
    /// The command after whose answer the task ends.
    last: Option<Token>,
    is_alone: bool,
    is_finished: bool,
}

impl ConsumerHost {
    pub(super) fn new(consumer: ToConsumer, assignors: Vec<Arc<dyn Assignor>>) -> Self {
        Self {
            consumer,
            assignors,
            owed_callback: None,
            owed_report: None,
            last: None,
            is_alone: false,
            is_finished: false,
        }
    }

    /// Runs an assignor of the application; its panic is a failed assignment, not the end of the task.
    fn compute(&self, compute: Compute) -> Event {
        let Compute {
            step,
            assignor,
            members,
            partitions,
        } = compute;
        let own = self.assignors.iter().find(|own| own.name() == &*assignor);
        let shares = own.map(|own| catch_unwind(AssertUnwindSafe(|| own.assign(&partitions, &members))));
        let result = match shares {
            None => Err(format!("there is no assignor {assignor}").into()),
            Some(Err(_panic)) => Err(format!("the assignor {assignor} panicked").into()),
            Some(Ok(shares)) => {
                let assignment = |partitions| Assignment {
                    partitions,
                    ..Assignment::default()
                };
                let assignments = shares
                    .into_iter()
                    .map(|(member, share)| (member, assignment(share)))
                    .collect();
                Ok(Computed {
                    assignments,
                    partitions,
                })
            }
        };
        Event::Computed {
            step,
            result: Box::new(result),
        }
    }
}

/// One warning for commits that fail one after another.
fn log_failed_commit(failed: &FailedCommit) {
    let FailedCommit {
        when,
        offsets,
        error,
        is_repeated,
    } = failed;
    let after = match when {
        AutomaticCommit::Interval if error.is_retriable() => "it is tried again",
        AutomaticCommit::Interval => "the next one is due after auto.commit.interval.ms",
        AutomaticCommit::BeforeRevocation => "the next owner of the partitions reads these records again",
        AutomaticCommit::BeforeClose => "whoever goes on reads these records again",
    };
    if *is_repeated && *when == AutomaticCommit::Interval {
        tracing::debug!(?offsets, %error, "an automatic commit failed again");
    } else {
        tracing::warn!(?offsets, %error, ?when, "an automatic commit failed: {after}");
    }
}

fn nothing_consumed(step: u64) -> Event {
    Event::Progress(Box::new(Progress {
        answers: Some(step),
        ..Progress::default()
    }))
}

impl Host<ConsumerEngine> for ConsumerHost {
    type Input = Event;

    fn accept(&mut self, input: Event) -> Event {
        match &input {
            Event::Command { token, command } if matches!(**command, Command::Close { .. }) => {
                self.last = Some(*token)
            }
            Event::ListenerDone { step } if self.owed_callback == Some(*step) => self.owed_callback = None,
            Event::Progress(progress)
                if progress.answers.is_some() && progress.answers >= self.owed_report =>
            {
                self.owed_report = None;
            }
            _ => {}
        }
        input
    }

    fn abandoned(&mut self) -> Vec<Event> {
        self.is_alone = true;
        let callback = self.owed_callback.take().map(|step| Event::ListenerDone { step });
        let report = self.owed_report.take().map(nothing_consumed);
        let gone = self.last.is_none().then(|| Event::Change(Box::new(Change::Gone)));
        // A close that was under way goes on: a second one joins it, because the first may have been abandoned.
        let command = match self.last.replace(LEAVE) {
            None => Command::Unsubscribe { timeout: LEAVING },
            Some(_) => Command::Close {
                timeout: LEAVING,
                leave: LeaveGroup::Default,
            },
        };
        let leave = Event::Command {
            token: LEAVE,
            command: Box::new(command),
        };
        gone.into_iter()
            .chain(callback)
            .chain(report)
            .chain([leave])
            .collect()
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::ToCaller(told) if self.is_alone => match *told {
                ToCaller::Callback { step, .. } => Some(Event::ListenerDone { step }),
                ToCaller::ProgressWanted { step } => Some(nothing_consumed(step)),
                _ => None,
            },
            Action::ToCaller(told) => {
                match *told {
                    ToCaller::Callback { step, .. } => self.owed_callback = Some(step),
                    ToCaller::ProgressWanted { step } => self.owed_report = Some(step),
                    _ => {}
                }
                self.consumer.send(Told::Engine(told));
                None
            }
            Action::Reply { token, result } => {
                self.is_finished |= self.last == Some(token);
                self.consumer.send(Told::Answer {
                    token,
                    answer: result,
                });
                None
            }
            Action::ReadPollCounter => {
                let (polls, inside) = self.consumer.shared().polls();
                Some(Event::PollCounter { polls, inside })
            }
            Action::Compute(compute) => Some(self.compute(*compute)),
            Action::Rebalanced(rebalance) => {
                tracing::info!(
                    generation = rebalance.generation,
                    cause = ?rebalance.cause,
                    outcome = ?rebalance.outcome,
                    got = ?rebalance.got,
                    gave_up = ?rebalance.gave_up,
                    "rebalanced"
                );
                None
            }
            Action::CommitFailed(failed) => {
                log_failed_commit(&failed);
                None
            }
            // `NetMachine::split` takes these out.
            Action::Net(_) => None,
        }
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }
}
