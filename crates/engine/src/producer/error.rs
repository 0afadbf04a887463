//! Why a record was not acknowledged.

use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use kohort_protocol::ErrorCode;
use kohort_records::BuildError;
use thiserror::Error;

use crate::client::RequestFailure;

/// Why a record was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The record alone is larger than a setting allows: make it smaller, or raise the setting (and the topic's
    /// `max.message.bytes`).
    #[error("the record for topic {topic} takes up to {size} bytes, {key} allows {max}")]
    TooLarge {
        /// The topic.
        topic: Arc<str>,
        /// Bytes that the record takes at most, before compression.
        size: usize,
        /// `max.request.size` or `buffer.memory`.
        key: &'static str,
        /// Its value in bytes.
        max: usize,
    },
    /// The record cannot be written, for example because its timestamp is negative.
    #[error("the record for {topic}-{partition} cannot be written: {error}")]
    Unwritable {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// What is wrong.
        error: BuildError,
    },
    /// The topic cannot be used: its name is not valid, or it must not be written to.
    #[error("topic {topic} cannot be used: {error}")]
    Topic {
        /// The topic.
        topic: Arc<str>,
        /// INVALID_TOPIC_EXCEPTION, TOPIC_AUTHORIZATION_FAILED, ….
        error: ErrorCode,
    },
    /// The topic did not appear in the metadata in time: create it, or raise `max.block.ms`.
    #[error("topic {topic} is not in the metadata after {} ms", waited.as_millis())]
    UnknownTopic {
        /// The topic.
        topic: Arc<str>,
        /// `max.block.ms`.
        waited: Duration,
    },
    /// The topic has no such partition, and did not get it in time.
    #[error("topic {topic} has {count} partitions, partition {partition} is not there after {} ms", waited.as_millis())]
    UnknownPartition {
        /// The topic.
        topic: Arc<str>,
        /// The partition asked for.
        partition: i32,
        /// How many there are.
        count: usize,
        /// `max.block.ms`.
        waited: Duration,
    },
    /// `buffer.memory` was full all the time: send slower, or raise it or `max.block.ms`.
    #[error("the {buffer_memory} bytes of buffer.memory were full for {} ms", waited.as_millis())]
    BufferFull {
        /// `buffer.memory`.
        buffer_memory: usize,
        /// `max.block.ms`.
        waited: Duration,
    },
    /// No acknowledgement within `delivery.timeout.ms`. The record may be in the log all the same if it was sent.
    #[error("a record for {topic}-{partition} was not acknowledged within {} ms{}", timeout.as_millis(), because(last))]
    Expired {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// `delivery.timeout.ms`.
        timeout: Duration,
        /// What the last attempt failed with, if there was one.
        last: Option<Arc<str>>,
    },
    /// The broker refused the record: MESSAGE_TOO_LARGE, INVALID_RECORD, TOPIC_AUTHORIZATION_FAILED, …, or a retriable error
    /// more often than `retries` allows.
    #[error(
        "the broker refused a record for {topic}-{partition}: {error}{}",
        because(message)
    )]
    Refused {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The broker's error.
        error: ErrorCode,
        /// The broker's words; the records of a batch share them.
        message: Option<Arc<str>>,
    },
    /// The request could not be made, and trying again does not help, or was tried as often as `retries` allows.
    #[error("a record for {topic}-{partition} could not be sent: {failure}")]
    Failed {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// Why.
        failure: RequestFailure,
    },
    /// No producer id is given, which `enable.idempotence` needs. The next record asks for one again; for brokers that have none
    /// set `enable.idempotence=false`.
    #[error("no producer id, which enable.idempotence needs: {reason}")]
    NoProducerId {
        /// Why.
        reason: NoProducerId,
    },
    /// The producer was closed before the record was acknowledged. It may be in the log all the same if it was sent.
    #[error("the producer was closed")]
    Closed,
}

/// Why no producer id is given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoProducerId {
    /// The broker refuses it: CLUSTER_AUTHORIZATION_FAILED, ….
    #[error("{0}")]
    Refused(ErrorCode),
    /// It cannot be asked for.
    #[error(transparent)]
    Failed(RequestFailure),
}

impl SendError {
    /// Whether the same record may be accepted when it is given again.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::Unwritable { .. } | Self::Closed => false,
            Self::Topic { error, .. } | Self::Refused { error, .. } => error.is_retriable(),
            Self::Failed { failure, .. } => failure.is_retriable(),
            Self::NoProducerId { .. } => false,
            Self::UnknownTopic { .. }
            | Self::UnknownPartition { .. }
            | Self::BufferFull { .. }
            | Self::Expired { .. } => true,
        }
    }
}

fn because(reason: &Option<Arc<str>>) -> String {
    reason
        .as_ref()
        .map_or_else(String::new, |reason| alloc::format!(": {reason}"))
}
