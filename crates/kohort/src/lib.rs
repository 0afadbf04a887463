//! Kohort: the Kafka consumer for Rust.
//!
//! [`Consumer`] reads topics as a member of a group, or partitions alone, with the semantics and the settings of Kafka's Java
//! consumer. It is asynchronous (tokio), needs no C compiler, and hands out records without copying them.
//!
//! ```no_run
//! use kohort::Consumer;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut consumer: Consumer<String, String> =
//!     Consumer::builder().bootstrap_servers("localhost:9092").group_id("orders").build()?;
//! consumer.subscribe(["orders"])?;
//! loop {
//!     for record in consumer.poll(Duration::from_millis(100)).await? {
//!         println!("{}-{}@{}: {}", record.topic(), record.partition(), record.offset, record.value);
//!     }
//!     consumer.commit_sync().await?;
//! }
//! # }
//! ```
//!
//! # Logs
//!
//! As in Java, a broker that cannot be reached and a topic that is not there are no errors of `poll`: it returns nothing, and
//! the client goes on trying. What is wrong is logged by [`tracing`](https://docs.rs/tracing) at the level `warn`; install a
//! subscriber (`tracing_subscriber::fmt::init()`) to see it. Rebalances are logged at `info`, connections at `debug`.
//!
//! # Where things are
//!
//! What lives in this crate: settings ([`config`]), keys and values ([`deserialize`], [`serialize`]), the consumer
//! ([`consumer`]), a lean producer ([`producer`]), an admin client ([`admin`]), blocking twins ([`blocking`]), ways to reach
//! a broker ([`transport`]), and the task that drives an engine. What does not: Kafka's rules. Those are pure machines in
//! `kohort-engine` and `kohort-groups`.

pub mod admin;
pub mod blocking;
pub mod config;
pub mod consumer;
pub mod deserialize;
pub mod producer;
pub mod serialize;
mod task;
pub mod transport;

pub use admin::{Admin, AdminBuilder};
pub use consumer::{BuildError, Consumer, ConsumerBuilder, ConsumerRecord, ConsumerRecords};
pub use kohort_groups::{OffsetAndMetadata, TopicPartition};
pub use kohort_protocol::ErrorCode;
pub use kohort_records::{Header, Headers, Record, RecordView, TimestampType};
pub use producer::{Producer, ProducerBuilder, ProducerRecord};

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
