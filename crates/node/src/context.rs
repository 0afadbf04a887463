//! What a handler gets: the parts of the node, and the request's surroundings. No rule lives here.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Instant, Outbox, Prng, Timers};
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody, Uuid};

use crate::cluster::{BrokerId, Cluster};
use crate::config::{Config, TopicConfig};
use crate::durability::Durability;
use crate::faults::{Faults, Spoil};
use crate::fetch_sessions::FetchSessions;
use crate::groups::Groups;
use crate::interface::{Action, CloseReason, ConnId, Level, LogLine};
use crate::log::StorageError;
use crate::node::Timer;
use crate::producer_ids::ProducerIds;
use crate::purgatory::Purgatory;
use crate::topics::{CONSUMER_OFFSETS, REBALANCES, Topics};

/// How often silent producers are looked for.
// Kafka: TransactionLogConfig.PRODUCER_ID_EXPIRATION_CHECK_INTERVAL_MS_DEFAULT
const PRODUCER_CHECK_INTERVAL: Duration = Duration::from_secs(600);

/// The parts of a node while it handles one event.
pub(crate) struct Cx<'a> {
    /// The machine's time.
    pub(crate) now: Instant,
    /// Wall time in milliseconds since the epoch.
    pub(crate) wall_ms: i64,
    pub(crate) config: &'a mut Config,
    pub(crate) cluster: &'a Cluster,
    pub(crate) topics: &'a mut Topics,
    pub(crate) purgatory: &'a mut Purgatory,
    pub(crate) fetch_sessions: &'a mut FetchSessions,
    /// How many bytes of records answers may still have, if there is a bound; see
    /// [`Event::RecordsRoom`](crate::Event::RecordsRoom).
    pub(crate) records_room: Option<usize>,
    pub(crate) durability: &'a mut Durability,
    pub(crate) producer_ids: &'a mut ProducerIds,
    pub(crate) groups: &'a mut Groups,
    pub(crate) faults: &'a mut Faults,
    pub(crate) prng: &'a mut Prng,
    pub(crate) timers: &'a mut Timers<Timer>,
    pub(crate) outbox: &'a mut Outbox<Action>,
    /// What may complete parked fetches; looked at after the event.
    pub(crate) wakes: &'a mut Vec<Wake>,
}

impl Cx<'_> {
    /// Adds a line for the operator.
    pub(crate) fn log(&mut self, level: Level, message: String) {
        self.outbox
            .push(Action::Log(alloc::boxed::Box::new(LogLine { level, message })));
    }

    /// Says in the log that the medium failed, and gives the code for the client.
    pub(crate) fn storage_failed(&mut self, topic: &str, error: &StorageError) -> ErrorCode {
        self.log(Level::Warn, alloc::format!("topic {topic}: {error}"));
        ErrorCode::KafkaStorageError
    }

    /// Creates a topic whose name and settings were checked.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        config: TopicConfig,
    ) -> Result<(), ErrorCode> {
        let id = Uuid(self.prng.uuid_v4());
        let surroundings = (&*self.config, self.cluster, self.wall_ms);
        let created = self.topics.create(name, partitions, config, id, surroundings);
        created.map_err(|error| self.storage_failed(name, &error))
    }

    /// Creates a topic that nobody described: one that is used before it was created.
    // Kafka: DefaultAutoTopicCreationManager.creatableTopic; GroupCoordinatorService.groupMetadataTopicConfigs
    pub(crate) fn create_with_defaults(&mut self, name: &str) -> Result<(), ErrorCode> {
        let segment_bytes = self.config.text("offsets.topic.segment.bytes");
        let settings: &[(&str, &str)] = match name {
            CONSUMER_OFFSETS => &[
                ("cleanup.policy", "compact"),
                ("compression.type", "producer"),
                ("segment.bytes", segment_bytes),
            ],
            // Some thousand rebalances of small groups; the oldest go first.
            REBALANCES => &[("retention.bytes", "4194304"), ("segment.bytes", "1048576")],
            _ => &[],
        };
        let mut config = TopicConfig::default();
        for (key, value) in settings {
            config.set(key, value).map_err(|_| ErrorCode::InvalidConfig)?;
        }
        self.create_topic(name, self.default_partitions(name), config)
    }

    /// How many partitions such a topic gets.
    pub(crate) fn default_partitions(&self, name: &str) -> i32 {
        match name {
            // As many as the groups are spread over, also when the topic was deleted.
            CONSUMER_OFFSETS => self.groups.offsets_partitions(),
            REBALANCES => 1,
            _ => i32::try_from(self.config.int("num.partitions")).unwrap_or(i32::MAX),
        }
    }

    /// A batch of an idempotent producer was stored: such producers are forgotten one day.
    pub(crate) fn watch_producers(&mut self) {
        if !self.timers.is_set(&Timer::Producers) {
            self.timers
                .set(Timer::Producers, self.now + PRODUCER_CHECK_INTERVAL);
        }
    }

    /// Forgets producers that have been silent for `producer.id.expiration.ms`.
    // Kafka: LogManager, UnifiedLog.removeExpiredProducers
    pub(crate) fn expire_producers(&mut self) {
        let expiration_ms = self.config.int("producer.id.expiration.ms");
        let mut is_one_left = false;
        for partition in self.topics.partitions_mut() {
            partition.log.expire_producers(self.wall_ms, expiration_ms);
            is_one_left |= !partition.log.producers().is_empty();
        }
        if is_one_left {
            self.watch_producers();
        }
    }
}

/// Something that may complete parked fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A partition grew by so many bytes.
    Appended {
        topic_id: [u8; 16],
        partition: i32,
        bytes: usize,
    },
    /// A topic was deleted, or one of its partitions got another leader.
    Changed { topic_id: [u8; 16] },
    /// The fetch of a connection may not wait any longer, because too much is waited for.
    Crowded { conn: ConnId },
}

/// A request's surroundings: what is needed to answer it, now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) conn: ConnId,
    /// The broker that was asked.
    pub(crate) broker: BrokerId,
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<String>,
    /// The client's host, as Kafka shows it (`/127.0.0.1`).
    pub(crate) peer: Arc<str>,
    /// An injected fault of the reply.
    pub(crate) spoil: Option<Spoil>,
}

/// What a handler makes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This is the reply.
    Reply(ResponseBody),
    /// The reply comes later, by [`crate::Node`]'s `finish`.
    Later,
    /// There is no reply.
    Nothing,
    /// The connection is closed.
    Close(CloseReason),
}

impl<R: Into<ResponseBody>> From<R> for Outcome {
    fn from(response: R) -> Self {
        Self::Reply(response.into())
    }
}
