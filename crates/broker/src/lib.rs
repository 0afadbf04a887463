//! An embedded Kafka broker: for tests, laptops and one machine.
//!
//! [`Broker`] runs a [`kohort_node::Node`] on the ambient tokio runtime. Clients reach it over TCP, or in the same process
//! over an in-memory [`Connector`], without a port. It reads time through tokio, so that a paused clock drives it: a session
//! time-out of 45 s is tested in no time.
//!
//! What lives here: sockets, files, tasks, the clock, the start and the end. What does not: any rule of Kafka; those are in
//! `kohort-node`.
//!
//! ```
//! use kohort_broker::Broker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::builder().topic("orders", 3).listen("127.0.0.1:0").start().await?;
//! println!("bootstrap.servers={}", broker.bootstrap_servers());
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What outlives the broker
//!
//! Records, topics and groups live in memory and are gone with the broker, unless [`Builder::data_dir`] names a directory for
//! them. There they lie in Kafka's layout, are synced as `log.flush.interval.messages` and `log.flush.interval.ms` say, and
//! are found again at the next start, also after a crash.
//!
//! # Defaults that differ from Kafka's
//!
//! [`Broker::builder`] sets `group.initial.rebalance.delay.ms` to 0, so that tests do not wait 3 s for the first member of a
//! group, `max.connections` to 1024, and `queued.max.request.bytes` to 256 MiB, so that clients which send large requests and
//! never finish them cannot take all memory. Everything else is Kafka's; `kohort serve` sets Kafka's delay, too.

mod admission;
mod broker;
mod builder;
mod clock;
mod connection;
mod connector;
mod data_dir;
mod file_disk;
mod limits;
mod listener;
mod node_task;
mod segments;

pub use broker::{Broker, ControlFailure};
pub use builder::{Builder, StartError};
pub use connector::Connector;
pub use data_dir::DataDirError;
pub use kohort_node::config::ConfigError;
pub use kohort_node::{ControlError, Fault, FaultRule, Lie};
pub use kohort_node::{
    MemberFate, Participant, Pause, Rebalance, RebalanceCause, RebalanceMember, RebalanceOutcome, Refusal,
    TopicPartition,
};
pub use kohort_protocol::{ApiKey, ErrorCode};
