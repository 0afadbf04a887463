//! The blocking consumer. What each method does is said at its asynchronous twin.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use kohort_groups::{Identity, OffsetAndMetadata, TopicPartition};
use tokio::runtime::Handle;

use super::{refuse_inside_async, wait};
use crate::config::RuntimePlace;
use crate::consumer::{
    BuildError, CloseError, CommitError, CommittedOffsets, ConsumerBuilder, ConsumerRecords, FoundOffset,
    LeaveGroup, OffsetError, PartitionDescription, PollError, PositionResets, RawRecords, RebalanceJournal,
    RebalanceListener, SeekError, SubscribeError, WakeupHandle,
};
use crate::deserialize::Deserializer;

/// A consumer whose calls wait on the caller's thread; the twin of [`crate::Consumer`].
///
/// ```no_run
/// use kohort::blocking::Consumer;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut consumer: Consumer<String, String> =
///     Consumer::builder().bootstrap_servers("localhost:9092").group_id("orders").build_blocking()?;
/// consumer.subscribe(["orders"])?;
/// for record in consumer.poll(Duration::from_secs(1))? {
///     println!("{}: {}", record.key, record.value);
/// }
/// consumer.commit_sync()?;
/// consumer.close(Duration::from_secs(30))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Consumer<K, V> {
    inner: crate::Consumer<K, V>,
    runtime: Handle,
}

impl<K, V, KD, VD> ConsumerBuilder<K, V, KD, VD> {
    /// As [`build`](Self::build), for a program without a runtime; `kohort.runtime` is `own`.
    ///
    /// # Errors
    /// A wrong setting; or a tokio runtime is here already.
    pub fn build_blocking(self) -> Result<Consumer<K, V>, BuildError>
    where
        KD: Deserializer<K> + 'static,
        VD: Deserializer<V> + 'static,
    {
        refuse_inside_async()?;
        let (inner, runtime) = self.kohort_runtime(RuntimePlace::Own).build_on()?;
        Ok(Consumer { inner, runtime })
    }
}

/// Methods that wait, each as its asynchronous twin of the same name.
macro_rules! waiting {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $output:ty;)*) => { $(
        #[doc = concat!("As [`crate::Consumer::", stringify!($name), "`].")]
        ///
        /// # Errors
        /// As there.
        pub fn $name(&mut self, $($arg: $ty),*) -> $output {
            wait(&self.runtime, self.inner.$name($($arg),*))
        }
    )* };
}

/// Methods that do not wait, each as its asynchronous twin of the same name.
macro_rules! direct {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $output:ty;)*) => { $(
        #[doc = concat!("As [`crate::Consumer::", stringify!($name), "`].")]
        ///
        /// # Errors
        /// As there.
        pub fn $name(&mut self, $($arg: $ty),*) -> $output {
            self.inner.$name($($arg),*)
        }
    )* };
}

/// Methods that only look, each as its asynchronous twin of the same name.
macro_rules! looking {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $output:ty;)*) => { $(
        #[doc = concat!("As [`crate::Consumer::", stringify!($name), "`].")]
        pub fn $name(&self, $($arg: $ty),*) -> $output {
            self.inner.$name($($arg),*)
        }
    )* };
}

impl<K, V> Consumer<K, V> {
    /// A builder with Kafka's defaults, for [`ConsumerBuilder::build_blocking`].
    pub fn builder() -> ConsumerBuilder<K, V> {
        crate::Consumer::builder()
    }

    /// As [`crate::Consumer::poll`].
    ///
    /// # Errors
    /// As there.
    pub fn poll(&mut self, timeout: Duration) -> Result<ConsumerRecords<K, V>, PollError> {
        match self.inner.decoded_ready()? {
            Some(records) => Ok(records),
            None => wait(&self.runtime, self.inner.poll(timeout)),
        }
    }

    /// As [`crate::Consumer::poll_raw`].
    ///
    /// # Errors
    /// As there.
    pub fn poll_raw(&mut self, timeout: Duration) -> Result<RawRecords, PollError> {
        match self.inner.raw_ready()? {
            Some(records) => Ok(records),
            None => wait(&self.runtime, self.inner.poll_raw(timeout)),
        }
    }

    waiting! {
        commit_sync() -> Result<(), CommitError>;
        commit_sync_timeout(timeout: Duration) -> Result<(), CommitError>;
        commit_sync_offsets(offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>) -> Result<(), CommitError>;
        commit_sync_offsets_timeout(
            offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
            timeout: Duration
        ) -> Result<(), CommitError>;
        position(partition: &TopicPartition) -> Result<i64, OffsetError>;
        position_timeout(partition: &TopicPartition, timeout: Duration) -> Result<i64, OffsetError>;
        committed(partitions: impl IntoIterator<Item = TopicPartition>)
            -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, OffsetError>;
        committed_timeout(partitions: impl IntoIterator<Item = TopicPartition>, timeout: Duration)
            -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, OffsetError>;
        beginning_offsets(partitions: impl IntoIterator<Item = TopicPartition>)
            -> Result<BTreeMap<TopicPartition, i64>, OffsetError>;
        beginning_offsets_timeout(partitions: impl IntoIterator<Item = TopicPartition>, timeout: Duration)
            -> Result<BTreeMap<TopicPartition, i64>, OffsetError>;
        end_offsets(partitions: impl IntoIterator<Item = TopicPartition>) -> Result<BTreeMap<TopicPartition, i64>, OffsetError>;
        end_offsets_timeout(partitions: impl IntoIterator<Item = TopicPartition>, timeout: Duration)
            -> Result<BTreeMap<TopicPartition, i64>, OffsetError>;
        offsets_for_times(timestamps: impl IntoIterator<Item = (TopicPartition, i64)>)
            -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, OffsetError>;
        offsets_for_times_timeout(timestamps: impl IntoIterator<Item = (TopicPartition, i64)>, timeout: Duration)
            -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, OffsetError>;
        partitions_for(topic: impl Into<Arc<str>>) -> Result<Vec<PartitionDescription>, OffsetError>;
        partitions_for_timeout(topic: impl Into<Arc<str>>, timeout: Duration) -> Result<Vec<PartitionDescription>, OffsetError>;
        list_topics() -> Result<BTreeMap<Arc<str>, Vec<PartitionDescription>>, OffsetError>;
        list_topics_timeout(timeout: Duration) -> Result<BTreeMap<Arc<str>, Vec<PartitionDescription>>, OffsetError>;
        group_metadata() -> Result<Option<Identity>, OffsetError>;
        unsubscribe() -> Result<(), CloseError>;
    }

    direct! {
        subscribe(topics: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Result<(), SubscribeError>;
        subscribe_with(topics: impl IntoIterator<Item = impl Into<Arc<str>>>, listener: impl RebalanceListener)
            -> Result<(), SubscribeError>;
        subscribe_pattern(pattern: &str) -> Result<(), SubscribeError>;
        subscribe_pattern_with(pattern: &str, listener: impl RebalanceListener) -> Result<(), SubscribeError>;
        enforce_rebalance(reason: &str) -> Result<(), SubscribeError>;
        assign(partitions: impl IntoIterator<Item = TopicPartition>) -> Result<(), SubscribeError>;
        seek(partition: &TopicPartition, offset: i64) -> Result<(), SeekError>;
        seek_committed(partition: &TopicPartition, to: OffsetAndMetadata) -> Result<(), SeekError>;
        seek_to_beginning(partitions: &[TopicPartition]) -> Result<(), SeekError>;
        seek_to_end(partitions: &[TopicPartition]) -> Result<(), SeekError>;
        pause(partitions: &[TopicPartition]) -> Result<(), SeekError>;
        resume(partitions: &[TopicPartition]) -> Result<(), SeekError>;
    }

    looking! {
        client_id() -> &str;
        group_id() -> Option<&str>;
        wakeup_handle() -> WakeupHandle;
        rebalance_journal() -> RebalanceJournal;
        assignment() -> Vec<TopicPartition>;
        subscription() -> Vec<Arc<str>>;
        paused() -> Vec<TopicPartition>;
        current_lag(partition: &TopicPartition) -> Option<i64>;
    }

    /// As [`crate::Consumer::take_position_resets`].
    pub fn take_position_resets(&mut self) -> PositionResets {
        self.inner.take_position_resets()
    }

    /// As [`crate::Consumer::commit_async`].
    pub fn commit_async(&mut self) {
        self.inner.commit_async();
    }

    /// As [`crate::Consumer::commit_async_with`].
    pub fn commit_async_with<F>(&mut self, callback: F)
    where
        F: FnOnce(CommittedOffsets<'_>, Result<(), CommitError>) + Send + 'static,
    {
        self.inner.commit_async_with(callback);
    }

    /// As [`crate::Consumer::commit_async_offsets`].
    pub fn commit_async_offsets<F>(
        &mut self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
        callback: F,
    ) where
        F: FnOnce(CommittedOffsets<'_>, Result<(), CommitError>) + Send + 'static,
    {
        self.inner.commit_async_offsets(offsets, callback);
    }

    /// As [`crate::Consumer::close`].
    ///
    /// # Errors
    /// As there.
    pub fn close(self, timeout: Duration) -> Result<(), CloseError> {
        wait(&self.runtime, self.inner.close(timeout))
    }

    /// As [`crate::Consumer::close_with`].
    ///
    /// # Errors
    /// As there.
    pub fn close_with(self, timeout: Duration, leave: LeaveGroup) -> Result<(), CloseError> {
        wait(&self.runtime, self.inner.close_with(timeout, leave))
    }
}
