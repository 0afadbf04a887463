//! Building a producer: settings are checked once, then the network task is started.

use core::marker::PhantomData;
use std::sync::Arc;

use kohort_engine::producer::ProducerEngine;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::unbounded_channel;

use super::host::ProducerHost;
use super::{Inner, Producer};
use crate::config::{ConfigError, Draft, ProducerConfig, check_class, made_client_id, ms};
use crate::consumer::BuildError;
use crate::serialize::{Native, Serializer};
use crate::task::{Clock, Driver, Wall, seed_or, spawn};
use crate::transport::{SocketBuffers, Transport};

/// Bytes of a frame that a broker may send a producer.
const MAX_FRAME: usize = 64 << 20;

/// Builds a [`Producer`]: a typed method per setting, named as Kafka's key with `_` for `.`, or [`set`](Self::set) by the key
/// itself. A mistake is returned by [`build`](Self::build).
///
/// ```no_run
/// use kohort::config::{Acks, CompressionType};
/// use kohort::Producer;
///
/// # fn example() -> Result<(), kohort::consumer::BuildError> {
/// let producer: Producer<String, i64> = Producer::builder()
///     .bootstrap_servers("localhost:9092")
///     .acks(Acks::All)
///     .compression_type(CompressionType::Zstd)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct ProducerBuilder<K, V, KS = Native, VS = Native> {
    pub(crate) draft: Draft<ProducerConfig>,
    key: KS,
    value: VS,
    transport: Option<Transport>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Producer<K, V> {
    /// A builder with Kafka's defaults.
    pub fn builder() -> ProducerBuilder<K, V> {
        ProducerBuilder::with(Draft::default())
    }
}

impl<K, V> ProducerBuilder<K, V> {
    /// A builder with the settings of a Java `.properties` file; `key.serializer` and `value.serializer` are checked against
    /// `K` and `V` when the producer is built.
    ///
    /// # Errors
    /// The first mistake of syntax, key or value.
    pub fn from_properties(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::with(Draft::from_properties(text)?))
    }

    fn with(draft: Draft<ProducerConfig>) -> Self {
        Self {
            draft,
            key: Native,
            value: Native,
            transport: None,
            types: PhantomData,
        }
    }
}

impl<K, V, KS, VS> ProducerBuilder<K, V, KS, VS> {
    /// Writes keys by this instead of [`Encode`](crate::serialize::Encode).
    pub fn key_serializer<S: Serializer<K>>(self, key: S) -> ProducerBuilder<K, V, S, VS> {
        ProducerBuilder {
            draft: self.draft,
            key,
            value: self.value,
            transport: self.transport,
            types: PhantomData,
        }
    }

    /// Writes values by this instead of [`Encode`](crate::serialize::Encode).
    pub fn value_serializer<S: Serializer<V>>(self, value: S) -> ProducerBuilder<K, V, KS, S> {
        ProducerBuilder {
            draft: self.draft,
            key: self.key,
            value,
            transport: self.transport,
            types: PhantomData,
        }
    }

    /// Reaches brokers by this instead of TCP.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Checks the settings and starts the network task. Nothing is sent before the producer is used.
    ///
    /// # Errors
    /// A wrong setting; or no tokio runtime here (see `kohort.runtime`).
    pub fn build(self) -> Result<Producer<K, V>, BuildError>
    where
        KS: Serializer<K> + 'static,
        VS: Serializer<V> + 'static,
    {
        self.build_on().map(|(producer, _)| producer)
    }

    pub(crate) fn build_on(self) -> Result<(Producer<K, V>, Handle), BuildError>
    where
        KS: Serializer<K> + 'static,
        VS: Serializer<V> + 'static,
    {
        let (config, explicit) = self.draft.finish()?;
        let rust = (core::any::type_name::<K>(), core::any::type_name::<V>());
        check_class(
            "key.serializer",
            explicit.class("key.serializer"),
            self.key.java_classes(),
            rust.0,
        )?;
        check_class(
            "value.serializer",
            explicit.class("value.serializer"),
            self.value.java_classes(),
            rust.1,
        )?;
        let client_id = match config.client_id.is_empty() {
            true => made_client_id("producer"),
            false => config.client_id.clone(),
        };
        let engine_config = config.engine(&client_id);
        let buffers = SocketBuffers::new(config.receive_buffer_bytes, config.send_buffer_bytes);
        let transport = self.transport.unwrap_or_else(|| Transport::tcp(buffers));
        let (inputs, from_handles) = unbounded_channel();
        let delivery_timeout = ms(config.delivery_timeout_ms);
        let runtime = spawn(config.kohort_runtime, move || {
            let engine = ProducerEngine::new(engine_config, seed_or(config.kohort_seed));
            let host = ProducerHost::new(delivery_timeout);
            Driver::new(engine, host, from_handles, transport, MAX_FRAME, Clock::start()).run()
        })?;
        let buffer_memory = u32::try_from(config.buffer_memory.max(1)).unwrap_or(u32::MAX);
        let producer = Producer {
            inner: Arc::new(Inner {
                inputs,
                room: Arc::new(Semaphore::new(
                    (buffer_memory as usize).min(Semaphore::MAX_PERMITS),
                )),
                buffer_memory,
                max_block: ms(config.max_block_ms),
                key: Box::new(self.key),
                value: Box::new(self.value),
                wall: Wall::start(),
                client_id,
                runtime: runtime.clone(),
            }),
        };
        Ok((producer, runtime))
    }
}
