//! The producer: records in, one acknowledgement or error per record out.
//!
//! What does not live here: connections and metadata ([`client`](crate::client)) and the bytes of a batch (`kohort-records`).
//! Batches carry a producer id and sequences, so that one whose answer was lost is sent again and is in the log once; without
//! `enable.idempotence` it may be there twice.

mod accumulator;
mod config;
mod engine;
mod error;
mod event;
mod partitioner;
mod produce;
mod sequences;
#[cfg(test)]
mod tests;

pub use config::{Acks, ProducerConfig};
pub use engine::ProducerEngine;
pub use error::{NoProducerId, SendError};
pub use event::{ProducerAction, ProducerEvent, ProducerRecord, RecordAck};
pub use partitioner::{murmur2, partition_for_key};
