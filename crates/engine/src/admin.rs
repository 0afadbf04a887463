//! Administration: topics, groups, offsets, records and settings, asked once and answered with one typed result per item.
//!
//! What does not live here: connections and metadata ([`client`](crate::client)). What a broker says may succeed later is tried
//! again until the command's time-out; what it refuses for good is the item's result, and does not fail the others.

mod begin;
mod cluster;
mod command;
mod configs;
mod each;
mod engine;
mod error;
mod event;
mod groups;
mod logs;
mod offsets;
mod reply;
mod resource;
#[cfg(test)]
mod tests;
mod topics;
mod work;

pub use command::{AdminCommand, NewPartitions, NewTopic, OffsetSpec, RecordsToDelete};
pub use engine::AdminEngine;
pub use error::AdminError;
pub use event::{AdminAction, AdminEvent};
pub use reply::{
    AdminReply, ClusterDescription, CreatedTopic, FoundOffset, GroupDescription, GroupListing, GroupMember,
    Results, TopicListing,
};
pub use resource::{AlterConfigOp, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym, ConfigType};
