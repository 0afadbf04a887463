//! Why a request has no response.

use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use kohort_protocol::{ApiKey, DecodeError, EncodeError, ErrorCode};
use thiserror::Error;

/// Why a request has no response. An error code *in* a response is not one of these.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestFailure {
    /// No answer within the request's own time-out. The broker may have done what was asked, if it was sent.
    #[error("{api} was not answered within {} ms ({waited_for})", timeout.as_millis())]
    TimedOut {
        /// The API.
        api: ApiKey,
        /// The request's time-out.
        timeout: Duration,
        /// What it waited for at the end.
        waited_for: WaitedFor,
    },
    /// The connection ended before the answer came. The broker may have done what was asked.
    #[error("the connection to {node} ended before {api} was answered: {reason}")]
    Disconnected {
        /// The API.
        api: ApiKey,
        /// Who was connected.
        node: NodeName,
        /// Why the connection ended.
        reason: String,
    },
    /// No connection to the broker could be made; nothing was sent. Metadata is refreshed meanwhile.
    #[error("cannot connect to {node} for {api}: {reason}")]
    ConnectFailed {
        /// The API.
        api: ApiKey,
        /// Who was to be connected.
        node: NodeName,
        /// The system's words.
        reason: String,
    },
    /// The newest metadata has no such broker; nothing was sent. Metadata is refreshed meanwhile.
    #[error("there is no broker {node} in the cluster's metadata")]
    NoBroker {
        /// The node id asked for.
        node: i32,
    },
    /// The group's coordinator cannot be looked up, and trying again does not help.
    #[error("the coordinator of group {group} cannot be found: {error}")]
    CoordinatorNotFound {
        /// The group.
        group: Arc<str>,
        /// GROUP_AUTHORIZATION_FAILED, INVALID_GROUP_ID, or another fatal error.
        error: ErrorCode,
    },
    /// The broker has no version of the API that this client has, or none in which the request can be said.
    #[error("{node} does not support {api} in a version that this client can use")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// Which broker.
        node: NodeName,
    },
    /// The request cannot be encoded in the version that the broker has: a mistake of the caller, or a value that is too long.
    #[error("{api} version {version} cannot be encoded: {error}")]
    Unencodable {
        /// The API.
        api: ApiKey,
        /// The version.
        version: i16,
        /// What is wrong.
        error: EncodeError,
    },
    /// The client was closed first. The broker may have done what was asked, if it was sent.
    #[error("the client was closed before {api} was answered")]
    Closed {
        /// The API.
        api: ApiKey,
    },
    /// The answer cannot be understood; the connection was closed.
    #[error("the answer of {node} to {api} version {version} cannot be decoded: {error}")]
    Malformed {
        /// The API.
        api: ApiKey,
        /// The version.
        version: i16,
        /// Who answered.
        node: NodeName,
        /// What is wrong.
        error: DecodeError,
    },
}

impl RequestFailure {
    /// Whether the same request may succeed later.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::TimedOut { .. }
            | Self::Disconnected { .. }
            | Self::ConnectFailed { .. }
            | Self::NoBroker { .. }
            | Self::Malformed { .. } => true,
            Self::CoordinatorNotFound { .. }
            | Self::UnsupportedVersion { .. }
            | Self::Unencodable { .. }
            | Self::Closed { .. } => false,
        }
    }
}

/// What a request waited for when its time-out came.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitedFor {
    /// It was sent: for the answer.
    #[error("waiting for the answer of {0}")]
    Answer(NodeName),
    /// For a connection; the last attempt's failure, if there was one.
    #[error("waiting for a connection{}", last_failure(.0))]
    Connection(Option<String>),
    /// For the coordinator of its group.
    #[error("waiting for the group's coordinator{}", last_failure(.0))]
    Coordinator(Option<String>),
    /// For metadata that names the controller or the broker.
    #[error("waiting for metadata{}", last_failure(.0))]
    Metadata(Option<String>),
}

fn last_failure(reason: &Option<String>) -> String {
    match reason {
        Some(reason) => alloc::format!("; the last attempt failed: {reason}"),
        None => String::new(),
    }
}

/// How messages name a broker: by its node id, or by the bootstrap address while the id is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeName {
    /// A broker of the metadata.
    #[error("broker {id} at {host}:{port}")]
    Broker {
        /// Node id.
        id: i32,
        /// Host.
        host: String,
        /// Port.
        port: u16,
    },
    /// An address of `bootstrap.servers`.
    #[error("bootstrap server {host}:{port}")]
    Bootstrap {
        /// Host.
        host: String,
        /// Port.
        port: u16,
    },
}
