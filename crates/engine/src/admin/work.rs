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
use crate::client::{BuildRequest, Cluster, Target};

/// What is asked for, and answered, on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// The whole command.
    Whole,
    /// A topic or a group.
    Name(Arc<str>),
    Partition(TopicPartition),
    Broker(i32),
}

/// A request for some items.
pub(super) struct Ask {
    pub(super) target: Target,
    pub(super) api: ApiKey,
    pub(super) build: BuildRequest,
    pub(super) items: Vec<Item>,
}

/// What a response says of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done: the work has noted its result.
    Done,
    /// The broker's error.
    Refused {
        error: ErrorCode,
        message: Option<String>,
    },
}

impl Answer {
    pub(super) fn refused(error_code: i16, message: Option<String>) -> Option<Self> {
        let error = ErrorCode::from_code(error_code);
        let message = message.filter(|message| !message.is_empty());
        error.is_error().then_some(Self::Refused { error, message })
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
        error.refreshes_coordinator()
            || matches!(
                error,
                ErrorCode::NotController
                    | ErrorCode::CoordinatorLoadInProgress
                    | ErrorCode::ThrottlingQuotaExceeded
                    | ErrorCode::NetworkException
            )
    }

    /// Notes what a response says. Items that it leaves out are asked for again.
    fn read(&mut self, asked: &[Item], node: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)>;

    /// Notes that an item failed for good.
    fn fail(&mut self, item: Item, error: AdminError);

    /// The command's answer; every item is done or failed.
    fn finish(self: Box<Self>) -> AdminReply;
}

/// Milliseconds as requests carry them.
pub(super) fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// The names among items.
pub(super) fn names<'a>(items: impl IntoIterator<Item = &'a Item>) -> Vec<String> {
    let name = |item: &Item| match item {
        Item::Name(name) => Some(name.as_ref().into()),
        _ => None,
    };
    items.into_iter().filter_map(name).collect()
}
