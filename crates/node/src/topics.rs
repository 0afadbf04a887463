//! The topics of the node: ids, settings, partitions and who leads them. What an API answers is decided in
//! [`crate::handlers`], which names there may be in [`names`], how topics outlive the process in [`keeping`].

mod keeping;
mod names;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_protocol::{ErrorCode, Uuid};

use crate::cluster::{BrokerId, Cluster};
use crate::config::{Config, DynamicConfig, LogConfig, Scope, TopicConfig};
use crate::journal::{Entry, Journal, TopicEntry};
use crate::log::{LogName, PartitionLog, Storage, StorageError};

use names::Spellings;
pub(crate) use names::{CLUSTER_METADATA, CONSUMER_OFFSETS, REBALANCES, is_internal, is_valid_name};

/// Names a log: the id of its topic, and the partition.
pub(crate) type LogKey = ([u8; 16], i32);

/// The journal's log.
pub(crate) const JOURNAL: LogKey = ([0; 16], -1);

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

    /// The names of its logs.
    fn log_names(&self) -> impl Iterator<Item = LogName> {
        self.numbered().map(|(partition, _)| LogName {
            topic: self.name.clone(),
            topic_id: self.id.0,
            partition,
        })
    }

    fn entry(&self, partitions: i32, config: &TopicConfig) -> Entry {
        let entry = TopicEntry {
            id: self.id,
            partitions,
            config: config.clone(),
        };
        Entry::Topic(self.name.to_string(), entry)
    }

    /// The numbers and partitions in order.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (i32, &Partition)> {
        (0i32..).zip(&self.partitions)
    }
}

/// All topics by name and by id, and what outlives the process beside them.
pub(crate) struct Topics {
    storage: Box<dyn Storage>,
    journal: Journal,
    by_name: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<[u8; 16], Arc<str>>,
    spellings: Spellings,
    /// How often the node was started.
    run: i64,
    /// Paths that are not needed any more.
    garbage: Vec<String>,
}

impl Topics {
    /// The log with this key.
    pub(crate) fn log_mut(&mut self, key: LogKey) -> Option<&mut PartitionLog> {
        if key == JOURNAL {
            return self.journal.log_mut();
        }
        let name = self.names.get(&key.0)?;
        let partition = self.by_name.get_mut(name)?.partition_mut(key.1)?;
        Some(&mut partition.log)
    }

    /// Grows with everything that is remembered of topics.
    pub(crate) fn journal_end(&self) -> i64 {
        self.journal.end_offset()
    }

    /// How often the node was started with this storage.
    pub(crate) fn run(&self) -> i64 {
        self.run
    }

    /// Gives a topic other settings, which were checked.
    pub(crate) fn configure(
        &mut self,
        name: &str,
        config: TopicConfig,
        broker_config: &Config,
        wall_ms: i64,
    ) -> Result<(), StorageError> {
        let Some(topic) = self.by_name.get_mut(name) else {
            return Ok(());
        };
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        self.journal
            .append(&[topic.entry(partitions, &config)], wall_ms)?;
        topic.log_config = config.log_config(broker_config);
        topic.config = config;
        Ok(())
    }

    /// Changes the settings of this broker, or of all, which were checked.
    pub(crate) fn configure_brokers(
        &mut self,
        scope: Scope,
        dynamic: DynamicConfig,
        surroundings: (&mut Config, &Cluster, i64),
    ) -> Result<(), StorageError> {
        let (config, cluster, wall_ms) = surroundings;
        let id = match scope {
            Scope::Broker => cluster.controller().to_string(),
            Scope::Cluster => String::new(),
        };
        self.journal
            .append(&[Entry::Broker(id, dynamic.clone())], wall_ms)?;
        config.set_dynamic(scope, dynamic);
        self.journal.configure(config);
        for topic in self.by_name.values_mut() {
            topic.log_config = topic.config.log_config(config);
        }
        Ok(())
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

    /// Creates a topic whose name and settings were checked. It is remembered once its logs are there.
    pub(crate) fn create(
        &mut self,
        name: &str,
        partitions: i32,
        config: TopicConfig,
        id: Uuid,
        surroundings: (&Config, &Cluster, i64),
    ) -> Result<(), StorageError> {
        let (broker_config, cluster, wall_ms) = surroundings;
        let mut topic = Topic {
            name: name.into(),
            id,
            log_config: config.log_config(broker_config),
            config,
            partitions: Vec::new(),
        };
        let created =
            Self::grow(self.storage.as_mut(), &mut topic, partitions, cluster, wall_ms).and_then(|()| {
                let entry = topic.entry(partitions, &topic.config);
                self.journal.append(&[entry], wall_ms)
            });
        if let Err(error) = created {
            take_back(self.storage.as_mut(), &topic, 0);
            return Err(error);
        }
        self.enter(topic);
        Ok(())
    }

    fn enter(&mut self, topic: Topic) {
        let name = topic.name.clone();
        self.names.insert(topic.id.0, name.clone());
        self.spellings.insert(&name);
        self.by_name.insert(name, topic);
    }

    /// A topic whose name differs from this one only in `.` and `_`, so that no topic may have it.
    pub(crate) fn colliding(&self, name: &str) -> Option<&Arc<str>> {
        self.spellings.colliding(name)
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
        wall_ms: i64,
    ) -> Result<(), StorageError> {
        let Some(topic) = self.by_name.get_mut(name) else {
            return Ok(());
        };
        let before = topic.partitions.len();
        let grown = Self::grow(self.storage.as_mut(), topic, partitions, cluster, wall_ms).and_then(|()| {
            let entry = topic.entry(partitions, &topic.config);
            self.journal.append(&[entry], wall_ms)
        });
        if grown.is_err() {
            take_back(self.storage.as_mut(), topic, before);
            topic.partitions.truncate(before);
        }
        grown
    }

    fn grow(
        storage: &mut dyn Storage,
        topic: &mut Topic,
        partitions: i32,
        cluster: &Cluster,
        wall_ms: i64,
    ) -> Result<(), StorageError> {
        let first = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let is_lasting = storage.is_lasting();
        for number in first..partitions {
            let name = LogName {
                topic: topic.name.clone(),
                topic_id: topic.id.0,
                partition: number,
            };
            let stored = storage.open(&name, &topic.log_config)?;
            topic.partitions.push(Partition {
                leader: cluster.leader_for(number),
                log: PartitionLog::open(stored, is_lasting, wall_ms)?,
            });
        }
        Ok(())
    }

    /// Deletes a topic and its logs; returns its id, or `None` when there is no such topic.
    pub(crate) fn delete(&mut self, name: &str, wall_ms: i64) -> Option<Result<Uuid, StorageError>> {
        let topic = self.by_name.get(name)?;
        if let Err(error) = self.journal.append(&[Entry::NoTopic(name.to_string())], wall_ms) {
            return Some(Err(error));
        }
        let id = topic.id;
        let topic = self.by_name.remove(name)?;
        self.names.remove(&id.0);
        self.spellings.remove(&topic.name);
        let mut removed = Ok(id);
        for name in topic.log_names() {
            if let Err(error) = self.storage.remove(&name) {
                removed = Err(error);
            }
        }
        Some(removed)
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

/// Removes the logs of a topic from partition `first` on, and the one that could not be opened, because they are not wanted.
fn take_back(storage: &mut dyn Storage, topic: &Topic, first: usize) {
    let failed = i32::try_from(topic.partitions.len()).map(|partition| LogName {
        topic: topic.name.clone(),
        topic_id: topic.id.0,
        partition,
    });
    for name in topic.log_names().skip(first).chain(failed) {
        // What stays is put aside at the next start.
        let _ = storage.remove(&name);
    }
}
