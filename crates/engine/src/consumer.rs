//! The consumer as one machine: positions, fetching, committed offsets, commits, membership of a group.
//!
//! What lives here is the side of the network task. The side of the one who polls is [`crate::delivery`]: it owns what was
//! fetched and not yet handed out, and the positions of what was. The two speak through plain data:
//!
//! * The engine tells the caller, in one ordered stream of [`ToCaller`]: the table of partitions, positions, batches, callbacks
//!   to run.
//! * The caller tells the engine, in one ordered stream of [`Event`]: commands (answered), changes that are in effect on its
//!   side already, and progress.
//!
//! What does not live here: connections and metadata ([`crate::client`]), the rules of membership (`kohort-groups`), and the
//! public consumer (`kohort`).

mod action;
mod asks;
mod closing;
mod command;
mod commits;
mod config;
mod engine;
mod error;
mod event;
mod fetch;
mod jobs;
mod lookups;
mod membership;
mod offset_wire;
mod partitions;
mod pattern;
mod positions;
mod slot;
#[cfg(test)]
mod tests;
mod topics;

pub use action::{
    Action, AutomaticCommit, CallbackKind, Compute, Describe, FailedCommit, FetchedBatches, Halt, LatePoll,
    MatchTopics, NewPosition, PositionReset, RebalanceBegan, Reset, ResetCause, ToCaller,
};
pub use command::{
    BrokerAddress, Command, CommandReply, CommitMode, FoundOffset, LeaveGroup, OffsetSpec,
    PartitionDescription,
};
pub use config::{ConsumerConfig, GroupConfig, IsolationLevel, OffsetReset};
pub use engine::ConsumerEngine;
pub use error::{CommandError, PollError};
pub use event::{Change, Event, HandedOut, InHand, Progress, Seek, SeekTo, SlotProgress};
pub use slot::{FetchEpoch, Position, SlotId};
