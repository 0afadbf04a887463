//! What comes into the consumer's engine: the network, the caller's commands, and what the caller changed on its own side.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::TopicPartition;
use kohort_groups::member::Computed;
use kohort_machine::Token;

use super::{Command, FetchEpoch, Position, SlotId};
use crate::client::NetEvent;

/// One input of a [`ConsumerEngine`](super::ConsumerEngine).
///
/// Events of one caller are given in the order in which the caller made them.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The network reports.
    Net(NetEvent),
    /// The caller asks; answered by exactly one [`Action::Reply`](super::Action::Reply), unless it is abandoned first.
    Command {
        /// The caller's name for its question.
        token: Token,
        /// The question.
        command: Box<Command>,
    },
    /// The caller dropped its future: no reply is wanted any more. What the command already set in motion (a commit that was
    /// sent) is not undone. A command that was answered already, or never given, is ignored.
    Abandon {
        /// The question's name.
        token: Token,
    },
    /// The caller changed something that needs no answer.
    Change(Box<Change>),
    /// What the caller consumed since its last report.
    Progress(Box<Progress>),
    /// The listener of [`ToCaller::Callback`](super::ToCaller::Callback) `step` has run.
    ListenerDone {
        /// Which call.
        step: u64,
    },
    /// The application's assignor ran for [`Action::Compute`](super::Action::Compute), or failed with this message.
    Computed {
        /// Which question.
        step: u64,
        /// What it shared.
        result: Box<Result<Computed, Box<str>>>,
    },
    /// The answer to [`Action::Describe`](super::Action::Describe).
    Described {
        /// Which question.
        step: u64,
        /// What each assignor adds.
        user_data: Vec<(Arc<str>, Option<Bytes>)>,
    },
    /// The answer to [`Action::MatchTopics`](super::Action::MatchTopics).
    TopicsMatched {
        /// Which question.
        step: u64,
        /// Each topic of the question, and whether it matches.
        verdicts: Vec<(Arc<str>, bool)>,
    },
    /// The answer to [`Action::ReadPollCounter`](super::Action::ReadPollCounter).
    PollCounter {
        /// How often the caller has polled so far.
        polls: u64,
        /// Whether it is inside of a poll right now.
        inside: bool,
        /// What the last poll handed out.
        handed_out: HandedOut,
    },
}

/// What one poll handed out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HandedOut {
    /// The first runs of records.
    pub runs: Vec<InHand>,
    /// How many runs there were beyond these.
    pub more_runs: usize,
    /// How many records, in all runs.
    pub records: usize,
}

/// Records of one partition that the last poll handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InHand {
    /// Which partition.
    pub slot: SlotId,
    /// The offset of the first.
    pub first: i64,
    /// The offset of the last.
    pub last: i64,
}

/// What the caller changed on its side, in effect there already.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The subscription is replaced by these topics, from the next answer to
    /// [`ProgressWanted`](super::ToCaller::ProgressWanted) on. An assignment of the group stays until the next rebalance revokes it.
    Subscribe {
        /// The topics, none twice.
        topics: Vec<Arc<str>>,
    },
    /// The subscription is replaced by the topics that match a pattern, now and later. What a pattern means is the driver's to
    /// say ([`Action::MatchTopics`](super::Action::MatchTopics)).
    SubscribePattern {
        /// The pattern, as the question will name it.
        pattern: Arc<str>,
    },
    /// The member is to join its group again, from the next answer to [`ProgressWanted`](super::ToCaller::ProgressWanted) on (KIP-568).
    EnforceRebalance {
        /// Why, for JoinGroup (KIP-800).
        reason: Arc<str>,
    },
    /// The manual assignment changed: [`Delivery::assign`](crate::delivery::Delivery::assign) gives it. Partitions that stay
    /// keep slot and position.
    Assign {
        /// Slots that are gone.
        removed: Vec<SlotId>,
        /// Slots that are new.
        added: Vec<(SlotId, Arc<TopicPartition>)>,
    },
    /// Positions jump.
    Seek(Vec<Seek>),
    /// Nothing more is fetched for these slots; what is on its way is kept.
    Pause(Vec<SlotId>),
    /// The reverse of [`Change::Pause`].
    Resume(Vec<SlotId>),
    /// The caller is gone without closing. What it was handed out it may not have finished processing, so nothing is committed
    /// automatically from now on.
    Gone,
}

/// One jump of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seek {
    /// Which partition.
    pub slot: SlotId,
    /// The fetch epoch from this jump on.
    pub epoch: FetchEpoch,
    /// Where to.
    pub to: SeekTo,
}

/// Where a jump goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekTo {
    /// To a known position.
    Position(Position),
    /// To the first offset of the log, which the engine asks for.
    Beginning,
    /// To the end of the log (the last stable offset with `read_committed`), which the engine asks for.
    End,
}

/// What the caller consumed since its last report. [`Delivery::progress`](crate::delivery::Delivery::progress) makes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Positions that moved: those after the last record handed out.
    pub positions: Vec<SlotProgress>,
    /// Partitions whose [`Halt`](super::Halt) was reached: they may be fetched again.
    pub reached: Vec<(SlotId, FetchEpoch)>,
    /// Bytes of memory that records handed out hold, beyond what is buffered. They are part of `kohort.memory.budget`.
    pub held: u64,
    /// Whether this answers [`ToCaller::ProgressWanted`](super::ToCaller::ProgressWanted), and which.
    pub answers: Option<u64>,
}

/// How far one partition was consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotProgress {
    /// Which partition.
    pub slot: SlotId,
    /// The fetch epoch of the position; an older one than the engine's is ignored.
    pub epoch: FetchEpoch,
    /// After the last record handed out; `None` while it is not known, or when the partition is not assigned any more.
    pub position: Option<Position>,
    /// Bytes of fetched data given free since the last report.
    pub freed: u64,
}
