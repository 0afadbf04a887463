//! The consumer as a stream of records.

use ::core::pin::Pin;
use ::core::task::{Context, Poll};
use ::core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use futures_core::Stream;

use super::{Consumer, ConsumerRecord, ConsumerRecords, PollError};

type Polled<K, V> = Result<ConsumerRecords<K, V>, PollError>;
type Polling<K, V> = Pin<Box<dyn Future<Output = Polled<K, V>> + Send>>;
/// Where the consumer is while no poll has it.
type Home<K, V> = Arc<Mutex<Option<Consumer<K, V>>>>;

/// The records of a consumer one by one, without an end: [`Consumer::into_stream`].
///
/// Polling the stream polls the consumer, so rebalances and their listener run inside, and `max.poll.interval.ms` counts
/// between two polls of the stream. With `enable.auto.commit` a commit covers what the stream gave out, never more. To commit
/// or to close, take the consumer back by [`into_consumer`](Self::into_consumer).
#[must_use = "a stream does nothing unless polled"]
pub struct RecordStream<K, V> {
    home: Home<K, V>,
    polling: Option<Polling<K, V>>,
    batch: vec::IntoIter<ConsumerRecord<K, V>>,
}

/// The consumer inside of a poll; it goes home however the poll ends.
struct Lent<K, V> {
    consumer: Option<Consumer<K, V>>,
    home: Home<K, V>,
}

impl<K, V> Drop for Lent<K, V> {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.consumer.take();
    }
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
            home: Arc::new(Mutex::new(Some(self))),
            polling: None,
            batch: Vec::new().into_iter(),
        }
    }
}

impl<K, V> RecordStream<K, V> {
    /// The consumer back, at any time: a poll that is under way is dropped. Its positions stand at the first records that the
    /// stream has not given out, so that a `commit_sync` covers exactly what it gave out.
    ///
    /// ```no_run
    /// # async fn example(records: kohort::consumer::RecordStream<String, String>) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut consumer = records.into_consumer();
    /// consumer.commit_sync().await?;
    /// consumer.close(std::time::Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_consumer(self) -> Consumer<K, V> {
        drop(self.polling);
        let home = self.home.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut consumer = home.expect("a poll that has ended, or was dropped, gave the consumer back");
        let mut seen = BTreeSet::new();
        for record in self.batch {
            let partition = record.topic_partition();
            if seen.insert(partition.clone())
                && let Err(error) = consumer.seek(partition, record.offset)
            {
                tracing::debug!(%error, "its records are others' already");
            }
        }
        consumer
    }
}

impl<K: Send + Unpin + 'static, V: Send + Unpin + 'static> Stream for RecordStream<K, V> {
    type Item = Result<ConsumerRecord<K, V>, PollError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(record) = self.batch.next() {
                return Poll::Ready(Some(Ok(record)));
            }
            let Some(polling) = &mut self.polling else {
                let home = Arc::clone(&self.home);
                let Some(consumer) = home.lock().unwrap_or_else(PoisonError::into_inner).take() else {
                    return Poll::Ready(None);
                };
                let mut lent = Lent {
                    consumer: Some(consumer),
                    home: Arc::clone(&self.home),
                };
                self.polling = Some(Box::pin(async move {
                    match &mut lent.consumer {
                        Some(consumer) => consumer.poll(TURN).await,
                        None => Ok(ConsumerRecords::default()),
                    }
                }));
                continue;
            };
            let result = ::core::task::ready!(polling.as_mut().poll(cx));
            self.polling = None;
            match result {
                Ok(records) => self.batch = records.into_iter(),
                Err(error) => return Poll::Ready(Some(Err(error))),
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
