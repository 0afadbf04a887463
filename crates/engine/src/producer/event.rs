//! What a producer is told and what it wants done.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::{Correlated, Token};
use kohort_records::Header;

use super::error::SendError;
use crate::client::{NetAction, NetEvent};

/// What a producer is told.
#[derive(Debug, Clone, PartialEq)]
pub enum ProducerEvent {
    /// Something happened on the network.
    Net(NetEvent),
    /// Send this record; answered by [`ProducerAction::Sent`].
    Send {
        /// The driver's name for the record.
        token: Token,
        /// The record.
        record: Box<ProducerRecord>,
    },
    /// Send what waits without lingering; answered by [`ProducerAction::Done`] when every record given before has its answer.
    Flush {
        /// The driver's name for the wish.
        token: Token,
    },
    /// Take no more records, and send what waits; what has no answer after `timeout` fails with [`SendError::Closed`].
    /// Answered by [`ProducerAction::Done`]; the connections are closed then.
    Close {
        /// The driver's name for the wish.
        token: Token,
        /// How long to wait at most.
        timeout: Duration,
    },
}

/// What a producer wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum ProducerAction {
    /// For the network.
    Net(NetAction),
    /// A record's one answer.
    Sent {
        /// The record's name.
        token: Token,
        /// Where it is, or why it is not there, or may not be.
        result: Result<RecordAck, Box<SendError>>,
    },
    /// A flush or a close is complete.
    Done {
        /// Which one.
        token: Token,
    },
}

/// A record to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; none lets the producer choose one by the key, or in turn when there is no key.
    pub partition: Option<i32>,
    /// When it was made, in ms since the epoch.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; none deletes the key in a compacted topic.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Vec<Header>,
}

/// Where an acknowledged record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordAck {
    /// The partition.
    pub partition: i32,
    /// The offset; none with `acks=0`, and where the broker does not say it: of a batch that came again after it forgot the offset
    /// (DUPLICATE_SEQUENCE_NUMBER).
    pub offset: Option<i64>,
    /// The record's timestamp in ms since the epoch: its own, or the time of the append where the topic says so.
    pub timestamp: i64,
}

impl Correlated for ProducerEvent {
    fn opens(&self) -> Option<Token> {
        match self {
            Self::Net(_) => None,
            Self::Send { token, .. } | Self::Flush { token } | Self::Close { token, .. } => Some(*token),
        }
    }
}

impl Correlated for ProducerAction {
    fn closes(&self) -> Option<Token> {
        match self {
            Self::Net(_) => None,
            Self::Sent { token, .. } | Self::Done { token } => Some(*token),
        }
    }
}
