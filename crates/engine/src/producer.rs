//! The producer: records in, one acknowledgement or error per record out.
//!
//! What does not live here: connections and metadata ([`client`](crate::client)) and the bytes of a batch (`kohort-records`).
//! The producer is not idempotent: a batch whose answer was lost is sent again, and may then be in the log twice.

mod accumulator;
mod config;
mod engine;
mod error;
mod event;
mod partitioner;
mod produce;
#[cfg(test)]
mod tests;

pub use config::{Acks, ProducerConfig};
pub use engine::ProducerEngine;
pub use error::SendError;
pub use event::{ProducerAction, ProducerEvent, ProducerRecord, RecordAck};
pub use partitioner::{murmur2, partition_for_key};
