//! Settings of brokers that are changed while they run (KIP-226): which may be, and their values.

use alloc::collections::BTreeMap;
use alloc::string::String;

use super::alias::Alias;
use super::{ConfigError, find};

/// The keys that may be changed, of those that this broker has. Kafka's `max.connections` is none of them: here it is fixed when the
/// broker starts.
// Kafka: DynamicBrokerConfig.ALL_DYNAMIC_CONFIGS
const DYNAMIC_KEYS: &[&str] = &[
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "log.cleanup.policy",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "log.index.interval.bytes",
    "log.index.size.max.bytes",
    "log.message.timestamp.after.max.ms",
    "log.message.timestamp.before.max.ms",
    "log.message.timestamp.type",
    "log.retention.bytes",
    "log.retention.ms",
    "log.roll.ms",
    "log.segment.bytes",
    "message.max.bytes",
    "min.insync.replicas",
    "producer.id.expiration.ms",
];

/// Whether a key may be changed while the broker runs.
pub fn is_dynamic(key: &str) -> bool {
    DYNAMIC_KEYS.contains(&key)
}

/// Whose settings are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of this broker.
    Broker,
    /// Those of all brokers of the cluster that have none of their own.
    Cluster,
}

/// What was set while the broker ran.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DynamicConfig {
    overrides: BTreeMap<&'static str, String>,
}

impl DynamicConfig {
    /// Sets a key.
    ///
    /// # Errors
    ///
    /// When the key is unknown, may not be changed, or does not accept the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let alias = Alias::find(key).map(|(_, alias)| &alias.definition);
        let definition = find(key)
            .or(alias)
            .ok_or_else(|| ConfigError::UnknownKey { key: key.into() })?;
        if !is_dynamic(key) {
            return Err(ConfigError::ReadOnly { key: definition.name });
        }
        self.overrides.insert(definition.name, definition.parse(value)?);
        Ok(())
    }

    /// Takes a key back to what it was before.
    pub fn unset(&mut self, key: &str) {
        self.overrides.remove(key);
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.overrides.is_empty()
    }

    /// All that is set.
    pub fn overrides(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.overrides.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// What is set, of one key.
    pub fn overridden(&self, key: &str) -> Option<&str> {
        self.overrides.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source};

    #[test]
    fn every_key_that_may_be_changed_exists() {
        for key in DYNAMIC_KEYS {
            assert!(find(key).is_some(), "{key}");
        }
    }

    #[test]
    fn a_key_that_is_fixed_is_told_from_one_that_there_is_not() {
        let mut config = DynamicConfig::default();
        let fixed = config.set("num.partitions", "3");
        assert!(matches!(
            fixed,
            Err(ConfigError::ReadOnly {
                key: "num.partitions"
            })
        ));
        let unknown = config.set("no.such.key", "3");
        assert!(matches!(unknown, Err(ConfigError::UnknownKey { .. })));
        assert!(config.is_empty());
    }

    // Kafka: DynamicBrokerConfig: its own setting, that of all brokers, that of its file, the default
    #[test]
    fn what_is_set_for_the_broker_comes_before_what_is_set_for_all() {
        const KEY: &str = "message.max.bytes";
        let dynamic = |value: &str| {
            let mut dynamic = DynamicConfig::default();
            dynamic.set(KEY, value).expect("it may be changed");
            dynamic
        };
        let mut config = Config::default();
        config.set(KEY, "1").expect("a known key");
        config.set_dynamic(Scope::Cluster, dynamic("2"));
        assert_eq!(config.int(KEY), 2);
        config.set_dynamic(Scope::Broker, dynamic("3"));
        assert_eq!(config.int(KEY), 3);
        let layers: alloc::vec::Vec<_> = config.layers(KEY).collect();
        assert_eq!(
            layers,
            [
                (Source::DynamicBroker, "3"),
                (Source::DynamicDefaultBroker, "2"),
                (Source::StaticBroker, "1")
            ]
        );
        config.set_dynamic(Scope::Broker, DynamicConfig::default());
        config.set_dynamic(Scope::Cluster, DynamicConfig::default());
        assert_eq!(config.int(KEY), 1);
    }
}
