//! Administration: topics, groups, offsets, records and settings. The rules live in the engine; this module gives them an asynchronous face.

mod builder;
mod configs;
mod groups;
mod host;
mod logs;
mod topics;

use core::time::Duration;
use std::sync::Arc;

pub use builder::AdminBuilder;
pub use configs::DescribeConfigsOptions;
pub use groups::ListGroupsOptions;
pub use kohort_engine::admin::{
    AdminError as ItemError, AlterConfigOp, ClusterDescription, ConfigEntry, ConfigResource, ConfigSource,
    ConfigSynonym, ConfigType, CreatedTopic, FoundOffset, GroupDescription, GroupListing, GroupMember,
    NewPartitions, NewTopic, OffsetSpec, RecordsToDelete, Results, TopicListing,
};
pub use kohort_engine::client::{Broker, Partition, Topic};

use kohort_engine::admin::{AdminCommand, AdminReply};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use self::host::Input;

/// Looks at a cluster and changes it. Cloning shares the connections; every method takes `&self`.
///
/// Each call has `default.api.timeout.ms`; what may succeed later is tried again until then. Calls about several things answer
/// each of them with a result of its own.
///
/// ```no_run
/// use kohort::admin::{Admin, NewTopic};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let admin = Admin::builder().bootstrap_servers("localhost:9092").build()?;
/// let orders = NewTopic { partitions: Some(6), ..NewTopic::new("orders") };
/// for (topic, result) in admin.create_topics([orders]).await? {
///     println!("{topic}: {result:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Admin {
    inputs: UnboundedSender<Input>,
    timeout: Duration,
}

/// Why a call as a whole has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The one thing that was asked for failed.
    #[error(transparent)]
    Failed(#[from] ItemError),
    /// The network task is gone, for example because its runtime was shut down.
    #[error(
        "the admin client's network task is gone: the runtime that it was built in has ended; build it in one that lives as long, or set kohort.runtime=own"
    )]
    TaskGone,
}

impl AdminError {
    /// Whether the same call may succeed later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_retriable())
    }

    /// Whether this client cannot go on at all.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::TaskGone)
    }
}

/// The answer of the expected kind; the engine answers each command in kind, so another kind means that it stopped.
macro_rules! answered {
    ($reply:expr, $pattern:pat => $value:expr) => {
        match $reply {
            $pattern => Ok($value),
            _ => Err(AdminError::TaskGone),
        }
    };
}
use answered;

impl Admin {
    async fn call(&self, command: AdminCommand) -> Result<AdminReply, AdminError> {
        let (reply, answer) = oneshot::channel();
        let input = Input {
            command: Box::new(command),
            timeout: self.timeout,
            reply,
        };
        self.inputs.send(input).map_err(|_| AdminError::TaskGone)?;
        answer.await.map(|reply| *reply).map_err(|_| AdminError::TaskGone)
    }
}

fn names<T: Into<Arc<str>>>(names: impl IntoIterator<Item = T>) -> Vec<Arc<str>> {
    names.into_iter().map(Into::into).collect()
}
