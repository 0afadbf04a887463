//! The part of a Kafka client that every engine stands on: connections, versions, requests and their time-outs, metadata, and
//! the coordinators of groups.
//!
//! What does not live here: what the requests mean. The consumer, the producer and the admin engine own a client each.

mod cluster;
mod config;
mod failure;
mod finder;
mod net;
mod target;

pub use cluster::{Broker, Cluster, ClusterChange, Partition, Topic, TopicChange};
pub use config::{ClientConfig, MetadataRecovery};
pub use failure::{NodeName, RequestFailure, WaitedFor};
pub use finder::{AskFailure, Finder, FinderAction, FinderEvent, Lookup};
pub use net::{LinkId, NetAction, NetEvent, NetMachine};
pub use target::{LinkPurpose, RequestId, Target};
