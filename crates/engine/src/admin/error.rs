//! Why an item of a command failed.

use alloc::string::String;
use core::time::Duration;

use kohort_protocol::ErrorCode;
use thiserror::Error;

use crate::client::RequestFailure;

/// Why an item of a command failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The broker refused it.
    #[error("{error}{}", because(message))]
    Refused {
        /// The broker's error.
        error: ErrorCode,
        /// The broker's words.
        message: Option<String>,
    },
    /// It could not be asked, and trying again does not help.
    #[error(transparent)]
    Failed(RequestFailure),
    /// It was not answered, or only with errors that may pass, within the command's time-out.
    #[error("not done within {} ms{}", timeout.as_millis(), because(last))]
    TimedOut {
        /// The command's time-out.
        timeout: Duration,
        /// What the last attempt failed with, if there was one.
        last: Option<String>,
    },
    /// The answer contradicts itself or the question.
    #[error("the broker's answer makes no sense: {what}")]
    Nonsense {
        /// What is wrong.
        what: &'static str,
    },
}

impl AdminError {
    /// Whether the same command may succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { error, .. } => error.is_retriable(),
            Self::Failed(failure) => failure.is_retriable(),
            Self::TimedOut { .. } => true,
            Self::Nonsense { .. } => false,
        }
    }
}

fn because(reason: &Option<String>) -> String {
    reason
        .as_ref()
        .map_or_else(String::new, |reason| alloc::format!(": {reason}"))
}
