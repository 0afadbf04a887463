//! What can go wrong for the one who polls ([`PollError`]) and for the one who asks ([`CommandError`]).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use kohort_groups::TopicPartition;
use kohort_groups::member::{Failure, MemberError};
use kohort_protocol::ErrorCode;
use kohort_records::BatchError;

use crate::client::RequestFailure;

/// Why a poll fails. The consumer stays usable, and other partitions go on, unless [`PollError::is_fatal`] says otherwise.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PollError {
    /// `auto.offset.reset=none`, and these partitions have neither a position nor a committed offset. Seek, or commit an
    /// offset for them.
    // Kafka: NoOffsetForPartitionException
    #[error(
        "no committed offset and no reset policy for {}; seek to an offset, or set auto.offset.reset",
        list(partitions)
    )]
    NoOffsetForPartition {
        /// All of them.
        partitions: Vec<TopicPartition>,
    },
    /// `auto.offset.reset=none`, and the log does not hold the position (any more). Seek.
    // Kafka: OffsetOutOfRangeException
    #[error(
        "offset {offset} of {partition} is not in the log and there is no reset policy; seek to an offset, or set auto.offset.reset"
    )]
    OffsetOutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// Its position.
        offset: i64,
    },
    /// A batch cannot be read. The position stays at `offset`; seek past `next_offset − 1` to go on without it.
    #[error("the batch of {partition} at offset {offset} cannot be read: {error}; seek past it to go on")]
    UnreadableBatch {
        /// The partition.
        partition: TopicPartition,
        /// The position, which stays.
        offset: i64,
        /// The first offset after the batch, if its header was readable.
        next_offset: Option<i64>,
        /// What is wrong.
        error: BatchError,
    },
    /// The user may not read these topics.
    #[error("not authorized to read {}", list(topics))]
    TopicAuthorization {
        /// Their names.
        topics: Vec<Arc<str>>,
    },
    /// These are no names of topics.
    #[error("invalid topic: {}", list(topics))]
    InvalidTopics {
        /// Their names.
        topics: Vec<Arc<str>>,
    },
    /// The broker answers for a partition with an error that fetching again does not explain away. It is fetched again.
    #[error("the broker refuses to serve {partition} at offset {offset}: {code}")]
    Partition {
        /// The partition.
        partition: TopicPartition,
        /// Its position.
        offset: i64,
        /// The broker's error.
        code: ErrorCode,
    },
    /// The coordinator refuses to tell the group's committed offsets.
    #[error("group {group}: {code}")]
    Group {
        /// `group.id`.
        group: Arc<str>,
        /// The broker's error.
        code: ErrorCode,
    },
    /// The membership of the group ended. The next poll tries to join again.
    #[error(transparent)]
    Membership(Box<MemberError>),
    /// The brokers are too old for what this consumer needs.
    #[error("no broker supports {what}")]
    Unsupported {
        /// What is not supported.
        what: Arc<str>,
    },
}

impl PollError {
    /// Whether polling again cannot help until something outside is changed: another `group.instance.id`, other settings.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Membership(error) => error.is_fatal(),
            Self::Unsupported { .. } => true,
            _ => false,
        }
    }
}

/// Why a command fails.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It was tried until its time-out. `last` is what went wrong most recently.
    #[error("{what} took longer than {timeout:?}{}", last_error(last.as_deref()))]
    TimedOut {
        /// What was tried.
        what: &'static str,
        /// The time-out.
        timeout: Duration,
        /// The last retriable failure, if one was seen.
        last: Option<Box<Self>>,
    },
    /// It needs a `group.id`.
    #[error("{what} needs a group.id")]
    NoGroup {
        /// What was tried.
        what: &'static str,
    },
    /// The partition is not assigned any more.
    #[error("the partition is not assigned to this consumer")]
    NotAssigned,
    /// The group went on without this member: its partitions may be others' already. Poll to join again.
    // Kafka: CommitFailedException
    #[error(
        "the commit is refused because the group has rebalanced ({code}); poll more often, or raise max.poll.interval.ms"
    )]
    CommitRefused {
        /// The broker's error; UNKNOWN_MEMBER_ID or ILLEGAL_GENERATION, or REBALANCE_IN_PROGRESS before the commit was sent.
        code: ErrorCode,
    },
    /// A rebalance is under way. Poll to finish it, then commit again.
    // Kafka: RebalanceInProgressException
    #[error("the commit is refused while the group rebalances; poll, then commit again")]
    RebalanceInProgress,
    /// Another member took this `group.instance.id`. Fatal.
    #[error("another member uses the same group.instance.id")]
    FencedInstanceId,
    /// The broker refuses, for the whole or for one partition.
    #[error("{what} is refused{}: {code}", of_partition(partition.as_ref()))]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The partition, if it is about one.
        partition: Option<TopicPartition>,
        /// The broker's error.
        code: ErrorCode,
    },
    /// The broker refuses a topic: its name is none that Kafka allows, or this client may not see it.
    #[error("{what} is refused for the topic {topic:?}: {code}")]
    TopicRefused {
        /// What was tried.
        what: &'static str,
        /// The topic's name as it was given.
        topic: Arc<str>,
        /// The broker's error.
        code: ErrorCode,
    },
    /// The request did not reach a broker, or its answer did not come. Whether it was carried out is not known.
    #[error("{what} failed: {failure}")]
    Request {
        /// What was tried.
        what: &'static str,
        /// Why.
        failure: RequestFailure,
    },
    /// The partition has no position, and finding one failed.
    #[error(transparent)]
    Poll(#[from] PollError),
    /// The consumer is closed, but not all that closing does was done within its time.
    #[error("closed without {}", unfinished(commit.as_deref(), leave.as_ref()))]
    Unfinished {
        /// Why what was consumed is not committed; whoever goes on reads it again.
        commit: Option<Box<Self>>,
        /// Why the group does not know that the member is gone; it notices after `session.timeout.ms`.
        leave: Option<Failure>,
    },
    /// The consumer was closed.
    #[error("the consumer is closed")]
    Closed,
}

impl CommandError {
    /// Whether the same command may succeed when it is given again.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::RebalanceInProgress => true,
            Self::Refused { code, .. } | Self::TopicRefused { code, .. } => code.is_retriable(),
            Self::Request { failure, .. } => failure.is_retriable(),
            _ => false,
        }
    }
}

fn unfinished(commit: Option<&CommandError>, leave: Option<&Failure>) -> alloc::string::String {
    let commit = commit.map(|error| alloc::format!("committing what was consumed ({error})"));
    let leave = leave.map(|failure| match failure {
        Failure::TimedOut => "leaving the group (no answer in time)".into(),
        Failure::Disconnected => "leaving the group (the connection broke)".into(),
        Failure::Unreachable => "leaving the group (the coordinator cannot be reached)".into(),
        failure => alloc::format!("leaving the group ({failure:?})"),
    });
    let both: Vec<_> = commit.into_iter().chain(leave).collect();
    both.join(" and ")
}

fn list<T: fmt::Display>(items: &[T]) -> Listed<'_, T> {
    Listed(items)
}

struct Listed<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

fn last_error(last: Option<&CommandError>) -> alloc::string::String {
    last.map_or_else(Default::default, |last| alloc::format!(" (last failure: {last})"))
}

fn of_partition(partition: Option<&TopicPartition>) -> alloc::string::String {
    partition.map_or_else(Default::default, |partition| alloc::format!(" for {partition}"))
}
