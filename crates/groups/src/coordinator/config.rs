//! The settings of the coordinator, under Kafka's keys. No rule lives here.

/// Settings of a [`super::Coordinator`]; the default is Kafka's. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoordinatorConfig {
    /// `offsets.topic.num.partitions`: how many partitions `__consumer_offsets` has.
    pub offsets_partitions: i32,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.max.size`: members of one group.
    pub max_size: usize,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members after its first.
    pub initial_rebalance_delay_ms: i32,
    /// How long a new member's first join may wait before the member is taken for gone. Kafka has no key for it.
    // Kafka: GroupCoordinatorConfig.CLASSIC_GROUP_NEW_MEMBER_JOIN_TIMEOUT_MS
    pub new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`: the longest note of a committed offset, counted as Java counts characters (UTF-16 units).
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub retention_check_interval_ms: u64,
    /// How many bytes all members of all groups may hold by what they have said of themselves, ids and protocols with their metadata,
    /// and as many again by their assignments. Whoever wants more is answered COORDINATOR_NOT_AVAILABLE, newcomers once seven eighths
    /// are held, and those who want more than 64 KiB once half is. The topics that groups are known to read have as many again; beyond it
    /// a group of consumers may read any. Kafka has no such bound.
    pub most_said: usize,
    /// How many requests of one group may wait for an open append of that group; more are answered COORDINATOR_NOT_AVAILABLE.
    pub inbox_limit: usize,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            offsets_partitions: 50,
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            max_size: i32::MAX as usize,
            initial_rebalance_delay_ms: 3_000,
            new_member_join_timeout_ms: 5 * 60 * 1_000,
            offset_metadata_max: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            retention_check_interval_ms: 600_000,
            most_said: usize::MAX,
            inbox_limit: 1_000,
        }
    }
}
