//! A record whose key or value cannot be read.

use core::fmt;

use kohort_groups::TopicPartition;
use kohort_records::Record;
use thiserror::Error;

/// Any error of a user's own code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Which part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
        })
    }
}

/// A record whose key or value its deserializer refused (Java: `RecordDeserializationException`, KIP-334).
///
/// The position stays at this record, so each `poll` fails the same way until the consumer seeks past it.
#[derive(Debug, Error)]
#[error("the {origin} of {partition} at offset {} cannot be deserialized; seek past it to go on", record.offset)]
#[non_exhaustive]
pub struct RecordDeserializationError {
    /// The record's partition.
    pub partition: TopicPartition,
    /// Which part was refused.
    pub origin: Origin,
    /// The record as it came, for a dead letter queue.
    pub record: Record,
    /// Why.
    pub source: BoxError,
}

impl RecordDeserializationError {
    /// The record's offset; reading goes on at the one after it.
    pub const fn offset(&self) -> i64 {
        self.record.offset
    }
}
