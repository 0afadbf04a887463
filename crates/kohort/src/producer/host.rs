//! The task's side of a producer: the engine's answers go to the futures that wait for them.

use core::time::Duration;
use std::collections::BTreeMap;

use kohort_engine::producer::{ProducerAction, ProducerEngine, ProducerEvent, ProducerRecord};
use kohort_machine::{Token, TokenSource};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::sending::Answer;
use crate::task::Host;

/// A message of a producer.
pub(super) enum Input {
    Send {
        record: Box<ProducerRecord>,
        reply: oneshot::Sender<Answer>,
        room: OwnedSemaphorePermit,
    },
    Flush {
        reply: oneshot::Sender<()>,
    },
    Close {
        timeout: Duration,
        reply: oneshot::Sender<()>,
    },
}

pub(super) struct ProducerHost {
    tokens: TokenSource,
    records: BTreeMap<Token, (oneshot::Sender<Answer>, OwnedSemaphorePermit)>,
    wishes: BTreeMap<Token, oneshot::Sender<()>>,
    /// How long what waits is still sent once every handle is gone.
    delivery_timeout: Duration,
    last: Option<Token>,
    is_finished: bool,
}

impl ProducerHost {
    pub(super) fn new(delivery_timeout: Duration) -> Self {
        Self {
            tokens: TokenSource::new(),
            records: BTreeMap::new(),
            wishes: BTreeMap::new(),
            delivery_timeout,
            last: None,
            is_finished: false,
        }
    }
}

impl Host<ProducerEngine> for ProducerHost {
    type Input = Input;

    fn accept(&mut self, input: Input) -> ProducerEvent {
        let token = self.tokens.issue();
        match input {
            Input::Send { record, reply, room } => {
                self.records.insert(token, (reply, room));
                ProducerEvent::Send { token, record }
            }
            Input::Flush { reply } => {
                self.wishes.insert(token, reply);
                ProducerEvent::Flush { token }
            }
            Input::Close { timeout, reply } => {
                self.wishes.insert(token, reply);
                self.last = Some(token);
                ProducerEvent::Close { token, timeout }
            }
        }
    }

    fn abandoned(&mut self) -> Vec<ProducerEvent> {
        if self.last.is_some() {
            return Vec::new();
        }
        let token = self.tokens.issue();
        self.last = Some(token);
        vec![ProducerEvent::Close {
            token,
            timeout: self.delivery_timeout,
        }]
    }

    fn perform(&mut self, action: ProducerAction) -> Option<ProducerEvent> {
        match action {
            ProducerAction::Sent { token, result } => {
                if let Some((reply, _room)) = self.records.remove(&token) {
                    // Nobody has to wait for it.
                    let _unwanted = reply.send(result);
                }
            }
            ProducerAction::Done { token } => {
                self.is_finished |= self.last == Some(token);
                if let Some(reply) = self.wishes.remove(&token) {
                    let _unwanted = reply.send(());
                }
            }
            // `NetMachine::split` takes these out.
            ProducerAction::Net(_) => {}
        }
        None
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }
}
