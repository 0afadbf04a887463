//! The consumer as a stream of records.

use ::core::pin::Pin;
use ::core::task::{Context, Poll};
use ::core::time::Duration;
use std::vec;

use futures_core::Stream;

use super::{Consumer, ConsumerRecord, ConsumerRecords, PollError};

type Polled<K, V> = (Consumer<K, V>, Result<ConsumerRecords<K, V>, PollError>);
type Polling<K, V> = Pin<Box<dyn Future<Output = Polled<K, V>> + Send>>;

/// The records of a consumer one by one, without an end: [`Consumer::into_stream`].
///
/// Polling the stream polls the consumer, so rebalances and their listener run inside, and `max.poll.interval.ms` counts
/// between two polls of the stream. `commit_sync` covers the whole batch of which the stream gave out a part; with a stream
/// commit single records by [`ConsumerRecord::next_offset`] after taking the consumer back, or use `enable.auto.commit`.
#[must_use = "a stream does nothing unless polled"]
pub struct RecordStream<K, V> {
    state: State<K, V>,
    batch: vec::IntoIter<ConsumerRecord<K, V>>,
}

enum State<K, V> {
    Idle(Box<Consumer<K, V>>),
    Polling(Polling<K, V>),
    Taken,
}

/// How long one poll of the consumer inside of the stream lasts.
const TURN: Duration = Duration::from_secs(1);

impl<K: Send + 'static, V: Send + 'static> Consumer<K, V> {
    /// The records one by one as a [`Stream`].
    ///
    /// ```no_run
    /// # async fn example(consumer: kohort::Consumer<String, String>) -> Result<(), kohort::consumer::PollError> {
    /// use std::future::poll_fn;
    /// use std::pin::Pin;
    /// use futures_core::Stream;
    ///
    /// let mut records = consumer.into_stream();
    /// while let Some(record) = poll_fn(|cx| Pin::new(&mut records).poll_next(cx)).await {
    ///     println!("{}", record?.value);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_stream(self) -> RecordStream<K, V> {
        RecordStream {
            state: State::Idle(Box::new(self)),
            batch: Vec::new().into_iter(),
        }
    }
}

impl<K, V> RecordStream<K, V> {
    /// The consumer back, if the stream is not inside of a poll; records that the stream holds are dropped, and count as
    /// returned.
    pub fn into_consumer(self) -> Option<Consumer<K, V>> {
        match self.state {
            State::Idle(consumer) => Some(*consumer),
            State::Polling(_) | State::Taken => None,
        }
    }
}

impl<K: Send + Unpin + 'static, V: Send + Unpin + 'static> Stream for RecordStream<K, V> {
    type Item = Result<ConsumerRecord<K, V>, PollError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(record) = self.batch.next() {
                return Poll::Ready(Some(Ok(record)));
            }
            match ::core::mem::replace(&mut self.state, State::Taken) {
                State::Idle(mut consumer) => {
                    self.state = State::Polling(Box::pin(async move {
                        let result = consumer.poll(TURN).await;
                        (*consumer, result)
                    }));
                }
                State::Polling(mut polling) => match polling.as_mut().poll(cx) {
                    Poll::Pending => {
                        self.state = State::Polling(polling);
                        return Poll::Pending;
                    }
                    Poll::Ready((consumer, result)) => {
                        self.state = State::Idle(Box::new(consumer));
                        match result {
                            Ok(records) => self.batch = records.into_iter(),
                            Err(error) => return Poll::Ready(Some(Err(error))),
                        }
                    }
                },
                State::Taken => return Poll::Ready(None),
            }
        }
    }
}

impl<K, V> ::core::fmt::Debug for RecordStream<K, V> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("RecordStream")
            .field("held", &self.batch.len())
            .finish_non_exhaustive()
    }
}
