//! The topics of the node: names, ids, settings, partitions and who leads them. What an API answers is decided in
//! [`crate::handlers`].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Prng;
use kohort_protocol::{ErrorCode, Uuid};

use crate::cluster::{BrokerId, Cluster};
use crate::config::{Config, LogConfig, TopicConfig};
use crate::log::{LogName, PartitionLog, Storage, StorageError};

/// The topic that holds the offsets and groups.
pub(crate) const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// The longest name of a topic.
// Kafka: Topic.MAX_NAME_LENGTH
const MAX_NAME_LENGTH: usize = 249;

/// One partition.
pub(crate) struct Partition {
    pub(crate) leader: BrokerId,
    pub(crate) log: PartitionLog,
}

/// One topic.
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) config: TopicConfig,
    pub(crate) log_config: LogConfig,
    pub(crate) partitions: Vec<Partition>,
}

impl Topic {
    /// Whether the topic is the broker's own.
    // Kafka: Topic.isInternal
    pub(crate) fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }

    pub(crate) fn partition(&self, number: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, number: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(number).ok()?)
    }

    /// The numbers and partitions in order.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (i32, &Partition)> {
        (0i32..).zip(&self.partitions)
    }
}

/// All topics by name and by id.
pub(crate) struct Topics {
    storage: Box<dyn Storage>,
    by_name: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<[u8; 16], Arc<str>>,
}

impl Topics {
    pub(crate) fn new(storage: Box<dyn Storage>) -> Self {
        Self {
            storage,
            by_name: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.by_name.get_mut(name)
    }

    /// All partitions.
    pub(crate) fn partitions_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.by_name.values_mut().flat_map(|topic| &mut topic.partitions)
    }

    /// The name of the topic with this id.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<Arc<str>> {
        self.names.get(&id.0).cloned()
    }

    /// Creates a topic whose name and settings were checked.
    pub(crate) fn create(
        &mut self,
        name: &str,
        partitions: i32,
        config: TopicConfig,
        broker_config: &Config,
        cluster: &Cluster,
        prng: &mut Prng,
    ) -> Result<&Topic, StorageError> {
        let name: Arc<str> = name.into();
        let mut topic = Topic {
            name: name.clone(),
            id: Uuid(prng.uuid_v4()),
            log_config: config.log_config(broker_config),
            config,
            partitions: Vec::new(),
        };
        Self::grow(self.storage.as_mut(), &mut topic, partitions, cluster)?;
        self.names.insert(topic.id.0, name.clone());
        Ok(self.by_name.entry(name).or_insert(topic))
    }

    /// Puts other settings of a topic in force.
    pub(crate) fn configure(
        &mut self,
        name: &str,
        config: TopicConfig,
        broker_config: &Config,
    ) -> Result<(), StorageError> {
        if let Some(topic) = self.by_name.get_mut(name) {
            topic.log_config = config.log_config(broker_config);
            topic.config = config;
        }
        Ok(())
    }

    /// Where the logs are; see [`Storage::location`].
    pub(crate) fn location(&self) -> String {
        self.storage.location()
    }

    /// Adds partitions up to `partitions`.
    pub(crate) fn add_partitions(
        &mut self,
        name: &str,
        partitions: i32,
        cluster: &Cluster,
    ) -> Result<(), StorageError> {
        match self.by_name.get_mut(name) {
            Some(topic) => Self::grow(self.storage.as_mut(), topic, partitions, cluster),
            None => Ok(()),
        }
    }

    fn grow(
        storage: &mut dyn Storage,
        topic: &mut Topic,
        partitions: i32,
        cluster: &Cluster,
    ) -> Result<(), StorageError> {
        let first = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        for number in first..partitions {
            let stored = storage.open(&LogName {
                topic: topic.name.clone(),
                topic_id: topic.id.0,
                partition: number,
            })?;
            topic.partitions.push(Partition {
                leader: cluster.leader_for(number),
                log: PartitionLog::new(stored),
            });
        }
        Ok(())
    }

    /// Deletes a topic and its logs; returns its id, or `None` when there is no such topic.
    pub(crate) fn delete(&mut self, name: &str) -> Option<Result<Uuid, StorageError>> {
        let topic = self.by_name.remove(name)?;
        self.names.remove(&topic.id.0);
        for (partition, _) in topic.numbered() {
            let removed = self.storage.remove(&LogName {
                topic: topic.name.clone(),
                topic_id: topic.id.0,
                partition,
            });
            if let Err(error) = removed {
                return Some(Err(error));
            }
        }
        Some(Ok(topic.id))
    }

    /// The partition, if `broker` leads it.
    pub(crate) fn led_by(
        &mut self,
        broker: BrokerId,
        name: &str,
        partition: i32,
    ) -> Result<(&mut Partition, &LogConfig), ErrorCode> {
        let topic = self
            .by_name
            .get_mut(name)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let index = usize::try_from(partition).map_err(|_| ErrorCode::UnknownTopicOrPartition)?;
        let partition = topic
            .partitions
            .get_mut(index)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if partition.leader != broker {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Ok((partition, &topic.log_config))
    }
}

/// Whether a topic of this name is the broker's own.
// Kafka: Topic.INTERNAL_TOPICS
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(
        name,
        CONSUMER_OFFSETS | "__transaction_state" | "__share_group_state"
    )
}

/// Whether a topic may have this name.
// Kafka: Topic.validate
pub(crate) fn is_valid_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() <= MAX_NAME_LENGTH
        && name.chars().all(is_legal)
}

/// Whether two names differ only in `.` and `_`, which Kafka's metrics do not tell apart.
// Kafka: Topic.hasCollision
pub(crate) fn collide(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .all(|(a, b)| a == b || matches!((a, b), (b'.', b'_') | (b'_', b'.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_letters_digits_dots_underscores_and_hyphens() {
        assert!(is_valid_name("a.B_9-c"));
        for name in ["", ".", "..", "a b", "ä", "a/b"] {
            assert!(!is_valid_name(name), "{name:?}");
        }
        assert!(is_valid_name(&"a".repeat(249)));
        assert!(!is_valid_name(&"a".repeat(250)));
    }

    #[test]
    fn names_collide_when_only_dots_and_underscores_differ() {
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a-b"));
    }
}
