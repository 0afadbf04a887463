//! What the consumer's engine wants done, and the one ordered stream in which it speaks to the caller.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_groups::assign::{Assigned, GroupTopics};
use kohort_groups::member::{Cause, Rebalance};
use kohort_groups::{OffsetAndMetadata, Subscription, TopicPartition};
use kohort_machine::{Instant, Token};

use super::{CommandError, CommandReply, FetchEpoch, PollError, Position, SlotId};
use crate::client::NetAction;

/// One output of a [`ConsumerEngine`](super::ConsumerEngine).
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// For the network.
    Net(NetAction),
    /// The one answer to a command. What the engine told the caller before it is visible to the caller before the answer.
    Reply {
        /// The command's name.
        token: Token,
        /// Its answer.
        result: Box<Result<CommandReply, CommandError>>,
    },
    /// For the caller's side, in order.
    ToCaller(Box<ToCaller>),
    /// Run the application's own assignor and answer with [`Event::Computed`](super::Event::Computed). The built-in ones are run
    /// by the engine.
    Compute(Box<Compute>),
    /// Say which topics match the pattern, and answer with [`Event::TopicsMatched`](super::Event::TopicsMatched).
    MatchTopics(Box<MatchTopics>),
    /// Ask the application's own assignors what they add to the member's subscription, and answer with
    /// [`Event::Described`](super::Event::Described).
    Describe(Box<Describe>),
    /// Tell the application's assignor of this name what the member got under it.
    OnAssignment(Box<(Arc<str>, Assigned)>),
    /// A rebalance began (for logs, and whoever asks since when and why).
    RebalanceBegan(Box<RebalanceBegan>),
    /// A rebalance ended (for logs, metrics, and whoever asks why).
    Rebalanced(Box<Rebalance>),
    /// An automatic commit failed, for which nobody waits (for logs).
    CommitFailed(Box<FailedCommit>),
    /// The caller did not poll for `max.poll.interval.ms`, and the member leaves its group (for logs).
    PollLate(Box<LatePoll>),
    /// Read the poll counter and answer with [`Event::PollCounter`](super::Event::PollCounter).
    ReadPollCounter,
}

/// A rebalance that began.
#[derive(Debug, Clone, PartialEq)]
pub struct RebalanceBegan {
    /// The number that it has in the journal.
    pub number: u64,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Instant,
}

/// An automatic commit that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedCommit {
    /// Which kind.
    pub when: AutomaticCommit,
    /// What is not committed.
    pub offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    /// Why.
    pub error: CommandError,
    /// Whether the one before failed, too.
    pub is_repeated: bool,
}

/// A poll that did not come within `max.poll.interval.ms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatePoll {
    /// How long the caller had not polled when the member left.
    pub idle: Duration,
    /// `max.poll.interval.ms`.
    pub interval: Duration,
    /// Records that the last poll had handed out, by partition: the first and the last offset.
    pub in_hand: Vec<(TopicPartition, i64, i64)>,
    /// How many runs of records are not in `in_hand`.
    pub more_runs: usize,
    /// How many records the last poll had handed out.
    pub records: usize,
}

/// When a commit is automatic, with `enable.auto.commit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AutomaticCommit {
    /// Every `auto.commit.interval.ms`.
    Interval,
    /// Before partitions are revoked.
    BeforeRevocation,
    /// Before the consumer closes.
    BeforeClose,
}

/// What an assignor is to share among whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Compute {
    /// The name of this question.
    pub step: u64,
    /// The assignor's name.
    pub assignor: Arc<str>,
    /// Every member and its subscription.
    pub members: Arc<BTreeMap<String, Subscription>>,
    /// The topics of all members, as far as they exist.
    pub topics: GroupTopics,
}

/// A member about to join, as its assignors see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Describe {
    /// The name of this question.
    pub step: u64,
    /// The topics it subscribes to.
    pub topics: Vec<Arc<str>>,
    /// Those of its assignors that are the application's own, each with what the member got the last time that it was in use.
    pub assignors: Vec<(Arc<str>, Option<Assigned>)>,
}

/// Topics that are to be matched with the pattern that is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchTopics {
    /// The name of this question.
    pub step: u64,
    /// The pattern as [`Change::SubscribePattern`](super::Change::SubscribePattern) gave it.
    pub pattern: Arc<str>,
    /// Names that were not asked about before, in order.
    pub topics: Vec<Arc<str>>,
}

/// What the engine tells the caller, in one ordered stream. [`Delivery::accept`](crate::delivery::Delivery::accept) takes each,
/// and says what is left to do for the one who polls.
#[derive(Debug, Clone, PartialEq)]
pub enum ToCaller {
    /// The topics that match the pattern now, or those of a list that counts from now on, in order.
    Subscribed(Vec<Arc<str>>),
    /// The group's assignment changed: the table of partitions follows.
    Partitions {
        /// Slots that are gone.
        removed: Vec<SlotId>,
        /// Slots that are new; their positions follow.
        added: Vec<(SlotId, Arc<TopicPartition>)>,
    },
    /// These slots are about to be revoked: nothing of them is handed out any more. They stay in the table, with their
    /// positions, until the listener has run.
    Suspended(Vec<SlotId>),
    /// Positions that the engine found or reset.
    Positions(Vec<NewPosition>),
    /// Fetched data.
    Batches(Vec<FetchedBatches>),
    /// Fetching of a partition stopped; this comes after the data fetched before it.
    Halted(Halt),
    /// Run the rebalance listener, then answer with [`Event::ListenerDone`](super::Event::ListenerDone). Only inside of a poll,
    /// an unsubscribe or a close.
    Callback {
        /// The name of this call.
        step: u64,
        /// Which method.
        kind: CallbackKind,
        /// The partitions, in order; may be empty.
        partitions: Vec<TopicPartition>,
    },
    /// What this call would revoke is lost meanwhile: unless it has begun, it is to be [`CallbackKind::Lost`].
    BecameLost {
        /// The name of the call.
        step: u64,
    },
    /// The caller did not poll in time, and the member leaves its group; what it owned is lost.
    PollLate(Box<LatePoll>),
    /// Report progress now (inside of the next poll, before records are taken): for a commit, or as a sign that there is a poll.
    ProgressWanted {
        /// Comes back in [`Progress::answers`](super::Progress::answers).
        step: u64,
    },
    /// The next poll fails with this error, once.
    Failed(PollError),
}

/// Which method of the rebalance listener is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallbackKind {
    /// `onPartitionsRevoked`: the member still owns them; a commit is in time.
    Revoked,
    /// `onPartitionsLost`: others may own them already; a commit would be refused.
    Lost,
    /// `onPartitionsAssigned`.
    Assigned,
}

/// A position that the engine found or reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPosition {
    /// Which partition.
    pub slot: SlotId,
    /// The fetch epoch from this position on. Older than the caller's own: the caller sought meanwhile, and this is ignored.
    pub epoch: FetchEpoch,
    /// The position; `None` while it is looked for.
    pub position: Option<Position>,
    /// Why it is not where the partition was to go on, if the reset policy found it.
    pub reset: Option<Reset>,
}

/// Why the reset policy was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// What was wrong.
    pub cause: ResetCause,
    /// The position before; without one, the log's first offset, once it is known.
    pub from: Option<i64>,
}

/// What was wrong with a position, so that `auto.offset.reset` decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ResetCause {
    /// The group has committed no offset, or there is no group.
    NoCommittedOffset,
    /// The log does not hold the position: records before it were removed, or the log became shorter.
    OutOfRange,
}

/// A position that `auto.offset.reset` decided. [`Delivery::take_resets`](crate::delivery::Delivery::take_resets) gives those
/// that are in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionReset {
    /// Which partition.
    pub partition: TopicPartition,
    /// Why.
    pub cause: ResetCause,
    /// Where it was to go on. Without a committed offset: where one begins that is to read all, the log's first offset, which is
    /// asked for together with the position; `None` if the leader gave the one and not the other.
    pub from: Option<i64>,
    /// Where it goes on.
    pub to: i64,
}

impl PositionReset {
    /// How many offsets are passed over; `None` when [`from`](Self::from) is not known. At most so many records are: some may be
    /// gone, or were control records, or removed by compaction.
    pub fn skipped(&self) -> Option<u64> {
        let distance = |from| u64::try_from(self.to.saturating_sub(from)).unwrap_or(0);
        self.from.map(distance)
    }

    /// How many offsets come again. At most so many records do. 0 without a committed offset: of what was read before then,
    /// nothing is known.
    pub fn replayed(&self) -> u64 {
        let distance = |from: i64| u64::try_from(from.saturating_sub(self.to)).unwrap_or(0);
        match self.cause {
            ResetCause::NoCommittedOffset => 0,
            ResetCause::OutOfRange => self.from.map_or(0, distance),
        }
    }
}

/// What one Fetch brought for one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedBatches {
    /// Which partition.
    pub slot: SlotId,
    /// The fetch epoch when it was asked for.
    pub epoch: FetchEpoch,
    /// The record batches as they came, possibly none, possibly cut at the end.
    pub records: Bytes,
    /// The high watermark.
    pub high_watermark: i64,
    /// The last stable offset, or −1.
    pub last_stable_offset: i64,
    /// The first offset of the log, or −1.
    pub log_start_offset: i64,
    /// Aborted transactions that these batches touch, with `read_committed`: producer id and first offset.
    pub aborted: Vec<(i64, i64)>,
}

/// The place in the stream at which fetching of one partition stopped. When the caller gets there, it hands the error out, if
/// there is one, and says so in [`Progress::reached`](super::Progress::reached); the engine then goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Halt {
    /// Which partition.
    pub slot: SlotId,
    /// The fetch epoch when it stopped.
    pub epoch: FetchEpoch,
    /// What the caller has to know; `None` when the engine only waits until everything before was handed out.
    pub error: Option<PollError>,
}
