//! The thin tokio driver of an engine: it performs actions, keeps one timer, and reports what happened. No rule of Kafka
//! lives here.

mod clock;
mod driver;
mod frames;
mod link;
mod links;
mod place;
#[cfg(test)]
mod tests;

pub(crate) use clock::{Clock, Wall};
pub(crate) use driver::{Driver, Host};

pub use place::NoRuntime;
pub(crate) use place::{seed, seed_or, spawn, timer_of};
