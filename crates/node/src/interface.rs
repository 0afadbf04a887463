//! What goes into a node and what comes out: events, actions and their small types.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_machine::{Correlated, Token};
use kohort_protocol::ApiKey;

use crate::cluster::BrokerId;
use crate::control::{Control, ControlError};
use crate::log::{DiskTask, StorageError};

/// Names a connection. The driver never uses one twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What happens to a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A client connected.
    Connected {
        /// The new connection.
        conn: ConnId,
        /// Which of the node's brokers it connected to.
        broker: BrokerId,
        /// The client's host, as Kafka shows it (`/127.0.0.1`).
        peer: Arc<str>,
    },
    /// A request came. The driver hands over the next one of a connection after [`Action::Write`] or [`Action::Ready`].
    Frame {
        /// The connection.
        conn: ConnId,
        /// The frame without its length prefix.
        bytes: Bytes,
        /// Wall time, in milliseconds since the epoch.
        wall_ms: i64,
    },
    /// The client is gone, or the driver closed the connection.
    Disconnected {
        /// The connection.
        conn: ConnId,
    },
    /// The driver carried out an [`Action::Disk`].
    DiskDone {
        /// The question.
        token: Token,
        /// How it went.
        result: Result<(), Box<StorageError>>,
    },
    /// The embedder wants something. Answered by [`Action::Controlled`].
    Control {
        /// Names the question.
        token: Token,
        /// What it wants.
        control: Box<Control>,
    },
    /// How many bytes of records the next answers may have together: for a driver that knows how many are in memory because
    /// their answers are not yet read. Each answer may have 1 MiB all the same, or one batch, so that every client gets on.
    /// There is no such bound before the first of these.
    RecordsRoom {
        /// The bytes.
        bytes: usize,
    },
}

/// What a node wants done, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write this reply, then read the connection's next request.
    Write {
        /// The connection.
        conn: ConnId,
        /// The reply with its length prefix, in pieces.
        segments: Vec<Bytes>,
        /// How many of its bytes are the records of an answer to Fetch.
        records: usize,
    },
    /// The request has no reply: read the connection's next request.
    Ready {
        /// The connection.
        conn: ConnId,
    },
    /// Close the connection once what was to be written is written. No event of it is needed afterwards.
    Close {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: Box<CloseReason>,
    },
    /// Answers [`Event::Control`].
    Controlled {
        /// The question.
        token: Token,
        /// How it went.
        result: Result<(), Box<ControlError>>,
    },
    /// Carry out work on files that may take long, beside the node. Answered by [`Event::DiskDone`].
    Disk {
        /// Names the question.
        token: Token,
        /// The work.
        task: DiskTask,
    },
    /// Something an operator may want to read.
    Log(Box<LogLine>),
}

impl Correlated for Event {
    fn closes(&self) -> Option<Token> {
        match self {
            Self::DiskDone { token, .. } => Some(*token),
            _ => None,
        }
    }
}

impl Correlated for Action {
    fn opens(&self) -> Option<Token> {
        match self {
            Self::Disk { token, .. } => Some(*token),
            _ => None,
        }
    }
}

/// Why a node closes a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The request could not be read.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// The API is not one of this broker's.
    #[error("request of API {0}, which this broker does not have")]
    UnknownApi(i16),
    /// The API has no such version.
    #[error("{api} request of version {version}, which this broker does not have")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The version asked for.
        version: i16,
    },
    /// A Produce request without acknowledgements failed; closing is the only answer there is.
    #[error("a Produce request with acks=0 failed: {0}")]
    UnacknowledgedProduce(String),
    /// What was asked for was done, and may be lost, because the medium failed.
    #[error("what was done for it may be lost: the medium failed")]
    Storage,
    /// A fault was injected.
    #[error("injected fault")]
    Fault,
    /// The broker is stopped.
    #[error("the broker is stopped")]
    Stopped,
    /// The reply could not be encoded.
    #[error("the {api} reply of version {version} could not be encoded: {error}")]
    Unencodable {
        /// The API.
        api: ApiKey,
        /// The version of the request.
        version: i16,
        /// What the encoder says.
        error: String,
    },
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Part of normal work.
    Info,
    /// Something is wrong with a client or the medium.
    Warn,
}

/// A line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The text.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_actions_are_small() {
        assert!(size_of::<Event>() <= 64);
        assert!(size_of::<Action>() <= 64);
    }
}
