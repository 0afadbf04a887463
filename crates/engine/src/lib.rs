//! The Kafka client as a pure machine: [`client`] is what every engine stands on.
//!
//! Nothing here has a socket, a task or a clock: a driver performs the actions and reports what happened.
#![no_std]

extern crate alloc;

pub mod admin;
pub mod client;
pub mod consumer;
pub mod delivery;
pub mod producer;
