//! The untyped consumer: its end of the channel, the records not yet returned, what is due in the next poll. Types, listeners
//! and the poll loop live beside it.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use kohort_engine::consumer::{
    Change, Command, CommandError, CommandReply, CommitMode, Event, Position, SeekTo, ToCaller,
};
use kohort_engine::delivery::{Delivery, Due};
use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::{Token, TokenSource};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, Sleep, sleep_until};

use super::channel::{Answer, Channel, Input, Told};
use super::resets::Untaken;
use super::{CommitError, Interest, LatePoll, OffsetError, SeekError};
use crate::task::timer_of;

/// What an asynchronous commit reports to.
pub(super) type CommitCallback = Box<dyn FnOnce(CommittedOffsets<'_>, Result<(), CommitError>) + Send>;

/// The offsets of a commit, as given.
pub type CommittedOffsets<'a> = &'a [(TopicPartition, OffsetAndMetadata)];

struct PendingCommit {
    offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    callback: CommitCallback,
}

/// Who the consumer is.
pub(super) struct Who {
    /// `group.id`.
    pub(super) group_id: Option<Arc<str>>,
    /// `client.id`, as given or made.
    pub(super) client_id: Arc<str>,
}

pub(super) struct Core {
    pub(super) channel: Channel,
    pub(super) delivery: Delivery,
    /// Positions that the policy decided, until the user takes them.
    pub(super) resets: Untaken,
    /// What the next poll has to do first.
    pub(super) due: VecDeque<Due>,
    tokens: TokenSource,
    commits: BTreeMap<Token, PendingCommit>,
    /// Commits that were answered and whose callback has not run.
    committed: VecDeque<(PendingCommit, Result<(), CommitError>)>,
    pub(super) api_timeout: Duration,
    /// Wakeups are of no use any more.
    // Kafka: KafkaConsumer.close disables them
    pub(super) is_closing: bool,
    /// While a listener runs: whether a wakeup has ended one of its calls. The flag stays set for the poll around it.
    pub(super) listening: Option<bool>,
    /// The topics that were subscribed to and that the engine has not taken in: until then nothing is handed out, which may be
    /// of a topic that was given up.
    // Kafka: ClassicKafkaConsumer.subscribeInternal, clearBufferedDataForUnassignedTopics
    pub(super) subscribing: Option<Vec<Arc<str>>>,
    /// An `unsubscribe` began and has not ended, so nothing is read; it may have been dropped.
    pub(super) is_unsubscribing: bool,
    /// The poll that did not come in time, until the group is joined again.
    pub(super) late: Option<Box<LatePoll>>,
    pub(super) interest: Interest,
    pub(super) who: Who,
    /// The network task's runtime, for timers where the caller has none, and for what goes on without the caller.
    pub(super) runtime: Handle,
}

impl core::fmt::Debug for Core {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let assignment: Vec<String> = self.delivery.assignment().map(|p| p.to_string()).collect();
        f.debug_struct("Core")
            .field("client_id", &self.who.client_id)
            .field("group_id", &self.who.group_id)
            .field("interest", &self.interest)
            .field("assignment", &assignment)
            .field("due", &self.due.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if !self.is_closing && self.interest.is_any() {
            tracing::warn!(
                client_id = &*self.who.client_id,
                group_id = self.who.group_id.as_deref(),
                "a consumer was dropped without close: nothing is committed, and it leaves its group in the background"
            );
        }
    }
}

/// Tells the engine that nobody waits for an answer any more, unless it came.
struct Waiting {
    inputs: UnboundedSender<Input>,
    token: Option<Token>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            let _task_is_gone = self.inputs.send(Input::Event(Event::Abandon { token }));
        }
    }
}

/// A question that was asked.
pub(super) struct Question {
    waiting: Waiting,
    token: Token,
}

/// No answer will come: the task is gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone;

/// No answer is waited for any longer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unanswered {
    Gone,
    /// The wakeup flag was set, and is taken.
    Woken,
}

impl From<Gone> for Unanswered {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// Waits for `what`, at the longest until the timer fires, if there is one.
pub(super) async fn until(over: Option<Sleep>, what: impl Future<Output = ()>) {
    let Some(over) = over else {
        return what.await;
    };
    let (mut what, mut over) = (pin!(what), pin!(over));
    poll_fn(|cx| match what.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => over.as_mut().poll(cx),
    })
    .await;
}

impl Core {
    pub(super) fn new(
        channel: Channel,
        delivery: Delivery,
        api_timeout: Duration,
        runtime: Handle,
        who: Who,
    ) -> Self {
        Self {
            channel,
            delivery,
            resets: Untaken::default(),
            due: VecDeque::new(),
            tokens: TokenSource::new(),
            commits: BTreeMap::new(),
            committed: VecDeque::new(),
            api_timeout,
            is_closing: false,
            listening: None,
            subscribing: None,
            is_unsubscribing: false,
            late: None,
            interest: Interest::Nothing,
            who,
            runtime,
        }
    }

    /// A timer of the caller's runtime, or else, with `kohort.runtime=own`, of the network task's.
    pub(super) fn sleep_until(&self, deadline: Instant) -> Sleep {
        timer_of(&self.runtime, || sleep_until(deadline))
    }

    /// Whether a poll has something to do before it takes records.
    pub(super) fn is_quiet(&self) -> bool {
        !self.channel.has_mail()
            && self.due.is_empty()
            && self.committed.is_empty()
            && self.subscribing.is_none()
            && !self.is_unsubscribing
            && !self.channel.shared.is_woken()
    }

    /// Takes in all that has come.
    pub(super) fn take_mail(&mut self) {
        while let Some(told) = self.channel.try_next() {
            self.take_in(told);
        }
    }

    pub(super) fn take_in(&mut self, told: Told) {
        match told {
            Told::Engine(told) => match *told {
                ToCaller::PollLate(late) => self.late = Some(Box::new((*late).into())),
                told => {
                    if let ToCaller::Subscribed(topics) = &told {
                        self.subscribing.take_if(|wanted| wanted == topics);
                    }
                    if let Some(due) = self.delivery.accept(told) {
                        due.enqueue(&mut self.due);
                    }
                    self.resets.add(self.delivery.take_resets());
                }
            },
            Told::Answer { token, answer } => {
                if let Some(commit) = self.commits.remove(&token) {
                    let result = answer.map(drop).map_err(|error| self.commit_error(error));
                    self.committed.push_back((commit, result));
                }
            }
            Told::Wakeup => {}
        }
    }

    /// Runs the callbacks of the commits that were answered, in the order of the answers.
    // Kafka: ConsumerCoordinator.invokeCompletedOffsetCommitCallbacks
    pub(super) fn run_commit_callbacks(&mut self) {
        while let Some((commit, result)) = self.committed.pop_front() {
            (commit.callback)(&commit.offsets, result);
        }
    }

    pub(super) fn ask(&mut self, command: Command) -> Question {
        let token = self.tokens.issue();
        self.channel.give(Event::Command {
            token,
            command: Box::new(command),
        });
        let inputs = self.channel.sender();
        let waiting = Waiting {
            inputs,
            token: Some(token),
        };
        Question { waiting, token }
    }

    /// Waits for the next message; the answer if it is that. What else comes is taken in.
    pub(super) async fn hear(&mut self, question: &mut Question) -> Result<Option<Answer>, Gone> {
        match self.channel.next().await {
            None => {
                question.waiting.token = None;
                Err(Gone)
            }
            Some(Told::Answer { token, answer }) if token == question.token => {
                question.waiting.token = None;
                Ok(Some(*answer))
            }
            Some(other) => {
                self.take_in(other);
                Ok(None)
            }
        }
    }

    /// Asks and waits, until a wakeup at the longest. Dropping the future abandons the question; what it set in motion is not
    /// undone.
    // Kafka: ConsumerNetworkClient.poll, maybeTriggerWakeup
    pub(super) async fn call(&mut self, command: Command) -> Result<Answer, Unanswered> {
        let mut question = self.ask(command);
        loop {
            if self.hears_wakeup() {
                return Err(Unanswered::Woken);
            }
            if let Some(answer) = self.hear(&mut question).await? {
                return Ok(answer);
            }
        }
    }

    /// Whether a wakeup ends the call that is under way.
    fn hears_wakeup(&mut self) -> bool {
        if self.is_closing {
            return false;
        }
        match &mut self.listening {
            None => self.channel.shared.take_wakeup(),
            // One call of the listener is enough: the others are to clean up.
            Some(woken) if !*woken && self.channel.shared.is_woken() => {
                *woken = true;
                true
            }
            Some(_) => false,
        }
    }

    /// As [`call`](Self::call), for what the task answers by itself: there is nothing to be woken from.
    pub(super) async fn call_task(&mut self, command: Command) -> Result<Answer, Gone> {
        let mut question = self.ask(command);
        loop {
            if let Some(answer) = self.hear(&mut question).await? {
                return Ok(answer);
            }
        }
    }

    pub(super) async fn lookup(&mut self, command: Command) -> Result<CommandReply, OffsetError> {
        Ok(self.call(command).await??)
    }

    pub(super) async fn position(
        &mut self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> Result<i64, OffsetError> {
        loop {
            self.take_mail();
            if let Some(position) = self.delivery.position(partition)? {
                return Ok(position.offset);
            }
            let slot = self.delivery.slot(partition)?;
            self.lookup(Command::Position { slot, timeout }).await?;
        }
    }

    pub(super) fn consumed(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        self.delivery.consumed()
    }

    pub(super) fn assignment(&self) -> Vec<TopicPartition> {
        self.delivery
            .assignment()
            .map(|partition| (**partition).clone())
            .collect()
    }

    pub(super) async fn commit_sync(
        &mut self,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        timeout: Duration,
    ) -> Result<(), CommitError> {
        // Nothing to commit is a commit of nothing, but commits before it are still waited for.
        let mode = CommitMode::Sync { timeout };
        let answer = self.call(Command::Commit { offsets, mode }).await;
        self.run_commit_callbacks();
        answer?.map(drop).map_err(|error| self.commit_error(error))
    }

    /// Why a commit failed: when the member left because it was not polled, that is why.
    fn commit_error(&self, error: CommandError) -> CommitError {
        match (CommitError::from(error), &self.late) {
            (CommitError::CommitFailed { .. }, Some(late)) => CommitError::PollIntervalExceeded(late.clone()),
            (error, _) => error,
        }
    }

    pub(super) fn commit_async(
        &mut self,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        callback: CommitCallback,
    ) {
        let mode = CommitMode::Async;
        let mut question = self.ask(Command::Commit {
            offsets: offsets.clone(),
            mode,
        });
        question.waiting.token = None;
        self.commits
            .insert(question.token, PendingCommit { offsets, callback });
    }

    pub(super) fn seek(
        &mut self,
        partition: &TopicPartition,
        to: OffsetAndMetadata,
    ) -> Result<(), SeekError> {
        if to.offset < 0 {
            return Err(SeekError::NegativeOffset {
                partition: partition.clone(),
                offset: to.offset,
            });
        }
        let position = Position {
            offset: to.offset,
            leader_epoch: to.leader_epoch,
        };
        let seek = self.delivery.seek(partition, SeekTo::Position(position))?;
        self.change(Change::Seek(vec![seek]));
        Ok(())
    }

    pub(super) fn seek_to(&mut self, partitions: &[TopicPartition], to: SeekTo) -> Result<(), SeekError> {
        // All or nothing.
        for partition in partitions {
            self.delivery.slot(partition)?;
        }
        let mut seeks = Vec::with_capacity(partitions.len());
        for partition in partitions {
            seeks.push(self.delivery.seek(partition, to)?);
        }
        self.change(Change::Seek(seeks));
        Ok(())
    }

    pub(super) fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), SeekError> {
        let slots = self.slots(partitions)?;
        for partition in partitions {
            self.delivery.pause(partition)?;
        }
        self.change(Change::Pause(slots));
        Ok(())
    }

    pub(super) fn paused(&self) -> Vec<TopicPartition> {
        self.delivery
            .paused()
            .map(|partition| (**partition).clone())
            .collect()
    }

    pub(super) fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), SeekError> {
        let slots = self.slots(partitions)?;
        for partition in partitions {
            self.delivery.resume(partition)?;
        }
        self.change(Change::Resume(slots));
        Ok(())
    }

    fn slots(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<kohort_engine::consumer::SlotId>, SeekError> {
        let slots = partitions.iter().map(|partition| self.delivery.slot(partition));
        Ok(slots.collect::<Result<_, _>>()?)
    }

    pub(super) fn change(&self, change: Change) {
        self.channel.give(Event::Change(Box::new(change)));
    }

    /// Tells the engine what was consumed, if that is due.
    pub(super) fn report_if_due(&mut self) {
        if let Some(progress) = self.delivery.progress() {
            self.channel.give(Event::Progress(Box::new(progress)));
        }
    }
}
