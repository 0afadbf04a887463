//! The end: what is due on the way out of a group, closing, and what becomes of a close that is dropped halfway.

use ::core::time::Duration;
use std::thread;

use kohort_engine::consumer::{Command, Event, LeaveGroup};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::core::{Core, Gone, until};
use super::journal::JournalFile;
use super::listener::AnyListener;
use super::poll::{Failing, run_due};
use super::{CloseError, Consumer, PollError};

impl<K, V> Consumer<K, V> {
    /// Commits what `poll` has returned (with `enable.auto.commit`), runs the listener, leaves the group, and ends the network
    /// task; all of that within `timeout`. A static member (`group.instance.id`) does not leave. What is noted for
    /// `kohort.rebalance.journal.file` is written then, the leaving too, as far as the time suffices.
    ///
    /// Cancel safety: when it is dropped halfway the rest is done in the background, on the runtime that it is dropped on, in what is
    /// left of `timeout`: the commit, the callbacks of commits, the listener, whose method that was running runs again from its
    /// beginning, and leaving the group. What fails of that is in the log. The listener is not called when nothing is left of
    /// `timeout`, when the future is dropped outside of a runtime, when that runtime ends, or because of a panic. One that is
    /// dropped before it was polled is a consumer that is dropped: nothing is committed, and the listener is not called.
    ///
    /// # Errors
    /// [`CloseError::Unfinished`] when the last commit failed or the group could not be told within `timeout` (Java writes that in
    /// its log); the listener's; a network task that was gone before. The consumer is gone all the same.
    // Kafka: KafkaConsumer.close
    pub async fn close(self, timeout: Duration) -> Result<(), CloseError> {
        self.close_with(timeout, LeaveGroup::Default).await
    }

    /// As [`close`](Self::close), saying whether to leave the group (KIP-1092).
    ///
    /// Cancel safety: as `close`.
    ///
    /// # Errors
    /// As `close`.
    pub async fn close_with(self, timeout: Duration, leave: LeaveGroup) -> Result<(), CloseError> {
        let mut closing = Closing {
            rest: Some(Rest {
                core: self.core,
                listener: self.listener,
                journal_file: self.journal_file,
                deadline: Instant::now().checked_add(timeout),
                leave,
            }),
        };
        let result = match &mut closing.rest {
            Some(rest) => rest.close(timeout).await,
            None => Ok(()),
        };
        closing.rest = None;
        result
    }
}

/// A close under way. It is dropped in the middle when its future is.
struct Closing {
    /// What is not closed; nothing once it is.
    rest: Option<Rest>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        // After a panic of the listener it is not called again: this is a consumer that is dropped.
        if let Some(mut rest) = self.rest.take()
            && !thread::panicking()
        {
            // The network task may share a thread with those of other consumers: no listener is to hold that up.
            let runtime = Handle::try_current().unwrap_or_else(|_| {
                rest.listener = None;
                rest.core.runtime.clone()
            });
            runtime.spawn(async move {
                let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
                let timeout = rest.deadline.map_or(Duration::MAX, left);
                if timeout.is_zero() {
                    rest.listener = None;
                }
                let over = rest.deadline.map(|deadline| rest.core.sleep_until(deadline));
                let closing = async {
                    match rest.close(timeout).await {
                        // The first attempt came to its end before it was dropped.
                        Ok(()) | Err(CloseError::TaskGone) => {}
                        Err(error) => {
                            tracing::warn!(%error, "a consumer whose close was dropped is closed, but not all was done");
                        }
                    }
                };
                until(over, closing).await;
            });
        }
    }
}

/// What closing needs of a consumer.
struct Rest {
    core: Core,
    listener: Option<Box<dyn AnyListener>>,
    journal_file: Option<JournalFile>,
    /// None: a time that has no end on the clock.
    deadline: Option<Instant>,
    leave: LeaveGroup,
}

impl Rest {
    /// A second one goes on where the first was dropped.
    async fn close(&mut self, timeout: Duration) -> Result<(), CloseError> {
        self.core.is_closing = true;
        // Should this be dropped, the task commits what it knows of: an older position could take a later commit back.
        let progress = self.core.delivery.report(None);
        self.core.channel.give(Event::Progress(Box::new(progress)));
        let leave = self.leave;
        let command = Command::Close { timeout, leave };
        let result = self::leave(&mut self.core, self.listener.as_mut(), command).await;
        self.core.run_commit_callbacks();
        // A task that is gone may have taken the timers with it.
        let is_gone = matches!(result, Err(CloseError::TaskGone));
        if let Some(file) = self.journal_file.as_ref().filter(|_| !is_gone) {
            let over = self.deadline.map(|deadline| self.core.sleep_until(deadline));
            until(over, file.written()).await;
        }
        result
    }
}

/// Gives a command whose callbacks run while its answer is waited for.
pub(super) async fn leave(
    core: &mut Core,
    mut listener: Option<&mut Box<dyn AnyListener>>,
    command: Command,
) -> Result<(), CloseError> {
    let mut failed = None;
    let mut failing = Failing::Over;
    core.take_mail();
    let mut question = core.ask(command);
    let answer = loop {
        core.run_commit_callbacks();
        match run_due(core, listener.as_deref_mut(), failing).await {
            Ok(()) => match core.hear(&mut question).await {
                Ok(None) => {}
                Ok(Some(answer)) => break Ok(answer),
                Err(Gone) => break Err(CloseError::TaskGone),
            },
            Err(PollError::Listener { callback, source }) => {
                failed.get_or_insert(CloseError::Listener { callback, source });
            }
            // The listener is called again; the wakeup, whose flag is set still, is for the next call.
            Err(PollError::Wakeup) => failing = Failing::OverAndDeaf,
            // What a poll would have reported is of no use any more.
            Err(error) => tracing::debug!(%error, "not reported: the consumer is leaving"),
        }
    };
    match (answer.and_then(|answer| answer.map_err(Into::into)), failed) {
        (Err(unfinished), failed) => {
            // Only one error can be given.
            if let Some(error) = failed {
                tracing::warn!(%error, "the listener failed while the consumer was leaving");
            }
            Err(unfinished)
        }
        (Ok(_), failed) => failed.map_or(Ok(()), Err),
    }
}
