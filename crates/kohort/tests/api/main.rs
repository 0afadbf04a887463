//! The public API against the embedded broker: in memory, on a paused clock.

#![allow(clippy::print_stdout, reason = "measurements print their figures")]

mod administering;
mod blocking;
mod building;
mod cancelling;
mod commits;
mod deserializing;
mod faults;
mod groups;
mod journal_file;
mod memory;
mod offsets;
mod polling;
mod producing;
mod rebalancing;
mod standalone;
mod static_members;
mod support;
mod waking;
