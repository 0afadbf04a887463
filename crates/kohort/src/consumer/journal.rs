//! The rebalance journal: what a consumer remembers of the rebalances that it took part in. Why and when they happen is the
//! member's to say (`kohort-groups`). In memory it is here; `file` has it written to a file, a `line` for each.

mod append;
mod file;
mod line;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use kohort_engine::consumer::RebalanceBegan;
use kohort_groups::TopicPartition;
use kohort_groups::member::{self, Cause, Outcome, Phases};
use kohort_machine::Instant;
use tokio::sync::watch;

pub(super) use file::JournalFile;
pub(super) use line::Names;

/// One rebalance of this consumer that ended, from its cause to its end.
///
/// With a cooperative assignor (KIP-429) a change of the group takes two rounds, each a rebalance of its own: in the first
/// partitions are given up, in the second ([`Cause::GaveUpPartitions`]) they are handed on.
///
/// Leaving the group is told as one, too ([`Cause::Leaving`], [`Outcome::Left`] or [`Outcome::Stayed`]), and so
/// is a failure by which it lost all ([`Cause::Failed`], [`Outcome::Failed`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebalance {
    /// Counts this consumer's rebalances, from 1.
    pub number: u64,
    /// Why it began, as this member learned it. The coordinator knows which member made the group rebalance.
    pub cause: Cause,
    /// What made the member join again before it was done, oldest first; the first 16.
    pub retries: Vec<Cause>,
    /// When the member decided to join.
    pub began: SystemTime,
    /// How long it took from there to its end.
    pub duration: Duration,
    /// How long each phase took.
    pub phases: Phases,
    /// The generation that was reached.
    pub generation: Option<i32>,
    /// This member's id in it.
    pub member_id: Option<Arc<str>>,
    /// The id of the member that led it: whose assignor ran.
    pub leader: Option<Arc<str>>,
    /// The assignor.
    pub assignor: Option<Arc<str>>,
    /// What this member gave up or lost, in order.
    pub gave_up: Vec<TopicPartition>,
    /// What of it was lost: others may have owned it by then.
    pub lost: Vec<TopicPartition>,
    /// How long after the beginning it stopped reading each of what it gave up.
    pub stopped: Vec<(TopicPartition, Duration)>,
    /// What it got, in order.
    pub got: Vec<TopicPartition>,
    /// How many partitions it went on reading all the time.
    pub kept: usize,
    /// The partitions that it gave up and got back, in order, and for how long it did not read each. (How long a partition was not
    /// read that came from another member or went to one is in the coordinator's journal.)
    pub pauses: Vec<(TopicPartition, Duration)>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Rebalance {
    /// Whether this member led it.
    pub fn led(&self) -> bool {
        self.leader.is_some() && self.leader == self.member_id
    }

    /// `start` is the wall time at the machine's [`Instant::ZERO`].
    pub(super) fn new(ended: member::Rebalance, start: SystemTime) -> Self {
        let phases = ended.phases();
        Self {
            number: ended.number,
            phases,
            began: start + (ended.began - Instant::ZERO),
            duration: ended.ended.map_or(Duration::ZERO, |end| end - ended.began),
            cause: ended.cause,
            retries: ended.retries,
            generation: ended.generation,
            member_id: ended.member_id,
            leader: ended.leader,
            assignor: ended.assignor,
            gave_up: ended.gave_up,
            lost: ended.lost,
            stopped: ended.stopped,
            got: ended.got,
            kept: ended.kept,
            pauses: ended.pauses,
            outcome: ended.outcome,
        }
    }
}

/// One line, as in the log.
impl fmt::Display for Rebalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::Assigned => write!(f, "rebalance {} took {:?}", self.number, self.duration)?,
            Outcome::Left => write!(f, "left the group after {:?}", self.duration)?,
            Outcome::Stayed => write!(
                f,
                "ended after {:?} and stays a member until its session ends",
                self.duration
            )?,
            Outcome::Failed => write!(f, "lost all after {:?}", self.duration)?,
            _ => write!(
                f,
                "rebalance {} ended early after {:?}",
                self.number, self.duration
            )?,
        }
        write!(f, " ({})", self.cause)?;
        if let Some(generation) = self.generation {
            write!(f, ": generation {generation}")?;
        }
        let led = if self.led() { "led it, " } else { "" };
        write!(
            f,
            ", {led}gave up {}, kept {}, got {}",
            self.gave_up.len(),
            self.kept,
            self.got.len()
        )?;
        match self.pauses.iter().map(|(_, pause)| pause).max() {
            Some(longest) => write!(f, ", longest pause {longest:?}"),
            None => Ok(()),
        }
    }
}

/// A rebalance that began and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebalanceUnderWay {
    /// Counts this consumer's rebalances, from 1.
    pub number: u64,
    /// Why it began, as this member learned it.
    pub cause: Cause,
    /// When the member decided to join.
    pub began: SystemTime,
}

/// Reads a consumer's rebalance journal from anywhere, also while the consumer polls. Cloning shares it.
///
/// ```no_run
/// # fn example(consumer: &kohort::Consumer<String, String>) {
/// let journal = consumer.rebalance_journal();
/// tokio::spawn(async move {
///     let mut seen = 0;
///     while let Some(rebalances) = journal.next(seen).await {
///         for rebalance in rebalances {
///             println!("{rebalance}");
///             seen = rebalance.number;
///         }
///     }
/// });
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RebalanceJournal {
    kept: Arc<Mutex<Kept>>,
    /// Changes whenever something is written.
    news: watch::Receiver<()>,
}

/// What is remembered.
#[derive(Debug, Default)]
struct Kept {
    ended: VecDeque<Rebalance>,
    under_way: Option<RebalanceUnderWay>,
}

/// The end of a journal that is written to; when it is dropped there will be no more.
#[derive(Debug)]
pub(super) struct JournalWriter {
    kept: Arc<Mutex<Kept>>,
    news: watch::Sender<()>,
    file: Option<JournalFile>,
}

/// Both ends of a new journal, which is written to `file`, too.
pub(super) fn journal(file: Option<JournalFile>) -> (JournalWriter, RebalanceJournal) {
    let kept = Arc::new(Mutex::new(Kept::default()));
    let (sender, news) = watch::channel(());
    let writer = JournalWriter {
        kept: Arc::clone(&kept),
        news: sender,
        file,
    };
    (writer, RebalanceJournal { kept, news })
}

impl RebalanceJournal {
    /// How many rebalances are remembered.
    pub const KEPT: usize = 100;

    /// The rebalances that ended, oldest first, at most the last [`KEPT`](Self::KEPT). One under way is not among them.
    pub fn ended(&self) -> Vec<Rebalance> {
        self.after(0)
    }

    /// Those whose [`number`](Rebalance::number) is above `number`: what is new for one who has seen that one.
    pub fn after(&self, number: u64) -> Vec<Rebalance> {
        let kept = lock(&self.kept);
        let new = kept.ended.iter().filter(|each| each.number > number);
        new.cloned().collect()
    }

    /// The rebalance that began and has not ended: why, and since when the group keeps this member waiting.
    pub fn under_way(&self) -> Option<RebalanceUnderWay> {
        lock(&self.kept).under_way.clone()
    }

    /// Waits until there are rebalances whose [`number`](Rebalance::number) is above `number`, and returns them as
    /// [`after`](Self::after) does; `None` when the consumer is gone and there will be no more.
    ///
    /// Cancel safety: nothing is lost; ask again with the same number.
    pub async fn next(&self, number: u64) -> Option<Vec<Rebalance>> {
        let mut news = self.news.clone();
        loop {
            news.mark_unchanged();
            let new = self.after(number);
            if !new.is_empty() {
                return Some(new);
            }
            news.changed().await.ok()?;
        }
    }
}

impl JournalWriter {
    /// `start` is the wall time at the machine's [`Instant::ZERO`].
    pub(super) fn began(&self, began: RebalanceBegan, start: SystemTime) {
        lock(&self.kept).under_way = Some(RebalanceUnderWay {
            number: began.number,
            cause: began.cause,
            began: start + (began.at - Instant::ZERO),
        });
    }

    pub(super) fn ended(&self, rebalance: Rebalance) {
        if let Some(file) = &self.file {
            file.note(&rebalance);
        }
        let mut kept = lock(&self.kept);
        if kept.ended.len() == RebalanceJournal::KEPT {
            kept.ended.pop_front();
        }
        kept.ended.push_back(rebalance);
        kept.under_way = None;
        drop(kept);
        self.news.send_replace(());
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
