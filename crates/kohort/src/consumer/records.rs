//! What `poll` returns: records that own, or share, their bytes, and nothing of the consumer.

use core::ops::Range;
use std::sync::Arc;
use std::vec;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_records::{Header, TimestampType};

/// One record with its key and value decoded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConsumerRecord<K, V> {
    /// Where the record is in its partition.
    pub offset: i64,
    /// Milliseconds since 1970, of the clock that `timestamp_type` names; -1 if there is none.
    pub timestamp: i64,
    /// Which clock the timestamp comes from.
    pub timestamp_type: TimestampType,
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// The headers, in the order in which the producer added them.
    pub headers: Vec<Header>,
    /// The leader's epoch when the record was written, if known (KIP-320).
    pub leader_epoch: Option<i32>,
    /// Bytes of the key before it was decoded; `None` for null.
    pub serialized_key_size: Option<usize>,
    /// Bytes of the value before it was decoded; `None` for null.
    pub serialized_value_size: Option<usize>,
    pub(crate) partition: Arc<TopicPartition>,
}

impl<K, V> ConsumerRecord<K, V> {
    /// The topic.
    pub fn topic(&self) -> &str {
        &self.partition.topic
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.partition.partition
    }

    /// Topic and partition in one.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// What to commit once this record is processed: the offset after it.
    ///
    /// The last one of a batch may be committed alone: it covers those before it in its partition.
    pub fn next_offset(&self) -> (TopicPartition, OffsetAndMetadata) {
        let committed = OffsetAndMetadata {
            leader_epoch: self.leader_epoch,
            ..OffsetAndMetadata::new(self.offset.saturating_add(1))
        };
        ((*self.partition).clone(), committed)
    }
}

/// The records of one `poll`: those of a partition together and in order. Owned, so the consumer can be used while they are
/// iterated.
///
/// ```
/// use kohort::consumer::ConsumerRecords;
///
/// fn print(records: ConsumerRecords<String, String>) {
///     for partition in records.partitions() {
///         println!("{partition}: {} records", records.records(partition).count());
///     }
///     for record in records {
///         println!("{}@{}: {}", record.topic(), record.offset, record.value);
///     }
/// }
/// # print(ConsumerRecords::default());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerRecords<K, V> {
    pub(super) records: Vec<ConsumerRecord<K, V>>,
    pub(super) runs: Runs,
}

/// Consecutive records of one partition and leader epoch, at least one: the first of them tells which.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) range: Range<usize>,
    pub(super) next_offset: i64,
}

/// All runs in order. Most polls have one, which needs no memory of its own.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Runs {
    first: Option<Run>,
    more: Vec<Run>,
}

impl Runs {
    pub(super) fn push(&mut self, run: Run) {
        match &self.first {
            None => self.first = Some(run),
            Some(_) => self.more.push(run),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Run> {
        self.first.iter().chain(&self.more)
    }
}

impl<K, V> Default for ConsumerRecords<K, V> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            runs: Runs::default(),
        }
    }
}

impl<K, V> ConsumerRecords<K, V> {
    /// The number of records.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// Whether the time passed without a record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All records; those of a partition in the order of their offsets.
    pub fn iter(&self) -> core::slice::Iter<'_, ConsumerRecord<K, V>> {
        self.records.iter()
    }

    /// The runs in order, each with its records.
    fn runs(&self) -> impl Iterator<Item = (&Run, &[ConsumerRecord<K, V>])> {
        self.runs
            .iter()
            .map(|run| (run, self.records.get(run.range.clone()).unwrap_or_default()))
    }

    /// The first record of each run.
    fn firsts(&self) -> impl Iterator<Item = &ConsumerRecord<K, V>> {
        self.runs().filter_map(|(_, records)| records.first())
    }

    /// The partitions that have records.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        let seen = |at: usize, partition: &TopicPartition| {
            self.firsts().take(at).any(|first| *first.partition == *partition)
        };
        let partitions = self.firsts().map(|first| &*first.partition).enumerate();
        partitions.filter_map(move |(at, partition)| (!seen(at, partition)).then_some(partition))
    }

    /// The records of one partition, in the order of their offsets.
    pub fn records(&self, partition: &TopicPartition) -> impl Iterator<Item = &ConsumerRecord<K, V>> {
        let is_of = move |records: &&[ConsumerRecord<K, V>]| {
            records
                .first()
                .is_some_and(|first| *first.partition == *partition)
        };
        self.runs().map(|(_, records)| records).filter(is_of).flatten()
    }

    /// The records of one topic.
    pub fn records_of(&self, topic: &str) -> impl Iterator<Item = &ConsumerRecord<K, V>> {
        self.records.iter().filter(move |record| record.topic() == topic)
    }

    /// What to commit once all of these are processed, per partition (KIP-1094).
    pub fn next_offsets(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let mut offsets: Vec<(TopicPartition, OffsetAndMetadata)> = Vec::new();
        for (run, records) in self.runs() {
            let Some(first) = records.first() else { continue };
            let next = OffsetAndMetadata {
                leader_epoch: first.leader_epoch,
                ..OffsetAndMetadata::new(run.next_offset)
            };
            match offsets
                .iter_mut()
                .find(|(partition, _)| *partition == *first.partition)
            {
                Some((_, offset)) => *offset = next,
                None => offsets.push(((*first.partition).clone(), next)),
            }
        }
        offsets
    }
}

impl<K, V> IntoIterator for ConsumerRecords<K, V> {
    type Item = ConsumerRecord<K, V>;
    type IntoIter = vec::IntoIter<ConsumerRecord<K, V>>;
    fn into_iter(self) -> Self::IntoIter {
        self.records.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a ConsumerRecords<K, V> {
    type Item = &'a ConsumerRecord<K, V>;
    type IntoIter = core::slice::Iter<'a, ConsumerRecord<K, V>>;
    fn into_iter(self) -> Self::IntoIter {
        self.records.iter()
    }
}
