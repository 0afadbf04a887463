//! What can go wrong with writing a record. The words of the engine's own errors live in the engine.

use std::sync::Arc;

pub use kohort_engine::producer::{NoProducerId, SendError};
use thiserror::Error;

use crate::deserialize::{BoxError, Origin};

/// Why a record is not written, or may not be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The key or the value cannot be turned into bytes.
    #[error("the {origin} of a record for topic {topic} cannot be serialized")]
    Serialization {
        /// The topic.
        topic: Arc<str>,
        /// Which part.
        origin: Origin,
        /// Why.
        source: BoxError,
    },
    /// The record was not acknowledged.
    #[error(transparent)]
    Send(SendError),
    /// The network task is gone: closed, or its runtime was shut down.
    #[error(
        "the producer is closed, or the runtime that it was built in has ended; build a new one in a runtime that lives as long"
    )]
    TaskGone,
}

impl ProduceError {
    /// Whether the same record may be accepted when it is given again.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Send(error) if error.is_retriable())
    }

    /// Whether this producer cannot go on at all.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::TaskGone | Self::Send(SendError::Closed))
    }
}
