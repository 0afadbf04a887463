//! From settings to what the engines are told. Which settings there are lives in the tables.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kohort_engine::client::{ClientConfig, MetadataRecovery};
use kohort_engine::{consumer as engine, producer};
use kohort_groups::assign::{Assignor, by_name};
use kohort_groups::member::OfferedAssignor;
use kohort_records::Compression;

use super::choices::{Acks, AutoOffsetReset, CompressionType, RecoveryStrategy};
use super::value::{List, address};
use super::{AdminConfig, ConfigError, ConsumerConfig, ProducerConfig, invalid};

/// Milliseconds as Kafka counts them; what is below 0 counts as none.
pub(crate) fn ms(value: impl Into<i64>) -> Duration {
    Duration::from_millis(u64::try_from(value.into()).unwrap_or(0))
}

/// The settings that every client has, by their fields' names.
macro_rules! client {
    ($config:expr, $client_id:expr) => {{
        let config = $config;
        let mut client = ClientConfig::new(config.bootstrap_servers.iter().filter_map(address));
        client.client_id = $client_id.to_owned();
        client.request_timeout = ms(config.request_timeout_ms);
        client.metadata_max_age = ms(config.metadata_max_age_ms);
        client.metadata_recovery = match config.metadata_recovery_strategy {
            RecoveryStrategy::None => MetadataRecovery::None,
            RecoveryStrategy::Rebootstrap => MetadataRecovery::Rebootstrap,
        };
        client.rebootstrap_trigger = ms(config.metadata_recovery_rebootstrap_trigger_ms);
        client.retry_backoff = ms(config.retry_backoff_ms);
        client.retry_backoff_max = ms(config.retry_backoff_max_ms);
        client.reconnect_backoff = ms(config.reconnect_backoff_ms);
        client.reconnect_backoff_max = ms(config.reconnect_backoff_max_ms);
        client.connection_setup_timeout = ms(config.socket_connection_setup_timeout_ms);
        client.connection_setup_timeout_max = ms(config.socket_connection_setup_timeout_max_ms);
        // Kafka: a negative connections.max.idle.ms means never.
        client.connections_max_idle = match config.connections_max_idle_ms < 0 {
            true => Duration::MAX,
            false => ms(config.connections_max_idle_ms),
        };
        client
    }};
}

impl ConsumerConfig {
    /// `own` are the assignors of the application.
    pub(crate) fn engine(
        &self,
        client_id: &str,
        own: &[Arc<dyn Assignor>],
    ) -> Result<engine::ConsumerConfig, ConfigError> {
        let mut client = client!(self, client_id);
        client.allow_auto_create_topics = self.allow_auto_create_topics;
        let assignors = assignors(&self.partition_assignment_strategy, own)?;
        let mut config = engine::ConsumerConfig::new(client);
        config.group = self.group_id.as_deref().map(|group_id| {
            let mut group = engine::GroupConfig::new(group_id);
            group.group_instance_id = self.group_instance_id.as_deref().map(Into::into);
            group.session_timeout = ms(self.session_timeout_ms);
            group.heartbeat_interval = ms(self.heartbeat_interval_ms);
            group.first_heartbeat = ms(self.kohort_rebalance_heartbeat_ms);
            group.max_poll_interval = ms(self.max_poll_interval_ms);
            group.assignors = assignors;
            group
        });
        config.auto_offset_reset = match self.auto_offset_reset {
            AutoOffsetReset::Earliest => engine::OffsetReset::Earliest,
            AutoOffsetReset::Latest => engine::OffsetReset::Latest,
            AutoOffsetReset::None => engine::OffsetReset::None,
            AutoOffsetReset::ByDuration(age) => engine::OffsetReset::ByDuration(age),
        };
        config.enable_auto_commit = self.enable_auto_commit;
        config.auto_commit_interval = ms(self.auto_commit_interval_ms);
        config.fetch_min_bytes = self.fetch_min_bytes;
        config.fetch_max_wait = ms(self.fetch_max_wait_ms);
        config.fetch_max_bytes = self.fetch_max_bytes;
        config.max_partition_fetch_bytes = self.max_partition_fetch_bytes;
        config.check_crcs = self.check_crcs;
        config.exclude_internal_topics = self.exclude_internal_topics;
        config.client_rack.clone_from(&self.client_rack);
        config.memory_budget = u64::try_from(self.kohort_memory_budget).unwrap_or(1);
        Ok(config)
    }
}

impl ProducerConfig {
    pub(crate) fn engine(&self, client_id: &str) -> producer::ProducerConfig {
        let size = |bytes: i64| usize::try_from(bytes).unwrap_or(0);
        let mut config = producer::ProducerConfig::new(client!(self, client_id));
        config.acks = match self.acks {
            Acks::None => producer::Acks::None,
            Acks::Leader => producer::Acks::Leader,
            Acks::All => producer::Acks::All,
        };
        config.batch_size = size(self.batch_size.into());
        config.linger = ms(self.linger_ms);
        config.compression = match self.compression_type {
            CompressionType::None => Compression::None,
            CompressionType::Gzip => Compression::Gzip,
            CompressionType::Snappy => Compression::Snappy,
            CompressionType::Lz4 => Compression::Lz4,
            CompressionType::Zstd => Compression::Zstd,
        };
        // The other codecs have no levels.
        config.compression_level = match self.compression_type {
            CompressionType::Gzip => Some(self.compression_gzip_level),
            CompressionType::Lz4 => Some(self.compression_lz4_level),
            CompressionType::Zstd => Some(self.compression_zstd_level),
            CompressionType::None | CompressionType::Snappy => None,
        };
        config.enable_idempotence = self.enable_idempotence;
        config.max_in_flight = size(self.max_in_flight_requests_per_connection.into());
        config.max_request_size = size(self.max_request_size.into());
        config.buffer_memory = size(self.buffer_memory);
        config.max_block = ms(self.max_block_ms);
        config.delivery_timeout = ms(self.delivery_timeout_ms);
        config.retries = u32::try_from(self.retries).unwrap_or(0);
        config
    }
}

impl AdminConfig {
    pub(crate) fn engine(&self, client_id: &str) -> ClientConfig {
        client!(self, client_id)
    }
}

/// `client.id` when none is given: `producer-1`, ….
// Kafka: ProducerConfig.maybeOverrideClientId
pub(crate) fn made_client_id(kind: &str) -> String {
    static MADE: AtomicU64 = AtomicU64::new(1);
    format!("{kind}-{}", MADE.fetch_add(1, Ordering::Relaxed))
}

/// The assignors that the member offers, from class names, short names, and the names of the application's own.
fn assignors(list: &List, own: &[Arc<dyn Assignor>]) -> Result<Vec<OfferedAssignor>, ConfigError> {
    const KEY: &str = "partition.assignment.strategy";
    if let Some(taken) = own.iter().find(|own| by_name(own.name()).is_some()) {
        return Err(invalid(
            KEY,
            taken.name(),
            "another name for an own assignor: this is one of Kafka's",
        ));
    }
    let mut offered: Vec<OfferedAssignor> = Vec::new();
    for text in list.iter() {
        let text = text.strip_prefix("class ").unwrap_or(text);
        let mine = own.iter().find(|own| own.name() == text);
        let Some(found) = mine.map(|own| &**own as &dyn Assignor).or_else(|| by_name(text)) else {
            return Err(invalid(
                KEY,
                text,
                "range, roundrobin, sticky, cooperative-sticky, the Java class of one of them, or the name of an own assignor",
            ));
        };
        // Kafka: ConsumerPartitionAssignor.getAssignorInstances
        if offered.iter().any(|earlier| *earlier.name == *found.name()) {
            return Err(invalid(KEY, text, "each assignor once"));
        }
        offered.push(OfferedAssignor::new(found.name(), found.protocols()));
    }
    Ok(offered)
}

/// Refuses a Java class that reads or writes other bytes than the Rust type does.
pub(crate) fn check_class(
    key: &'static str,
    class: Option<&str>,
    fits: Option<&'static [&'static str]>,
    rust: &'static str,
) -> Result<(), ConfigError> {
    let (Some(class), Some(fits)) = (class, fits) else {
        return Ok(());
    };
    let simple = |name: &str| name.rsplit('.').next().map(str::to_owned);
    let is_same =
        |fit: &&&str| **fit == class || (!class.contains('.') && simple(fit).as_deref() == Some(class));
    match fits.iter().find(is_same) {
        Some(_) => Ok(()),
        None => Err(ConfigError::ClassMismatch {
            key,
            class: class.to_owned(),
            rust,
            fits: match fits.is_empty() {
                true => "what no class of Kafka's reads".to_owned(),
                false => format!("what {} reads", fits.join(" or ")),
            },
        }),
    }
}
