//! What can go wrong with each kind of operation of a consumer. The words of the engine's own errors live in the engine.

use core::time::Duration;

use kohort_engine::consumer::CommandError;
pub use kohort_engine::consumer::PollError as ReadError;
use kohort_engine::delivery::{HeldUp, NotAssigned};
use kohort_groups::TopicPartition;
use kohort_protocol::ErrorCode;
use thiserror::Error;

use super::LatePoll;
use super::core::Unanswered;
use crate::config::ConfigError;
use crate::deserialize::{BoxError, RecordDeserializationError};
pub use crate::task::NoRuntime;

/// Why a client cannot be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The settings of the group do not go together.
    #[error(transparent)]
    Group(#[from] kohort_groups::member::ConfigError),
    /// There is no runtime to run on.
    #[error(transparent)]
    Runtime(#[from] NoRuntime),
    /// A blocking client inside of asynchronous code would block its runtime.
    #[error("kohort::blocking is not for use inside of a tokio runtime; use the asynchronous client there")]
    BlockingInsideAsync,
}

impl BuildError {
    /// Whether building again may help without a change.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Runtime(NoRuntime::NoThread(_)))
    }

    /// Whether something has to be changed first.
    pub const fn is_fatal(&self) -> bool {
        !self.is_retriable()
    }
}

/// Why `poll` fails. The consumer stays usable unless [`PollError::is_fatal`] says otherwise, and no record is lost.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PollError {
    /// [`WakeupHandle::wakeup`](super::WakeupHandle::wakeup) was called.
    #[error("woken up")]
    Wakeup,
    /// There is nothing to read: neither `subscribe` nor `assign` was called.
    #[error("the consumer is neither subscribed to topics nor assigned partitions")]
    NotSubscribed,
    /// A partition or the group cannot go on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A key or a value cannot be read; the position stays at its record.
    #[error(transparent)]
    Deserialization(#[from] Box<RecordDeserializationError>),
    /// The rebalance listener failed. The rebalance itself goes on.
    #[error("the rebalance listener failed in `{callback}`")]
    Listener {
        /// `assigned`, `revoked` or `lost`.
        callback: &'static str,
        /// What it said.
        source: BoxError,
    },
    /// The time passed without a record, because records that earlier polls returned are still alive and hold all the memory that
    /// there is for this consumer. Drop them, or copy what is to be kept
    /// ([`RecordView::to_copy`](kohort_records::RecordView::to_copy)); the next poll goes on.
    #[error(
        "records of earlier polls hold {held} bytes and kohort.memory.budget is {budget}: nothing is fetched before some are dropped ({}); drop or copy records, or raise kohort.memory.budget",
        partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    MemoryHeld {
        /// The partitions whose records are kept, those that hold most first.
        partitions: Vec<TopicPartition>,
        /// What they hold, bytes. When compressed batches come next, half of the budget is enough to stop.
        held: u64,
        /// `kohort.memory.budget`, bytes.
        budget: u64,
    },
    /// The network task is gone, for example because its runtime was shut down.
    #[error(
        "the consumer's network task is gone: the runtime that it was built in has ended; build it in one that lives as long, or set kohort.runtime=own"
    )]
    TaskGone,
}

impl PollError {
    /// Whether polling again may help without a change.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Wakeup | Self::Listener { .. } | Self::MemoryHeld { .. } => true,
            Self::Read(error) => !error.is_fatal(),
            Self::NotSubscribed | Self::Deserialization(_) | Self::TaskGone => false,
        }
    }

    /// Whether this consumer cannot go on at all.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Read(error) => error.is_fatal(),
            Self::TaskGone => true,
            _ => false,
        }
    }
}

impl From<HeldUp> for PollError {
    fn from(held_up: HeldUp) -> Self {
        let HeldUp {
            partitions,
            held,
            budget,
        } = held_up;
        Self::MemoryHeld {
            partitions,
            held,
            budget,
        }
    }
}

/// Why a commit fails.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// [`WakeupHandle::wakeup`](super::WakeupHandle::wakeup) was called. Whether the commit is written is not known.
    #[error("woken up while committing")]
    Wakeup,
    /// Committing needs a `group.id`.
    #[error("committing needs a group.id")]
    NoGroup,
    /// The group went on without this member (Java: `CommitFailedException`). Its partitions may be others' already; poll to
    /// join again.
    #[error(
        "the commit is refused because the group has rebalanced ({code}); poll more often, or raise max.poll.interval.ms"
    )]
    CommitFailed {
        /// The broker's error.
        code: ErrorCode,
    },
    /// The member left its group because it was not polled within `max.poll.interval.ms` (Java: `CommitFailedException`, too).
    /// What it had in hand others read again; poll to join again.
    #[error("the commit is refused: {0}")]
    PollIntervalExceeded(Box<LatePoll>),
    /// A rebalance is under way; poll, then commit again.
    #[error("the commit is refused while the group rebalances; poll, then commit again")]
    RebalanceInProgress,
    /// Another member took this `group.instance.id`.
    #[error("another member uses the same group.instance.id")]
    FencedInstanceId,
    /// It was tried until its time was over.
    #[error("committing took longer than {timeout:?}{}", last.as_ref().map(|e| format!(" (last failure: {e})")).unwrap_or_default())]
    TimedOut {
        /// The time it had.
        timeout: Duration,
        /// The last failure, if one was seen.
        last: Option<Box<Self>>,
    },
    /// The broker refuses.
    #[error("the commit is refused{}: {code}", partition.as_ref().map(|p| format!(" for {p}")).unwrap_or_default())]
    Refused {
        /// For which partition, if it is about one.
        partition: Option<TopicPartition>,
        /// The broker's error.
        code: ErrorCode,
    },
    /// The consumer was closed, and its time was over before this commit was answered. Whether it is written is not known.
    #[error("the consumer was closed before the commit was answered")]
    Closed,
    /// Something else went wrong.
    #[error(transparent)]
    Other(CommandError),
    /// The network task is gone.
    #[error(
        "the consumer's network task is gone: the runtime that it was built in has ended; build it in one that lives as long, or set kohort.runtime=own"
    )]
    TaskGone,
}

impl CommitError {
    /// Whether the same commit may succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Wakeup | Self::RebalanceInProgress | Self::TimedOut { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Other(error) => error.is_retriable(),
            _ => false,
        }
    }

    /// Whether this consumer cannot go on at all.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::FencedInstanceId | Self::TaskGone)
    }
}

impl From<CommandError> for CommitError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NoGroup { .. } => Self::NoGroup,
            CommandError::CommitRefused { code } => Self::CommitFailed { code },
            CommandError::RebalanceInProgress => Self::RebalanceInProgress,
            CommandError::FencedInstanceId => Self::FencedInstanceId,
            CommandError::TimedOut { timeout, last, .. } => Self::TimedOut {
                timeout,
                last: last.map(|last| Box::new(Self::from(*last))),
            },
            CommandError::Refused { partition, code, .. } => Self::Refused { partition, code },
            CommandError::Closed => Self::Closed,
            other => Self::Other(other),
        }
    }
}

/// Why a question about offsets, positions or topics has no answer.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum OffsetError {
    /// [`WakeupHandle::wakeup`](super::WakeupHandle::wakeup) was called.
    #[error("woken up")]
    Wakeup,
    /// The partition is not assigned to this consumer.
    #[error(transparent)]
    NotAssigned(#[from] NotAssigned),
    /// A time before 1970.
    #[error("{partition} cannot be asked for the time {timestamp}; times are milliseconds since 1970")]
    NegativeTimestamp {
        /// The partition.
        partition: TopicPartition,
        /// The time as given.
        timestamp: i64,
    },
    /// The question failed.
    #[error(transparent)]
    Command(CommandError),
    /// The network task is gone.
    #[error(
        "the consumer's network task is gone: the runtime that it was built in has ended; build it in one that lives as long, or set kohort.runtime=own"
    )]
    TaskGone,
}

impl OffsetError {
    /// Whether the same question may be answered later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Wakeup => true,
            Self::Command(error) => error.is_retriable(),
            _ => false,
        }
    }

    /// Whether this consumer cannot go on at all.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::TaskGone)
    }
}

impl From<Unanswered> for CommitError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Gone => Self::TaskGone,
            Unanswered::Woken => Self::Wakeup,
        }
    }
}

impl From<Unanswered> for OffsetError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Gone => Self::TaskGone,
            Unanswered::Woken => Self::Wakeup,
        }
    }
}

impl From<CommandError> for OffsetError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Closed => Self::TaskGone,
            other => Self::Command(other),
        }
    }
}

/// Why a position cannot be changed, or a partition not be paused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SeekError {
    /// The partition is not assigned to this consumer.
    #[error(transparent)]
    NotAssigned(#[from] NotAssigned),
    /// An offset below 0.
    #[error("{partition} cannot go to the offset {offset}; offsets begin at 0")]
    NegativeOffset {
        /// The partition.
        partition: TopicPartition,
        /// The offset as given.
        offset: i64,
    },
}

impl SeekError {
    /// Whether the same call may succeed later: a partition may be assigned by a following `poll`.
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::NotAssigned(_))
    }

    /// Always false.
    pub const fn is_fatal(&self) -> bool {
        false
    }
}

/// Why a subscription or an assignment is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Subscribing needs a `group.id`; a consumer without one uses `assign`.
    #[error("subscribing needs a group.id; without a group, use assign")]
    NoGroup,
    /// Topics, a pattern and partitions exclude each other; `unsubscribe` lies between them.
    #[error("subscribe, subscribe_pattern and assign exclude each other; call unsubscribe first")]
    Exclusive,
    /// No topic, or one without a name.
    #[error("at least one topic is needed, each with a name; to read nothing, call unsubscribe")]
    NoTopic,
    /// This is no regular expression that the crate `regex` has.
    #[error("{pattern:?} is no pattern of topics: {reason}")]
    InvalidPattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A partition below 0, or of a topic without a name.
    #[error("{0} is no partition")]
    NoPartition(TopicPartition),
}

impl SubscribeError {
    /// Always false: the call itself is wrong.
    pub const fn is_retriable(&self) -> bool {
        false
    }

    /// Always false: the consumer stays usable.
    pub const fn is_fatal(&self) -> bool {
        false
    }
}

/// Why closing, or unsubscribing, was not wholly done. A consumer is closed all the same.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CloseError {
    /// Not all was done in time: the last commit of `enable.auto.commit` failed, or the group could not be told.
    #[error(transparent)]
    Unfinished(Box<Unfinished>),
    /// Leaving the group failed.
    #[error(transparent)]
    Command(CommandError),
    /// The rebalance listener failed.
    #[error("the rebalance listener failed in `{callback}`")]
    Listener {
        /// `revoked` or `lost`.
        callback: &'static str,
        /// What it said.
        source: BoxError,
    },
    /// The network task was gone before.
    #[error(
        "the consumer's network task is gone: the runtime that it was built in has ended; build it in one that lives as long, or set kohort.runtime=own"
    )]
    TaskGone,
}

/// What a consumer could not do before it was closed.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{error}")]
pub struct Unfinished {
    /// Why what was consumed is not committed, if it is not: whoever goes on reads it again.
    pub commit: Option<CommitError>,
    /// Whether the group may not know that this member is gone: it notices after `session.timeout.ms` at the latest.
    pub is_in_group: bool,
    error: CommandError,
}

impl From<CommandError> for CloseError {
    fn from(error: CommandError) -> Self {
        match &error {
            CommandError::Unfinished { commit, leave } => Self::Unfinished(Box::new(Unfinished {
                commit: commit.as_deref().cloned().map(CommitError::from),
                is_in_group: leave.is_some(),
                error,
            })),
            _ => Self::Command(error),
        }
    }
}

impl CloseError {
    /// Always false: there is nothing left to close.
    pub const fn is_retriable(&self) -> bool {
        false
    }

    /// Always true.
    pub const fn is_fatal(&self) -> bool {
        true
    }
}
