//! Kohort against any bytes.
//!
//! What lives here: the targets, each a plain function over bytes ([`targets`]); the inputs they begin with and those that
//! are kept ([`corpus`]); and what the driver needs: mutation ([`mutate`]), coverage ([`coverage`]), one run of one input
//! ([`run`]). `tests/replay.rs` runs every target over its seeds and its corpus, and needs no coverage.
//!
//! A target fails by panicking. It asserts what the code under test promises: no panic of its own, no endless loop, memory
//! within a bound, typed errors, and that what is decoded encodes to the same again.

pub mod corpus;
pub mod coverage;
pub mod mutate;
pub mod run;
pub mod targets;

/// Counts memory, so that each target can have a bound.
#[global_allocator]
pub static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
