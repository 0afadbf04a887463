//! What a client is told at its start: Kafka's keys as fields, with Kafka's defaults.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// What to do when no known broker can be reached (KIP-899, KIP-1102).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataRecovery {
    /// Go on trying the known brokers.
    None,
    /// Begin again with `bootstrap.servers`.
    #[default]
    Rebootstrap,
}

/// The settings of a `Client`, named after Kafka's keys.
///
/// ```
/// use kohort_engine::client::ClientConfig;
///
/// let config = ClientConfig::new([("localhost".into(), 9092)]);
/// assert_eq!(config.request_timeout.as_millis(), 30_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// `bootstrap.servers`: host and port of each.
    pub bootstrap: Vec<(String, u16)>,
    /// `client.id`.
    pub client_id: String,
    /// `request.timeout.ms` (30 s): how long the oldest unanswered request of a connection may take before the connection is
    /// given up.
    pub request_timeout: Duration,
    /// `metadata.max.age.ms` (5 min).
    pub metadata_max_age: Duration,
    /// `metadata.recovery.strategy` (rebootstrap).
    pub metadata_recovery: MetadataRecovery,
    /// `metadata.recovery.rebootstrap.trigger.ms` (5 min).
    pub rebootstrap_trigger: Duration,
    /// `retry.backoff.ms` (100 ms).
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms` (1 s).
    pub retry_backoff_max: Duration,
    /// `reconnect.backoff.ms` (50 ms).
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms` (1 s).
    pub reconnect_backoff_max: Duration,
    /// `socket.connection.setup.timeout.ms` (10 s).
    pub connection_setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms` (30 s).
    pub connection_setup_timeout_max: Duration,
    /// `connections.max.idle.ms` (9 min): a connection without requests for this long is closed.
    pub connections_max_idle: Duration,
    /// `allow.auto.create.topics` (true): whether asking for a topic's metadata may create it.
    pub allow_auto_create_topics: bool,
}

impl ClientConfig {
    /// Kafka's defaults with these bootstrap servers and an empty `client.id`.
    // Kafka: ConsumerConfig, CommonClientConfigs
    pub fn new(bootstrap: impl IntoIterator<Item = (String, u16)>) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().collect(),
            client_id: String::new(),
            request_timeout: Duration::from_secs(30),
            metadata_max_age: Duration::from_secs(300),
            metadata_recovery: MetadataRecovery::Rebootstrap,
            rebootstrap_trigger: Duration::from_secs(300),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            connection_setup_timeout: Duration::from_secs(10),
            connection_setup_timeout_max: Duration::from_secs(30),
            connections_max_idle: Duration::from_secs(540),
            allow_auto_create_topics: true,
        }
    }
}
