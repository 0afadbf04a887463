//! Positions and pauses: in effect at once on this side, told to the engine in the same order.

use ::core::time::Duration;

use kohort_engine::consumer::SeekTo;
use kohort_groups::{OffsetAndMetadata, TopicPartition};

use super::{Consumer, OffsetError, PositionResets, SeekError};

impl<K, V> Consumer<K, V> {
    /// Goes on reading `partition` at `offset`: the next `poll` returns nothing from before it.
    ///
    /// # Errors
    /// When the partition is not assigned, or the offset is negative.
    // Kafka: KafkaConsumer.seek
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SeekError> {
        self.core.seek(partition, OffsetAndMetadata::new(offset))
    }

    /// As [`seek`](Self::seek), with the leader epoch of a committed offset, so that a truncated log is noticed.
    ///
    /// # Errors
    /// As `seek`.
    pub fn seek_committed(
        &mut self,
        partition: &TopicPartition,
        to: OffsetAndMetadata,
    ) -> Result<(), SeekError> {
        self.core.seek(partition, to)
    }

    /// Goes on at the first record of each partition; the offset is looked up when it is needed.
    ///
    /// # Errors
    /// When a partition is not assigned; then none has moved.
    pub fn seek_to_beginning<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), SeekError> {
        self.core.seek_to(&owned(partitions), SeekTo::Beginning)
    }

    /// Goes on at the end of each partition; the offset is looked up when it is needed.
    ///
    /// # Errors
    /// When a partition is not assigned; then none has moved.
    pub fn seek_to_end<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), SeekError> {
        self.core.seek_to(&owned(partitions), SeekTo::End)
    }

    /// The offset of the next record that `poll` returns of this partition; looked up if it is not known, within
    /// `default.api.timeout.ms`.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the partition is not assigned, or no position can be found.
    // Kafka: KafkaConsumer.position
    pub async fn position(&mut self, partition: &TopicPartition) -> Result<i64, OffsetError> {
        let timeout = self.core.api_timeout;
        self.position_timeout(partition, timeout).await
    }

    /// As [`position`](Self::position), within `timeout`.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// As `position`.
    pub async fn position_timeout(
        &mut self,
        partition: &TopicPartition,
        timeout: Duration,
    ) -> Result<i64, OffsetError> {
        self.core.position(partition, timeout).await
    }

    /// The positions that `auto.offset.reset` decided since the last call, in order: because the group had no committed offset, or
    /// because the log does not hold the position any more. Each says from where to where, and so what is skipped or comes
    /// again ([`PositionReset::skipped`](super::PositionReset::skipped), [`PositionReset::replayed`](super::PositionReset::replayed));
    /// without a committed offset that is from the log's first offset. Java only writes it in its log. Ask after a `poll`: the
    /// records of a partition never come before its reset is here. The newest 1,000 are kept, and
    /// [`PositionResets::dropped`] says how many more there were; all are logged by `tracing`, those
    /// without a committed offset at `info`, others at `warn`. With `auto.offset.reset=none` there are none: `poll` fails.
    ///
    /// ```no_run
    /// # async fn example(consumer: &mut kohort::Consumer<String, String>) -> Result<(), kohort::consumer::PollError> {
    /// let records = consumer.poll(std::time::Duration::from_millis(100)).await?;
    /// for reset in consumer.take_position_resets() {
    ///     if let Some(skipped @ 1..) = reset.skipped() {
    ///         eprintln!("{}: {skipped} offsets are not read", reset.partition);
    ///     }
    /// }
    /// # let _ = records;
    /// # Ok(())
    /// # }
    /// ```
    pub fn take_position_resets(&mut self) -> PositionResets {
        self.core.resets.take()
    }

    /// Stops reading these partitions; what was fetched is kept. The membership is not touched: go on polling.
    ///
    /// # Errors
    /// When a partition is not assigned; then none is paused.
    pub fn pause<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), SeekError> {
        self.core.pause(&owned(partitions))
    }

    /// Goes on reading these partitions.
    ///
    /// # Errors
    /// When a partition is not assigned; then none is resumed.
    pub fn resume<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), SeekError> {
        self.core.resume(&owned(partitions))
    }

    /// The partitions that are paused.
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.core.paused()
    }

    /// How many records are between the position and the end of the partition, as far as the last fetch told.
    pub fn current_lag(&self, partition: &TopicPartition) -> Option<i64> {
        self.core.delivery.lag(partition)
    }
}

fn owned<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<TopicPartition> {
    partitions.into_iter().cloned().collect()
}
