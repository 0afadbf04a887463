//! The consumer: [`Consumer`] and what surrounds it. The rules of fetching, committing and membership live in the engine; this
//! module gives them types, listeners and an asynchronous face.

mod builder;
mod channel;
mod closing;
mod commit;
mod core;
mod decode;
mod error;
mod host;
mod journal;
mod late;
mod listener;
mod lookup;
mod pattern;
mod poll;
mod raw;
mod records;
mod resets;
mod seek;
mod stream;
mod subscription;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use builder::ConsumerBuilder;
pub use channel::WakeupHandle;
pub use core::CommittedOffsets;
pub use error::{
    BuildError, CloseError, CommitError, NoRuntime, OffsetError, PollError, ReadError, SeekError,
    SubscribeError, Unfinished,
};
pub use journal::{Rebalance, RebalanceJournal, RebalanceUnderWay};
pub use kohort_engine::consumer::{
    BrokerAddress, CommandError, FoundOffset, LeaveGroup, OffsetSpec, PartitionDescription, PositionReset,
    ResetCause,
};
pub use kohort_engine::delivery::NotAssigned;
pub use kohort_groups::assign::{AssignError, Assigned, Assignor, GroupTopics, Shares, TopicLayout};
pub use kohort_groups::member::{Cause, MemberApi, MemberError, Outcome, Phases};
pub use kohort_groups::{Assignment, Identity, RebalanceProtocol, Subscription};
pub use late::{InHand, LatePoll};
pub use listener::{CallbackFuture, CallbackResult, Callbacks, RebalanceContext, RebalanceListener};
pub use raw::RawRecords;
pub use records::{ConsumerRecord, ConsumerRecords};
pub use resets::PositionResets;
pub use stream::RecordStream;

use self::core::Core;
use self::journal::JournalFile;
use self::listener::AnyListener;
use crate::deserialize::Deserializer;

/// A Kafka consumer: alone on partitions it is given, or a member of a group that shares topics.
///
/// It is used by one task at a time (`&mut self`); a [`WakeupHandle`] reaches it from elsewhere. A task in the background
/// fetches ahead, sends heartbeats and commits; [`poll`](Self::poll) hands out what it fetched, and runs rebalances.
///
/// Call [`close`](Self::close) at the end: it commits (with `enable.auto.commit`) and leaves the group, so that others take
/// over at once. A consumer that is dropped leaves in the background, without a commit, and says so in the log.
///
/// ```no_run
/// use kohort::config::AutoOffsetReset;
/// use kohort::Consumer;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut consumer: Consumer<String, i64> = Consumer::builder()
///     .bootstrap_servers("localhost:9092")
///     .group_id("counters")
///     .auto_offset_reset(AutoOffsetReset::Earliest)
///     .build()?;
/// consumer.subscribe(["counts"])?;
/// let mut sum = 0;
/// while sum < 1_000 {
///     let records = consumer.poll(Duration::from_millis(100)).await?;
///     sum += records.iter().map(|record| record.value).sum::<i64>();
///     consumer.commit_sync().await?;
/// }
/// consumer.close(Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
pub struct Consumer<K, V> {
    core: Core,
    key: Box<dyn Deserializer<K>>,
    value: Box<dyn Deserializer<V>>,
    listener: Option<Box<dyn AnyListener>>,
    journal: RebalanceJournal,
    journal_file: Option<JournalFile>,
    max_poll_records: usize,
    /// How many records the last poll decoded that found some: as many are likely next.
    last_count: usize,
}

/// What the consumer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Interest {
    Nothing,
    Topics(BTreeSet<Arc<str>>),
    Pattern(Arc<str>),
    Partitions,
}

impl Interest {
    const fn is_any(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

impl<K, V> Consumer<K, V> {
    /// `client.id`, as given or made.
    pub fn client_id(&self) -> &str {
        &self.core.who.client_id
    }

    /// `group.id`.
    pub fn group_id(&self) -> Option<&str> {
        self.core.who.group_id.as_deref()
    }

    /// What this consumer remembers of its rebalances: why each began, how long its phases took, what moved, how long partitions
    /// were not read.
    pub fn rebalance_journal(&self) -> RebalanceJournal {
        self.journal.clone()
    }

    /// The handle that ends a waiting `poll` from elsewhere.
    pub fn wakeup_handle(&self) -> WakeupHandle {
        self.core.channel.wakeup_handle()
    }
}

impl<K, V> ::core::fmt::Debug for Consumer<K, V> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Consumer")
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}
