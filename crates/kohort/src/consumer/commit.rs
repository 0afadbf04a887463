//! Committing offsets. When automatic commits happen is the engine's to say.

use ::core::time::Duration;

use kohort_groups::{OffsetAndMetadata, TopicPartition};

use super::{CommitError, CommittedOffsets, Consumer};

impl<K, V> Consumer<K, V> {
    /// Commits what `poll` has returned, of all assigned partitions, and waits until it is written: within
    /// `default.api.timeout.ms`, retried where that can help.
    ///
    /// Cancel safety: a commit that was sent is not undone; whether it is written is then unknown.
    ///
    /// # Errors
    /// * [`CommitError::CommitFailed`]: the group went on without this member; poll to join again.
    /// * [`CommitError::PollIntervalExceeded`]: it did so because `poll` was not called within `max.poll.interval.ms`.
    /// * [`CommitError::RebalanceInProgress`]: poll, then commit again.
    /// * [`CommitError::Wakeup`], [`CommitError::TimedOut`], [`CommitError::Refused`], [`CommitError::FencedInstanceId`], [`CommitError::NoGroup`],
    ///   [`CommitError::TaskGone`].
    // Kafka: KafkaConsumer.commitSync
    pub async fn commit_sync(&mut self) -> Result<(), CommitError> {
        let offsets = self.core.consumed();
        let timeout = self.core.api_timeout;
        self.core.commit_sync(offsets, timeout).await
    }

    /// As [`commit_sync`](Self::commit_sync), within `timeout`.
    ///
    /// Cancel safety: as `commit_sync`.
    ///
    /// # Errors
    /// As `commit_sync`.
    pub async fn commit_sync_timeout(&mut self, timeout: Duration) -> Result<(), CommitError> {
        let offsets = self.core.consumed();
        self.core.commit_sync(offsets, timeout).await
    }

    /// Commits these offsets: of each partition the *next* one to read (the last one processed plus one).
    /// [`ConsumerRecord::next_offset`](super::ConsumerRecord::next_offset) makes one.
    ///
    /// Cancel safety: as [`commit_sync`](Self::commit_sync).
    ///
    /// # Errors
    /// As `commit_sync`.
    pub async fn commit_sync_offsets(
        &mut self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), CommitError> {
        self.commit_sync_offsets_timeout(offsets, self.core.api_timeout)
            .await
    }

    /// As [`commit_sync_offsets`](Self::commit_sync_offsets), within `timeout`.
    ///
    /// Cancel safety: as [`commit_sync`](Self::commit_sync).
    ///
    /// # Errors
    /// As `commit_sync`.
    pub async fn commit_sync_offsets_timeout(
        &mut self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        timeout: Duration,
    ) -> Result<(), CommitError> {
        let offsets = offsets.into_iter().collect();
        self.core.commit_sync(offsets, timeout).await
    }

    /// Commits what `poll` has returned, without waiting and without retries; a failure is only logged.
    pub fn commit_async(&mut self) {
        let offsets = self.core.consumed();
        self.commit_async_offsets(offsets, log_failure);
    }

    /// As [`commit_async`](Self::commit_async); `callback` learns of the result inside a later `poll`, `commit_sync` or `close`,
    /// on the caller's task. Callbacks run in the order of the commits.
    ///
    /// ```no_run
    /// # fn example(consumer: &mut kohort::Consumer<String, String>) {
    /// consumer.commit_async_with(|offsets, result| {
    ///     if let Err(error) = result {
    ///         eprintln!("{offsets:?} not committed: {error}");
    ///     }
    /// });
    /// # }
    /// ```
    pub fn commit_async_with<F>(&mut self, callback: F)
    where
        F: FnOnce(CommittedOffsets<'_>, Result<(), CommitError>) + Send + 'static,
    {
        let offsets = self.core.consumed();
        self.core.commit_async(offsets, Box::new(callback));
    }

    /// Commits these offsets as [`commit_async_with`](Self::commit_async_with).
    // Kafka: KafkaConsumer.commitAsync
    pub fn commit_async_offsets<F>(
        &mut self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        callback: F,
    ) where
        F: FnOnce(CommittedOffsets<'_>, Result<(), CommitError>) + Send + 'static,
    {
        self.core
            .commit_async(offsets.into_iter().collect(), Box::new(callback));
    }
}

pub(super) fn log_failure(offsets: CommittedOffsets<'_>, result: Result<(), CommitError>) {
    if let Err(error) = result {
        tracing::warn!(?offsets, %error, "an asynchronous commit failed");
    }
}
