//! What outlives the process: how topics are found again at the start, kept while the node runs, and closed.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Prng;
use kohort_protocol::Uuid;

use super::{CLUSTER_METADATA, CONSUMER_OFFSETS, Spellings, Topic, Topics, is_internal};
use crate::cluster::Cluster;
use crate::config::{Config, Scope, TopicConfig};
use crate::journal::{self, Entry, Journal, Remembered, TopicEntry};
use crate::log::{LogName, PartitionLog, Point, Storage, StorageError, rewrite_latest};

impl Topics {
    /// The topics that a storage holds: none, if it is new. Gives lines for the operator, too. `seed` decides the ids of topics
    /// that have none. What was changed of the brokers' settings while they ran is put in force.
    pub(crate) fn open(
        mut storage: Box<dyn Storage>,
        config: &mut Config,
        cluster: &Cluster,
        seed: u64,
        wall_ms: i64,
    ) -> Result<(Self, Vec<String>), StorageError> {
        let (mut journal, mut remembered) = match storage.is_lasting() {
            true => Journal::open(storage.as_mut(), config, wall_ms)?,
            false => (Journal::none(config), Remembered::default()),
        };
        for (id, dynamic) in &remembered.brokers {
            if let Some(scope) = scope(cluster, id) {
                config.set_dynamic(scope, dynamic.clone());
            }
        }
        journal.configure(config);
        let mut topics = Self {
            storage,
            journal,
            by_name: BTreeMap::new(),
            names: BTreeMap::new(),
            spellings: Spellings::default(),
            run: remembered.run,
            garbage: Vec::new(),
        };
        let mut notes = topics
            .journal
            .log_mut()
            .map(PartitionLog::take_notes)
            .unwrap_or_default();
        let mut found = topics.storage.found()?;
        // What is not of topics stays as it is.
        // Kafka: LogManager.loadLogs
        found.retain(|name| *name.topic != *journal::log_name().topic && *name.topic != *CLUSTER_METADATA);
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
        let mut topic = Topic {
            name: name.into(),
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
        self.enter(topic);
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
        let topics = self.by_name.values_mut();
        let logs = topics.flat_map(|topic| topic.partitions.iter_mut().map(|partition| &mut partition.log));
        let completed: Vec<_> = logs
            .chain(self.journal.log_mut())
            .map(PartitionLog::complete)
            .collect();
        // What one log lacks is no reason to leave the others unsynced.
        self.sync_all()?;
        completed.into_iter().collect::<Result<(), _>>()?;
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
}

/// Whose settings are in force here of those that are kept for the broker of this id, or for all where it is empty. One of several
/// brokers has none of its own, for they share their logs; they are kept for when it is alone.
fn scope(cluster: &Cluster, id: &str) -> Option<Scope> {
    let is_alone = cluster.brokers.len() == 1;
    match id {
        "" => Some(Scope::Cluster),
        id => (is_alone && id.parse() == Ok(cluster.controller())).then_some(Scope::Broker),
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
