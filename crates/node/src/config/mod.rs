//! The node's settings under Kafka's keys: which there are, their defaults, and the values in force. What a key does is
//! written where it is obeyed.

mod alias;
mod broker;
mod definition;
mod documentation;
mod dynamic;
mod topic;

use alloc::collections::BTreeMap;
use alloc::string::String;

use alias::Alias;
pub use broker::BROKER_KEYS;
pub use definition::{Accepts, Definition, Kind, Source};
pub use documentation::documentation;
pub use dynamic::{DynamicConfig, Scope, is_dynamic};
pub use topic::{LogConfig, TOPIC_KEYS, TimestampType, TopicCompression, TopicConfig};

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No such key, or none that this broker obeys.
    #[error("unknown configuration key `{key}`; remove it or correct its spelling")]
    UnknownKey {
        /// The key given.
        key: String,
    },
    /// The key is not one of those that may be changed while the broker runs.
    // Kafka: DynamicBrokerConfig.validateConfigs
    #[error("Cannot update these configs dynamically: [{key}]; set it where the broker is started")]
    ReadOnly {
        /// The key.
        key: &'static str,
    },
    /// The key does not accept the value.
    #[error("invalid value `{value}` for configuration key `{key}`: {reason}")]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What is accepted.
        reason: String,
    },
}

/// The broker's settings: Kafka's defaults and what was set over them.
///
/// ```
/// use kohort_node::config::Config;
///
/// let mut config = Config::default();
/// assert_eq!(config.int("num.partitions"), 1);
/// config.set("num.partitions", "3")?;
/// assert_eq!(config.int("num.partitions"), 3);
/// assert!(config.set("num.partitons", "3").is_err());
/// # Ok::<(), kohort_node::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    overrides: BTreeMap<&'static str, String>,
    /// What aliases say of a key, with the place of the alias.
    by_alias: BTreeMap<&'static str, (usize, String)>,
    /// What was changed for this broker while it ran.
    dynamic: DynamicConfig,
    /// What was changed for all brokers while they ran.
    dynamic_of_all: DynamicConfig,
}

impl Config {
    /// Sets a key, or one of Kafka's aliases of it in a larger unit, such as `log.retention.hours`, which count where the key itself
    /// is not set.
    ///
    /// # Errors
    ///
    /// When the key is unknown or does not accept the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        if let Some((place, alias)) = Alias::find(key) {
            let value = alias.parse(value)?;
            if self
                .by_alias
                .get(alias.key)
                .is_none_or(|(other, _)| place <= *other)
            {
                self.by_alias.insert(alias.key, (place, value));
            }
            return Ok(());
        }
        let definition = find(key).ok_or_else(|| ConfigError::UnknownKey { key: key.into() })?;
        self.overrides.insert(definition.name, definition.parse(value)?);
        Ok(())
    }

    /// The values that were set, the one in force first, and where.
    pub fn layers<'a>(&'a self, key: &str) -> impl Iterator<Item = (Source, &'a str)> + use<'a> {
        let own = self.overrides.get(key);
        let fixed = own.or_else(|| self.by_alias.get(key).map(|(_, value)| value));
        let layers = [
            (Source::DynamicBroker, self.dynamic.overridden(key)),
            (Source::DynamicDefaultBroker, self.dynamic_of_all.overridden(key)),
            (Source::StaticBroker, fixed.map(String::as_str)),
        ];
        layers
            .into_iter()
            .filter_map(|(source, value)| Some((source, value?)))
    }

    /// The value that was set, if one was.
    pub fn overridden(&self, key: &str) -> Option<&str> {
        self.layers(key).next().map(|(_, value)| value)
    }

    /// What was changed while the broker ran.
    pub fn dynamic(&self, scope: Scope) -> &DynamicConfig {
        match scope {
            Scope::Broker => &self.dynamic,
            Scope::Cluster => &self.dynamic_of_all,
        }
    }

    /// Replaces what was changed while the broker ran.
    pub fn set_dynamic(&mut self, scope: Scope, config: DynamicConfig) {
        match scope {
            Scope::Broker => self.dynamic = config,
            Scope::Cluster => self.dynamic_of_all = config,
        }
    }

    /// The value in force; empty for a key that is not in [`BROKER_KEYS`].
    pub fn text(&self, key: &str) -> &str {
        self.overridden(key)
            .or_else(|| find(key).map(|definition| definition.default))
            .unwrap_or_default()
    }

    /// The value of a numeric key; 0 for a key that is not in [`BROKER_KEYS`] or not numeric.
    pub fn int(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or(0)
    }

    /// The value of a key that counts bytes or things, as a size.
    pub fn size(&self, key: &str) -> usize {
        usize::try_from(self.int(key)).unwrap_or(0)
    }

    /// Whether a boolean key is on.
    pub fn is_on(&self, key: &str) -> bool {
        self.text(key) == "true"
    }
}

fn find(key: &str) -> Option<&'static Definition> {
    BROKER_KEYS.iter().find(|definition| definition.name == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_key_accepts() {
        for definition in BROKER_KEYS {
            assert_eq!(
                definition.parse(definition.default).as_deref(),
                Ok(definition.default)
            );
        }
    }

    #[test]
    fn every_broker_key_named_by_a_topic_key_exists() {
        for definition in TOPIC_KEYS {
            if let Some(broker_key) = definition.broker_key {
                let broker = find(broker_key).expect("the table has it");
                assert_eq!(broker.default, definition.default, "{}", definition.name);
            }
        }
    }

    #[test]
    fn a_value_outside_of_its_range_is_refused_with_the_key() {
        let error = Config::default()
            .set("num.partitions", "0")
            .expect_err("0 is too few");
        assert!(matches!(
            error,
            ConfigError::InvalidValue {
                key: "num.partitions",
                ..
            }
        ));
    }
}
