//! The part of a Kafka client that every engine stands on: connections, versions, requests and their time-outs, metadata, and
//! the coordinators of groups.
//!
//! What does not live here: what the requests mean. The consumer, the producer and the admin engine own a [`Client`] each.

mod answers;
mod cluster;
mod config;
mod core;
mod dispatch;
mod failure;
mod finder;
mod link;
mod links;
mod metadata;
mod net;
mod plausible;
mod request;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod throttle;
mod versions;

pub use self::cluster::{Broker, Cluster, ClusterChange, Partition, Topic, TopicChange};
pub use self::config::{ClientConfig, MetadataRecovery};
pub use self::core::Client;
pub use self::failure::{NodeName, RequestFailure, WaitedFor};
pub use self::finder::{AskFailure, Finder, FinderAction, FinderEvent, Lookup};
pub use self::net::{LinkId, NetAction, NetEvent, NetMachine};
pub use self::request::{BuildRequest, Reply};
pub use self::target::{LinkPurpose, RequestId, Target};
