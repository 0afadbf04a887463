//! The `kohort` binary as a user runs it: its streams, its exit codes, its processes.

mod crash;
mod data_dir;
mod demo;
mod durable;
mod group;
mod groups;
mod joining;
mod manual;
mod pipeline;
mod process;
mod rebalances;
mod records;
#[cfg(unix)]
mod terminal;
mod topics;
mod usage;
