//! What a rebalance lets the user do: the listener, and the context in which it runs. When it runs is the engine's to say.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use std::collections::BTreeMap;

use kohort_engine::consumer::{CallbackKind, FoundOffset, OffsetSpec};
use kohort_groups::{OffsetAndMetadata, TopicPartition};

use super::commit::log_failure;
use super::core::Core;
use super::{CommitError, OffsetError, SeekError};
use crate::deserialize::BoxError;

/// What a callback returns; an error surfaces from the `poll` (or `close`) in which it ran. After one of `revoked` or `lost` the
/// rebalance goes on: the partitions are gone. After one of `assigned` the next poll calls it again, and nothing is read before it
/// succeeds, as in Java.
pub type CallbackResult = Result<(), BoxError>;

/// Learns of rebalances. The methods run inside `poll`, `unsubscribe` and `close`, on the caller's task (only what is left of a
/// `close` that is dropped halfway runs in the background), in Kafka's order:
///
/// * with an eager assignor (`range`, `roundrobin`, `sticky`) `revoked` with everything before the group is joined again, be that
///   nothing, then `assigned` with the whole new share;
/// * with a cooperative one (`cooperative-sticky`, KIP-429) `revoked` with what goes, if anything does, then `assigned` with what is
///   new, be that nothing; what stays is read all the time.
///
/// Once `revoked` or `lost` was called for a partition no record of it is handed out, until `assigned` was. With
/// `enable.auto.commit`, what `poll` returned of a partition is committed before `revoked` is called for it.
///
/// The partitions of the call are not read while a method runs. A slow one holds up the whole group, whose other members wait for
/// this one to join; heartbeats go on meanwhile, and after `max.poll.interval.ms` the member leaves its group (what `revoked` waits
/// for is then `lost`). When the surrounding `poll` is dropped halfway, or a method panics, the method runs again from its
/// beginning in the next poll. A consumer that is dropped because of a panic leaves its group in the background.
///
/// ```
/// use kohort::consumer::{CallbackResult, RebalanceContext, RebalanceListener};
/// use kohort::TopicPartition;
///
/// /// Commits what was processed before others go on with it.
/// struct CommitOnRevoke;
///
/// impl RebalanceListener for CommitOnRevoke {
///     async fn revoked(&mut self, context: &mut RebalanceContext<'_>, _: &[TopicPartition]) -> CallbackResult {
///         context.commit_sync().await?;
///         Ok(())
///     }
/// }
/// ```
pub trait RebalanceListener: Send + 'static {
    /// These partitions are new; reading begins when this returns. The place to `seek` to offsets kept elsewhere.
    fn assigned(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> impl Future<Output = CallbackResult> + Send {
        let _ = (context, partitions);
        core::future::ready(Ok(()))
    }

    /// These partitions go; this member still owns them. The place to commit.
    fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> impl Future<Output = CallbackResult> + Send {
        let _ = (context, partitions);
        core::future::ready(Ok(()))
    }

    /// These partitions are gone, others may own them already: the member was removed or fenced. Commits are refused.
    /// Runs [`revoked`](Self::revoked) unless it is written.
    fn lost(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> impl Future<Output = CallbackResult> + Send {
        self.revoked(context, partitions)
    }
}

/// The future of a callback made of a closure.
pub type CallbackFuture<'a> = Pin<Box<dyn Future<Output = CallbackResult> + Send + 'a>>;

type Callback = Box<
    dyn for<'a, 'b> FnMut(&'a mut RebalanceContext<'b>, &'a [TopicPartition]) -> CallbackFuture<'a> + Send,
>;

/// A [`RebalanceListener`] made of closures.
///
/// ```
/// use kohort::consumer::Callbacks;
///
/// let listener = Callbacks::new()
///     .on_assigned(|context, partitions| Box::pin(async move {
///         context.seek_to_beginning(partitions)?;
///         Ok(())
///     }))
///     .on_revoked(|context, _| Box::pin(async move {
///         context.commit_sync().await?;
///         Ok(())
///     }));
/// # let _ = listener;
/// ```
#[derive(Default)]
pub struct Callbacks {
    assigned: Option<Callback>,
    revoked: Option<Callback>,
    lost: Option<Callback>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $setter:ident $field:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $setter<F>(mut self, callback: F) -> Self
        where
            F: for<'a, 'b> FnMut(&'a mut RebalanceContext<'b>, &'a [TopicPartition]) -> CallbackFuture<'a> + Send + 'static,
        {
            self.$field = Some(Box::new(callback));
            self
        }
    )* };
}

impl Callbacks {
    /// Does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Runs for [`RebalanceListener::assigned`].
        on_assigned assigned;
        /// Runs for [`RebalanceListener::revoked`], and for `lost` when that has none of its own.
        on_revoked revoked;
        /// Runs for [`RebalanceListener::lost`].
        on_lost lost;
    }
}

async fn run(
    callback: Option<&mut Callback>,
    context: &mut RebalanceContext<'_>,
    partitions: &[TopicPartition],
) -> CallbackResult {
    match callback {
        Some(callback) => callback(context, partitions).await,
        None => Ok(()),
    }
}

impl RebalanceListener for Callbacks {
    async fn assigned(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        run(self.assigned.as_mut(), context, partitions).await
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        run(self.revoked.as_mut(), context, partitions).await
    }

    async fn lost(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        run(self.lost.as_mut().or(self.revoked.as_mut()), context, partitions).await
    }
}

impl core::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Callbacks")
    }
}

/// The one method of a listener that can be called without knowing its type.
pub(super) trait AnyListener: Send {
    fn call<'a>(
        &'a mut self,
        kind: CallbackKind,
        context: &'a mut RebalanceContext<'_>,
        partitions: &'a [TopicPartition],
    ) -> CallbackFuture<'a>;
}

impl<L: RebalanceListener> AnyListener for L {
    fn call<'a>(
        &'a mut self,
        kind: CallbackKind,
        context: &'a mut RebalanceContext<'_>,
        partitions: &'a [TopicPartition],
    ) -> CallbackFuture<'a> {
        // The context's own lifetime is longer than the call.
        match kind {
            CallbackKind::Assigned => Box::pin(self.assigned(context, partitions)),
            CallbackKind::Revoked => Box::pin(self.revoked(context, partitions)),
            CallbackKind::Lost => Box::pin(self.lost(context, partitions)),
        }
    }
}

/// What a listener may do with its consumer.
#[derive(Debug)]
pub struct RebalanceContext<'a> {
    pub(super) core: &'a mut Core,
}

impl Drop for RebalanceContext<'_> {
    fn drop(&mut self) {
        self.core.listening = None;
    }
}

impl<'a> RebalanceContext<'a> {
    /// For one call of a listener; `is_deaf`: no wakeup ends a call of it.
    pub(super) fn new(core: &'a mut Core, is_deaf: bool) -> Self {
        core.listening = Some(is_deaf);
        Self { core }
    }

    /// Whether a wakeup ended a call of it, unless it is deaf.
    pub(super) fn is_woken(&self) -> bool {
        self.core.listening == Some(true)
    }
}

impl RebalanceContext<'_> {
    /// Commits what `poll` has returned, of all partitions that are still assigned, within `default.api.timeout.ms`.
    ///
    /// Cancel safety: a commit that was sent is not undone; whether it is written is then unknown.
    ///
    /// # Errors
    /// As [`Consumer::commit_sync`](crate::Consumer::commit_sync).
    pub async fn commit_sync(&mut self) -> Result<(), CommitError> {
        let (offsets, timeout) = (self.core.consumed(), self.core.api_timeout);
        self.core.commit_sync(offsets, timeout).await
    }

    /// Commits these offsets: of each partition the next one to read.
    ///
    /// Cancel safety: as [`commit_sync`](Self::commit_sync).
    ///
    /// # Errors
    /// As [`Consumer::commit_sync`](crate::Consumer::commit_sync).
    pub async fn commit_sync_offsets(
        &mut self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)> + Send,
        timeout: Duration,
    ) -> Result<(), CommitError> {
        let offsets = offsets.into_iter().collect();
        self.core.commit_sync(offsets, timeout).await
    }

    /// Commits what `poll` has returned without waiting, as [`Consumer::commit_async`](crate::Consumer::commit_async): for what
    /// goes, `commit_sync` is surer.
    pub fn commit_async(&mut self) {
        let offsets = self.core.consumed();
        self.core.commit_async(offsets, Box::new(log_failure));
    }

    /// Goes on at `offset`, as [`Consumer::seek`](crate::Consumer::seek).
    ///
    /// # Errors
    /// When the partition is not assigned, or the offset negative.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SeekError> {
        self.core.seek(partition, OffsetAndMetadata::new(offset))
    }

    /// Goes on at a committed offset with its leader epoch, as
    /// [`Consumer::seek_committed`](crate::Consumer::seek_committed).
    ///
    /// # Errors
    /// As [`seek`](Self::seek).
    pub fn seek_committed(
        &mut self,
        partition: &TopicPartition,
        to: OffsetAndMetadata,
    ) -> Result<(), SeekError> {
        self.core.seek(partition, to)
    }

    /// Goes on at the first record of each, as [`Consumer::seek_to_beginning`](crate::Consumer::seek_to_beginning).
    ///
    /// # Errors
    /// When a partition is not assigned.
    pub fn seek_to_beginning(&mut self, partitions: &[TopicPartition]) -> Result<(), SeekError> {
        self.core
            .seek_to(partitions, kohort_engine::consumer::SeekTo::Beginning)
    }

    /// Goes on at the end of each, as [`Consumer::seek_to_end`](crate::Consumer::seek_to_end).
    ///
    /// # Errors
    /// When a partition is not assigned.
    pub fn seek_to_end(&mut self, partitions: &[TopicPartition]) -> Result<(), SeekError> {
        self.core
            .seek_to(partitions, kohort_engine::consumer::SeekTo::End)
    }

    /// Stops reading these partitions, as [`Consumer::pause`](crate::Consumer::pause).
    ///
    /// # Errors
    /// When a partition is not assigned.
    pub fn pause(&mut self, partitions: &[TopicPartition]) -> Result<(), SeekError> {
        self.core.pause(partitions)
    }

    /// Goes on reading these partitions, as [`Consumer::resume`](crate::Consumer::resume).
    ///
    /// # Errors
    /// When a partition is not assigned.
    pub fn resume(&mut self, partitions: &[TopicPartition]) -> Result<(), SeekError> {
        self.core.resume(partitions)
    }

    /// Which of the partitions are paused, as [`Consumer::paused`](crate::Consumer::paused).
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.core.paused()
    }

    /// The offset of the next record of a partition that is assigned, as [`Consumer::position`](crate::Consumer::position).
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When it is not assigned, or has no position within `default.api.timeout.ms`.
    pub async fn position(&mut self, partition: &TopicPartition) -> Result<i64, OffsetError> {
        self.core.position(partition, self.core.api_timeout).await
    }

    /// What the group committed, as [`Consumer::committed`](crate::Consumer::committed).
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When `default.api.timeout.ms` passes.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<OffsetAndMetadata>>, OffsetError> {
        let timeout = self.core.api_timeout;
        self.core.committed(partitions.to_vec(), timeout).await
    }

    /// The first offset of each partition, as [`Consumer::beginning_offsets`](crate::Consumer::beginning_offsets).
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a partition is unknown, or `default.api.timeout.ms` passes.
    pub async fn beginning_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetError> {
        let timeout = self.core.api_timeout;
        let partitions = partitions.iter().cloned();
        self.core.ends(partitions, OffsetSpec::Earliest, timeout).await
    }

    /// The end of each partition, as [`Consumer::end_offsets`](crate::Consumer::end_offsets).
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a partition is unknown, or `default.api.timeout.ms` passes.
    pub async fn end_offsets(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>, OffsetError> {
        let timeout = self.core.api_timeout;
        let partitions = partitions.iter().cloned();
        self.core.ends(partitions, OffsetSpec::Latest, timeout).await
    }

    /// The first offset of each partition whose record is not older than the time given (ms since 1970), as
    /// [`Consumer::offsets_for_times`](crate::Consumer::offsets_for_times): to `seek` to a time in
    /// [`assigned`](RebalanceListener::assigned).
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When a partition is unknown, a time is negative, or `default.api.timeout.ms` passes.
    pub async fn offsets_for_times(
        &mut self,
        times: impl IntoIterator<Item = (TopicPartition, i64)> + Send,
    ) -> Result<BTreeMap<TopicPartition, Option<FoundOffset>>, OffsetError> {
        let timeout = self.core.api_timeout;
        let times = times.into_iter().collect();
        self.core.offsets_for_times(times, timeout).await
    }

    /// What `poll` has returned so far, as offsets to commit.
    pub fn consumed(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        self.core.consumed()
    }

    /// The partitions that are assigned.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.core.assignment()
    }
}
