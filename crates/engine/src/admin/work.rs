//! The form that every command has: items, asked for in requests, answered one by one. When they are asked again is decided in
//! `engine`.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use kohort_groups::TopicPartition;
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody};

use super::error::AdminError;
use super::reply::AdminReply;
use super::resource::ConfigResource;
use crate::client::{BuildRequest, Cluster, Target};

/// What is asked for, and answered, on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// The whole command.
    Whole,
    /// A topic, a group, or a static member.
    Name(Arc<str>),
    Partition(TopicPartition),
    Broker(i32),
    Resource(ConfigResource),
}

/// A request for some items.
pub(super) struct Ask {
    pub(super) target: Target,
    pub(super) api: ApiKey,
    pub(super) build: BuildRequest,
    pub(super) items: Vec<Item>,
}

/// The broker's error for an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) error: ErrorCode,
    pub(super) message: Option<String>,
}

impl Refused {
    /// What an error code and its words say; `Ok` when they say no error.
    pub(super) fn check(error_code: i16, message: Option<String>) -> Result<(), Self> {
        let error = ErrorCode::from_code(error_code);
        let message = message.filter(|message| !message.is_empty());
        match error.is_error() {
            true => Err(Self { error, message }),
            false => Ok(()),
        }
    }
}

impl From<Refused> for AdminError {
    fn from(Refused { error, message }: Refused) -> Self {
        Self::Refused { error, message }
    }
}

/// A command under way: knows how to ask and how to read the answers, and keeps the results.
pub(super) trait Work: Debug + Send {
    /// What has to be answered, in the beginning.
    fn items(&self) -> BTreeSet<Item>;

    /// Topics whose leaders it needs to know.
    fn topics(&self) -> BTreeSet<Arc<str>> {
        BTreeSet::new()
    }

    /// Whether metadata from before the command does not do.
    fn needs_fresh_metadata(&self) -> bool {
        false
    }

    /// Requests for the pending items. Items that no request covers wait for newer metadata; one item may become others.
    fn plan(&self, cluster: &Cluster, pending: &mut BTreeSet<Item>, timeout: Duration) -> Vec<Ask>;

    /// Whether an item with this error is asked for again.
    fn is_retriable(&self, error: ErrorCode) -> bool {
        may_pass(error)
    }

    /// Notes the results that a response has, and says which items it answers. Items that it leaves out are asked for again.
    fn read(
        &mut self,
        asked: &[Item],
        node: Option<i32>,
        response: ResponseBody,
    ) -> Vec<(Item, Result<(), Refused>)>;

    /// Notes that an item failed for good.
    fn fail(&mut self, item: Item, error: AdminError);

    /// The command's answer; every item is done or failed.
    fn finish(self: Box<Self>) -> AdminReply;
}

/// Whether an error says that the broker is the wrong one, or not ready.
pub(super) fn may_pass(error: ErrorCode) -> bool {
    error.refreshes_coordinator()
        || matches!(
            error,
            ErrorCode::NotController
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::ThrottlingQuotaExceeded
                | ErrorCode::NetworkException
        )
}

/// Milliseconds as requests carry them.
pub(super) fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
