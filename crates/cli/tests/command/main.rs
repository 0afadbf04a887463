//! The `kohort` binary as a user runs it: its streams, its exit codes, its processes.

mod demo;
mod group;
mod pipeline;
mod process;
mod usage;
