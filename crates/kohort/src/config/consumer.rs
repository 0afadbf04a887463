//! The settings of a consumer. What they do lives where it is done; the texts here say what a user has to know.

use std::path::PathBuf;

use super::ConfigError;
use super::choices::{AutoOffsetReset, RecoveryStrategy, RuntimePlace};
use super::refused::{COMMON, CONSUMER, SECURITY};
use super::settings::{Explicit, settings};
use super::value::{List, addresses, any, at_least, invalid, non_empty, non_empty_path};

/// The key of the rebalance journal's file.
pub(crate) const JOURNAL_FILE: &str = "kohort.rebalance.journal.file";

settings! {
    /// The settings of a [`crate::Consumer`] under Kafka's keys, with Kafka's defaults.
    ///
    /// ```
    /// use kohort::config::{AutoOffsetReset, ConsumerConfig};
    ///
    /// let config = ConsumerConfig::from_properties(
    ///     "bootstrap.servers=localhost:9092\n\
    ///      group.id=orders\n\
    ///      auto.offset.reset=earliest\n\
    ///      partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor\n",
    /// )?;
    /// assert_eq!(config.auto_offset_reset, AutoOffsetReset::Earliest);
    /// assert_eq!(config.max_poll_records, 500);
    /// # Ok::<(), kohort::config::ConfigError>(())
    /// ```
    ConsumerConfig, ConsumerBuilder<K, V, KD, VD>, refused &[COMMON, SECURITY, CONSUMER], together together;

    /// brokers to begin with, `host:port` each; the others are learned from them. Required.
    "bootstrap.servers" => bootstrap_servers(List): List = List::default(), addresses;
    /// the consumer's group. Without it nothing is committed on its own, and `subscribe` is refused.
    "group.id" => group_id(String): Option<String> = None, non_empty;
    /// makes the member static (KIP-345): back within `session.timeout.ms` it keeps its partitions without a rebalance.
    "group.instance.id" => group_instance_id(String): Option<String> = None, non_empty;
    /// the client's name in the broker's logs and quotas; made of the group when empty.
    "client.id" => client_id(String): String = String::new(), any;
    /// where the consumer is, for assignors that prefer partitions with a replica there (KIP-881); not used for fetching.
    "client.rack" => client_rack(String): String = String::new(), any;
    /// whether asking for an unknown topic lets the broker make it.
    "allow.auto.create.topics" => allow_auto_create_topics(bool): bool = true, any;
    /// where to start without a committed offset.
    "auto.offset.reset" => auto_offset_reset(AutoOffsetReset): AutoOffsetReset = AutoOffsetReset::Latest, any;
    /// whether `poll` and `close` commit what was returned before. Off without `group.id`.
    "enable.auto.commit" => enable_auto_commit(bool): bool = true, any;
    /// ms between two automatic commits, at most: in a group they go with the last heartbeat within it.
    "auto.commit.interval.ms" => auto_commit_interval_ms(i32): i32 = 5_000, at_least(0);
    /// whether each batch's CRC-32C is checked.
    "check.crcs" => check_crcs(bool): bool = true, any;
    /// whether a pattern never matches Kafka's own topics, such as `__consumer_offsets`.
    "exclude.internal.topics" => exclude_internal_topics(bool): bool = true, any;
    /// bytes that a fetch waits for, at most `fetch.max.wait.ms`.
    "fetch.min.bytes" => fetch_min_bytes(i32): i32 = 1, at_least(0);
    /// ms that a fetch waits for `fetch.min.bytes`.
    "fetch.max.wait.ms" => fetch_max_wait_ms(i32): i32 = 500, at_least(0);
    /// bytes of one fetch over all partitions; a larger first batch is returned all the same.
    "fetch.max.bytes" => fetch_max_bytes(i32): i32 = 52_428_800, at_least(0);
    /// bytes of one fetch per partition; a larger first batch is returned all the same.
    "max.partition.fetch.bytes" => max_partition_fetch_bytes(i32): i32 = 1_048_576, at_least(0);
    /// records that one `poll` returns at most.
    "max.poll.records" => max_poll_records(i32): i32 = 500, at_least(1);
    /// ms between two polls after which the member leaves its group.
    "max.poll.interval.ms" => max_poll_interval_ms(i32): i32 = 300_000, at_least(1);
    /// ms without a heartbeat after which the coordinator removes the member.
    "session.timeout.ms" => session_timeout_ms(i32): i32 = 45_000, at_least(1);
    /// ms between two heartbeats at most; a member of a classic group sends one after two thirds of it or a little less, so that it hears sooner
    /// that the group rebalances. Kafka advises a third of the session timeout.
    "heartbeat.interval.ms" => heartbeat_interval_ms(i32): i32 = 3_000, at_least(1);
    /// assignors in order of preference: Kafka's class names, short names (`range`), or the names of own assignors given to
    /// the builder.
    "partition.assignment.strategy" => partition_assignment_strategy(List): List = List::from(["range", "cooperative-sticky"]), strategies;
    /// ms that calls other than `poll` may take when none is given.
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
    "connections.max.idle.ms" => connections_max_idle_ms(i64): i64 = 540_000, any;
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
    /// bytes of records that the consumer holds at most: in flight, buffered, decompressed, and kept by the user. A larger batch is
    /// let in alone. When what is kept fills it, `poll` fails with `MemoryHeld` after its timeout, or after a second if that is
    /// longer. Not counted: spare capacity of receive buffers, idle buffers, and one request more while all that is buffered
    /// belongs to paused partitions.
    "kohort.memory.budget" => kohort_memory_budget(i64): i64 = 67_108_864, at_least(1);
    /// ms after a round of a rebalance at which the first heartbeat is sent; the next ones come ever more slowly, about ten until
    /// they are as far apart as all others. They notice at once that others join again with what they gave up. From
    /// `heartbeat.interval.ms` on there are none of them.
    "kohort.rebalance.heartbeat.ms" => kohort_rebalance_heartbeat_ms(i32): i32 = 50, at_least(1);
    /// a file to which each rebalance that ended is appended as a line of JSON, for `kohort groups describe --rebalances --journal` and
    /// other programs; none when it is not set. Several consumers may share it. It is opened when the consumer is built; what cannot be
    /// written later is a warning in the log. From 4 MiB on it is set aside as `FILE.1`, in the place of the one before, and begun anew.
    "kohort.rebalance.journal.file" => kohort_rebalance_journal_file(PathBuf): Option<PathBuf> = None, non_empty_path;
    /// where the network task runs.
    "kohort.runtime" => kohort_runtime(RuntimePlace): RuntimePlace = RuntimePlace::Ambient, any;
    /// decides what is random (the jitter of retries), so that a run on a paused clock is the same each time; -1: the system's choice.
    "kohort.seed" => kohort_seed(i64): i64 = -1, at_least(-1);
}

/// Kafka: ConsumerConfig's validator of `partition.assignment.strategy`: a list that is not empty.
fn strategies(key: &'static str, value: &List) -> Result<(), ConfigError> {
    match value.is_empty() {
        true => Err(invalid(key, "", "at least one assignor")),
        false => Ok(()),
    }
}

fn together(config: &mut ConsumerConfig, explicit: &Explicit) -> Result<(), ConfigError> {
    if config.group_id.is_none() {
        // Kafka: ConsumerConfig.maybeOverrideEnableAutoCommit
        if explicit.has("enable.auto.commit") && config.enable_auto_commit {
            return Err(ConfigError::Conflict {
                key: "enable.auto.commit",
                other: "group.id",
                reason:
                    "offsets cannot be committed automatically without a group; set group.id or turn it off"
                        .to_owned(),
            });
        }
        config.enable_auto_commit = false;
        if config.kohort_rebalance_journal_file.is_some() {
            return Err(ConfigError::Conflict {
                key: JOURNAL_FILE,
                other: "group.id",
                reason: "a consumer without a group has no rebalances; set group.id or no file".to_owned(),
            });
        }
    }
    // Kafka: Heartbeat's constructor
    if config.heartbeat_interval_ms >= config.session_timeout_ms {
        return Err(ConfigError::Conflict {
            key: "heartbeat.interval.ms",
            other: "session.timeout.ms",
            reason: format!(
                "a heartbeat every {} ms does not keep a session of {} ms alive; use about a third of it",
                config.heartbeat_interval_ms, config.session_timeout_ms
            ),
        });
    }
    Ok(())
}
