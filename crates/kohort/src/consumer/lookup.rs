//! Questions that change nothing: committed offsets, offsets by time, topics and their partitions.

use ::core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use kohort_engine::consumer::{Command, CommandError, CommandReply};
use kohort_groups::{Identity, OffsetAndMetadata, TopicPartition};

use super::core::{Core, Unanswered};
use super::{Consumer, FoundOffset, OffsetError, OffsetSpec, PartitionDescription};

impl<K, V> Consumer<K, V> {
    /// The offsets that the group committed; `None` for a partition without.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// Without `group.id`, or when `default.api.timeout.ms` passes.
    // Kafka: KafkaConsumer.committed
    pub async fn committed(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, OffsetError> {
        self.committed_timeout(partitions, self.core.api_timeout).await
    }

    /// As [`committed`](Self::committed), within `timeout`.
    ///
    /// Cancel safety: as there.
    ///
    /// # Errors
    /// As there, `timeout` in the place of `default.api.timeout.ms`.
    pub async fn committed_timeout(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, OffsetError> {
        let partitions = partitions.into_iter().collect();
        self.core.committed(partitions, timeout).await
    }

    /// Who this member is in its group now: for a producer that commits offsets in a transaction, and for logs. `None` outside of
    /// a generation: before the first rebalance is done, and during one.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// Without `group.id`.
    // Kafka: KafkaConsumer.groupMetadata
    pub async fn group_metadata(&mut self) -> Result<Option<Identity>, OffsetError> {
        let answer = self.core.call_task(Command::GroupMetadata).await;
        match answer.map_err(Unanswered::from)?? {
            CommandReply::GroupMetadata(identity) => Ok(identity),
            _ => Err(unexpected()),
        }
    }

    /// The first offset of each partition, assigned or not.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a partition is unknown, or `default.api.timeout.ms` passes.
    pub async fn beginning_offsets(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetError> {
        self.beginning_offsets_timeout(partitions, self.core.api_timeout)
            .await
    }

    /// As [`beginning_offsets`](Self::beginning_offsets), within `timeout`.
    ///
    /// Cancel safety: as there.
    ///
    /// # Errors
    /// As there, `timeout` in the place of `default.api.timeout.ms`.
    pub async fn beginning_offsets_timeout(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetError> {
        self.core.ends(partitions, OffsetSpec::Earliest, timeout).await
    }

    /// The end of each partition, assigned or not: the offset of the next record that will be readable.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a partition is unknown, or `default.api.timeout.ms` passes.
    pub async fn end_offsets(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetError> {
        self.end_offsets_timeout(partitions, self.core.api_timeout).await
    }

    /// As [`end_offsets`](Self::end_offsets), within `timeout`.
    ///
    /// Cancel safety: as there.
    ///
    /// # Errors
    /// As there, `timeout` in the place of `default.api.timeout.ms`.
    pub async fn end_offsets_timeout(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetError> {
        self.core.ends(partitions, OffsetSpec::Latest, timeout).await
    }

    /// Of each partition the first record with this timestamp (ms since 1970) or a later one; `None` when there is none.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a time is negative, a partition is unknown, or `default.api.timeout.ms` passes.
    ///
    /// ```no_run
    /// # async fn example(consumer: &mut kohort::Consumer<String, String>, an_hour_ago: i64)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let asked: Vec<_> = consumer.assignment().into_iter().map(|partition| (partition, an_hour_ago)).collect();
    /// for (partition, found) in consumer.offsets_for_times(asked).await? {
    ///     if let Some(found) = found {
    ///         consumer.seek(&partition, found.offset)?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    // Kafka: KafkaConsumer.offsetsForTimes
    pub async fn offsets_for_times(
        &mut self,
        timestamps: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, OffsetError> {
        self.offsets_for_times_timeout(timestamps, self.core.api_timeout)
            .await
    }

    /// As [`offsets_for_times`](Self::offsets_for_times), within `timeout`.
    ///
    /// Cancel safety: as there.
    ///
    /// # Errors
    /// As there, `timeout` in the place of `default.api.timeout.ms`.
    pub async fn offsets_for_times_timeout(
        &mut self,
        timestamps: impl IntoIterator<Item = (TopicPartition, i64)>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, OffsetError> {
        let timestamps = timestamps.into_iter().collect();
        self.core.offsets_for_times(timestamps, timeout).await
    }

    /// The partitions of a topic, in order; empty when there is no such topic. Asking again now and then is how a standalone
    /// consumer notices new partitions.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When `default.api.timeout.ms` passes.
    // Kafka: KafkaConsumer.partitionsFor
    pub async fn partitions_for(
        &mut self,
        topic: impl Into<Arc<str>>,
    ) -> Result<Vec<PartitionDescription>, OffsetError> {
        self.partitions_for_timeout(topic, self.core.api_timeout).await
    }

    /// As [`partitions_for`](Self::partitions_for), within `timeout`.
    ///
    /// Cancel safety: as there.
    ///
    /// # Errors
    /// As there, `timeout` in the place of `default.api.timeout.ms`.
    pub async fn partitions_for_timeout(
        &mut self,
        topic: impl Into<Arc<str>>,
        timeout: Duration,
    ) -> Result<Vec<PartitionDescription>, OffsetError> {
        let topic = topic.into();
        let command = Command::PartitionsFor { topic, timeout };
        match self.core.lookup(command).await? {
            CommandReply::Partitions(partitions) => Ok(partitions),
            _ => Err(unexpected()),
        }
    }

    /// All topics that this client may see, with their partitions.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When `default.api.timeout.ms` passes.
    // Kafka: KafkaConsumer.listTopics
    pub async fn list_topics(
        &mut self,
    ) -> Result<BTreeMap<Arc<str>, Vec<PartitionDescription>>, OffsetError> {
        self.list_topics_timeout(self.core.api_timeout).await
    }

    /// As [`list_topics`](Self::list_topics), within `timeout`.
    ///
    /// Cancel safety: as there.
    ///
    /// # Errors
    /// As there, `timeout` in the place of `default.api.timeout.ms`.
    pub async fn list_topics_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<BTreeMap<Arc<str>, Vec<PartitionDescription>>, OffsetError> {
        match self.core.lookup(Command::ListTopics { timeout }).await? {
            CommandReply::Topics(topics) => Ok(topics.into_iter().collect()),
            _ => Err(unexpected()),
        }
    }
}

impl Core {
    pub(super) async fn committed(
        &mut self,
        partitions: Vec<TopicPartition>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, OffsetError> {
        match self.lookup(Command::Committed { partitions, timeout }).await? {
            CommandReply::Committed(committed) => Ok(committed.into_iter().collect()),
            _ => Err(unexpected()),
        }
    }

    /// One offset of each partition that has it.
    pub(super) async fn ends(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        spec: OffsetSpec,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetError> {
        let asked = partitions.into_iter().map(|partition| (partition, spec));
        let found = self.list_offsets(asked.collect(), timeout).await?.into_iter();
        Ok(found
            .filter_map(|(partition, found)| Some((partition, found?.offset)))
            .collect())
    }

    pub(super) async fn offsets_for_times(
        &mut self,
        timestamps: Vec<(TopicPartition, i64)>,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, OffsetError> {
        let mut asked = Vec::new();
        for (partition, timestamp) in timestamps {
            if timestamp < 0 {
                return Err(OffsetError::NegativeTimestamp { partition, timestamp });
            }
            asked.push((partition, OffsetSpec::Timestamp(timestamp)));
        }
        Ok(self.list_offsets(asked, timeout).await?.into_iter().collect())
    }

    async fn list_offsets(
        &mut self,
        partitions: Vec<(TopicPartition, OffsetSpec)>,
        timeout: Duration,
    ) -> Result<Vec<(TopicPartition, Option<FoundOffset>)>, OffsetError> {
        match self.lookup(Command::ListOffsets { partitions, timeout }).await? {
            CommandReply::Offsets(offsets) => Ok(offsets),
            _ => Err(unexpected()),
        }
    }
}

/// The engine answers each command in kind; an answer of another kind can only mean that it stopped.
const fn unexpected() -> OffsetError {
    OffsetError::Command(CommandError::Closed)
}
