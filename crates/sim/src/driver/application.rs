//! An application on the public consumer: it polls, now and then gives a poll up halfway, processes, commits after processing, and
//! tells the ledger what it was handed out.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kohort::consumer::PollError;
use kohort::deserialize::RecordDeserializationError;
use kohort::{Consumer, ConsumerRecords, TopicPartition};
use kohort_machine::Instant;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::commits::all_but_the_last;
use super::decoder::unless_panicked;
use super::listener::Listener;
use super::run::Run;
use super::tamper::{Border, Read};
use crate::logs::{id_of, is_unreadable};
use crate::plan::CommitStyle;

/// Who waits this long between two polls does something else meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// What the outside tells an application.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// The next processing takes this long, in milliseconds.
    pub(super) slow_ms: AtomicU64,
    /// Such a processing is under way.
    pub(super) is_slow: AtomicBool,
    pub(super) close: AtomicBool,
    pub(super) calm: AtomicBool,
    pub(super) topics: Mutex<Option<BTreeSet<Arc<str>>>>,
    /// There is a new wish: the poll under way is given up.
    pub(super) hurry: Notify,
}

pub(super) type Reader = Consumer<Option<Vec<u8>>, Vec<u8>>;

type Records = ConsumerRecords<Option<Vec<u8>>, Vec<u8>>;

/// One life of a member.
pub(super) struct Application {
    pub(super) no: usize,
    pub(super) consumer: Reader,
    pub(super) run: Run,
    pub(super) wishes: Arc<Wishes>,
    pub(super) border: Border,
    pub(super) commits: CommitStyle,
    /// The consumer cannot go on.
    pub(super) is_over: bool,
    /// When the last poll ended.
    pub(super) polled_at: Instant,
}

impl Application {
    /// Lives until it is told to close.
    pub(super) async fn live(mut self, topics: BTreeSet<Arc<str>>) {
        if !self.subscribe(topics) {
            return;
        }
        while !self.wishes.close.load(Ordering::Relaxed) {
            let wanted = self
                .wishes
                .topics
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(topics) = wanted {
                if self.run.chance(1, 3) {
                    self.unsubscribe().await;
                }
                if !self.subscribe(topics) {
                    return;
                }
            }
            let records = self.poll().await;
            self.run.claim(self.no);
            self.hear_resets();
            let done = records.next_offsets();
            let reads = self.border.brought(&self.run, reads_of(&records));
            drop(records);
            let partly = all_but_the_last(&reads);
            let is_empty = reads.is_empty();
            if !is_empty {
                process(self.no, &self.run, &self.wishes, reads).await;
            }
            if self.is_over {
                return;
            }
            if is_empty && let Some(time) = self.busy_for() {
                sleep(time).await;
            }
            if !is_empty || self.run.chance(1, 8) {
                self.commit(done, partly).await;
            }
            self.ask_who_it_is().await;
            self.look_up().await;
            self.run.claim(self.no);
            self.wander();
        }
        self.close().await;
    }

    fn subscribe(&mut self, topics: BTreeSet<Arc<str>>) -> bool {
        self.run.note(|| format!("m{} subscribes to {topics:?}", self.no));
        let listener = Listener {
            no: self.no,
            run: self.run.clone(),
            border: self.border.clone(),
            commits: self.commits != CommitStyle::Auto,
        };
        match self.consumer.subscribe_with(topics, listener) {
            Ok(()) => true,
            Err(error) => {
                let what = format!("m{} may not subscribe: {error}", self.no);
                self.run.lock().ledger.break_rule("I8", what);
                false
            }
        }
    }

    /// Now and then it has something else to do for a while: for how long.
    fn busy_for(&self) -> Option<Duration> {
        let is_busy = !self.wishes.calm.load(Ordering::Relaxed) && self.run.chance(1, 6);
        is_busy.then(|| Duration::from_millis(self.run.below(800)))
    }

    async fn poll(&mut self) -> Records {
        let patience = Duration::from_millis(20 + self.run.below(700));
        let begun = self.run.now();
        if begun.saturating_since(self.polled_at) > PAUSE {
            self.run.lock().ledger.was_busy(begun, self.no);
        }
        let paused = self.pause_in_rebalances();
        let polled = self.poll_for(patience).await.unwrap_or_default();
        for partition in &paused {
            // If it still has it.
            let _ = self.consumer.resume([partition]);
        }
        self.polled_at = self.run.now();
        let mut shared = self.run.lock();
        shared.steps += 1;
        shared.ledger.waited(self.polled_at, self.no);
        if !polled.is_empty() {
            shared.ledger.was_busy(self.polled_at, self.no);
        }
        drop(shared);
        polled
    }

    /// What the next poll is kept from by a bug.
    fn pause_in_rebalances(&mut self) -> Vec<TopicPartition> {
        let is_paused =
            self.border.pauses_in_rebalances() && self.consumer.rebalance_journal().under_way().is_some();
        if !is_paused {
            return Vec::new();
        }
        let all = self.consumer.assignment();
        let _ = self.consumer.pause(&all);
        all
    }

    async fn poll_for(&mut self, patience: Duration) -> Option<Records> {
        let polled = match self.run.chance(1, 6) {
            true if self.border.loses_dropped_polls() => {
                let _lost = unless_panicked(self.consumer.poll(patience)).await;
                return None;
            }
            // The future is dropped halfway.
            true => {
                let polled = unless_panicked(self.consumer.poll(Duration::from_secs(600)));
                timeout(patience, polled).await.ok()?
            }
            false => tokio::select! {
                biased;
                polled = unless_panicked(self.consumer.poll(patience)) => polled,
                () = self.wishes.hurry.notified() => return None,
            },
        };
        let Some(polled) = polled else {
            // What was decoded before comes again.
            self.border.panicked();
            let now = self.run.now();
            self.run.lock().ledger.was_busy(now, self.no);
            return None;
        };
        match polled {
            Ok(records) => Some(records),
            Err(PollError::Deserialization(error)) => {
                self.refuse(&error);
                None
            }
            Err(error) => {
                self.run.note(|| format!("m{} poll: {error}", self.no));
                self.is_over = error.is_fatal();
                sleep(PAUSE).await;
                None
            }
        }
    }

    /// A record cannot be decoded: it is tried again, or passed over as if it were processed.
    fn refuse(&mut self, error: &RecordDeserializationError) {
        let (no, partition, offset) = (self.no, &error.partition, error.offset());
        let id = id_of(error.record.value.as_deref());
        let now = self.run.now();
        self.run
            .note(|| format!("m{no} cannot read {partition}@{offset}"));
        {
            let mut shared = self.run.lock();
            shared.ledger.was_busy(now, no);
            shared.ledger.refused(no, partition, offset, id);
        }
        if self.border.passes_over_failures() {
            let _ = self.consumer.seek(partition, offset + 1);
            return;
        }
        let is_calm = self.wishes.calm.load(Ordering::Relaxed);
        let is_passed_over = is_unreadable(id) && (is_calm || self.run.chance(1, 2)) || self.run.chance(1, 8);
        if is_passed_over && self.consumer.seek(partition, offset + 1).is_ok() {
            self.run
                .note(|| format!("m{no} passes over {partition}@{offset}"));
            let mut shared = self.run.lock();
            shared.ledger.processed(partition, offset, offset + 1);
            shared.ledger.sought(now, no, partition, offset + 1);
        }
    }

    /// Where `auto.offset.reset` decided.
    fn hear_resets(&mut self) {
        let resets = self.consumer.take_position_resets().into_iter();
        let resets: Vec<_> = resets.map(|reset| (reset.partition, reset.to)).collect();
        self.run.lock().ledger.was_reset(self.no, &resets);
    }

    /// Says in which generation the member believes that it owns what it owns.
    async fn ask_who_it_is(&mut self) {
        if !self.run.chance(1, 8) {
            return;
        }
        if let Ok(Some(identity)) = self.consumer.group_metadata().await {
            let now = self.run.now();
            self.run.lock().ledger.claim(now, self.no, identity.generation);
        }
    }

    /// Pauses, resumes, jumps back.
    fn wander(&mut self) {
        let calm = self.wishes.calm.load(Ordering::Relaxed);
        for partition in self.consumer.paused() {
            if calm || self.run.chance(1, 6) {
                // It may have been revoked by now: then there is nothing to resume.
                if self.consumer.resume([&partition]).is_ok() {
                    let now = self.run.now();
                    self.run.lock().ledger.goes_on(now, self.no, &partition);
                }
            }
        }
        if calm || !self.run.chance(1, 25) {
            return;
        }
        let mine = self.consumer.assignment();
        let chosen = usize::try_from(self.run.below(mine.len() as u64)).unwrap_or(0);
        let Some(partition) = mine.get(chosen) else { return };
        if self.run.chance(1, 2) {
            // As above.
            if self.consumer.pause([partition]).is_ok() {
                self.run.lock().ledger.stops(self.no, [partition]);
            }
            return;
        }
        let next = self.run.lock().ledger.next_of(self.no, partition);
        let Some(next) = next else { return };
        let back = i64::try_from(self.run.below(12)).unwrap_or(0);
        let offset = (next - back).max(0);
        self.jump(partition, offset);
    }

    /// Goes on here.
    pub(super) fn jump(&mut self, partition: &TopicPartition, offset: i64) {
        if !self.border.seeks() || self.consumer.seek(partition, offset).is_ok() {
            self.run
                .note(|| format!("m{} seeks {partition} to {offset}", self.no));
            let now = self.run.now();
            self.run.lock().ledger.sought(now, self.no, partition, offset);
        }
    }
}

fn reads_of(records: &Records) -> Vec<Read> {
    let each = records.iter().map(|record| Read {
        partition: record.topic_partition().clone(),
        offset: record.offset,
        id: id_of(Some(&record.value)),
    });
    each.collect()
}

/// What an application does with records: it tells the ledger of them, takes its time, and is done with them.
async fn process(no: usize, run: &Run, wishes: &Wishes, reads: Vec<Read>) {
    let mut handed: Vec<(TopicPartition, i64, i64)> = Vec::new();
    for Read {
        partition,
        offset,
        id,
    } in reads
    {
        run.lock().ledger.handed_out(no, &partition, offset, id);
        match handed.last_mut().filter(|last| last.0 == partition) {
            Some(last) => last.2 = offset + 1,
            None => handed.push((partition, offset, offset + 1)),
        }
    }
    run.note(|| {
        let all: Vec<String> = handed
            .iter()
            .map(|(partition, from, to)| format!("{partition} {from}..{to}"))
            .collect();
        format!("m{no} reads {}", all.join(", "))
    });
    let slow = wishes.slow_ms.swap(0, Ordering::Relaxed);
    let millis = match slow {
        0 if wishes.calm.load(Ordering::Relaxed) => run.below(10),
        0 => run.below(60),
        slow => slow,
    };
    wishes.is_slow.store(slow > 0, Ordering::Relaxed);
    sleep(Duration::from_millis(millis)).await;
    wishes.is_slow.store(false, Ordering::Relaxed);
    for (partition, from, to) in &handed {
        run.lock().ledger.processed(partition, *from, *to);
    }
}
