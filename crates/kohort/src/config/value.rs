//! How a setting's text becomes a typed value, and the ranges that Kafka checks. Which settings there are is not known here.

use core::fmt::Display;
use std::path::PathBuf;

use kohort_records::{BuildError, Compression};

use super::ConfigError;
use super::choices::{Acks, AutoOffsetReset, CompressionType, RecoveryStrategy, RuntimePlace};

/// A type that a setting can have.
pub(crate) trait Value: Sized {
    /// The value that `text` means.
    fn parse(key: &'static str, text: &str) -> Result<Self, ConfigError>;
}

pub(crate) fn invalid(key: &'static str, value: impl Display, expected: impl Into<String>) -> ConfigError {
    ConfigError::InvalidValue {
        key,
        value: value.to_string(),
        expected: expected.into(),
    }
}

macro_rules! numbers {
    ($($ty:ty: $expected:literal),*) => { $(
        impl Value for $ty {
            fn parse(key: &'static str, text: &str) -> Result<Self, ConfigError> {
                text.trim().parse().map_err(|_| invalid(key, text, $expected))
            }
        }
    )* };
}
numbers!(i32: "a 32-bit integer", i64: "a 64-bit integer");

impl Value for bool {
    fn parse(key: &'static str, text: &str) -> Result<Self, ConfigError> {
        // Kafka: ConfigDef.parseType takes any case.
        match text.trim() {
            t if t.eq_ignore_ascii_case("true") => Ok(true),
            t if t.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(invalid(key, text, "true or false")),
        }
    }
}

impl Value for String {
    fn parse(_: &'static str, text: &str) -> Result<Self, ConfigError> {
        Ok(text.trim().to_owned())
    }
}

impl Value for Option<String> {
    fn parse(_: &'static str, text: &str) -> Result<Self, ConfigError> {
        Ok(Some(text.trim().to_owned()))
    }
}

impl Value for Option<PathBuf> {
    fn parse(_: &'static str, text: &str) -> Result<Self, ConfigError> {
        Ok(Some(text.trim().into()))
    }
}

impl Value for List {
    fn parse(_: &'static str, text: &str) -> Result<Self, ConfigError> {
        Ok(Self::from(text))
    }
}

impl Value for AutoOffsetReset {
    fn parse(key: &'static str, text: &str) -> Result<Self, ConfigError> {
        Self::parse(text.trim())
            .ok_or_else(|| invalid(key, text, "latest, earliest, none or by_duration:PnDTnHnMn.nS"))
    }
}

macro_rules! choices {
    ($($ty:ty),*) => { $(
        impl Value for $ty {
            fn parse(key: &'static str, text: &str) -> Result<Self, ConfigError> {
                Self::parse(text.trim()).ok_or_else(|| invalid(key, text, format!("one of {}", Self::EXPECTED.join(", "))))
            }
        }
    )* };
}
choices!(CompressionType, RecoveryStrategy, RuntimePlace);

impl Value for Acks {
    fn parse(key: &'static str, text: &str) -> Result<Self, ConfigError> {
        match text.trim() {
            "-1" => Ok(Self::All),
            other => Self::parse(other)
                .ok_or_else(|| invalid(key, text, format!("-1 or one of {}", Self::EXPECTED.join(", ")))),
        }
    }
}

/// A setting with several values, separated by commas in a `.properties` file.
///
/// ```
/// use kohort::config::List;
///
/// assert_eq!(List::from("a:9092, b:9092"), List::from(["a:9092", "b:9092"]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List(pub(crate) Vec<String>);

impl List {
    /// The values in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for List {
    fn from(text: &str) -> Self {
        let values = text.split(',').map(str::trim).filter(|v| !v.is_empty());
        Self(values.map(str::to_owned).collect())
    }
}

impl From<String> for List {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for List {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for List {
    fn from(values: [S; N]) -> Self {
        Self(values.iter().map(|v| v.as_ref().to_owned()).collect())
    }
}

impl<S: AsRef<str>> From<Vec<S>> for List {
    fn from(values: Vec<S>) -> Self {
        Self(values.iter().map(|v| v.as_ref().to_owned()).collect())
    }
}

/// No check.
pub(crate) fn any<T>(_: &'static str, _: &T) -> Result<(), ConfigError> {
    Ok(())
}

/// `[min,...]`
pub(crate) fn at_least<T: PartialOrd + Display + Copy>(
    min: T,
) -> impl Fn(&'static str, &T) -> Result<(), ConfigError> {
    move |key, value| match *value >= min {
        true => Ok(()),
        false => Err(invalid(key, value, format!("at least {min}"))),
    }
}

/// A level of this codec.
pub(crate) fn level(codec: Compression) -> impl Fn(&'static str, &i32) -> Result<(), ConfigError> {
    move |key, value| match codec.check_level(Some(*value)) {
        Ok(()) => Ok(()),
        Err(BuildError::InvalidLevel { hint, .. }) => Err(invalid(key, value, hint)),
        Err(other) => Err(invalid(key, value, other.to_string())),
    }
}

/// A string that is not empty when it is there.
pub(crate) fn non_empty(key: &'static str, value: &Option<String>) -> Result<(), ConfigError> {
    match value {
        Some(text) if text.is_empty() => Err(invalid(key, text, "a string that is not empty")),
        _ => Ok(()),
    }
}

/// A path that is not empty when it is there.
pub(crate) fn non_empty_path(key: &'static str, value: &Option<PathBuf>) -> Result<(), ConfigError> {
    match value {
        Some(path) if path.as_os_str().is_empty() => Err(invalid(key, "", "the path of a file")),
        _ => Ok(()),
    }
}

/// `host:port` each, at least one.
pub(crate) fn addresses(key: &'static str, value: &List) -> Result<(), ConfigError> {
    if value.is_empty() {
        return Err(ConfigError::Missing { key });
    }
    value.iter().try_for_each(|each| {
        address(each)
            .map(drop)
            .ok_or_else(|| invalid(key, each, "host:port"))
    })
}

/// Host and port of `host:port`, with or without `[]` around an IPv6 address, and with an optional `NAME://` before it.
pub(crate) fn address(text: &str) -> Option<(String, u16)> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, port) = text.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    match port.parse() {
        Ok(port) if !host.is_empty() && port > 0 => Some((host.to_owned(), port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_the_last_colon() {
        assert_eq!(address("kafka:9092"), Some(("kafka".to_owned(), 9092)));
        assert_eq!(address("[::1]:9092"), Some(("::1".to_owned(), 9092)));
        assert_eq!(
            address("PLAINTEXT://kafka:9092"),
            Some(("kafka".to_owned(), 9092))
        );
        for bad in ["kafka", ":9092", "kafka:", "kafka:99999", "kafka:0"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
