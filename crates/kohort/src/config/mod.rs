//! Settings: Kafka's keys, typed and checked. What a setting does lives where it is done.
//!
//! Every property of the Java client is known under Kafka's key, so that a Java consumer's `.properties` file works as it is.
//! A key that nobody knows is an error that names the nearest one. A key that Kafka has and Kohort does not act on yet is
//! accepted at the value that describes what happens anyway, and refused otherwise. Own keys begin with `kohort.`.

mod admin;
mod choices;
mod consumer;
mod engine;
mod error;
mod nearest;
mod producer;
mod properties;
mod refused;
mod settings;
#[cfg(test)]
mod tests;
mod value;

pub use admin::AdminConfig;
pub use choices::{Acks, AutoOffsetReset, CompressionType, RecoveryStrategy, RuntimePlace};
pub use consumer::ConsumerConfig;
pub(crate) use consumer::JOURNAL_FILE;
pub(crate) use engine::{check_class, made_client_id, ms};
pub use error::ConfigError;
pub use producer::ProducerConfig;
pub(crate) use settings::Draft;
pub use value::List;
pub(crate) use value::invalid;
