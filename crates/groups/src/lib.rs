//! Both ends of Kafka consumer group membership in one vocabulary, as pure machines.
//!
//! What lives here: the words that member and coordinator share ([`TopicPartition`], [`Subscription`], [`Identity`], …), the
//! member's and the coordinator's rules, the assignors. What does not: sockets, time, the layout of bytes (that is
//! `kohort-protocol`; only the `wire` module maps to it), and the fetching of records.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod assign;
pub mod coordinator;
pub mod member;
mod types;
pub mod wire;

pub use types::{Assignment, Identity, OffsetAndMetadata, RebalanceProtocol, Subscription, TopicPartition};
