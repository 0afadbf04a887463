//! `kohort serve` as a process of its own against what no good client sends: it goes on serving, and its memory, as the system
//! counts it, stays bounded. The mutated requests in long form:
//! `KOHORT_HOSTILE_REQUESTS=10000000 KOHORT_HOSTILE_SEED=7 cargo test --release -p kohort-cli --test hostile -- --nocapture`.
#![cfg(test)]
#![allow(clippy::print_stdout, reason = "the figures")]

mod broker;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod crowds;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod idle;
#[cfg(target_os = "linux")]
mod memory;
mod mutated;
#[cfg(target_os = "linux")]
mod work;
