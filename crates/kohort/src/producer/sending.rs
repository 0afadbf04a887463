//! The wait for one acknowledgement.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use kohort_engine::producer::{RecordAck, SendError};
use tokio::sync::oneshot;

use super::{ProduceError, RecordMetadata};

pub(super) type Answer = Result<RecordAck, Box<SendError>>;

/// A record on its way: a future of its [`RecordMetadata`]. Dropping it leaves the record on its way.
#[derive(Debug)]
#[must_use = "whether a record was written is known only after waiting"]
pub struct Sending {
    topic: Arc<str>,
    answer: oneshot::Receiver<Answer>,
}

impl Sending {
    pub(super) const fn new(topic: Arc<str>, answer: oneshot::Receiver<Answer>) -> Self {
        Self { topic, answer }
    }
}

impl Future for Sending {
    type Output = Result<RecordMetadata, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| match answer {
            Ok(Ok(ack)) => Ok(RecordMetadata {
                topic: Arc::clone(&self.topic),
                partition: ack.partition,
                offset: ack.offset,
                timestamp: ack.timestamp,
            }),
            Ok(Err(error)) => Err(ProduceError::Send(*error)),
            Err(_gone) => Err(ProduceError::TaskGone),
        })
    }
}
