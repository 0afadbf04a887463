//! The poll: callbacks first, then records, then waiting. What is fetched, and when a rebalance begins, is the engine's.

use core::time::Duration;

use kohort_engine::consumer::{CallbackKind, Change, Event};
use kohort_engine::delivery::{Due, Sink, Taken};
use tokio::time::Instant;

use super::channel::Heard;
use super::core::Core;
use super::decode::Decoding;
use super::listener::{AnyListener, RebalanceContext};
use super::{Consumer, ConsumerRecords, PollError, RawRecords};

/// Records, if there are any.
type Polled<R> = Result<Option<R>, PollError>;

/// How often a poll looks whether records that hold up fetching were dropped.
const MEMORY_CHECK: Duration = Duration::from_millis(10);

/// How long a poll is held up by records that are kept before it says so, if its timeout is longer.
const HELD_UP_AT_MOST: Duration = Duration::from_secs(1);

impl<K, V> Consumer<K, V> {
    /// Returns records as soon as there are any, at most `max.poll.records`; none when `timeout` passes without.
    ///
    /// The first poll joins the group. Rebalances, their listener, and the callbacks of asynchronous commits run inside. Call
    /// it again within `max.poll.interval.ms`, or the group goes on without this member.
    ///
    /// Cancel safety: a poll that is dropped halfway loses no record and no assignment; a listener's method that was running
    /// runs again from its beginning in the next poll.
    ///
    /// # Errors
    /// * [`PollError::Wakeup`] after [`WakeupHandle::wakeup`](super::WakeupHandle::wakeup).
    /// * [`PollError::NotSubscribed`] before `subscribe` and `assign`, and after an `unsubscribe`, also one that was dropped halfway.
    /// * [`PollError::Deserialization`] when the next record cannot be decoded: good records before it come first, and the
    ///   position stays at it until [`seek`](Self::seek).
    /// * [`PollError::Read`] when a partition or the group cannot go on.
    /// * [`PollError::Listener`] when the listener failed.
    /// * [`PollError::MemoryHeld`] when records of earlier polls that are still alive fill `kohort.memory.budget`, and `timeout`
    ///   or a second passes, whichever is shorter.
    ///
    /// ```no_run
    /// use kohort::Consumer;
    /// use std::time::Duration;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut consumer: Consumer<String, String> =
    ///     Consumer::builder().bootstrap_servers("localhost:9092").group_id("orders").build()?;
    /// consumer.subscribe(["orders"])?;
    /// loop {
    ///     for record in consumer.poll(Duration::from_millis(100)).await? {
    ///         println!("{}: {}", record.key, record.value);
    ///     }
    /// }
    /// # }
    /// ```
    // Kafka: KafkaConsumer.poll
    pub async fn poll(&mut self, timeout: Duration) -> Result<ConsumerRecords<K, V>, PollError> {
        let records = self.poll_for(timeout, Self::take_decoded).await?;
        Ok(records.unwrap_or_default())
    }

    /// As [`poll`](Self::poll), without decoding: records borrow their key, value and headers from the batches returned.
    ///
    /// Cancel safety: as `poll`.
    ///
    /// # Errors
    /// As `poll`, without those of deserializers.
    ///
    /// ```no_run
    /// # async fn example(consumer: &mut kohort::Consumer<(), ()>) -> Result<(), kohort::consumer::PollError> {
    /// let records = consumer.poll_raw(std::time::Duration::from_millis(100)).await?;
    /// for (partition, record) in records.iter() {
    ///     println!("{partition}@{}: {:?}", record.offset, record.value);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn poll_raw(&mut self, timeout: Duration) -> Result<RawRecords, PollError> {
        let records = self.poll_for(timeout, Self::take_raw).await?;
        Ok(records.unwrap_or_default())
    }

    /// Polls for what `take` gives; `None` when the time passes without.
    async fn poll_for<R>(&mut self, timeout: Duration, take: impl Fn(&mut Self) -> Polled<R>) -> Polled<R> {
        // A loop of polls that never wait must let the network task run, too, if both share one thread.
        tokio::task::coop::consume_budget().await;
        match self.take_ready(&take) {
            Ok(None) => {}
            taken => return taken,
        }
        // Boxed, so that the future of a poll that finds records is small.
        Box::pin(self.take_slowly(timeout, &take)).await
    }

    /// Records that are there, when nothing else is due: the path without a channel, lock or clock.
    fn take_ready<R>(&mut self, take: impl Fn(&mut Self) -> Polled<R>) -> Polled<R> {
        self.core.channel.shared.count_poll();
        match self.core.is_quiet() {
            true => take(self),
            false => Ok(None),
        }
    }

    pub(crate) fn raw_ready(&mut self) -> Polled<RawRecords> {
        self.take_ready(Self::take_raw)
    }

    pub(crate) fn decoded_ready(&mut self) -> Polled<ConsumerRecords<K, V>> {
        self.take_ready(Self::take_decoded)
    }

    fn take_raw(&mut self) -> Polled<RawRecords> {
        let mut taken = Taken::default();
        self.core.take_records(self.max_poll_records, &mut taken)?;
        Ok((!taken.is_empty()).then(|| RawRecords::new(taken)))
    }

    fn take_decoded(&mut self) -> Polled<ConsumerRecords<K, V>> {
        let mut decoding = Decoding::new(&*self.key, &*self.value, self.last_count);
        self.core.take_records(self.max_poll_records, &mut decoding)?;
        let records = decoding.into_records();
        match &records {
            Ok(Some(records)) => self.last_count = records.count(),
            Ok(None) => {}
            Err(_) => self.last_count = 0,
        }
        records
    }

    async fn take_slowly<R>(
        &mut self,
        timeout: Duration,
        take: &impl Fn(&mut Self) -> Polled<R>,
    ) -> Polled<R> {
        if self.core.is_unsubscribing {
            // The group waits for what an `unsubscribe` that was dropped has not done.
            self.run_what_came(Failing::Over).await?;
        }
        if !self.core.interest.is_any() || self.core.is_unsubscribing {
            return Err(PollError::NotSubscribed);
        }
        // A time that has no end on the clock has no timer.
        let mut sleep = Instant::now()
            .checked_add(timeout)
            .map(|deadline| Box::pin(self.core.sleep_until(deadline)));
        let _inside = self.core.channel.shared.enter();
        let mut yielded = false;
        let mut held_up_since = None;
        loop {
            // Kafka: ClassicKafkaConsumer.poll looks for a wakeup before anything else, and not again once there are records.
            if self.core.channel.shared.take_wakeup() {
                return Err(PollError::Wakeup);
            }
            self.run_what_came(Failing::Again).await?;
            if self.core.channel.has_mail() {
                continue;
            }
            if let Some(taken) = take(self)? {
                return Ok(Some(taken));
            }
            // Nobody tells when the user drops records. They may have been dropped since nothing was taken for them.
            let held_up = self.core.delivery.held_up();
            let looks_again = held_up.is_some() || self.core.delivery.is_waiting_for_memory();
            if let Some(sleep) = &sleep
                && sleep.deadline() <= Instant::now()
            {
                if yielded {
                    return held_up.map_or(Ok(None), |held_up| Err(held_up.into()));
                }
                // A poll without time still lets the network task work.
                yielded = true;
                tokio::task::yield_now().await;
                continue;
            }
            match held_up {
                None => held_up_since = None,
                Some(held_up) => {
                    let since = *held_up_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= HELD_UP_AT_MOST {
                        return Err(held_up.into());
                    }
                }
            }
            let mut slice = None;
            let timer = match looks_again {
                false => sleep.as_mut().map(|sleep| sleep.as_mut()),
                true => {
                    let end = Instant::now() + MEMORY_CHECK;
                    let end = sleep.as_ref().map_or(end, |sleep| end.min(sleep.deadline()));
                    Some(slice.insert(Box::pin(self.core.sleep_until(end))).as_mut())
                }
            };
            match self.core.channel.next_before(timer).await {
                Heard::Told(told) => self.core.take_in(told),
                Heard::Nothing => yielded = true,
                Heard::Gone => return Err(PollError::TaskGone),
            }
        }
    }

    /// Takes in what has come, and runs what is due for it. A wakeup that ended a call of the listener is reported with it.
    async fn run_what_came(&mut self, failing: Failing) -> Result<(), PollError> {
        self.core.take_mail();
        self.core.run_commit_callbacks();
        let done = run_due(&mut self.core, self.listener.as_mut(), failing).await;
        if matches!(done, Err(PollError::Wakeup)) {
            self.core.channel.shared.take_wakeup();
        }
        done
    }
}

impl Core {
    fn take_records(&mut self, max: usize, sink: &mut dyn Sink) -> Result<(), PollError> {
        if self.subscribing.is_some() {
            return Ok(());
        }
        let mut handing = Handing {
            core: self,
            is_done: false,
        };
        let handed_out = handing.core.delivery.hand_out(max, sink);
        handing.is_done = true;
        drop(handing);
        self.report_if_due();
        // An error comes only when nothing is handed out.
        let records = handed_out.as_ref().map_or(0, |count| *count);
        let last_poll = &self.channel.shared.last_poll;
        last_poll.write(self.delivery.in_hand(), records);
        handed_out.map(drop).map_err(PollError::from)
    }
}

/// While records are handed out: if a deserializer panics, all of this poll is taken back, and comes again in the next one.
struct Handing<'a> {
    core: &'a mut Core,
    is_done: bool,
}

impl Drop for Handing<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let seeks = self.core.delivery.take_back();
            self.core.change(Change::Seek(seeks));
        }
    }
}

/// What becomes of an `assigned` that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    /// It is called again in the next poll, and nothing is read before: the application could not get ready for these records.
    // Kafka: AbstractCoordinator.joinGroupIfNeeded keeps the join's future until ConsumerCoordinator.onJoinComplete returns
    Again,
    /// The consumer leaves, so it is not called again.
    Over,
    /// The same, after a wakeup has ended a call of the listener: no other does.
    OverAndDeaf,
}

/// Does what is due, in order. What is dropped halfway stays due.
pub(super) async fn run_due(
    core: &mut Core,
    mut listener: Option<&mut Box<dyn AnyListener>>,
    failing: Failing,
) -> Result<(), PollError> {
    while let Some(due) = core.due.front().cloned() {
        let done = match due {
            Due::Fail(error) => Err(error.into()),
            Due::BecameLost { .. } => Ok(()),
            Due::Report { step } => {
                let progress = core.delivery.report(Some(step));
                core.channel.give(Event::Progress(Box::new(progress)));
                Ok(())
            }
            Due::Callback {
                step,
                kind,
                partitions,
            } => {
                let (mut result, mut woken) = (Ok(()), false);
                if let Some(listener) = &mut listener {
                    let _listening = core.channel.shared.leave_for_listener();
                    let is_deaf = failing == Failing::OverAndDeaf;
                    let mut context = RebalanceContext::new(&mut *core, is_deaf);
                    result = listener.call(kind, &mut context, &partitions).await;
                    woken = context.is_woken() && !is_deaf;
                }
                // The caller wanted out of the poll, and the listener is not to blame: it is called again, in the next poll or
                // in a close, where it can commit what it has not.
                // Kafka: ConsumerRebalanceListenerInvoker rethrows a WakeupException
                if result.is_err() && woken {
                    return Err(PollError::Wakeup);
                }
                let is_assigned = kind == CallbackKind::Assigned;
                let result = match result {
                    Err(source) if is_assigned && failing == Failing::Again => {
                        let callback = "assigned";
                        return Err(PollError::Listener { callback, source });
                    }
                    result => result,
                };
                if !is_assigned {
                    core.delivery.give_up(&partitions);
                }
                core.channel.give(Event::ListenerDone { step });
                if is_assigned {
                    core.late = None;
                }
                let callback = match kind {
                    CallbackKind::Assigned => "assigned",
                    CallbackKind::Revoked => "revoked",
                    CallbackKind::Lost => "lost",
                };
                result.map_err(|source| PollError::Listener { callback, source })
            }
        };
        core.due.pop_front();
        done?;
    }
    Ok(())
}
