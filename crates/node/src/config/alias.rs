//! Keys of Kafka that say the same as another key, in a larger unit.

use alloc::string::{String, ToString};

use super::ConfigError;
use super::definition::{Accepts, Definition, Kind};

/// A key that stands for another one, unless that is set or an alias before this one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alias {
    pub(super) definition: Definition,
    /// The key that it stands for.
    pub(super) key: &'static str,
    /// How many of the other key's units one of its own is.
    times: i64,
}

const fn alias(
    name: &'static str,
    key: &'static str,
    default: &'static str,
    accepts: Accepts,
    times: i64,
) -> Alias {
    let definition = Definition {
        name,
        kind: Kind::Int,
        default,
        accepts,
        broker_key: None,
    };
    Alias {
        definition,
        key,
        times,
    }
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// All of them; of those that stand for one key the first that is set is in force.
// Kafka: AbstractKafkaConfig.logRetentionTimeMillis, logRollTimeMillis and validateValues; ServerLogConfigs
pub(super) const ALIASES: &[Alias] = &[
    alias(
        "log.retention.minutes",
        "log.retention.ms",
        "",
        Accepts::RangeWithoutZero(i64::MIN, i64::MAX),
        MINUTE,
    ),
    alias(
        "log.retention.hours",
        "log.retention.ms",
        "168",
        Accepts::RangeWithoutZero(i64::MIN, i64::MAX),
        HOUR,
    ),
    alias(
        "log.roll.hours",
        "log.roll.ms",
        "168",
        Accepts::Range(1, i64::MAX),
        HOUR,
    ),
];

impl Alias {
    /// The alias of this name, and which of all it is.
    pub(super) fn find(name: &str) -> Option<(usize, &'static Self)> {
        let mut aliases = ALIASES.iter().enumerate();
        aliases.find(|(_, alias)| alias.definition.name == name)
    }

    /// What the other key is set to by this value.
    pub(super) fn parse(&self, value: &str) -> Result<String, ConfigError> {
        let number = self.definition.parse(value)?;
        let number: i64 = number.parse().unwrap_or_default();
        // Kafka: AbstractKafkaConfig.logRetentionTimeMillis: below zero is without limit
        let number = match number {
            ..0 => -1,
            number => number.saturating_mul(self.times),
        };
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use crate::config::Config;

    fn retention(settings: &[(&str, &str)]) -> i64 {
        let mut config = Config::default();
        for (key, value) in settings {
            config.set(key, value).expect("a known key");
        }
        config.int("log.retention.ms")
    }

    #[test]
    fn the_smallest_unit_that_is_set_is_in_force_whatever_comes_first() {
        let (hours, minutes, ms) = (
            ("log.retention.hours", "2"),
            ("log.retention.minutes", "3"),
            ("log.retention.ms", "4"),
        );
        assert_eq!(retention(&[hours]), 7_200_000);
        for settings in [[hours, minutes], [minutes, hours]] {
            assert_eq!(retention(&settings), 180_000);
        }
        for settings in [[hours, ms, minutes], [ms, minutes, hours], [minutes, hours, ms]] {
            assert_eq!(retention(&settings), 4);
        }
    }

    #[test]
    fn the_last_value_of_an_alias_is_in_force() {
        assert_eq!(
            retention(&[("log.retention.hours", "2"), ("log.retention.hours", "1")]),
            3_600_000
        );
    }

    #[test]
    fn less_than_nothing_is_without_limit() {
        assert_eq!(retention(&[("log.retention.hours", "-1")]), -1);
        assert_eq!(retention(&[("log.retention.minutes", "-5")]), -1);
    }

    #[test]
    fn an_alias_accepts_what_kafka_accepts() {
        let mut config = Config::default();
        let error = config.set("log.roll.hours", "0").expect_err("0 is too few");
        assert!(error.to_string().contains("log.roll.hours"), "{error}");
        assert!(config.set("log.retention.hours", "2147483648").is_err());
        for key in ["log.retention.hours", "log.retention.minutes", "log.retention.ms"] {
            assert!(config.set(key, "0").is_err(), "{key}");
        }
        config.set("log.roll.hours", "1").expect("a number of hours");
        assert_eq!(config.int("log.roll.ms"), 3_600_000);
    }
}
