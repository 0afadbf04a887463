//! The settings of an admin client.

use super::ConfigError;
use super::choices::{RecoveryStrategy, RuntimePlace};
use super::refused::{ADMIN, COMMON, SECURITY};
use super::settings::{Explicit, settings};
use super::value::{List, addresses, any, at_least};

settings! {
    /// The settings of a [`crate::Admin`] under Kafka's keys, with Kafka's defaults.
    ///
    /// ```
    /// let config = kohort::config::AdminConfig::from_properties("bootstrap.servers=localhost:9092\n")?;
    /// assert_eq!(config.default_api_timeout_ms, 60_000);
    /// # Ok::<(), kohort::config::ConfigError>(())
    /// ```
    AdminConfig, AdminBuilder<>, refused &[COMMON, SECURITY, ADMIN], together together;

    /// brokers to begin with, `host:port` each; the others are learned from them. Required.
    "bootstrap.servers" => bootstrap_servers(List): List = List::default(), addresses;
    /// the client's name in the broker's logs and quotas.
    "client.id" => client_id(String): String = String::new(), any;
    /// ms that a call may take when none is given.
    "default.api.timeout.ms" => default_api_timeout_ms(i32): i32 = 60_000, at_least(0);
    /// ms that one request may take before it counts as lost.
    "request.timeout.ms" => request_timeout_ms(i32): i32 = 30_000, at_least(0);
    /// ms before the first retry; doubles up to `retry.backoff.max.ms`.
    "retry.backoff.ms" => retry_backoff_ms(i64): i64 = 100, at_least(0);
    /// ms between retries at most.
    "retry.backoff.max.ms" => retry_backoff_max_ms(i64): i64 = 1_000, at_least(0);
    /// ms before the first reconnection; doubles up to `reconnect.backoff.max.ms`.
    "reconnect.backoff.ms" => reconnect_backoff_ms(i64): i64 = 50, at_least(0);
    /// ms between reconnections at most.
    "reconnect.backoff.max.ms" => reconnect_backoff_max_ms(i64): i64 = 1_000, at_least(0);
    /// ms that setting up a connection may take at first; doubles up to `socket.connection.setup.timeout.max.ms`.
    "socket.connection.setup.timeout.ms" => socket_connection_setup_timeout_ms(i64): i64 = 10_000, at_least(1);
    /// ms that setting up a connection may take at most.
    "socket.connection.setup.timeout.max.ms" => socket_connection_setup_timeout_max_ms(i64): i64 = 30_000, at_least(1);
    /// ms after which an unused connection is closed.
    "connections.max.idle.ms" => connections_max_idle_ms(i64): i64 = 300_000, any;
    /// ms after which the cluster's metadata is read again without a cause.
    "metadata.max.age.ms" => metadata_max_age_ms(i64): i64 = 300_000, at_least(0);
    /// what to do when no known broker can be reached.
    "metadata.recovery.strategy" => metadata_recovery_strategy(RecoveryStrategy): RecoveryStrategy = RecoveryStrategy::Rebootstrap, any;
    /// ms without metadata after which the client begins again with `bootstrap.servers`.
    "metadata.recovery.rebootstrap.trigger.ms" => metadata_recovery_rebootstrap_trigger_ms(i64): i64 = 300_000, at_least(0);
    /// the socket's receive buffer in bytes; -1: the system's.
    "receive.buffer.bytes" => receive_buffer_bytes(i32): i32 = 65_536, at_least(-1);
    /// the socket's send buffer in bytes; -1: the system's.
    "send.buffer.bytes" => send_buffer_bytes(i32): i32 = 131_072, at_least(-1);
    /// where the network task runs.
    "kohort.runtime" => kohort_runtime(RuntimePlace): RuntimePlace = RuntimePlace::Ambient, any;
}

fn together(config: &mut AdminConfig, _: &Explicit) -> Result<(), ConfigError> {
    // Kafka: KafkaAdminClient.configureDefaultApiTimeoutMs
    if config.default_api_timeout_ms < config.request_timeout_ms {
        config.request_timeout_ms = config.default_api_timeout_ms;
    }
    Ok(())
}
