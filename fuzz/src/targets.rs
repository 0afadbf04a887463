//! The targets.

mod admin_engine;
mod batch;
mod bed;
mod codec;
mod config;
mod consumer_engine;
mod framing;
mod group_records;
mod membership;
mod node;
pub mod ops;
mod producer_engine;
mod request;
mod response;
mod samples;

/// How the inputs of a target are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Of bytes.
    Bytes,
    /// Of some bytes of settings, then operations; see [`ops`].
    Operations {
        /// How many bytes of settings.
        head: usize,
    },
}

/// One target.
pub struct Target {
    /// Its name, which is that of its corpus.
    pub name: &'static str,
    /// Runs one input. Panics where a promise is broken.
    pub run: fn(&[u8]),
    /// What mutation begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How inputs are made.
    pub shape: Shape,
    /// How many bytes of memory an input of so many bytes may hold at most.
    pub memory: fn(usize) -> usize,
}

/// All targets.
pub const ALL: &[Target] = &[
    batch::TARGET,
    codec::TARGET,
    request::TARGET,
    response::TARGET,
    membership::TARGET,
    group_records::TARGET,
    framing::TARGET,
    node::TARGET,
    consumer_engine::TARGET,
    producer_engine::TARGET,
    admin_engine::TARGET,
    config::TARGET,
];
