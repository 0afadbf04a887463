//! What has settings, what a setting is, and how it is changed.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What has settings.
// Kafka: ConfigResource
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(Arc<str>),
    /// A broker, by node id; none: the default of all brokers.
    Broker(Option<i32>),
    /// The levels of a broker's loggers, by node id (KIP-412).
    BrokerLogger(i32),
    /// A subscription to client metrics, by name (KIP-714).
    ClientMetrics(Arc<str>),
    /// A group, by id (KIP-848).
    Group(Arc<str>),
}

impl ConfigResource {
    /// A topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::Topic(name.into())
    }

    /// A broker.
    pub fn broker(node: i32) -> Self {
        Self::Broker(Some(node))
    }

    /// A group.
    pub fn group(id: impl Into<Arc<str>>) -> Self {
        Self::Group(id.into())
    }

    // Kafka: ConfigResource.Type
    pub(super) fn type_code(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
            Self::BrokerLogger(_) => 8,
            Self::ClientMetrics(_) => 16,
            Self::Group(_) => 32,
        }
    }

    /// Its name as requests carry it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Topic(name) | Self::ClientMetrics(name) | Self::Group(name) => name.to_string(),
            Self::Broker(None) => String::new(),
            Self::Broker(Some(node)) | Self::BrokerLogger(node) => node.to_string(),
        }
    }

    /// None for a type that is not known, or a broker that is not a number.
    pub(super) fn from_wire(type_code: i8, name: &str) -> Option<Self> {
        match type_code {
            2 => Some(Self::Topic(name.into())),
            4 if name.is_empty() => Some(Self::Broker(None)),
            4 => name.parse().ok().map(|node| Self::Broker(Some(node))),
            8 => name.parse().ok().map(Self::BrokerLogger),
            16 => Some(Self::ClientMetrics(name.into())),
            32 => Some(Self::Group(name.into())),
            _ => None,
        }
    }
}

/// A setting as it is.
// Kafka: ConfigEntry
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its value; none when it is null, or secret.
    pub value: Option<String>,
    /// Where the value is from.
    pub source: ConfigSource,
    /// Whether it is secret, such as a password.
    pub is_sensitive: bool,
    /// Whether it cannot be changed while the broker runs.
    pub is_read_only: bool,
    /// What kind of value it takes; [`ConfigType::Unknown`] from a broker that does not say it.
    pub config_type: ConfigType,
    /// Every place where it is set, the one in effect first; empty unless they were asked for (KIP-226).
    pub synonyms: Vec<ConfigSynonym>,
    /// What the broker says of it; only if that was asked for (KIP-569).
    pub documentation: Option<String>,
}

impl ConfigEntry {
    /// Whether nobody has set it.
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::DefaultConfig
    }
}

/// One of the places where a setting is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Its key there, such as `log.retention.ms` for `retention.ms`.
    pub name: String,
    /// Its value there; none when it is secret.
    pub value: Option<String>,
    /// The place.
    pub source: ConfigSource,
}

macro_rules! by_code {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// One that this client does not know.
            Unknown,
        }

        impl $name {
            pub(super) fn from_code(code: i8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }
    };
}

by_code! {
    /// Where a setting's value is from.
    // Kafka: DescribeConfigsResponse.ConfigSource
    ConfigSource {
        /// Set for this topic.
        DynamicTopicConfig = 1,
        /// Set for this broker while it ran.
        DynamicBrokerConfig = 2,
        /// Set for all brokers while they ran.
        DynamicDefaultBrokerConfig = 3,
        /// From the broker's configuration file.
        StaticBrokerConfig = 4,
        /// Kafka's default.
        DefaultConfig = 5,
        /// Set for this broker's loggers.
        DynamicBrokerLoggerConfig = 6,
        /// Set for this subscription to client metrics.
        DynamicClientMetricsConfig = 7,
        /// Set for this group.
        DynamicGroupConfig = 8,
    }
}

by_code! {
    /// What kind of value a setting takes.
    // Kafka: DescribeConfigsResponse.ConfigType
    ConfigType {
        /// `true` or `false`.
        Boolean = 1,
        /// A text.
        String = 2,
        /// A number of 32 bits.
        Int = 3,
        /// A number of 16 bits.
        Short = 4,
        /// A number of 64 bits.
        Long = 5,
        /// A floating-point number.
        Double = 6,
        /// Texts with commas between them.
        List = 7,
        /// The name of a Java class.
        Class = 8,
        /// A secret.
        Password = 9,
    }
}

/// A change of one setting.
// Kafka: AlterConfigOp
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlterConfigOp {
    /// Set it.
    Set {
        /// Its key.
        name: String,
        /// Its new value.
        value: String,
    },
    /// Give it the default again.
    Delete {
        /// Its key.
        name: String,
    },
    /// Add to the end of a list.
    Append {
        /// Its key.
        name: String,
        /// What to add, with commas between.
        value: String,
    },
    /// Take out of a list.
    Subtract {
        /// Its key.
        name: String,
        /// What to take out, with commas between.
        value: String,
    },
}

impl AlterConfigOp {
    /// [`AlterConfigOp::Set`].
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        Self::Set { name, value }
    }

    /// [`AlterConfigOp::Delete`].
    pub fn delete(name: impl Into<String>) -> Self {
        Self::Delete { name: name.into() }
    }

    /// Key, operation and value as the request carries them.
    // Kafka: AlterConfigOp.OpType
    pub(super) fn wire(&self) -> (&str, i8, Option<&str>) {
        match self {
            Self::Set { name, value } => (name, 0, Some(value)),
            Self::Delete { name } => (name, 1, None),
            Self::Append { name, value } => (name, 2, Some(value)),
            Self::Subtract { name, value } => (name, 3, Some(value)),
        }
    }
}
