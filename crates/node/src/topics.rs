//! The topics of the node: names, ids, settings, partitions and who leads them. What an API answers is decided in
//! [`crate::handlers`].

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Prng;
use kohort_protocol::{ErrorCode, Uuid};

use crate::cluster::{BrokerId, Cluster};
use crate::config::{Config, LogConfig, TopicConfig};
use crate::journal::{self, Entry, Journal, Remembered, TopicEntry};
use crate::log::{LogName, PartitionLog, Point, Storage, StorageError, rewrite_latest};

/// The topic that holds the offsets and groups.
pub(crate) const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// Names a log: the id of its topic, and the partition.
pub(crate) type LogKey = ([u8; 16], i32);

/// The journal's log.
pub(crate) const JOURNAL: LogKey = ([0; 16], -1);

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
    /// How often the node was started.
    run: i64,
    /// Paths that are not needed any more.
    garbage: Vec<String>,
}

impl Topics {
    /// The topics that a storage holds: none, if it is new. Gives lines for the operator, too. `seed` decides the ids of topics
    /// that have none.
    pub(crate) fn open(
        mut storage: Box<dyn Storage>,
        config: &Config,
        cluster: &Cluster,
        seed: u64,
        wall_ms: i64,
    ) -> Result<(Self, Vec<String>), StorageError> {
        let (journal, mut remembered) = match storage.is_lasting() {
            true => Journal::open(storage.as_mut(), config, wall_ms)?,
            false => (Journal::none(config), Remembered::default()),
        };
        let mut topics = Self {
            storage,
            journal,
            by_name: BTreeMap::new(),
            names: BTreeMap::new(),
            run: remembered.run,
            garbage: Vec::new(),
        };
        let mut notes = topics
            .journal
            .log_mut()
            .map(PartitionLog::take_notes)
            .unwrap_or_default();
        let mut found = topics.storage.found()?;
        found.retain(|name| *name.topic != *journal::log_name().topic);
        if topics.journal.is_empty() {
            let prng = Prng::from_seed(seed);
            topics.adopt(&found, &mut remembered, prng, wall_ms, &mut notes)?;
        }
        for (name, entry) in &remembered.topics {
            topics.restore(name, entry, config, cluster, wall_ms, &mut notes)?;
        }
        for name in found {
            let topic = topics.by_name.get(&name.topic);
            if topic.is_none_or(|topic| topic.partition(name.partition).is_none()) {
                notes.push(format!(
                    "{}-{}: no topic has this log; it is put aside",
                    name.topic, name.partition
                ));
                topics.storage.set_aside(&name)?;
            }
        }
        topics.begin_run(&mut remembered, wall_ms)?;
        Ok((topics, notes))
    }

    /// Takes the logs of a directory without journal, as Kafka writes it, as topics. Their settings are not there: nothing is
    /// removed of them until somebody says so.
    fn adopt(
        &mut self,
        found: &[LogName],
        remembered: &mut Remembered,
        mut prng: Prng,
        wall_ms: i64,
        notes: &mut Vec<String>,
    ) -> Result<(), StorageError> {
        for name in found {
            let entry = remembered
                .topics
                .entry(name.topic.to_string())
                .or_insert_with(|| TopicEntry {
                    id: Uuid(name.topic_id),
                    partitions: 0,
                    config: adopted(&name.topic),
                });
            if entry.id == Uuid::default() {
                entry.id = Uuid(name.topic_id);
            }
            entry.partitions = entry.partitions.max(name.partition.saturating_add(1));
        }
        for entry in remembered.topics.values_mut() {
            // Kafka: before partition.metadata no id was kept beside a log.
            if entry.id == Uuid::default() {
                entry.id = Uuid(prng.uuid_v4());
            }
        }
        if !remembered.topics.is_empty() {
            notes.push(format!(
                "{} topics were found whose settings are unknown; they are taken with retention.ms=-1 and retention.bytes=-1, \
                 so that nothing is removed, and the internal ones with cleanup.policy=compact",
                remembered.topics.len()
            ));
        }
        let topics = remembered.topics.iter();
        let entries: Vec<Entry> = topics
            .map(|(name, topic)| Entry::Topic(name.clone(), topic.clone()))
            .collect();
        self.journal.append(&entries, wall_ms)
    }

    fn restore(
        &mut self,
        name: &str,
        entry: &TopicEntry,
        config: &Config,
        cluster: &Cluster,
        wall_ms: i64,
        notes: &mut Vec<String>,
    ) -> Result<(), StorageError> {
        let name: Arc<str> = name.into();
        let mut topic = Topic {
            name: name.clone(),
            id: entry.id,
            log_config: entry.config.log_config(config),
            config: entry.config.clone(),
            partitions: Vec::new(),
        };
        Self::grow(
            self.storage.as_mut(),
            &mut topic,
            entry.partitions,
            cluster,
            wall_ms,
        )?;
        for partition in &mut topic.partitions {
            notes.extend(partition.log.take_notes());
        }
        self.names.insert(topic.id.0, name.clone());
        self.by_name.insert(name, topic);
        Ok(())
    }

    /// Counts this start, and waits until all that was done at it is on the medium.
    fn begin_run(&mut self, remembered: &mut Remembered, wall_ms: i64) -> Result<(), StorageError> {
        remembered.run = remembered.run.saturating_add(1);
        self.run = remembered.run;
        self.journal.append(&[Entry::Run(self.run)], wall_ms)?;
        let journal = self.journal.rewrite(remembered, wall_ms)?;
        let mut shrunk = Vec::new();
        if let Some(topic) = self.by_name.get_mut(CONSUMER_OFFSETS) {
            for (index, partition) in topic.partitions.iter_mut().enumerate() {
                let rewritten = rewrite_latest(&mut partition.log, &topic.log_config, wall_ms)?;
                shrunk.extend(rewritten.map(|offset| (index, offset)));
            }
        }
        self.sync_all()?;
        // What was written anew is on the medium; before it everything may go.
        if let Some(offset) = journal {
            self.journal.drop_before(offset)?;
        }
        for (index, offset) in shrunk {
            let topic = self.by_name.get_mut(CONSUMER_OFFSETS);
            if let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(index)) {
                partition.log.remove_before(offset)?;
                self.garbage.extend(partition.log.take_garbage());
            }
        }
        Ok(())
    }

    /// Waits until everything is on the medium.
    fn sync_all(&mut self) -> Result<(), StorageError> {
        let topics = self.by_name.values_mut();
        let logs = topics.flat_map(|topic| topic.partitions.iter_mut().map(|partition| &mut partition.log));
        let mut logs: Vec<&mut PartitionLog> = logs.chain(self.journal.log_mut()).collect();
        let mut paths: Vec<String> = logs.iter_mut().flat_map(|log| log.take_unsynced()).collect();
        paths.extend(self.storage.take_unsynced_points());
        paths.extend(self.storage.take_unsynced());
        self.storage.sync(&paths)?;
        for log in logs {
            log.synced();
        }
        Ok(())
    }

    /// Ends in order: everything is synced, and the next start need not look for what is torn.
    // Kafka: LogManager.shutdown
    pub(crate) fn close(&mut self) -> Result<(), StorageError> {
        if !self.storage.is_lasting() {
            return Ok(());
        }
        for topic in self.by_name.values_mut() {
            for partition in &mut topic.partitions {
                partition.log.complete()?;
            }
        }
        if let Some(log) = self.journal.log_mut() {
            log.complete()?;
        }
        self.sync_all()?;
        self.keep_points()?;
        self.sync_all()?;
        self.storage.close(self.run)
    }

    /// Keeps how far each log is synced and where it begins.
    // Kafka: LogManager.checkpointLogRecoveryOffsets, checkpointLogStartOffsets
    pub(crate) fn keep_points(&mut self) -> Result<(), StorageError> {
        let mut points = Vec::new();
        let mut starts = Vec::new();
        let mut note = |name: LogName, log: &PartitionLog| {
            starts.extend(log.start_within_segment().map(|start| (name.clone(), start)));
            points.push((name, log.recovery_point()));
        };
        for topic in self.by_name.values() {
            for (name, partition) in topic.log_names().zip(&topic.partitions) {
                note(name, &partition.log);
            }
        }
        if let Some(log) = self.journal.log_mut() {
            note(journal::log_name(), log);
        }
        self.storage.keep(Point::Recovery, &points)?;
        self.storage.keep(Point::Start, &starts)
    }

    /// Paths written beside the logs, to be synced.
    pub(crate) fn take_unsynced(&mut self) -> Vec<String> {
        self.storage.take_unsynced()
    }

    /// Paths written by [`Topics::keep_points`], to be synced.
    pub(crate) fn take_unsynced_points(&mut self) -> Vec<String> {
        self.storage.take_unsynced_points()
    }

    /// Paths that are not needed any more.
    pub(crate) fn take_garbage(&mut self) -> Vec<String> {
        let mut garbage = self.storage.take_garbage();
        garbage.append(&mut self.garbage);
        garbage.extend(
            self.journal
                .log_mut()
                .map(PartitionLog::take_garbage)
                .unwrap_or_default(),
        );
        garbage
    }

    /// Takes note of the paths that a topic's logs do not need any more.
    pub(crate) fn collect_garbage(&mut self, topic: &str) {
        if let Some(topic) = self.by_name.get_mut(topic) {
            let partitions = topic.partitions.iter_mut();
            self.garbage
                .extend(partitions.flat_map(|partition| partition.log.take_garbage()));
        }
    }

    /// Removes what is too old of every log; gives whether more may grow too old, and what went wrong.
    // Kafka: LogManager.cleanupLogs
    pub(crate) fn expire(&mut self, wall_ms: i64) -> (bool, Vec<(Arc<str>, StorageError)>) {
        let (mut may_expire, mut failures) = (false, Vec::new());
        for topic in self.by_name.values_mut() {
            for partition in &mut topic.partitions {
                if let Err(error) = partition.log.expire(&topic.log_config, wall_ms) {
                    failures.push((topic.name.clone(), error));
                }
                self.garbage.extend(partition.log.take_garbage());
                may_expire |= partition.log.may_expire(&topic.log_config);
            }
        }
        (may_expire, failures)
    }

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
        let name: Arc<str> = name.into();
        let mut topic = Topic {
            name: name.clone(),
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
        self.names.insert(topic.id.0, name.clone());
        self.by_name.insert(name, topic);
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

/// The settings of a topic whose own are unknown.
fn adopted(name: &str) -> TopicConfig {
    let mut config = TopicConfig::default();
    let settings: &[(&str, &str)] = match is_internal(name) {
        true => &[("cleanup.policy", "compact")],
        false => &[("retention.ms", "-1"), ("retention.bytes", "-1")],
    };
    for (key, value) in settings {
        let set = config.set(key, value);
        debug_assert!(set.is_ok(), "{key} is a setting of topics");
    }
    config
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
