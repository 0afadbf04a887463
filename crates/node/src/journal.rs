//! What a node remembers of its topics beside their logs, in a log of its own: which topics there are, their ids and
//! settings, what of the brokers' settings was changed while they ran, and how often the node was started. An entry replaces the one before it
//! of the same key. Kafka keeps this in `__cluster_metadata`; the entries here are not Kafka's.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::Uuid;
use kohort_records::codec::Compression;
use kohort_records::{Batch, BatchBuilder};

use crate::config::{Config, DynamicConfig, LogConfig, TopicConfig};
use crate::log::{LogName, Origin, PartitionLog, Storage, StorageError};

/// The log of the journal.
const NAME: &str = "__kohort_metadata";
/// How many entries are kept beyond those in force before the journal is written anew at the start.
const SLACK: i64 = 1000;
/// How many entries go into one batch when the journal is written anew.
const ENTRIES_PER_BATCH: usize = 500;
/// No batch of the journal is larger, decompressed.
const LARGEST_DECOMPRESSED: usize = usize::MAX;

/// The name of the journal's log, which no topic has.
pub(crate) fn log_name() -> LogName {
    LogName {
        topic: NAME.into(),
        topic_id: [0; 16],
        partition: 0,
    }
}

/// What is remembered of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicEntry {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    pub(crate) config: TopicConfig,
}

/// What there is to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A topic, created or changed.
    Topic(String, TopicEntry),
    /// A topic was deleted.
    NoTopic(String),
    /// All that is changed of the settings of the broker of this id, or of all where it is empty.
    Broker(String, DynamicConfig),
    /// The node was started so many times.
    Run(i64),
}

/// All entries in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) topics: BTreeMap<String, TopicEntry>,
    pub(crate) brokers: BTreeMap<String, DynamicConfig>,
    pub(crate) run: i64,
}

/// The log of entries; without one, when logs do not outlive the process.
pub(crate) struct Journal {
    log: Option<PartitionLog>,
    config: LogConfig,
}

impl Journal {
    /// The settings of the broker were changed.
    pub(crate) fn configure(&mut self, config: &Config) {
        self.config = log_config(config);
    }

    /// A journal that forgets.
    pub(crate) fn none(config: &Config) -> Self {
        Self {
            log: None,
            config: log_config(config),
        }
    }

    /// Opens the journal and reads what is in force.
    pub(crate) fn open(
        storage: &mut dyn Storage,
        config: &Config,
        wall_ms: i64,
    ) -> Result<(Self, Remembered), StorageError> {
        let config = log_config(config);
        let mut log = PartitionLog::open(storage.open(&log_name(), &config)?, true, wall_ms)?;
        let mut remembered = Remembered::default();
        let mut damage = None;
        log.for_each(&mut |batch| {
            if let Err(reason) = read_batch(batch, &mut remembered) {
                damage.get_or_insert(reason);
            }
        })?;
        if let Some(reason) = damage {
            // Going on would mean to forget topics.
            return Err(StorageError {
                operation: "reading the topics",
                reason: format!("{NAME}-0: {reason}"),
            });
        }
        let journal = Self {
            log: Some(log),
            config,
        };
        Ok((journal, remembered))
    }

    /// The log, if there is one.
    pub(crate) fn log_mut(&mut self) -> Option<&mut PartitionLog> {
        self.log.as_mut()
    }

    /// Whether no entry was ever written.
    pub(crate) fn is_empty(&self) -> bool {
        self.end_offset() == 0
    }

    /// Grows with every entry.
    pub(crate) fn end_offset(&self) -> i64 {
        self.log.as_ref().map_or(0, PartitionLog::end_offset)
    }

    /// Remembers entries.
    pub(crate) fn append(&mut self, entries: &[Entry], wall_ms: i64) -> Result<(), StorageError> {
        let Some(log) = &mut self.log else { return Ok(()) };
        for entries in entries.chunks(ENTRIES_PER_BATCH) {
            let batch = build_batch(entries, wall_ms)?;
            log.append(&batch, &self.config, Origin::Coordinator, wall_ms)
                .map_err(|rejection| StorageError {
                    operation: "remembering the topics",
                    reason: rejection.message,
                })?;
        }
        log.want_sync();
        Ok(())
    }

    /// Writes the journal anew when most of it is not in force any more. What was written must be synced before the rest is
    /// dropped by [`Journal::drop_before`], to which the offset goes.
    pub(crate) fn rewrite(
        &mut self,
        remembered: &Remembered,
        wall_ms: i64,
    ) -> Result<Option<i64>, StorageError> {
        let Some(log) = &mut self.log else { return Ok(None) };
        let in_force = remembered.topics.len().saturating_add(remembered.brokers.len());
        let in_force = i64::try_from(in_force).unwrap_or(i64::MAX);
        let kept = log.end_offset().saturating_sub(log.start_offset());
        if kept <= in_force.saturating_add(SLACK) {
            return Ok(None);
        }
        let first = log.end_offset();
        log.roll(wall_ms)?;
        let mut entries = Vec::from([Entry::Run(remembered.run)]);
        let topics = remembered.topics.iter();
        entries.extend(topics.map(|(name, topic)| Entry::Topic(name.clone(), topic.clone())));
        let brokers = remembered.brokers.iter();
        entries.extend(brokers.map(|(id, config)| Entry::Broker(id.clone(), config.clone())));
        self.append(&entries, wall_ms)?;
        Ok(Some(first))
    }

    /// Forgets what was written before `offset`.
    pub(crate) fn drop_before(&mut self, offset: i64) -> Result<(), StorageError> {
        match &mut self.log {
            Some(log) => log.remove_before(offset),
            None => Ok(()),
        }
    }
}

fn log_config(config: &Config) -> LogConfig {
    let mut log = TopicConfig::default().log_config(config);
    log.max_message_bytes = usize::MAX;
    log
}

fn build_batch(entries: &[Entry], wall_ms: i64) -> Result<Batch, StorageError> {
    let too_large = |error: &dyn core::fmt::Display| StorageError {
        operation: "remembering the topics",
        reason: error.to_string(),
    };
    let mut builder = BatchBuilder::new(Compression::None, None).map_err(|error| too_large(&error))?;
    for entry in entries {
        let (key, value) = encode(entry);
        builder
            .append(
                wall_ms,
                Some(key.as_bytes()),
                value.as_deref().map(str::as_bytes),
                &[],
            )
            .map_err(|error| too_large(&error))?;
    }
    let bytes = builder.build(0).map_err(|error| too_large(&error))?;
    let batch = Batch::decode(bytes, 0).map_err(|error| too_large(&error))?;
    batch.ok_or_else(|| too_large(&"an empty batch"))
}

/// Names of topics and values of settings are one line each: the former have no other characters, the latter are canonical.
fn encode(entry: &Entry) -> (String, Option<String>) {
    match entry {
        Entry::Topic(name, topic) => {
            let mut value = format!("id {}\npartitions {}\n", topic.id, topic.partitions);
            write_settings(&mut value, topic.config.overrides());
            (format!("topic {name}"), Some(value))
        }
        Entry::Broker(id, config) => {
            let mut value = String::new();
            write_settings(&mut value, config.overrides());
            (
                format!("broker {id}"),
                Some(value).filter(|value| !value.is_empty()),
            )
        }
        Entry::NoTopic(name) => (format!("topic {name}"), None),
        Entry::Run(run) => ("run".to_string(), Some(run.to_string())),
    }
}

fn write_settings<'a>(value: &mut String, settings: impl Iterator<Item = (&'static str, &'a str)>) {
    for (key, setting) in settings {
        value.push_str(&format!("set {key}={setting}\n"));
    }
}

fn read_batch(batch: &Batch, remembered: &mut Remembered) -> Result<(), String> {
    let sound = batch.verify_crc().and_then(|()| batch.open(LARGEST_DECOMPRESSED));
    let open = sound.map_err(|error| error.to_string())?;
    for record in open.iter() {
        let text = |bytes: &[u8]| core::str::from_utf8(bytes).map(ToString::to_string).ok();
        let key = record.key.and_then(text).unwrap_or_default();
        let value = record.value.and_then(text);
        let damaged = || format!("the entry at offset {} cannot be read", record.offset);
        apply(&key, value.as_deref(), remembered).ok_or_else(damaged)?;
    }
    Ok(())
}

fn apply(key: &str, value: Option<&str>, remembered: &mut Remembered) -> Option<()> {
    match (key.split_once(' '), value) {
        (Some(("topic", name)), Some(value)) => {
            remembered.topics.insert(name.to_string(), parse_topic(value)?);
        }
        (Some(("topic", name)), None) => {
            remembered.topics.remove(name);
        }
        (Some(("broker", id)), Some(value)) => {
            remembered.brokers.insert(id.to_string(), parse_broker(value)?);
        }
        (Some(("broker", id)), None) => {
            remembered.brokers.remove(id);
        }
        (None, Some(value)) if key == "run" => remembered.run = value.parse().ok()?,
        _ => return None,
    }
    Some(())
}

fn parse_topic(value: &str) -> Option<TopicEntry> {
    let (mut id, mut partitions, mut config) = (None, None, TopicConfig::default());
    for line in value.lines() {
        match line.split_once(' ')? {
            ("id", text) => id = text.parse().ok(),
            ("partitions", text) => partitions = text.parse().ok(),
            ("set", setting) => {
                let (key, value) = setting.split_once('=')?;
                // A setting that this version does not know any more is not obeyed.
                let _ = config.set(key, value);
            }
            _ => return None,
        }
    }
    Some(TopicEntry {
        id: id?,
        partitions: partitions?,
        config,
    })
}

fn parse_broker(value: &str) -> Option<DynamicConfig> {
    let mut config = DynamicConfig::default();
    for line in value.lines() {
        let (key, value) = line.strip_prefix("set ")?.split_once('=')?;
        // A setting that this version does not know any more is not obeyed.
        let _ = config.set(key, value);
    }
    Some(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> TopicEntry {
        let mut config = TopicConfig::default();
        config
            .set("cleanup.policy", "compact,delete")
            .expect("a known key");
        TopicEntry {
            id: Uuid([7; 16]),
            partitions: 3,
            config,
        }
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let mut dynamic = DynamicConfig::default();
        dynamic
            .set("log.cleanup.policy", "compact,delete")
            .expect("it may be changed");
        let entries = [
            Entry::Topic("a".into(), topic()),
            Entry::Topic("b".into(), topic()),
            Entry::NoTopic("b".into()),
            Entry::Broker(String::new(), dynamic.clone()),
            Entry::Broker("0".into(), dynamic.clone()),
            Entry::Broker("0".into(), DynamicConfig::default()),
            Entry::Run(2),
        ];
        let mut remembered = Remembered::default();
        read_batch(&build_batch(&entries, 1).expect("room"), &mut remembered).expect("sound");
        assert_eq!(remembered.topics, [("a".to_string(), topic())].into());
        assert_eq!(remembered.brokers, [(String::new(), dynamic)].into());
        assert_eq!(remembered.run, 2);
    }

    /// Values that a key may be given, most of which some key accepts.
    fn values() -> Vec<String> {
        let around = [
            "", " ", "\n", "\r\n", "\t", ",", ",\n", "=", "\u{b}", "\u{85}", "\u{2028}",
        ];
        let plain = [
            "",
            "delete",
            "compact",
            "producer",
            "CreateTime",
            "true",
            "1048576",
            "+1048576",
            "0.5",
            "1e-3",
        ];
        let mut values = Vec::new();
        for first in plain {
            for between in around {
                for second in plain {
                    values.push(format!("{between}{first}{between}{second}{between}"));
                }
            }
        }
        values
    }

    #[test]
    fn every_value_that_a_setting_accepts_is_read_as_it_was_written() {
        let mut accepted = 0;
        for definition in crate::config::TOPIC_KEYS {
            for value in values() {
                let mut config = TopicConfig::default();
                if config.set(definition.name, &value).is_err() {
                    continue;
                }
                accepted += 1;
                let written = TopicEntry { config, ..topic() };
                let (_, text) = encode(&Entry::Topic("a".into(), written.clone()));
                let read = text.as_deref().and_then(parse_topic);
                assert_eq!(read, Some(written), "{} = {value:?}", definition.name);
            }
        }
        assert!(accepted > 100, "{accepted}");
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_named() {
        let mut remembered = Remembered::default();
        for (key, value) in [
            ("topic a", Some("id 1\n")),
            ("broker 0", Some("message.max.bytes=1\n")),
            ("run", Some("x")),
            ("what", None),
        ] {
            assert_eq!(apply(key, value, &mut remembered), None, "{key}");
        }
    }
}
