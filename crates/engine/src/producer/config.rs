//! What a producer is told at its start: Kafka's keys as fields, with Kafka's defaults.

use core::time::Duration;

use kohort_records::Compression;

use crate::client::ClientConfig;

/// `acks`: who must have a record before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// `0`: nobody. A record is acknowledged when it is sent, without its offset.
    None,
    /// `1`: the leader.
    Leader,
    /// `all` or `-1`: all replicas in sync.
    #[default]
    All,
}

impl Acks {
    /// The number that Produce carries.
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// The settings of a [`ProducerEngine`](super::ProducerEngine), named after Kafka's keys.
///
/// ```
/// use kohort_engine::client::ClientConfig;
/// use kohort_engine::producer::{Acks, ProducerConfig};
///
/// let config = ProducerConfig::new(ClientConfig::new([("localhost".into(), 9092)]));
/// assert_eq!(config.acks, Acks::All);
/// assert_eq!(config.linger.as_millis(), 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerConfig {
    /// The settings of its connections.
    pub client: ClientConfig,
    /// `acks` (all).
    pub acks: Acks,
    /// `batch.size` (16384 bytes): a batch is sent when the next record would make it larger. It is measured before compression.
    pub batch_size: usize,
    /// `linger.ms` (5 ms): how long a batch waits for more records.
    pub linger: Duration,
    /// `compression.type` (none).
    pub compression: Compression,
    /// `compression.<type>.level`; none for the codec's default.
    pub compression_level: Option<i32>,
    /// `max.request.size` (1 MiB): the largest record, and how many bytes of batches one request carries. It is measured before
    /// compression.
    pub max_request_size: usize,
    /// `buffer.memory` (32 MiB): bytes of records that wait for their acknowledgement; a record more waits for room.
    pub buffer_memory: usize,
    /// `max.block.ms` (60 s): how long a record waits for room and for its topic's metadata.
    pub max_block: Duration,
    /// `delivery.timeout.ms` (2 min): how long after it joined a batch a record is given up.
    pub delivery_timeout: Duration,
    /// `retries` (no bound): how often a batch is sent again after a retriable error.
    pub retries: u32,
    /// `max.in.flight.requests.per.connection` (5; idempotence takes at most 5). Without idempotence at most one batch per
    /// partition is in flight, whatever this says, because it keeps their order.
    pub max_in_flight: usize,
    /// `enable.idempotence` (true): a batch that is sent again is in the log once, and in order (KIP-98). Needs `acks` of all.
    pub enable_idempotence: bool,
}

impl ProducerConfig {
    /// Kafka's defaults over this client.
    // Kafka: ProducerConfig
    pub fn new(client: ClientConfig) -> Self {
        Self {
            client,
            acks: Acks::All,
            batch_size: 16_384,
            linger: Duration::from_millis(5),
            compression: Compression::None,
            compression_level: None,
            max_request_size: 1_048_576,
            buffer_memory: 33_554_432,
            max_block: Duration::from_secs(60),
            delivery_timeout: Duration::from_secs(120),
            retries: i32::MAX as u32,
            max_in_flight: 5,
            enable_idempotence: true,
        }
    }

    /// Whether batches carry sequences. Only a broker that all replicas answer for can judge them.
    pub(super) fn is_idempotent(&self) -> bool {
        self.enable_idempotence && self.acks == Acks::All
    }

    /// How many requests of a connection may be in flight.
    // Kafka: ProducerConfig.MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION_FOR_IDEMPOTENCE
    pub(super) fn in_flight_limit(&self) -> usize {
        match self.is_idempotent() {
            true => self.max_in_flight.min(5),
            false => self.max_in_flight,
        }
    }
}
