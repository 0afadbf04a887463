//! What a configuration key is: its name, type, default and accepted values. The tables of keys are in
//! [`super::broker`] and [`super::topic`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ConfigError;

/// The type of a key's value, numbered as DescribeConfigs does.
// Kafka: DescribeConfigsResponse.ConfigType
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`.
    Boolean = 1,
    /// Any text.
    String = 2,
    /// A 32-bit integer.
    Int = 3,
    /// A 16-bit integer.
    Short = 4,
    /// A 64-bit integer.
    Long = 5,
    /// A floating point number.
    Double = 6,
    /// Texts separated by commas.
    List = 7,
}

/// Where a value in force comes from, numbered as DescribeConfigs does.
// Kafka: DescribeConfigsResponse.ConfigSource
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// Set for the topic.
    Topic = 1,
    /// Set for this broker while it ran.
    DynamicBroker = 2,
    /// Set for all brokers while they ran.
    DynamicDefaultBroker = 3,
    /// Set when the broker was started.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
}

/// Which values a key accepts beside those of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// All of its type.
    All,
    /// Integers from the first to the second, both included.
    Range(i64, i64),
    /// As `Range`, but not 0.
    RangeWithoutZero(i64, i64),
    /// One of these texts; of a list, each element.
    OneOf(&'static [&'static str]),
}

/// One configuration key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// The key, in Kafka's spelling.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// The value when none is set.
    pub default: &'static str,
    /// Which values it accepts.
    pub accepts: Accepts,
    /// For a topic's key, the broker's key that gives the default.
    pub broker_key: Option<&'static str>,
}

impl Definition {
    /// The value in canonical form, or why it is not accepted. It is one line, which the journal of topics rests on, and reads as
    /// itself again.
    pub(crate) fn parse(&self, value: &str) -> Result<String, ConfigError> {
        let value = value.trim();
        let refused = |reason: String| ConfigError::InvalidValue {
            key: self.name,
            value: value.to_string(),
            reason,
        };
        match self.kind {
            Kind::Boolean => {
                let lower = value.to_ascii_lowercase();
                match lower.as_str() {
                    "true" | "false" => Ok(lower),
                    _ => Err(refused("expected true or false".into())),
                }
            }
            Kind::Short | Kind::Int | Kind::Long => {
                let number: i64 = value.parse().map_err(|_| refused("expected an integer".into()))?;
                let (low, high) = self.bounds();
                if number < low || number > high {
                    return Err(refused(alloc::format!("expected {low} to {high}")));
                }
                if number == 0 && matches!(self.accepts, Accepts::RangeWithoutZero(..)) {
                    return Err(refused("it may not be 0".into()));
                }
                Ok(number.to_string())
            }
            Kind::Double => match value.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(value.to_string()),
                _ => Err(refused("expected a number".into())),
            },
            Kind::String => self
                .check_text(value)
                .map_err(refused)
                .map(|()| value.to_string()),
            Kind::List => self.parse_list(value).map_err(refused),
        }
    }

    /// The elements without what is around them, each once.
    // Kafka: ConfigDef.parseType(LIST); LogConfig takes a policy that comes twice for one
    fn parse_list(&self, value: &str) -> Result<String, String> {
        let mut elements: Vec<&str> = Vec::new();
        for element in value.split(',').map(str::trim) {
            if !element.is_empty() && !elements.contains(&element) {
                self.check_text(element)?;
                elements.push(element);
            }
        }
        Ok(elements.join(","))
    }

    fn bounds(&self) -> (i64, i64) {
        let (low, high) = match self.kind {
            Kind::Short => (i64::from(i16::MIN), i64::from(i16::MAX)),
            Kind::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        match self.accepts {
            Accepts::Range(from, to) | Accepts::RangeWithoutZero(from, to) => (low.max(from), high.min(to)),
            _ => (low, high),
        }
    }

    fn check_text(&self, value: &str) -> Result<(), String> {
        if value.contains(char::is_control) {
            return Err("expected text without control characters".into());
        }
        match self.accepts {
            Accepts::OneOf(values) if !values.contains(&value) => {
                Err(alloc::format!("expected one of {}", values.join(", ")))
            }
            _ => Ok(()),
        }
    }
}
