//! What can be wrong with a setting. Errors of building a client beyond its settings live with the builders.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A setting that cannot be used. Never worth a retry: the configuration has to change.
///
/// ```
/// use kohort::config::{ConfigError, ConsumerConfig};
///
/// let error = ConsumerConfig::from_properties("max.pol.records=10").unwrap_err();
/// assert!(matches!(&error, ConfigError::UnknownKey { nearest, .. } if nearest == "max.poll.records"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has this name.
    #[error("unknown setting `{key}`; did you mean `{nearest}`?")]
    UnknownKey {
        /// The key as given.
        key: String,
        /// The known key that is most like it.
        nearest: String,
    },
    /// The value has the wrong form or is out of range.
    #[error("`{key}` = `{value}`: expected {expected}")]
    InvalidValue {
        /// The setting.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is accepted.
        expected: String,
    },
    /// Kafka knows this setting and Kohort does not act on it yet, so only the value it has anyway is accepted.
    #[error("`{key}` = `{value}` is not supported yet; leave it out, or set it to its default `{default}`")]
    NotSupportedYet {
        /// The setting.
        key: &'static str,
        /// The value as given; `[hidden]` for what Kafka's type PASSWORD hides.
        value: String,
        /// Kafka's default, the one accepted value; `null` when it has none.
        default: &'static str,
    },
    /// A required setting is not there.
    #[error("`{key}` is required")]
    Missing {
        /// The setting.
        key: &'static str,
    },
    /// Two settings contradict each other.
    #[error("`{key}` and `{other}` contradict each other: {reason}")]
    Conflict {
        /// The setting to change.
        key: &'static str,
        /// The one that it contradicts.
        other: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// The file of a setting cannot be used.
    #[error("`{key}` = `{}`: the file cannot be written: {reason}", path.display())]
    File {
        /// The setting.
        key: &'static str,
        /// The file as given.
        path: PathBuf,
        /// What kind of error it is.
        kind: io::ErrorKind,
        /// What the system says.
        reason: String,
    },
    /// A `*.deserializer` or `*.serializer` class does not fit the Rust type.
    #[error("`{key}` is `{class}`, but the Rust type `{rust}` reads {fits}")]
    ClassMismatch {
        /// The setting.
        key: &'static str,
        /// The Java class as given.
        class: String,
        /// The Rust type in that place.
        rust: &'static str,
        /// The classes that would fit.
        fits: String,
    },
    /// The text is not in the syntax of a Java `.properties` file.
    #[error("line {line} of the properties: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl ConfigError {
    /// Always false: the same configuration fails the same way.
    pub const fn is_retriable(&self) -> bool {
        false
    }

    /// Always true: no client comes of this configuration.
    pub const fn is_fatal(&self) -> bool {
        true
    }
}
