//! A Kafka broker as a pure machine.
//!
//! A [`Node`] takes frames and a time, and gives out replies; it has no socket, no clock and no thread. It plays one broker
//! or several ([`Cluster`]) over the same topics, whose bytes are kept by an injected [`log::Storage`].
//!
//! What lives here: dispatch and one handler file per API, partition logs and their layout on disk, what waits for a sync, waiting
//! fetches, injected faults. What does not:
//! connections and the frames' length prefix on the way in (the driver's, `kohort-broker`), the layout of messages
//! (`kohort-protocol`) and of record batches (`kohort-records`), the rules of groups (`kohort-groups`).
//!
//! ```
//! use bytes::Bytes;
//! use kohort_machine::{Instant, Machine};
//! use kohort_node::config::Config;
//! use kohort_node::{Action, Cluster, ConnId, Event, Node};
//! use kohort_protocol::messages::{ApiVersionsRequest, RequestHeader};
//! use kohort_protocol::frame;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::single("a-cluster", "localhost", 9092);
//! let mut node = Node::new(Config::default(), cluster, 1);
//! let conn = ConnId(1);
//! node.handle(Instant::ZERO, Event::Connected { conn, broker: 0, peer: "/127.0.0.1".into() });
//!
//! let request = ApiVersionsRequest::default().into();
//! let frame = frame::encode_request(&RequestHeader::default(), 0, &request)?.freeze();
//! node.handle(Instant::ZERO, Event::Frame { conn, bytes: frame.slice(4..), wall_ms: 0 });
//! assert!(matches!(node.poll_action(), Some(Action::Write { .. })));
//! # Ok(())
//! # }
//! ```
#![no_std]
extern crate alloc;
#[cfg(any(test, feature = "testing"))]
extern crate std;

mod cluster;
pub mod config;
mod context;
mod control;
mod durability;
mod faults;
mod fetch_sessions;
mod groups;
mod handlers;
mod interface;
mod journal;
pub mod log;
mod node;
mod producer_ids;
mod purgatory;
mod topics;

pub use cluster::{Broker, BrokerId, Cluster};
pub use control::{Control, ControlError};
pub use faults::{Fault, FaultRule, Lie};
pub use interface::{Action, CloseReason, ConnId, Event, Level, LogLine};
pub use kohort_groups::TopicPartition;
pub use kohort_groups::coordinator::{
    MemberFate, Participant, Pause, Rebalance, RebalanceCause, RebalanceMember, RebalanceOutcome, Refusal,
};
pub use node::Node;
