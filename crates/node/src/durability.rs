//! What waits for the medium: replies and group records that are told only when what they rest on is synced; the syncs and
//! removals that the driver carries out; the timers of syncing, checkpoints and retention. When a log wants a sync is
//! decided by the log.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::coordinator::AppendFailure;
use kohort_machine::{Token, TokenSource};
use kohort_protocol::{ErrorCode, ResponseBody};

use crate::cluster::BrokerId;
use crate::context::{Call, Cx, Wake};
use crate::interface::{Action, Level};
use crate::log::{Appended, DiskTask, Flight, PartitionLog, StorageError};
use crate::node::Timer;
use crate::topics::{JOURNAL, LogKey, Topics};

/// Something that is told once a log is synced up to an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wait {
    log: LogKey,
    upto: i64,
    /// Of a Produce reply: which of its topics and partitions it is about.
    place: Option<(usize, usize)>,
}

/// A reply that waits.
#[derive(Debug)]
struct Parked {
    call: Call,
    body: ResponseBody,
    waits: Vec<Wait>,
}

/// A reply that has waited.
#[derive(Debug)]
pub(crate) enum Settled {
    Reply(Call, ResponseBody),
    /// What it rests on may be lost, and the reply cannot say so.
    Failed(Call),
}

/// Group records that wait.
#[derive(Debug)]
struct PendingAppend {
    waits: Vec<Wait>,
    broker: BrokerId,
    token: Token,
    is_lost: bool,
}

/// What the driver was asked to do.
#[derive(Debug)]
enum Asked {
    Sync(LogKey, Flight),
    Files,
}

/// All that waits for the medium.
#[derive(Debug, Default)]
pub(crate) struct Durability {
    tokens: TokenSource,
    asked: BTreeMap<Token, Asked>,
    /// Logs that may want a sync.
    touched: BTreeSet<LogKey>,
    /// What the reply to the request at hand waits for.
    waits: Vec<Wait>,
    parked: Vec<Parked>,
    appends: Vec<PendingAppend>,
}

impl Durability {
    /// Whether a reply, or a group's records, wait.
    pub(crate) fn waiting(&self) -> usize {
        self.parked.len().saturating_add(self.appends.len())
    }

    /// A broker's coordinator is gone; nobody is to be told what becomes of its records.
    pub(crate) fn forget_appends(&mut self, broker: BrokerId) {
        self.appends.retain(|pending| pending.broker != broker);
    }
}

/// What became of a wait.
enum Fate {
    Waits,
    Synced,
    Failed,
}

impl Cx<'_> {
    /// Takes note of an append: readers are woken, or will be when it is synced. Gives what a reply about it has to wait for.
    pub(crate) fn appended(
        &mut self,
        topic: &str,
        partition: i32,
        appended: Appended,
        bytes: usize,
    ) -> Option<Wait> {
        let found = self.topics.get_mut(topic)?;
        let (id, flush_after) = (found.id.0, found.log_config.flush_after());
        let log = &found.partition(partition)?.log;
        let key = (id, partition);
        let is_visible = log.high_watermark() >= appended.next_offset;
        let is_synced = log.is_synced(appended.next_offset);
        if !appended.is_duplicate {
            if is_visible {
                self.wakes.push(Wake::Appended {
                    topic_id: id,
                    partition,
                    bytes,
                });
            }
            self.durability.touched.insert(key);
            self.arm(Timer::Retention, "log.retention.check.interval.ms");
            if let (false, Some(after)) = (is_synced, flush_after)
                && !self.timers.is_set(&Timer::Flush(key))
            {
                self.timers.set(Timer::Flush(key), self.now + after);
            }
        }
        (!is_visible).then_some(Wait {
            log: key,
            upto: appended.next_offset,
            place: None,
        })
    }

    /// Settings were changed, so that records may be too old that were not before, and be synced sooner or later.
    // Kafka: LogManager.flushDirtyLogs and cleanupLogs look at each log with its settings of now
    pub(crate) fn configured(&mut self) {
        self.arm(Timer::Retention, "log.retention.check.interval.ms");
        for topic in self.topics.iter() {
            let flush_after = topic.log_config.flush_after();
            for (number, partition) in (0..).zip(&topic.partitions) {
                let flush = Timer::Flush((topic.id.0, number));
                match flush_after.filter(|_| !partition.log.is_synced(partition.log.end_offset())) {
                    Some(after) => self.timers.set(flush, self.now + after),
                    None => self.timers.cancel(&flush),
                }
            }
        }
    }

    /// Sets a timer to what a setting says, unless it is set.
    fn arm(&mut self, timer: Timer, key: &str) {
        if !self.timers.is_set(&timer) {
            let after = u64::try_from(self.config.int(key)).unwrap_or(u64::MAX);
            self.timers.set(timer, self.now + Duration::from_millis(after));
        }
    }

    /// The reply to the request at hand, in its part about one partition of a Produce request, waits.
    pub(crate) fn reply_waits(&mut self, wait: Option<Wait>, topic: usize, partition: usize) {
        self.durability.waits.extend(wait.map(|wait| Wait {
            place: Some((topic, partition)),
            ..wait
        }));
    }

    /// A group's records wait.
    pub(crate) fn append_waits(&mut self, wait: Wait, broker: BrokerId, token: Token) {
        let journal = wait_for_journal(self.topics, true);
        let waits = journal.into_iter().chain([wait]).collect();
        self.durability.appends.push(PendingAppend {
            waits,
            broker,
            token,
            is_lost: false,
        });
    }

    /// Keeps a reply back until all that it rests on is synced; gives it back when nothing is to be waited for. `journal_before`
    /// is where the journal ended before the request.
    pub(crate) fn park_reply(
        &mut self,
        call: &Call,
        body: ResponseBody,
        journal_before: i64,
    ) -> Option<ResponseBody> {
        let mut waits = core::mem::take(&mut self.durability.waits);
        if self.topics.journal_end() > journal_before || !waits.is_empty() {
            let is_synced = !waits.is_empty();
            waits.extend(wait_for_journal(self.topics, is_synced));
        }
        if waits.is_empty() {
            return Some(body);
        }
        self.durability.parked.push(Parked {
            call: call.clone(),
            body,
            waits,
        });
        None
    }

    /// The request at hand gets no reply, or gets it from elsewhere: nothing of it waits.
    pub(crate) fn forget_waits(&mut self) {
        self.durability.waits.clear();
    }

    /// Begins the syncs that logs want. Gives the replies that waited for a log that is gone.
    pub(crate) fn begin_syncs(&mut self) -> Vec<Settled> {
        let mut settled = Vec::new();
        self.durability.touched.insert(JOURNAL);
        for key in core::mem::take(&mut self.durability.touched) {
            let begun = self.topics.log_mut(key).map(PartitionLog::begin_sync);
            let mut flight = match begun {
                Some(Some(flight)) => flight,
                Some(None) => {
                    if self.topics.log_mut(key).is_some_and(|log| log.has_failed()) {
                        // No sync comes that would end the waiting.
                        settled.extend(self.settle(key));
                    }
                    continue;
                }
                None => {
                    settled.extend(self.settle(key));
                    continue;
                }
            };
            if key == JOURNAL {
                // The directories of new topics.
                flight.paths.extend(self.topics.take_unsynced());
            }
            let paths = core::mem::take(&mut flight.paths);
            self.ask(Asked::Sync(key, flight), DiskTask::Sync(paths));
        }
        settled
    }

    /// Removes what is not needed any more.
    pub(crate) fn remove_garbage(&mut self) {
        let garbage = self.topics.take_garbage();
        if !garbage.is_empty() {
            self.ask(Asked::Files, DiskTask::Remove(garbage));
        }
    }

    fn ask(&mut self, asked: Asked, task: DiskTask) {
        let token = self.durability.tokens.issue();
        self.durability.asked.insert(token, asked);
        self.outbox.push(Action::Disk { token, task });
    }

    /// The driver did what it was asked. Gives the replies that need not wait any more.
    pub(crate) fn disk_done(&mut self, token: Token, result: Result<(), StorageError>) -> Vec<Settled> {
        match self.durability.asked.remove(&token) {
            Some(Asked::Sync(key, flight)) => self.synced(key, &flight, result),
            Some(Asked::Files) | None => {
                if let Err(error) = result {
                    self.log(Level::Warn, error.to_string());
                }
                Vec::new()
            }
        }
    }

    fn synced(&mut self, key: LogKey, flight: &Flight, result: Result<(), StorageError>) -> Vec<Settled> {
        if let Err(error) = &result {
            let line = format!(
                "{}: {error}; nothing more is appended to it until the broker is restarted",
                self.log_title(key)
            );
            self.log(Level::Warn, line);
        }
        if let Some(log) = self.topics.log_mut(key) {
            let bytes = log.end_sync(flight, result.map_err(|error| error.to_string()));
            self.durability.touched.insert(key);
            if bytes > 0 {
                let (topic_id, partition) = key;
                self.wakes.push(Wake::Appended {
                    topic_id,
                    partition,
                    bytes,
                });
            }
            self.arm(Timer::Checkpoint, "log.flush.offset.checkpoint.interval.ms");
        }
        self.settle(key)
    }

    fn log_title(&self, (topic_id, partition): LogKey) -> alloc::string::String {
        match self.topics.name_of(kohort_protocol::Uuid(topic_id)) {
            Some(name) => format!("{name}-{partition}"),
            None => "the journal of topics".into(),
        }
    }

    /// A topic is gone; whoever waits for its logs waits no more.
    pub(crate) fn topic_is_gone(&mut self, topic_id: [u8; 16]) {
        let Durability {
            parked,
            appends,
            touched,
            ..
        } = &mut *self.durability;
        let replies = parked.iter().flat_map(|parked| &parked.waits);
        let waits = replies.chain(appends.iter().flat_map(|pending| &pending.waits));
        touched.extend(waits.map(|wait| wait.log).filter(|log| log.0 == topic_id));
    }

    /// Looks after all that waits for a log.
    fn settle(&mut self, key: LogKey) -> Vec<Settled> {
        if self.durability.waiting() == 0 {
            return Vec::new();
        }
        let log = self.topics.log_mut(key);
        let fate = |wait: &Wait| match &log {
            _ if wait.log != key => Fate::Waits,
            Some(log) if log.is_synced(wait.upto) => Fate::Synced,
            Some(log) if !log.has_failed() => Fate::Waits,
            _ => Fate::Failed,
        };
        let mut settled = Vec::new();
        let mut kept = Vec::new();
        for mut parked in core::mem::take(&mut self.durability.parked) {
            let mut is_lost = false;
            let body = &mut parked.body;
            parked.waits.retain(|wait| match fate(wait) {
                Fate::Waits => true,
                Fate::Synced => false,
                Fate::Failed => {
                    is_lost |= !mark(body, wait.place);
                    false
                }
            });
            match (is_lost, parked.waits.is_empty()) {
                (true, _) => settled.push(Settled::Failed(parked.call)),
                (false, true) => settled.push(Settled::Reply(parked.call, parked.body)),
                (false, false) => kept.push(parked),
            }
        }
        let mut told = Vec::new();
        self.durability.appends.retain_mut(|pending| {
            let PendingAppend { waits, is_lost, .. } = pending;
            waits.retain(|wait| match fate(wait) {
                Fate::Waits => true,
                Fate::Synced => false,
                Fate::Failed => {
                    *is_lost = true;
                    false
                }
            });
            if !waits.is_empty() {
                return true;
            }
            let result = match is_lost {
                true => Err(AppendFailure::NotLeader),
                false => Ok(()),
            };
            told.push((pending.broker, pending.token, result));
            false
        });
        self.durability.parked = kept;
        for (broker, token, result) in told {
            self.tell_appended(broker, token, result);
        }
        settled
    }

    /// The time to sync a log has come.
    // Kafka: LogManager.flushDirtyLogs
    pub(crate) fn expire_flush(&mut self, key: LogKey) {
        if let Some(log) = self.topics.log_mut(key) {
            log.want_sync();
            self.durability.touched.insert(key);
        }
    }

    /// The time to look for old segments has come.
    pub(crate) fn expire_retention(&mut self) {
        let (may_expire, failures) = self.topics.expire(self.wall_ms);
        for (topic, error) in failures {
            self.storage_failed(&topic, &error);
        }
        if may_expire {
            self.arm(Timer::Retention, "log.retention.check.interval.ms");
        }
    }

    /// The time to keep the recovery points has come, or a log begins elsewhere.
    pub(crate) fn keep_points(&mut self) {
        self.timers.cancel(&Timer::Checkpoint);
        if let Err(error) = self.topics.keep_points() {
            self.storage_failed("checkpoints", &error);
        }
        let paths = self.topics.take_unsynced_points();
        if !paths.is_empty() {
            self.ask(Asked::Files, DiskTask::Sync(paths));
        }
    }

    /// Records of topics were deleted: where their logs begin is kept, and files may be removed.
    pub(crate) fn records_deleted<'t>(&mut self, topics: impl IntoIterator<Item = &'t str>) {
        for topic in topics {
            self.topics.collect_garbage(topic);
        }
        self.keep_points();
    }
}

/// What is appended to a topic lasts no longer than the topic does. Who waits for records waits for the journal to be synced;
/// else it is waited for as the broker's settings say.
fn wait_for_journal(topics: &mut Topics, is_synced: bool) -> Option<Wait> {
    let upto = topics.journal_end();
    let journal = topics.log_mut(JOURNAL)?;
    let waits = match is_synced {
        true => !journal.is_synced(upto),
        false => journal.high_watermark() < upto,
    };
    waits.then_some(Wait {
        log: JOURNAL,
        upto,
        place: None,
    })
}

/// Writes into a reply that a partition's records may be lost; false when there is no place for it.
fn mark(body: &mut ResponseBody, place: Option<(usize, usize)>) -> bool {
    let (ResponseBody::Produce(response), Some((topic, partition))) = (body, place) else {
        return false;
    };
    let topic = response.responses.get_mut(topic);
    let Some(partition) = topic.and_then(|topic| topic.partition_responses.get_mut(partition)) else {
        return false;
    };
    partition.error_code = ErrorCode::KafkaStorageError.code();
    partition.base_offset = -1;
    partition.log_append_time_ms = -1;
    partition.log_start_offset = -1;
    true
}
