//! Building a consumer: settings are checked once, then the network task is started.

use ::core::marker::PhantomData;
use kohort_engine::consumer::ConsumerEngine;
use kohort_engine::delivery::Delivery;
use kohort_groups::assign::Assignor;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::channel::Channel;
use super::core::{Core, Who};
use super::host::ConsumerHost;
use super::journal::{JournalFile, Names, journal};
use super::{BuildError, Consumer};
use crate::config::{ConfigError, ConsumerConfig, Draft, JOURNAL_FILE, check_class, made_client_id, ms};
use crate::deserialize::{Deserializer, Native};
use crate::task::{Clock, Driver, Wall, seed_or, spawn};
use crate::transport::{SocketBuffers, Transport};

/// Builds a [`Consumer`]: a typed method per setting, named as Kafka's key with `_` for `.`, or [`set`](Self::set) by the key
/// itself. A mistake is returned by [`build`](Self::build).
///
/// ```no_run
/// use kohort::Consumer;
///
/// # fn example() -> Result<(), kohort::consumer::BuildError> {
/// let consumer: Consumer<String, Option<i64>> = Consumer::builder()
///     .bootstrap_servers(["kafka-1:9092", "kafka-2:9092"])
///     .group_id("orders")
///     .max_poll_records(1_000)
///     .set("session.timeout.ms", "30000")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct ConsumerBuilder<K, V, KD = Native, VD = Native> {
    pub(crate) draft: Draft<ConsumerConfig>,
    key: KD,
    value: VD,
    assignors: Vec<Arc<dyn Assignor>>,
    transport: Option<Transport>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Consumer<K, V> {
    /// A builder with Kafka's defaults.
    pub fn builder() -> ConsumerBuilder<K, V> {
        ConsumerBuilder::with(Draft::default())
    }
}

impl<K, V> ConsumerBuilder<K, V> {
    /// A builder with the settings of a Java `.properties` file, as it is: `key.deserializer` and `value.deserializer` are
    /// checked against `K` and `V` when the consumer is built.
    ///
    /// # Errors
    /// The first mistake of syntax, key or value. What contradicts each other is found by [`build`](Self::build).
    ///
    /// ```
    /// use kohort::consumer::ConsumerBuilder;
    ///
    /// let builder = ConsumerBuilder::<String, String>::from_properties(
    ///     "bootstrap.servers = localhost:9092\n\
    ///      group.id = orders\n\
    ///      value.deserializer = org.apache.kafka.common.serialization.StringDeserializer\n",
    /// )?;
    /// # let _ = builder;
    /// # Ok::<(), kohort::config::ConfigError>(())
    /// ```
    pub fn from_properties(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::with(Draft::from_properties(text)?))
    }

    fn with(draft: Draft<ConsumerConfig>) -> Self {
        Self {
            draft,
            key: Native,
            value: Native,
            assignors: Vec::new(),
            transport: None,
            types: PhantomData,
        }
    }
}

impl<K, V, KD, VD> ConsumerBuilder<K, V, KD, VD> {
    /// Reads keys by this instead of [`Decode`](crate::deserialize::Decode).
    pub fn key_deserializer<D: Deserializer<K>>(self, key: D) -> ConsumerBuilder<K, V, D, VD> {
        ConsumerBuilder {
            draft: self.draft,
            key,
            value: self.value,
            assignors: self.assignors,
            transport: self.transport,
            types: PhantomData,
        }
    }

    /// Reads values by this instead of [`Decode`](crate::deserialize::Decode).
    pub fn value_deserializer<D: Deserializer<V>>(self, value: D) -> ConsumerBuilder<K, V, KD, D> {
        ConsumerBuilder {
            draft: self.draft,
            key: self.key,
            value,
            assignors: self.assignors,
            transport: self.transport,
            types: PhantomData,
        }
    }

    /// Makes an assignor of one's own known under its name, for `partition.assignment.strategy` to list. Should this member
    /// be its group's leader, the assignor runs on the network task and must not block. What it may do wrong is told by `poll`
    /// as [`MemberError::Assignor`](super::MemberError::Assignor). A name of Kafka's own assignors is refused by
    /// [`build`](Self::build).
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use kohort::consumer::{AssignError, Assignment, Assignor, GroupTopics, Shares, Subscription};
    /// use kohort::{Consumer, TopicPartition};
    ///
    /// /// Gives each topic as a whole to one member.
    /// struct WholeTopics;
    ///
    /// impl Assignor for WholeTopics {
    ///     fn name(&self) -> &str {
    ///         "whole-topics"
    ///     }
    ///
    ///     fn assign(
    ///         &self,
    ///         topics: &GroupTopics,
    ///         members: &BTreeMap<String, Subscription>,
    ///     ) -> Result<Shares, AssignError> {
    ///         let mut shares = Shares::new();
    ///         for (turn, (topic, layout)) in topics.iter().enumerate() {
    ///             let subscribers: Vec<_> = members.iter().filter(|(_, member)| member.topics.contains(topic)).collect();
    ///             let (id, _) = subscribers[turn % subscribers.len()];
    ///             let share: &mut Assignment = shares.entry(id.clone()).or_default();
    ///             let numbers = 0..layout.partitions as i32;
    ///             share.partitions.extend(numbers.map(|number| TopicPartition::new(topic.clone(), number)));
    ///         }
    ///         Ok(shares)
    ///     }
    /// }
    ///
    /// let builder = Consumer::<String, String>::builder()
    ///     .bootstrap_servers(["localhost:9092"])
    ///     .group_id("orders")
    ///     .assignor(WholeTopics)
    ///     .set("partition.assignment.strategy", "whole-topics");
    /// # let _ = builder;
    /// ```
    pub fn assignor(mut self, assignor: impl Assignor + 'static) -> Self {
        self.assignors.push(Arc::new(assignor));
        self
    }

    /// Reaches brokers by this instead of TCP.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Checks the settings and starts the network task. Nothing is sent before the consumer is used.
    ///
    /// # Errors
    /// A wrong setting; or no tokio runtime here (see `kohort.runtime`).
    pub fn build(self) -> Result<Consumer<K, V>, BuildError>
    where
        KD: Deserializer<K> + 'static,
        VD: Deserializer<V> + 'static,
    {
        self.build_on().map(|(consumer, _)| consumer)
    }

    pub(crate) fn build_on(self) -> Result<(Consumer<K, V>, Handle), BuildError>
    where
        KD: Deserializer<K> + 'static,
        VD: Deserializer<V> + 'static,
    {
        let (config, explicit) = self.draft.finish()?;
        let (key, value, assignors) = (self.key, self.value, self.assignors);
        check_class(
            "key.deserializer",
            explicit.class("key.deserializer"),
            key.java_classes(),
            ::core::any::type_name::<K>(),
        )?;
        check_class(
            "value.deserializer",
            explicit.class("value.deserializer"),
            value.java_classes(),
            ::core::any::type_name::<V>(),
        )?;
        let client_id = match config.client_id.is_empty() {
            true => {
                // Kafka: ConsumerConfig.maybeOverrideClientId
                let group = config.group_id.as_deref().unwrap_or("null");
                match &config.group_instance_id {
                    Some(instance) => format!("consumer-{group}-{instance}"),
                    None => made_client_id(&format!("consumer-{group}")),
                }
            }
            false => config.client_id.clone(),
        };
        let engine_config = config.engine(&client_id, &assignors)?;
        let delivery = Delivery::new(&engine_config);
        let buffers = SocketBuffers::new(config.receive_buffer_bytes, config.send_buffer_bytes);
        let transport = self.transport.unwrap_or_else(|| Transport::tcp(buffers));
        let client_id: Arc<str> = client_id.into();
        let group_id: Option<Arc<str>> = config.group_id.as_deref().map(Into::into);
        let file = match (&config.kohort_rebalance_journal_file, &group_id) {
            (Some(path), Some(group)) => {
                let names = Names {
                    group: Arc::clone(group),
                    client_id: Arc::clone(&client_id),
                    instance_id: config.group_instance_id.as_deref().map(Into::into),
                };
                Some(JournalFile::open(JOURNAL_FILE, path, names)?)
            }
            _ => None,
        };
        // After the file: to open it may take its time.
        let wall_ms = Wall::start().now_ms();
        let engine = ConsumerEngine::new(engine_config, seed_or(config.kohort_seed), wall_ms)?;
        let (writer, journal) = journal(file.clone());
        let (channel, to_consumer, inputs) = Channel::new();
        let max_frame = max_frame(&config);
        let runtime = spawn(config.kohort_runtime, move || {
            let (clock, start) = Clock::start_with_wall();
            Driver::new(
                engine,
                ConsumerHost::new(to_consumer, assignors, writer, start),
                inputs,
                transport,
                max_frame,
                clock,
            )
            .run()
        })?;
        let consumer = Consumer {
            core: Core::new(
                channel,
                delivery,
                ms(config.default_api_timeout_ms),
                runtime.clone(),
                Who { group_id, client_id },
            ),
            key: Box::new(key),
            value: Box::new(value),
            listener: None,
            journal,
            journal_file: file,
            max_poll_records: usize::try_from(config.max_poll_records).unwrap_or(1),
            last_count: 0,
        };
        Ok((consumer, runtime))
    }
}

/// Bytes of a frame at most: what one fetch may bring, with room for a batch that is larger.
fn max_frame(config: &ConsumerConfig) -> usize {
    const LARGEST: usize = 256 << 20;
    usize::try_from(config.fetch_max_bytes)
        .unwrap_or(0)
        .saturating_mul(2)
        .max(LARGEST)
}
