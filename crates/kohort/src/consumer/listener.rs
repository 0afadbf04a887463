//! What a rebalance lets the user do: the listener, and the context in which it runs. When it runs is the engine's to say.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use kohort_engine::consumer::CallbackKind;
use kohort_groups::{OffsetAndMetadata, TopicPartition};

use super::core::Core;
use super::{CommitError, SeekError};
use crate::deserialize::BoxError;

/// What a callback returns; an error surfaces from the `poll` (or `close`) in which it ran, the rebalance goes on.
pub type CallbackResult = Result<(), BoxError>;

/// Learns of rebalances. The methods run inside `poll`, `unsubscribe` and `close`, on the caller's task, in Kafka's order:
/// with an eager assignor `revoked` (everything) before the group is joined again, `assigned` after.
///
/// The partitions are not read while a method runs. A method that takes longer than `max.poll.interval.ms` costs the
/// membership; heartbeats go on meanwhile. When the surrounding `poll` is dropped halfway, the method runs again from its
/// beginning in the next one.
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

    /// Goes on at `offset`, as [`Consumer::seek`](crate::Consumer::seek).
    ///
    /// # Errors
    /// When the partition is not assigned, or the offset negative.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SeekError> {
        self.core.seek(partition, OffsetAndMetadata::new(offset))
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

    /// What `poll` has returned so far, as offsets to commit.
    pub fn consumed(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        self.core.consumed()
    }

    /// The partitions that are assigned.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.core.assignment()
    }
}
