//! The task's side of a consumer: the engine's own actions become messages to the consumer. When the consumer is dropped
//! without `close`, this side takes the callbacks' place and leaves the group.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use kohort_engine::consumer::ConsumerEngine;
use kohort_engine::consumer::{
    Action, AutomaticCommit, Change, Command, Compute, Describe, Event, FailedCommit, LeaveGroup, Progress,
    ToCaller,
};
use kohort_groups::assign::{Assigned, Assignor};
use kohort_groups::member::Computed;
use kohort_machine::Token;

use super::channel::{Input, ToConsumer, Told};
use super::journal::JournalWriter;
use super::pattern::TopicPattern;
use super::{LatePoll, Rebalance};
use crate::task::Host;

/// How long leaving may take after the consumer was dropped.
const LEAVING: Duration = Duration::from_secs(5);
/// The token of the task's own command; the consumer counts from 0.
const LEAVE: Token = Token(u64::MAX);

pub(super) struct ConsumerHost {
    consumer: ToConsumer,
    /// The application's own.
    assignors: Vec<Arc<dyn Assignor>>,
    /// What topics are matched with.
    pattern: Option<TopicPattern>,
    journal: JournalWriter,
    /// Wall time at the start of the driver's clock.
    start: SystemTime,
    /// The callback that the consumer has to run, and the report that it has to make.
    owed_callback: Option<u64>,
    owed_report: Option<u64>,
    /// The command after whose answer the task ends.
    last: Option<Token>,
    is_alone: bool,
    is_finished: bool,
}

impl ConsumerHost {
    pub(super) fn new(
        consumer: ToConsumer,
        assignors: Vec<Arc<dyn Assignor>>,
        journal: JournalWriter,
        start: SystemTime,
    ) -> Self {
        Self {
            consumer,
            assignors,
            pattern: None,
            journal,
            start,
            owed_callback: None,
            owed_report: None,
            last: None,
            is_alone: false,
            is_finished: false,
        }
    }

    fn own(&self, name: &str) -> Option<&dyn Assignor> {
        self.assignors
            .iter()
            .find(|own| own.name() == name)
            .map(|own| &**own as &dyn Assignor)
    }

    /// Runs an assignor of the application; its panic is a failed assignment, not the end of the task.
    fn compute(&self, compute: Compute) -> Event {
        let Compute {
            step,
            assignor,
            members,
            topics,
        } = compute;
        let shares = self
            .own(&assignor)
            .map(|own| catch_unwind(AssertUnwindSafe(|| own.assign(&topics, &members))));
        let result = match shares {
            None => Err(format!("there is no assignor {assignor}").into()),
            Some(Err(_panic)) => Err(format!("the assignor {assignor} panicked").into()),
            Some(Ok(Err(error))) => Err(error.to_string().into()),
            Some(Ok(Ok(assignments))) => Ok(Computed::of(assignments, topics)),
        };
        Event::Computed {
            step,
            result: Box::new(result),
        }
    }
}

/// What an assignor of the application adds to a subscription; a panic of it counts as nothing.
fn user_data(own: &dyn Assignor, topics: &[Arc<str>], last: Option<&Assigned>) -> Option<Bytes> {
    let added = catch_unwind(AssertUnwindSafe(|| own.subscription_user_data(topics, last)));
    added.unwrap_or_else(|_panic| {
        tracing::error!(
            assignor = own.name(),
            "the assignor panicked: the member joins without its user data"
        );
        None
    })
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
    type Input = Input;

    fn accept(&mut self, input: Input) -> Event {
        let event = match input {
            Input::Event(event) => event,
            Input::Pattern(new) => {
                let pattern = Arc::clone(&new.text);
                self.pattern = Some(new);
                return Event::Change(Box::new(Change::SubscribePattern { pattern }));
            }
        };
        match &event {
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
        event
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
                let shared = self.consumer.shared();
                let (polls, inside) = shared.polls();
                let handed_out = shared.last_poll.read();
                Some(Event::PollCounter {
                    polls,
                    inside,
                    handed_out,
                })
            }
            Action::MatchTopics(question) => Some(TopicPattern::answer(self.pattern.as_ref(), *question)),
            Action::Compute(compute) => Some(self.compute(*compute)),
            Action::Describe(describe) => {
                let Describe {
                    step,
                    topics,
                    assignors,
                } = *describe;
                let added = |(name, last): (Arc<str>, Option<Assigned>)| {
                    let added = self
                        .own(&name)
                        .and_then(|own| user_data(own, &topics, last.as_ref()));
                    (name, added)
                };
                let user_data = assignors.into_iter().map(added).collect();
                Some(Event::Described { step, user_data })
            }
            Action::OnAssignment(told) => {
                let (name, assigned) = *told;
                if let Some(own) = self.own(&name)
                    && catch_unwind(AssertUnwindSafe(|| own.on_assignment(&assigned))).is_err()
                {
                    tracing::error!(
                        assignor = &*name,
                        "the assignor panicked when it was told of an assignment"
                    );
                }
                None
            }
            Action::RebalanceBegan(began) => {
                tracing::debug!(number = began.number, "a rebalance begins: {}", began.cause);
                self.journal.began(*began, self.start);
                None
            }
            Action::Rebalanced(rebalance) => {
                let rebalance = Rebalance::new(*rebalance, self.start);
                tracing::info!(got = ?rebalance.got, gave_up = ?rebalance.gave_up, "rebalanced: {rebalance}");
                self.journal.ended(rebalance);
                None
            }
            Action::PollLate(late) => {
                let late = LatePoll::from(*late);
                let LatePoll {
                    idle,
                    in_hand,
                    more_runs,
                    records,
                    ..
                } = &late;
                tracing::warn!(?idle, ?in_hand, more_runs, records, "{late}");
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
