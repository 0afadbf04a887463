//! What a member is told once: its group, its time-outs, its assignors. No rule lives here but the checks on the settings.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::Backoff;

use super::beats::Rhythm;

use crate::RebalanceProtocol;

/// One assignor that the member offers to its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedAssignor {
    /// The name by which members of a group agree on it, such as `range`.
    pub name: Arc<str>,
    /// How partitions may be given up under it.
    pub protocols: Vec<RebalanceProtocol>,
}

impl OfferedAssignor {
    /// An assignor of this name that supports these protocols.
    pub fn new(name: impl Into<Arc<str>>, protocols: impl Into<Vec<RebalanceProtocol>>) -> Self {
        Self {
            name: name.into(),
            protocols: protocols.into(),
        }
    }
}

/// The settings of a [`Member`](super::Member).
#[derive(Debug, Clone, PartialEq)]
pub struct MemberConfig {
    /// `group.id`.
    pub group_id: Arc<str>,
    /// `group.instance.id`: makes the member a static one (KIP-345).
    pub group_instance_id: Option<Arc<str>>,
    /// `client.rack`.
    pub rack: Option<Arc<str>>,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `max.poll.interval.ms`, which is the time that the coordinator gives a member to join again.
    pub rebalance_timeout: Duration,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// How long after a round the first heartbeat is sent, and how close two may be; not above `heartbeat_interval`.
    pub first_heartbeat: Duration,
    /// `request.timeout.ms`; JoinGroup alone may take longer.
    pub request_timeout: Duration,
    /// `retry.backoff.ms` to `retry.backoff.max.ms`.
    pub backoff: Backoff,
    /// `partition.assignment.strategy`, the preferred first.
    pub assignors: Vec<OfferedAssignor>,
}

impl MemberConfig {
    /// The default of [`first_heartbeat`](Self::first_heartbeat).
    pub const FIRST_HEARTBEAT: Duration = Duration::from_millis(50);

    /// Kafka's defaults for a dynamic member of `group_id` that offers `assignors`.
    // Kafka: ConsumerConfig
    pub fn new(group_id: impl Into<Arc<str>>, assignors: Vec<OfferedAssignor>) -> Self {
        Self {
            group_id: group_id.into(),
            group_instance_id: None,
            rack: None,
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(300),
            heartbeat_interval: Duration::from_secs(3),
            first_heartbeat: Self::FIRST_HEARTBEAT,
            request_timeout: Duration::from_secs(30),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
            assignors,
        }
    }

    /// How the member gives up partitions: cooperatively when every offered assignor can, else eagerly.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoAssignor`] and [`ConfigError::NoCommonProtocol`].
    // Kafka: ConsumerCoordinator's constructor
    pub fn rebalance_protocol(&self) -> Result<RebalanceProtocol, ConfigError> {
        if self.assignors.is_empty() {
            return Err(ConfigError::NoAssignor);
        }
        [RebalanceProtocol::Cooperative, RebalanceProtocol::Eager]
            .into_iter()
            .find(|protocol| {
                self.assignors
                    .iter()
                    .all(|offered| offered.protocols.contains(protocol))
            })
            .ok_or(ConfigError::NoCommonProtocol)
    }

    /// When heartbeats are due.
    pub(super) fn rhythm(&self) -> Rhythm {
        Rhythm::new(
            self.first_heartbeat,
            self.heartbeat_interval,
            self.session_timeout,
        )
    }

    /// Checks the settings that depend on each other.
    pub(super) fn check(&self) -> Result<RebalanceProtocol, ConfigError> {
        // Kafka: Heartbeat's constructor
        if self.heartbeat_interval >= self.session_timeout {
            return Err(ConfigError::HeartbeatTooSlow {
                interval_ms: self.heartbeat_interval.as_millis(),
                session_ms: self.session_timeout.as_millis(),
            });
        }
        // Kafka's has no such bound; a timer of 0 is due as soon as it is armed.
        if self.heartbeat_interval.is_zero() {
            return Err(ConfigError::NoHeartbeatInterval);
        }
        if self.first_heartbeat.is_zero() {
            return Err(ConfigError::NoFirstHeartbeat);
        }
        self.rebalance_protocol()
    }
}

/// Settings that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The list of assignors is empty.
    #[error("partition.assignment.strategy is empty: name at least one assignor to subscribe to topics")]
    NoAssignor,
    /// Some assignors are only eager and others only cooperative.
    #[error(
        "the assignors of partition.assignment.strategy have no rebalance protocol in common: drop the eager-only or the cooperative-only ones"
    )]
    NoCommonProtocol,
    /// Heartbeats would follow each other without a pause.
    #[error("heartbeat.interval.ms is 0: set at least 1")]
    NoHeartbeatInterval,
    /// Heartbeats after a round would follow each other without a pause.
    #[error("kohort.rebalance.heartbeat.ms is 0: set at least 1")]
    NoFirstHeartbeat,
    /// The session would expire between two heartbeats.
    #[error("heartbeat.interval.ms ({interval_ms}) must be below session.timeout.ms ({session_ms})")]
    HeartbeatTooSlow {
        /// `heartbeat.interval.ms`.
        interval_ms: u128,
        /// `session.timeout.ms`.
        session_ms: u128,
    },
}
