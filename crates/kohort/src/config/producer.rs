//! The settings of a producer.

use kohort_records::Compression;

use super::ConfigError;
use super::choices::{Acks, CompressionType, RecoveryStrategy, RuntimePlace};
use super::refused::{COMMON, PRODUCER, SECURITY};
use super::settings::{Explicit, settings};
use super::value::{List, addresses, any, at_least, level};

settings! {
    /// The settings of a [`crate::Producer`] under Kafka's keys, with Kafka's defaults.
    ///
    /// ```
    /// use kohort::config::{Acks, ProducerConfig};
    ///
    /// let config = ProducerConfig::from_properties("bootstrap.servers=localhost:9092\nacks=1\n")?;
    /// assert_eq!(config.acks, Acks::Leader);
    /// assert_eq!(config.linger_ms, 5);
    /// # Ok::<(), kohort::config::ConfigError>(())
    /// ```
    ProducerConfig, ProducerBuilder<K, V, KS, VS>, refused &[COMMON, SECURITY, PRODUCER], together together;

    /// brokers to begin with, `host:port` each; the others are learned from them. Required.
    "bootstrap.servers" => bootstrap_servers(List): List = List::default(), addresses;
    /// the client's name in the broker's logs and quotas.
    "client.id" => client_id(String): String = String::new(), any;
    /// when a batch counts as written.
    "acks" => acks(Acks): Acks = Acks::All, any;
    /// bytes of one batch at most, before compression.
    "batch.size" => batch_size(i32): i32 = 16_384, at_least(0);
    /// ms that a batch waits for more records.
    "linger.ms" => linger_ms(i64): i64 = 5, at_least(0);
    /// how batches are compressed.
    "compression.type" => compression_type(CompressionType): CompressionType = CompressionType::None, any;
    /// level of gzip, 1 to 9; -1: gzip's default.
    "compression.gzip.level" => compression_gzip_level(i32): i32 = -1, level(Compression::Gzip);
    /// level of LZ4, 1 to 17; there is one algorithm for all of them.
    "compression.lz4.level" => compression_lz4_level(i32): i32 = 9, level(Compression::Lz4);
    /// level of zstd, -131072 to 22; levels beyond -7 and 4 count as these.
    "compression.zstd.level" => compression_zstd_level(i32): i32 = 3, level(Compression::Zstd);
    /// bytes of one request at most.
    "max.request.size" => max_request_size(i32): i32 = 1_048_576, at_least(0);
    /// bytes of records that wait to be sent at most; `send` waits when they are reached.
    "buffer.memory" => buffer_memory(i64): i64 = 33_554_432, at_least(0);
    /// ms that `send` may wait for room and for metadata.
    "max.block.ms" => max_block_ms(i64): i64 = 60_000, at_least(0);
    /// whether a batch that is sent again is in the log once, and in order. Off without being told to when `acks` is not `all` or
    /// `retries` is 0.
    "enable.idempotence" => enable_idempotence(bool): bool = true, any;
    /// requests of a connection that wait for their answer at most; up to 5 with idempotence. Without idempotence one batch of a
    /// partition is in flight at a time all the same, which keeps their order.
    "max.in.flight.requests.per.connection" => max_in_flight_requests_per_connection(i32): i32 = 5, at_least(1);
    /// times that a batch is sent again; bounded by `delivery.timeout.ms` all the same.
    "retries" => retries(i32): i32 = i32::MAX, at_least(0);
    /// ms from `send` until a record is written or has failed.
    "delivery.timeout.ms" => delivery_timeout_ms(i32): i32 = 120_000, at_least(0);
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
    "connections.max.idle.ms" => connections_max_idle_ms(i64): i64 = 540_000, any;
    /// ms after which the cluster's metadata is read again without a cause.
    "metadata.max.age.ms" => metadata_max_age_ms(i64): i64 = 300_000, at_least(0);
    /// what to do when no known broker can be reached.
    "metadata.recovery.strategy" => metadata_recovery_strategy(RecoveryStrategy): RecoveryStrategy = RecoveryStrategy::Rebootstrap, any;
    /// ms without metadata after which the client begins again with `bootstrap.servers`.
    "metadata.recovery.rebootstrap.trigger.ms" => metadata_recovery_rebootstrap_trigger_ms(i64): i64 = 300_000, at_least(0);
    /// the socket's receive buffer in bytes; -1: the system's.
    "receive.buffer.bytes" => receive_buffer_bytes(i32): i32 = 32_768, at_least(-1);
    /// the socket's send buffer in bytes; -1: the system's.
    "send.buffer.bytes" => send_buffer_bytes(i32): i32 = 131_072, at_least(-1);
    /// where the network task runs.
    "kohort.runtime" => kohort_runtime(RuntimePlace): RuntimePlace = RuntimePlace::Ambient, any;
    /// decides what is random (the jitter of retries), so that a run on a paused clock is the same each time; -1: the system's choice.
    "kohort.seed" => kohort_seed(i64): i64 = -1, at_least(-1);
}

fn together(config: &mut ProducerConfig, explicit: &Explicit) -> Result<(), ConfigError> {
    check_idempotence(config, explicit)?;
    // Kafka: KafkaProducer.configureDeliveryTimeout
    let least = config
        .linger_ms
        .saturating_add(i64::from(config.request_timeout_ms));
    if i64::from(config.delivery_timeout_ms) < least {
        if explicit.has("delivery.timeout.ms") {
            return Err(ConfigError::Conflict {
                key: "delivery.timeout.ms",
                other: "request.timeout.ms",
                reason: format!("it must be at least linger.ms + request.timeout.ms = {least} ms"),
            });
        }
        config.delivery_timeout_ms = i32::try_from(least).unwrap_or(i32::MAX);
    }
    Ok(())
}

// Kafka: ProducerConfig.postProcessAndValidateIdempotenceConfigs
fn check_idempotence(config: &mut ProducerConfig, explicit: &Explicit) -> Result<(), ConfigError> {
    const KEY: &str = "enable.idempotence";
    if !config.enable_idempotence {
        return Ok(());
    }
    let is_wished = explicit.has(KEY);
    let conflict = |key, reason: &str| ConfigError::Conflict {
        key,
        other: KEY,
        reason: reason.to_owned(),
    };
    if config.retries == 0 {
        if is_wished {
            return Err(conflict("retries", "idempotence needs at least 1"));
        }
        config.enable_idempotence = false;
    }
    if config.acks != Acks::All {
        if is_wished {
            return Err(conflict("acks", "idempotence needs all"));
        }
        config.enable_idempotence = false;
    }
    if config.max_in_flight_requests_per_connection > 5 {
        let key = "max.in.flight.requests.per.connection";
        return Err(conflict(key, "idempotence takes at most 5"));
    }
    Ok(())
}
