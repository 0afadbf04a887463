//! The blocking producer. What each method does is said at its asynchronous twin.

use core::time::Duration;

use tokio::runtime::Handle;

use super::{refuse_inside_async, wait};
use crate::config::RuntimePlace;
use crate::consumer::BuildError;
use crate::producer::{ProduceError, ProducerBuilder, ProducerRecord, RecordMetadata, Sending};
use crate::serialize::Serializer;

/// A producer whose calls wait on the caller's thread; the twin of [`crate::Producer`].
///
/// ```no_run
/// use kohort::blocking::Producer;
/// use kohort::ProducerRecord;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let producer: Producer<(), String> = Producer::builder().bootstrap_servers("localhost:9092").build_blocking()?;
/// producer.send(ProducerRecord::new("lines", (), "hello".to_owned()))?;
/// producer.close(Duration::from_secs(10))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Producer<K, V> {
    inner: crate::Producer<K, V>,
    runtime: Handle,
}

impl<K, V, KS, VS> ProducerBuilder<K, V, KS, VS> {
    /// As [`build`](Self::build), for a program without a runtime; `kohort.runtime` is `own`.
    ///
    /// # Errors
    /// A wrong setting; or a tokio runtime is here already.
    pub fn build_blocking(self) -> Result<Producer<K, V>, BuildError>
    where
        KS: Serializer<K> + 'static,
        VS: Serializer<V> + 'static,
    {
        refuse_inside_async()?;
        let (inner, runtime) = self.kohort_runtime(RuntimePlace::Own).build_on()?;
        Ok(Producer { inner, runtime })
    }
}

impl<K, V> Producer<K, V> {
    /// A builder with Kafka's defaults, for [`ProducerBuilder::build_blocking`].
    pub fn builder() -> ProducerBuilder<K, V> {
        crate::Producer::builder()
    }

    /// As [`crate::Producer::send`].
    ///
    /// # Errors
    /// As there.
    pub fn send(&self, record: ProducerRecord<K, V>) -> Result<RecordMetadata, ProduceError> {
        wait(&self.runtime, self.inner.send(record))
    }

    /// As [`crate::Producer::send_soon`].
    ///
    /// # Errors
    /// As there.
    pub fn send_soon(&self, record: ProducerRecord<K, V>) -> Result<Sending, ProduceError> {
        wait(&self.runtime, self.inner.send_soon(record))
    }

    /// Waits for the acknowledgement of a record given by [`send_soon`](Self::send_soon).
    ///
    /// # Errors
    /// When the record was not acknowledged.
    pub fn wait(&self, sending: Sending) -> Result<RecordMetadata, ProduceError> {
        wait(&self.runtime, sending)
    }

    /// As [`crate::Producer::flush`].
    ///
    /// # Errors
    /// As there.
    pub fn flush(&self) -> Result<(), ProduceError> {
        wait(&self.runtime, self.inner.flush())
    }

    /// As [`crate::Producer::close`].
    ///
    /// # Errors
    /// As there.
    pub fn close(&self, timeout: Duration) -> Result<(), ProduceError> {
        wait(&self.runtime, self.inner.close(timeout))
    }
}
