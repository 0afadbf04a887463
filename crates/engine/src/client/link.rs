//! One connection: its state, the requests that wait for an answer on it, and the matching of answers to requests. Which
//! connections there are lives in `links`.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::Instant;
use kohort_protocol::messages::RequestHeader;
use kohort_protocol::{ApiKey, DecodeError, EncodeError, RequestBody, ResponseBody, frame};
use thiserror::Error;

use super::failure::NodeName;
use super::target::{LinkPurpose, RequestId};
use super::versions::BrokerVersions;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// An address of `bootstrap.servers`, by its place in the list.
    Bootstrap(usize),
    /// A broker, by its node id.
    Node(i32),
}

/// What a connection is: there is at most one at a time for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkKey {
    pub(super) peer: Peer,
    pub(super) purpose: LinkPurpose,
}

#[derive(Debug)]
pub(super) enum LinkState {
    Connecting,
    /// ApiVersions was asked in this version.
    Handshaking {
        version: i16,
    },
    Ready {
        versions: BrokerVersions,
    },
}

#[derive(Debug)]
pub(super) struct InFlight {
    correlation_id: i32,
    pub(super) api: ApiKey,
    pub(super) version: i16,
    /// None: the handshake, or a request whose asker has gone.
    pub(super) request: Option<RequestId>,
    /// How long it may be the oldest of the link.
    patience: Duration,
}

/// An answer that breaks the rules: the connection cannot be trusted any longer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum AnswerFault {
    #[error("an answer came that nothing was asked for")]
    Unasked,
    #[error(
        "the answer to {api} version {version} is for request {got}, the oldest unanswered request is {expected}"
    )]
    OutOfOrder {
        api: ApiKey,
        version: i16,
        expected: i32,
        got: i32,
    },
    #[error("the answer to {api} version {version} is no frame: {reason}")]
    NoFrame {
        api: ApiKey,
        version: i16,
        reason: String,
    },
    #[error("the answer to {api} version {version} cannot be decoded: {error}")]
    Malformed {
        api: ApiKey,
        version: i16,
        error: DecodeError,
    },
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) key: LinkKey,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) state: LinkState,
    in_flight: VecDeque<InFlight>,
    next_correlation_id: i32,
    /// Since when the first of `in_flight` is the oldest.
    oldest_since: Instant,
    pub(super) last_used: Instant,
    pub(super) throttled_until: Instant,
}

impl Link {
    pub(super) fn new(key: LinkKey, host: String, port: u16, now: Instant) -> Self {
        Self {
            key,
            host,
            port,
            state: LinkState::Connecting,
            in_flight: VecDeque::new(),
            next_correlation_id: 0,
            oldest_since: now,
            last_used: now,
            throttled_until: Instant::ZERO,
        }
    }

    pub(super) fn name(&self) -> NodeName {
        let (host, port) = (self.host.clone(), self.port);
        match self.key.peer {
            Peer::Bootstrap(_) => NodeName::Bootstrap { host, port },
            Peer::Node(id) => NodeName::Broker { id, host, port },
        }
    }

    pub(super) fn node(&self) -> Option<i32> {
        match self.key.peer {
            Peer::Bootstrap(_) => None,
            Peer::Node(id) => Some(id),
        }
    }

    /// Whether a request may be sent now.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        matches!(self.state, LinkState::Ready { .. }) && self.throttled_until <= now
    }

    pub(super) fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    /// The frame of a request, which is in flight from now on if it `is_answered` at all.
    pub(super) fn send(
        &mut self,
        now: Instant,
        client_id: &str,
        version: i16,
        body: &RequestBody,
        asked: Asked,
    ) -> Result<Vec<Bytes>, EncodeError> {
        let correlation_id = self.next_correlation_id;
        let header = RequestHeader {
            correlation_id,
            client_id: Some(client_id.into()),
            ..Default::default()
        };
        let segments = frame::encode_request_segmented(&header, version, body)?;
        self.next_correlation_id = correlation_id.wrapping_add(1);
        self.last_used = now;
        if asked.is_answered {
            if self.in_flight.is_empty() {
                self.oldest_since = now;
            }
            self.in_flight.push_back(InFlight {
                correlation_id,
                api: body.api_key(),
                version,
                request: asked.request,
                patience: asked.patience,
            });
        }
        Ok(segments.into_iter().collect())
    }

    /// Takes the oldest request and its answer. After a fault the request that it concerns is still in flight, as the oldest.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        frame: Bytes,
    ) -> Result<(InFlight, ResponseBody), AnswerFault> {
        let oldest = self.in_flight.front().ok_or(AnswerFault::Unasked)?;
        let (expected, api, version) = (oldest.correlation_id, oldest.api, oldest.version);
        if let Some(prefix) = frame.first_chunk() {
            let got = i32::from_be_bytes(*prefix);
            if got != expected {
                return Err(AnswerFault::OutOfOrder {
                    api,
                    version,
                    expected,
                    got,
                });
            }
        }
        let (_, body) = frame::decode_response(frame, api, version)
            .map_err(|error| AnswerFault::Malformed { api, version, error })?;
        self.oldest_since = now;
        self.last_used = now;
        let oldest = self.in_flight.pop_front().ok_or(AnswerFault::Unasked)?;
        Ok((oldest, body))
    }

    /// The fault that something is which is no frame.
    pub(super) fn no_frame(&self, reason: String) -> AnswerFault {
        match self.in_flight.front() {
            Some(InFlight { api, version, .. }) => AnswerFault::NoFrame {
                api: *api,
                version: *version,
                reason,
            },
            None => AnswerFault::Unasked,
        }
    }

    /// When the oldest request in flight has waited too long. Those behind it are not to blame: Kafka answers in order.
    pub(super) fn gives_up_at(&self) -> Option<Instant> {
        let oldest = self.in_flight.front()?;
        Some(self.oldest_since + oldest.patience)
    }

    /// Nobody waits for this request's answer any longer.
    pub(super) fn abandon(&mut self, request: RequestId) {
        for in_flight in &mut self.in_flight {
            if in_flight.request == Some(request) {
                in_flight.request = None;
            }
        }
    }

    /// Everything in flight, oldest first.
    pub(super) fn into_in_flight(self) -> VecDeque<InFlight> {
        self.in_flight
    }
}

/// How a request is to be kept while it is in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) request: Option<RequestId>,
    pub(super) patience: Duration,
    /// False for Produce with `acks=0`, which no broker answers.
    pub(super) is_answered: bool,
}
