//! What a consumer is told at its start: Kafka's keys as fields, with Kafka's defaults. Parsing of properties lives in the
//! library.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::assign::by_name;
use kohort_groups::member::{MemberConfig, OfferedAssignor};

use crate::client::ClientConfig;

/// `auto.offset.reset`: where to begin when a partition has no committed offset, or its position is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OffsetReset {
    /// At the end of the log.
    #[default]
    Latest,
    /// At its beginning.
    Earliest,
    /// Nowhere: the next poll fails.
    None,
    /// At the first record that is at most this old (KIP-1106).
    ByDuration(Duration),
}

/// `isolation.level`: whether records of open and aborted transactions are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum IsolationLevel {
    /// All records.
    #[default]
    ReadUncommitted,
    /// Only up to the last stable offset, without those of aborted transactions.
    ReadCommitted,
}

impl IsolationLevel {
    /// The level as Fetch and ListOffsets carry it.
    // Kafka: IsolationLevel
    pub fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// The settings of a group's member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.id`, not empty.
    pub group_id: Arc<str>,
    /// `group.instance.id` of a static member (KIP-345).
    pub group_instance_id: Option<Arc<str>>,
    /// `session.timeout.ms` (45 s).
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms` (3 s).
    pub heartbeat_interval: Duration,
    /// `kohort.rebalance.heartbeat.ms` (50 ms): how long after a round of a rebalance the first heartbeat is sent; those after it
    /// come ever more slowly, until the regular ones begin.
    pub first_heartbeat: Duration,
    /// `max.poll.interval.ms` (5 min): the longest time between two polls before the member leaves its group; also how long a
    /// rebalance waits for it.
    pub max_poll_interval: Duration,
    /// `partition.assignment.strategy`, the preferred one first. Those that `kohort_groups::assign::by_name` knows are run by the
    /// engine, others by the driver.
    pub assignors: Vec<OfferedAssignor>,
}

/// These of Kafka's own assignors.
fn assignors(names: &[&str]) -> Vec<OfferedAssignor> {
    let offered =
        |name: &&str| by_name(name).map(|kafkas| OfferedAssignor::new(kafkas.name(), kafkas.protocols()));
    names.iter().filter_map(offered).collect()
}

impl GroupConfig {
    /// Kafka's defaults for this group.
    // Kafka: ConsumerConfig
    pub fn new(group_id: impl Into<Arc<str>>) -> Self {
        Self {
            group_id: group_id.into(),
            group_instance_id: None,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            first_heartbeat: MemberConfig::FIRST_HEARTBEAT,
            max_poll_interval: Duration::from_secs(300),
            assignors: assignors(&["range", "cooperative-sticky"]),
        }
    }
}

/// The settings of a [`ConsumerEngine`](super::ConsumerEngine), named after Kafka's keys.
///
/// ```
/// use kohort_engine::client::ClientConfig;
/// use kohort_engine::consumer::{ConsumerConfig, GroupConfig};
///
/// let mut config = ConsumerConfig::new(ClientConfig::new([("localhost".into(), 9092)]));
/// config.group = Some(GroupConfig::new("readers"));
/// config.enable_auto_commit = true;
/// assert_eq!(config.fetch_max_wait.as_millis(), 500);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConfig {
    /// The client's own keys.
    pub client: ClientConfig,
    /// The group, if `group.id` is set.
    pub group: Option<GroupConfig>,
    /// `auto.offset.reset` (latest).
    pub auto_offset_reset: OffsetReset,
    /// `isolation.level` (read_uncommitted).
    pub isolation_level: IsolationLevel,
    /// `enable.auto.commit`. It has no effect without a group.
    pub enable_auto_commit: bool,
    /// `auto.commit.interval.ms` (5 s).
    pub auto_commit_interval: Duration,
    /// `fetch.min.bytes` (1).
    pub fetch_min_bytes: i32,
    /// `fetch.max.wait.ms` (500 ms).
    pub fetch_max_wait: Duration,
    /// `fetch.max.bytes` (50 MiB).
    pub fetch_max_bytes: i32,
    /// `max.partition.fetch.bytes` (1 MiB).
    pub max_partition_fetch_bytes: i32,
    /// `check.crcs` (true).
    pub check_crcs: bool,
    /// `exclude.internal.topics` (true): whether a pattern never matches Kafka's own topics.
    pub exclude_internal_topics: bool,
    /// `client.rack`, empty when not set (KIP-881).
    pub client_rack: String,
    /// `kohort.memory.budget` (64 MiB): bytes of fetched data that are in flight, not yet handed out, decompressed, or held by
    /// whoever keeps records. At most half of it is fetched ahead, at most half of it is decompressed. A batch larger than the
    /// budget is admitted alone. Not counted: spare capacity of receive buffers, idle buffers, and one request more while all that
    /// is buffered belongs to paused partitions.
    pub memory_budget: u64,
}

impl ConsumerConfig {
    /// Kafka's defaults, without a group.
    // Kafka: ConsumerConfig
    pub fn new(client: ClientConfig) -> Self {
        Self {
            client,
            group: None,
            auto_offset_reset: OffsetReset::Latest,
            isolation_level: IsolationLevel::ReadUncommitted,
            enable_auto_commit: false,
            auto_commit_interval: Duration::from_secs(5),
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 50 * 1024 * 1024,
            max_partition_fetch_bytes: 1024 * 1024,
            check_crcs: true,
            exclude_internal_topics: true,
            client_rack: String::new(),
            memory_budget: 64 * 1024 * 1024,
        }
    }

    /// Buffered bytes of a partition up to which it is fetched again: one fetch is on its way while another is consumed.
    pub(crate) fn low_water(&self) -> u64 {
        u64::try_from(self.max_partition_fetch_bytes)
            .unwrap_or(0)
            .min(self.memory_budget / 4)
    }

    /// Bytes that the caller may have consumed without a word: a report wakes the network task, which costs more than a few small
    /// records do.
    pub(crate) fn unreported(&self) -> u64 {
        (64 * 1024).min(self.memory_budget / 64)
    }
}
