//! What lies between a consumer and its network task: one ordered stream in each direction, and a few counters that `poll`
//! reads instead of a channel.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering, fence};
use core::task::Poll;
use std::sync::Arc;

use kohort_engine::consumer::{CommandError, CommandReply, Event, HandedOut, InHand, SlotId, ToCaller};
use kohort_machine::Token;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};
use tokio::time::Sleep;

use super::pattern::TopicPattern;

/// What came of waiting.
pub(super) enum Heard {
    Told(Told),
    /// The time is over.
    Nothing,
    /// The task is gone.
    Gone,
}

/// The answer to a command.
pub(super) type Answer = Result<CommandReply, CommandError>;

/// What comes to the consumer.
pub(super) enum Told {
    Engine(Box<ToCaller>),
    Answer {
        token: Token,
        answer: Box<Answer>,
    },
    /// The wakeup flag is set.
    Wakeup,
}

/// What comes from the consumer.
pub(super) enum Input {
    Event(Event),
    /// The subscription is replaced by this pattern.
    Pattern(TopicPattern),
}

/// Shared by the consumer, its task and its wakeup handles.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Messages that the task has sent to the consumer so far, without wakeups.
    sent: AtomicU64,
    polls: AtomicU64,
    inside: AtomicBool,
    wakeup: AtomicBool,
    /// What the last poll handed out.
    pub(super) last_poll: LastPoll,
}

impl Shared {
    /// How often the consumer has polled, and whether it is inside of a poll that waits.
    pub(super) fn polls(&self) -> (u64, bool) {
        (
            self.polls.load(Ordering::Acquire),
            self.inside.load(Ordering::Acquire),
        )
    }

    /// Only the consumer counts, so no atomic addition is needed.
    pub(super) fn count_poll(&self) {
        let polls = self.polls.load(Ordering::Relaxed);
        self.polls.store(polls.wrapping_add(1), Ordering::Release);
    }

    /// Marks the time in which a listener runs inside of a poll: it counts against `max.poll.interval.ms`, as in Java.
    // Kafka: AbstractCoordinator.pollHeartbeat is not called meanwhile
    pub(super) fn leave_for_listener(self: &Arc<Self>) -> InListener {
        self.count_poll();
        InListener {
            was_inside: self.inside.swap(false, Ordering::AcqRel),
            shared: Arc::clone(self),
        }
    }

    /// Marks the time in which a poll waits; dropping the guard ends it.
    pub(super) fn enter(self: &Arc<Self>) -> Inside {
        self.inside.store(true, Ordering::Release);
        Inside(Arc::clone(self))
    }

    pub(super) fn is_woken(&self) -> bool {
        self.wakeup.load(Ordering::Acquire)
    }

    pub(super) fn take_wakeup(&self) -> bool {
        self.is_woken() && self.wakeup.swap(false, Ordering::AcqRel)
    }
}

/// What the last poll handed out: written by the consumer at each poll, read by the task when a poll is late. No lock: the
/// version is odd while the consumer writes, and another one afterwards.
#[derive(Debug, Default)]
pub(super) struct LastPoll {
    version: AtomicU64,
    /// All runs, also those that are not kept.
    count: AtomicUsize,
    /// All records.
    records: AtomicUsize,
    runs: [SharedRun; Self::RUNS],
}

#[derive(Debug, Default)]
struct SharedRun {
    slot: AtomicU64,
    first: AtomicI64,
    last: AtomicI64,
}

impl LastPoll {
    /// Runs of offsets that are kept; of a poll that handed out more, the others are counted.
    const RUNS: usize = 16;

    /// Only the consumer writes.
    pub(super) fn write(&self, in_hand: &[InHand], records: usize) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (shared, run) in self.runs.iter().zip(in_hand) {
            shared.slot.store(run.slot.0, Ordering::Relaxed);
            shared.first.store(run.first, Ordering::Relaxed);
            shared.last.store(run.last, Ordering::Relaxed);
        }
        self.count.store(in_hand.len(), Ordering::Relaxed);
        self.records.store(records, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// What was written last; nothing while it is being written, which is a poll.
    pub(super) fn read(&self) -> HandedOut {
        let version = self.version.load(Ordering::Acquire);
        let count = self.count.load(Ordering::Relaxed);
        let runs = self.runs.iter().take(count).map(|shared| InHand {
            slot: SlotId(shared.slot.load(Ordering::Relaxed)),
            first: shared.first.load(Ordering::Relaxed),
            last: shared.last.load(Ordering::Relaxed),
        });
        let handed_out = HandedOut {
            runs: runs.collect(),
            more_runs: count.saturating_sub(Self::RUNS),
            records: self.records.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        match version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
            true => handed_out,
            false => HandedOut::default(),
        }
    }
}

pub(super) struct Inside(Arc<Shared>);

impl Drop for Inside {
    fn drop(&mut self) {
        // The time inside of a poll counts as polling up to its end.
        self.0.count_poll();
        self.0.inside.store(false, Ordering::Release);
    }
}

pub(super) struct InListener {
    shared: Arc<Shared>,
    was_inside: bool,
}

impl Drop for InListener {
    fn drop(&mut self) {
        self.shared.inside.store(self.was_inside, Ordering::Release);
    }
}

/// The task's end.
#[derive(Debug)]
pub(super) struct ToConsumer {
    sender: UnboundedSender<Told>,
    shared: Arc<Shared>,
}

impl ToConsumer {
    pub(super) fn send(&self, told: Told) {
        // A consumer that is gone needs nothing any more.
        if self.sender.send(told).is_ok() {
            self.shared.sent.fetch_add(1, Ordering::Release);
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// The consumer's end.
#[derive(Debug)]
pub(super) struct Channel {
    inputs: UnboundedSender<Input>,
    told: UnboundedReceiver<Told>,
    waker: WeakUnboundedSender<Told>,
    pub(super) shared: Arc<Shared>,
    received: u64,
}

impl Channel {
    /// Both ends, and what the task reads events from.
    pub(super) fn new() -> (Self, ToConsumer, UnboundedReceiver<Input>) {
        let (sending, inputs) = unbounded_channel();
        let (sender, told) = unbounded_channel();
        let shared = Arc::new(Shared::default());
        let channel = Self {
            inputs: sending,
            told,
            waker: sender.downgrade(),
            shared: Arc::clone(&shared),
            received: 0,
        };
        (channel, ToConsumer { sender, shared }, inputs)
    }

    /// Gives the engine an event. A task that is gone is noticed when its answer is waited for.
    pub(super) fn give(&self, event: Event) {
        let _task_is_gone = self.inputs.send(Input::Event(event));
    }

    /// Gives the engine a pattern to subscribe to.
    pub(super) fn give_pattern(&self, pattern: TopicPattern) {
        let _task_is_gone = self.inputs.send(Input::Pattern(pattern));
    }

    pub(super) fn sender(&self) -> UnboundedSender<Input> {
        self.inputs.clone()
    }

    /// Whether the task has sent something; costs one read of a counter. What is received before the task has counted it is not
    /// waited for: that would keep a processor from the task.
    pub(super) fn has_mail(&self) -> bool {
        let sent = self.shared.sent.load(Ordering::Acquire);
        sent.wrapping_sub(self.received).cast_signed() > 0
    }

    /// What has come, without waiting.
    pub(super) fn try_next(&mut self) -> Option<Told> {
        let told = self.told.try_recv().ok()?;
        self.count_received(&told);
        Some(told)
    }

    /// Waits for what comes next; `None` when the task is gone. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Told> {
        let told = self.told.recv().await?;
        self.count_received(&told);
        Some(told)
    }

    fn count_received(&mut self, told: &Told) {
        // A wakeup has a flag of its own. Counted, it could stand for a message of the task that was not received.
        if !matches!(told, Told::Wakeup) {
            self.received = self.received.wrapping_add(1);
        }
    }

    /// As [`next`](Self::next), until the timer fires.
    pub(super) async fn next_before(&mut self, mut sleep: Option<Pin<&mut Sleep>>) -> Heard {
        let mut next = pin!(self.next());
        poll_fn(|cx| {
            if let Poll::Ready(told) = next.as_mut().poll(cx) {
                return Poll::Ready(told.map_or(Heard::Gone, Heard::Told));
            }
            match &mut sleep {
                Some(sleep) => sleep.as_mut().poll(cx).map(|()| Heard::Nothing),
                None => Poll::Pending,
            }
        })
        .await
    }

    pub(super) fn wakeup_handle(&self) -> WakeupHandle {
        WakeupHandle {
            shared: Arc::clone(&self.shared),
            waker: self.waker.clone(),
        }
    }
}

/// Ends a waiting `poll`, `commit_sync`, `position`, `committed` or other call that asks the cluster from anywhere: another task, another thread, a signal handler's task. Cloning shares it.
///
/// ```no_run
/// use kohort::consumer::PollError;
/// use kohort::Consumer;
/// use std::time::Duration;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut consumer: Consumer<String, String> =
///     Consumer::builder().bootstrap_servers("localhost:9092").group_id("orders").build()?;
/// consumer.subscribe(["orders"])?;
/// let wakeup = consumer.wakeup_handle();
/// std::thread::spawn(move || wakeup.wakeup());
/// loop {
///     match consumer.poll(Duration::from_secs(1)).await {
///         Ok(records) => println!("{} records", records.count()),
///         Err(PollError::Wakeup) => break,
///         Err(error) => return Err(error.into()),
///     }
/// }
/// consumer.close(Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct WakeupHandle {
    shared: Arc<Shared>,
    waker: WeakUnboundedSender<Told>,
}

impl WakeupHandle {
    /// Makes the waiting call, or else the next one, return its `Wakeup` error, once: `poll`
    /// [`PollError::Wakeup`](super::PollError::Wakeup), a synchronous commit
    /// [`CommitError::Wakeup`](super::CommitError::Wakeup), a question for offsets, positions or topics
    /// [`OffsetError::Wakeup`](super::OffsetError::Wakeup). Closing is not ended by it.
    // Kafka: KafkaConsumer.wakeup
    pub fn wakeup(&self) {
        // Once is enough until a call has taken the flag, however often this is called.
        if !self.shared.wakeup.swap(true, Ordering::AcqRel)
            && let Some(sender) = self.waker.upgrade()
        {
            let _consumer_is_gone = sender.send(Told::Wakeup);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(step: u64) -> Told {
        Told::Engine(Box::new(ToCaller::BecameLost { step }))
    }

    #[test]
    fn what_was_received_before_it_was_counted_is_not_waited_for() {
        let (mut channel, to_consumer, _inputs) = Channel::new();
        assert!(to_consumer.sender.send(lost(1)).is_ok());
        assert!(channel.try_next().is_some());
        assert!(!channel.has_mail());
        to_consumer.shared.sent.fetch_add(1, Ordering::Release);
        assert!(!channel.has_mail());
        to_consumer.send(lost(2));
        assert!(channel.has_mail());
        assert!(channel.try_next().is_some());
        assert!(!channel.has_mail());
    }

    fn runs(count: u64) -> Vec<InHand> {
        let run = |slot| InHand {
            slot: SlotId(slot),
            first: 10,
            last: 19,
        };
        (0..count).map(run).collect()
    }

    #[test]
    fn of_a_poll_that_handed_out_more_runs_than_are_kept_the_others_are_counted() {
        let last_poll = LastPoll::default();
        for (count, more_runs) in [(19, 3), (17, 1), (16, 0), (2, 0), (0, 0)] {
            let records = usize::try_from(count).expect("it is small") * 10;
            last_poll.write(&runs(count), records);
            let expected = HandedOut {
                runs: runs(count.min(16)),
                more_runs,
                records,
            };
            assert_eq!(last_poll.read(), expected);
        }
    }

    #[test]
    fn a_wakeup_does_not_hide_what_the_task_has_sent() {
        let (mut channel, to_consumer, _inputs) = Channel::new();
        channel.wakeup_handle().wakeup();
        assert!(channel.shared.is_woken());
        assert!(!channel.has_mail());
        assert!(matches!(channel.try_next(), Some(Told::Wakeup)));
        to_consumer.send(lost(1));
        assert!(channel.has_mail());
    }
}
