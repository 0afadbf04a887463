//! A lean producer: batches, acknowledgements, compression, keys spread as Java does. The rules live in the engine; this
//! module gives them types and an asynchronous face.

mod builder;
mod error;
mod host;
mod record;
mod sending;

use core::time::Duration;
use std::sync::Arc;

pub use builder::ProducerBuilder;
pub use error::{NoProducerId, ProduceError, SendError};
pub use record::{ProducerRecord, RecordMetadata};
pub use sending::Sending;

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, oneshot};

use self::host::Input;
use crate::serialize::Serializer;
use crate::task::{Wall, timer_of};

/// Writes records. Cloning shares the connections and the batches; every method takes `&self`.
///
/// Records of one partition keep the order in which they were given. A batch whose acknowledgement is lost is sent
/// again, and is in the log once (KIP-98), unless `enable.idempotence` is off.
///
/// When the last clone is dropped, what waits is still sent in the background; [`close`](Self::close) waits for it.
///
/// ```no_run
/// use kohort::{Producer, ProducerRecord};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let producer: Producer<String, String> = Producer::builder().bootstrap_servers("localhost:9092").build()?;
/// let written = producer.send(ProducerRecord::new("orders", "customer-7".to_owned(), "3 apples".to_owned())).await?;
/// println!("partition {} offset {:?}", written.partition, written.offset);
/// producer.close(Duration::from_secs(10)).await?;
/// # Ok(())
/// # }
/// ```
pub struct Producer<K, V> {
    inner: Arc<Inner<K, V>>,
}

struct Inner<K, V> {
    inputs: UnboundedSender<Input>,
    room: Arc<Semaphore>,
    buffer_memory: u32,
    max_block: Duration,
    key: Box<dyn Serializer<K>>,
    value: Box<dyn Serializer<V>>,
    wall: Wall,
    client_id: String,
    /// The network task's runtime, for timers where the caller has none.
    runtime: Handle,
}

impl<K, V> Producer<K, V> {
    /// Writes one record, and waits until it is acknowledged as `acks` says.
    ///
    /// Cancel safety: a record whose `send` is dropped may be written or not.
    ///
    /// # Errors
    /// When the record cannot be serialized, or was not acknowledged.
    // Kafka: KafkaProducer.send(..).get()
    pub async fn send(&self, record: ProducerRecord<K, V>) -> Result<RecordMetadata, ProduceError> {
        self.send_soon(record).await?.await
    }

    /// Gives one record to be written, and waits only for room in `buffer.memory`; the [`Sending`] waits for the
    /// acknowledgement. Giving many before waiting makes larger batches.
    ///
    /// Cancel safety: a record whose `send_soon` is dropped before it returns is not written.
    ///
    /// # Errors
    /// When the record cannot be serialized, or there was no room within `max.block.ms`.
    ///
    /// ```no_run
    /// # use kohort::{Producer, ProducerRecord};
    /// # async fn example(producer: Producer<(), String>) -> Result<(), kohort::producer::ProduceError> {
    /// let mut sending = Vec::new();
    /// for line in ["a", "b", "c"] {
    ///     sending.push(producer.send_soon(ProducerRecord::new("lines", (), line.to_owned())).await?);
    /// }
    /// for each in sending {
    ///     each.await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_soon(&self, record: ProducerRecord<K, V>) -> Result<Sending, ProduceError> {
        let (record, size) = self.inner.serialize(record)?;
        let permits = u32::try_from(size)
            .unwrap_or(u32::MAX)
            .min(self.inner.buffer_memory);
        let acquiring = Arc::clone(&self.inner.room).acquire_many_owned(permits);
        let waiting = timer_of(&self.inner.runtime, || {
            tokio::time::timeout(self.inner.max_block, acquiring)
        });
        let room = match waiting.await {
            Ok(Ok(room)) => room,
            Ok(Err(_closed)) => return Err(ProduceError::TaskGone),
            Err(_elapsed) => {
                return Err(ProduceError::Send(SendError::BufferFull {
                    buffer_memory: self.inner.buffer_memory as usize,
                    waited: self.inner.max_block,
                }));
            }
        };
        let (reply, answer) = oneshot::channel();
        let topic = Arc::clone(&record.topic);
        let input = Input::Send {
            record: Box::new(record),
            reply,
            room,
        };
        self.inner
            .inputs
            .send(input)
            .map_err(|_| ProduceError::TaskGone)?;
        Ok(Sending::new(topic, answer))
    }

    /// Sends what waits without lingering, and returns when every record given before has its answer.
    ///
    /// Cancel safety: what was set in motion goes on.
    ///
    /// # Errors
    /// When the network task is gone.
    // Kafka: KafkaProducer.flush
    pub async fn flush(&self) -> Result<(), ProduceError> {
        let (reply, answer) = oneshot::channel();
        self.inner
            .inputs
            .send(Input::Flush { reply })
            .map_err(|_| ProduceError::TaskGone)?;
        answer.await.map_err(|_| ProduceError::TaskGone)
    }

    /// Sends what waits, for at most `timeout`, and ends the network task for all clones. What has no answer by then fails
    /// with [`SendError::Closed`].
    ///
    /// Cancel safety: when it is dropped halfway, closing goes on in the background.
    ///
    /// # Errors
    /// When the network task was gone before.
    // Kafka: KafkaProducer.close
    pub async fn close(&self, timeout: Duration) -> Result<(), ProduceError> {
        let (reply, answer) = oneshot::channel();
        self.inner
            .inputs
            .send(Input::Close { timeout, reply })
            .map_err(|_| ProduceError::TaskGone)?;
        answer.await.map_err(|_| ProduceError::TaskGone)
    }

    /// `client.id`, as given or made.
    pub fn client_id(&self) -> &str {
        &self.inner.client_id
    }
}

impl<K, V> Inner<K, V> {
    /// The record in bytes, and about how many.
    fn serialize(
        &self,
        record: ProducerRecord<K, V>,
    ) -> Result<(kohort_engine::producer::ProducerRecord, usize), ProduceError> {
        /// What a record takes beside its bytes, about.
        const OVERHEAD: usize = 64;
        let mut headers = record.headers;
        let topic = record.topic;
        let failed = |origin| {
            let topic = Arc::clone(&topic);
            move |source| ProduceError::Serialization {
                topic,
                origin,
                source,
            }
        };
        let key = self.key.serialize(&topic, &mut headers, &record.key);
        let key = key.map_err(failed(crate::deserialize::Origin::Key))?;
        let value = self.value.serialize(&topic, &mut headers, &record.value);
        let value = value.map_err(failed(crate::deserialize::Origin::Value))?;
        let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
        let of_headers: usize = headers
            .iter()
            .map(|header| header.key.len() + length(&header.value))
            .sum();
        let size = OVERHEAD + length(&key) + length(&value) + of_headers;
        let record = kohort_engine::producer::ProducerRecord {
            partition: record.partition,
            timestamp: record.timestamp.unwrap_or_else(|| self.wall.now_ms()),
            topic,
            key,
            value,
            headers,
        };
        Ok((record, size))
    }
}

impl<K, V> Clone for Producer<K, V> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K, V> core::fmt::Debug for Producer<K, V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Producer")
            .field("client_id", &self.inner.client_id)
            .finish_non_exhaustive()
    }
}
