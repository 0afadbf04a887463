//! How a broker is configured and started.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use kohort_node::config::{Config, ConfigError};
use kohort_node::log::SegmentStorage;
use kohort_node::{Broker as Member, Cluster, Node};
use tokio::net::{TcpListener, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

use crate::admission::Admission;
use crate::broker::{Broker, ControlFailure};
use crate::clock::Clock;
use crate::connection::Shared;
use crate::data_dir::{DataDir, DataDirError, Owner, Wanted};
use crate::limits::Limits;
use crate::listener::accept_all;
use crate::node_task::NodeTask;

/// How many inputs wait for the node before connections are held back.
const INPUTS: usize = 1024;
/// The id of a cluster that was given none.
const CLUSTER_ID: &str = "kohort-embedded-cluster";
/// The port that the first broker advertises when it is reached in memory only.
const MEMORY_PORT: u16 = 9092;

/// Configures a broker; [`Builder::start`] starts it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use kohort_broker::Broker;
///
/// // In memory only, three brokers, one setting under Kafka's key.
/// let broker = Broker::builder()
///     .topic("orders", 6)
///     .brokers(3)
///     .config("auto.create.topics.enable", "false")
///     .start()
///     .await?;
/// let stream = broker.connector().connect("localhost", 9092).await?;
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Builder {
    topics: Vec<InitialTopic>,
    settings: Vec<(String, String)>,
    brokers: u16,
    listen: Option<String>,
    advertise: Option<(String, u16)>,
    insecure_listen: bool,
    cluster_id: Option<String>,
    node_id: Option<i32>,
    data_dir: Option<PathBuf>,
    seed: u64,
}

/// A topic that is created at the start.
#[derive(Debug, Clone)]
struct InitialTopic {
    name: String,
    partitions: i32,
    settings: Vec<(String, String)>,
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no tokio runtime to run on.
    #[error("a broker starts inside a tokio runtime with time and I/O enabled")]
    NoRuntime,
    /// A setting was refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A topic could not be created.
    #[error(transparent)]
    Topic(#[from] ControlFailure),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The address can be reached from other machines.
    #[error(
        "{address} can be reached from other machines, and this broker knows no authentication: listen on a loopback \
         address, or allow it with insecure_listen"
    )]
    InsecureAddress {
        /// The address.
        address: SocketAddr,
    },
    /// The brokers need more ports than there are.
    #[error("{brokers} brokers from port {port} on do not fit")]
    Ports {
        /// How many brokers there are.
        brokers: u16,
        /// The first port.
        port: u16,
    },
    /// A broker cannot have the id.
    #[error("{first} is no node.id, or leaves none for the brokers after it: set one from 0 on")]
    NodeId {
        /// The id of the first broker.
        first: i32,
    },
    /// There is no broker.
    #[error("a cluster has at least one broker")]
    NoBroker,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let settings = [
            ("group.initial.rebalance.delay.ms", "0"),
            ("max.connections", "1024"),
            ("queued.max.request.bytes", "268435456"),
        ];
        Self {
            topics: Vec::new(),
            settings: settings
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec(),
            brokers: 1,
            listen: None,
            advertise: None,
            insecure_listen: false,
            cluster_id: None,
            node_id: None,
            data_dir: None,
            seed: 0,
        }
    }

    /// Creates a topic at the start.
    pub fn topic(self, name: impl Into<String>, partitions: i32) -> Self {
        self.topic_with(name, partitions, [])
    }

    /// Creates a topic with settings at the start, under Kafka's keys (`cleanup.policy`).
    pub fn topic_with<'a>(
        mut self,
        name: impl Into<String>,
        partitions: i32,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let settings = settings
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.topics.push(InitialTopic {
            name: name.into(),
            partitions,
            settings: settings.collect(),
        });
        self
    }

    /// Sets one of the broker's settings under Kafka's key. An unknown key fails the start.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// How many brokers this one plays, with ids that follow [`Builder::node_id`]; they share the topics and lead partitions in turn.
    pub fn brokers(mut self, brokers: u16) -> Self {
        self.brokers = brokers;
        self
    }

    /// Listens on a TCP address, `127.0.0.1:0` for any free port. Further brokers take the ports after it. Without it the
    /// broker is reached in memory only.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Allows an address that other machines can reach. There is no authentication: everyone who reaches it may do
    /// everything.
    pub fn insecure_listen(mut self, allow: bool) -> Self {
        self.insecure_listen = allow;
        self
    }

    /// What clients are told to connect to, when it differs from the address listened on. Further brokers take the ports
    /// after it.
    pub fn advertise(mut self, host: impl Into<String>, port: u16) -> Self {
        self.advertise = Some((host.into(), port));
        self
    }

    /// The cluster's id. A data directory keeps the one that it was created with.
    pub fn cluster_id(mut self, id: impl Into<String>) -> Self {
        self.cluster_id = Some(id.into());
        self
    }

    /// The id of the first broker, `node.id`; the others have those after it. Left out, it is 0 or the one that the data directory was
    /// created with; another than that one fails the start, as does a negative one.
    pub fn node_id(mut self, id: i32) -> Self {
        self.node_id = Some(id);
        self
    }

    /// Keeps records, topics and groups in a directory, which is created when it is not there. Without it they live in memory.
    ///
    /// One broker at a time uses a directory, also of Kafka's own. [`Broker::shutdown`] gives it free; a broker that was dropped
    /// does so a little later, which a start in the same process waits for, at most 30 s. Topics of the builder that are there
    /// already are left as they are.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(path.into());
        self
    }

    /// Decides the ids that the broker makes up (topics, members): the same seed and events give the same run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts the broker on the ambient tokio runtime. When dropped, nothing is left running.
    ///
    /// # Errors
    ///
    /// When a setting, a topic, the address or the data directory is refused, or there is no runtime.
    pub async fn start(self) -> Result<Broker, StartError> {
        self.start_node(Node::new).await
    }

    /// As [`Builder::start`], where logs in memory are kept by a node that the caller makes of configuration, cluster and seed, over
    /// a storage that has nothing to sync. So a simulation sees what is stored.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use kohort_broker::Broker;
    /// use kohort_node::{Node, log::MemoryStorage};
    ///
    /// let node = |config, cluster, seed| {
    ///     let storage = Box::new(MemoryStorage);
    ///     Node::open(config, cluster, storage, seed, 0).expect("memory does not fail")
    /// };
    /// let broker = Broker::builder().topic("orders", 1).start_over(node).await?;
    /// # drop(broker);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Builder::start`].
    #[cfg(feature = "testing")]
    pub async fn start_over(
        self,
        node: impl FnOnce(Config, Cluster, u64) -> Node + Send,
    ) -> Result<Broker, StartError> {
        self.start_node(node).await
    }

    async fn start_node(
        self,
        in_memory: impl FnOnce(Config, Cluster, u64) -> Node + Send,
    ) -> Result<Broker, StartError> {
        if Handle::try_current().is_err() {
            return Err(StartError::NoRuntime);
        }
        let Some(others) = self.brokers.checked_sub(1) else {
            return Err(StartError::NoBroker);
        };
        if let Some(first) = self.node_id {
            // Before a directory is marked with it.
            node_id(first, 0).and_then(|_| node_id(first, others))?;
        }
        let mut config = Config::default();
        for (key, value) in &self.settings {
            config.set(key, value)?;
        }
        let (stop, stopped) = watch::channel(false);
        let data_dir = match &self.data_dir {
            Some(path) => Some(DataDir::take(path, stopped.clone()).await?),
            None => None,
        };
        let owner = self.owner(data_dir.as_ref())?;
        let listeners = self.bind().await?;
        let cluster = self.cluster(owner, &listeners)?;
        let (alive, tasks) = mpsc::channel(1);
        let (node, inputs) = mpsc::channel(INPUTS);
        let limits = Limits::new(&config);
        let shared = Shared {
            node,
            stop: stopped.clone(),
            alive,
            limits: limits.clone(),
        };
        let admission = Admission::new(config.size("max.connections"));
        let clock = Clock::start();
        let (machine, files) = match data_dir {
            None => (in_memory(config, cluster.clone(), self.seed), None),
            Some(dir) => {
                let (cluster, seed) = (cluster.clone(), self.seed);
                let wall_ms = clock.wall_ms(clock.now());
                // The logs are read through, which may take long.
                let opened = spawn_blocking(move || {
                    let node = SegmentStorage::new(Box::new(dir.disk()))
                        .and_then(|storage| Node::open(config, cluster, Box::new(storage), seed, wall_ms));
                    match node {
                        Ok(node) => Ok((node, dir)),
                        Err(error) => Err(dir.unreadable(&error)),
                    }
                });
                let (node, dir) = opened.await.map_err(|_| StartError::NoRuntime)??;
                (node, Some(dir))
            }
        };
        let existing: Vec<bool> = self
            .topics
            .iter()
            .map(|topic| machine.topic_id(&topic.name).is_some())
            .collect();
        let task = NodeTask::new(machine, clock, files, limits);
        let alive = shared.alive.clone();
        tokio::spawn(async move {
            task.run(inputs, stopped).await;
            drop(alive);
        });
        let broker = Broker {
            cluster,
            shared,
            admission,
            stop,
            tasks,
        };
        for (topic, exists) in self.topics.into_iter().zip(existing) {
            if exists {
                continue;
            }
            broker
                .create_topic_with(topic.name, topic.partitions, topic.settings)
                .await?;
        }
        // Clients are let in when the topics are there.
        let ids: Vec<i32> = broker.cluster.brokers.iter().map(|broker| broker.id).collect();
        for (listener, id) in listeners.into_iter().zip(ids) {
            let (admission, shared) = (broker.admission.clone(), broker.shared.clone());
            tokio::spawn(accept_all(listener, id, admission, shared));
        }
        Ok(broker)
    }

    fn owner(&self, data_dir: Option<&DataDir>) -> Result<Owner, DataDirError> {
        let default = Owner {
            cluster_id: CLUSTER_ID.to_owned(),
            node_id: 0,
        };
        let wanted = Wanted {
            cluster_id: self.cluster_id.as_deref(),
            node_id: self.node_id,
        };
        match data_dir {
            Some(dir) => dir.owner(&wanted, default),
            None => Ok(wanted.or(default)),
        }
    }

    async fn bind(&self) -> Result<Vec<TcpListener>, StartError> {
        let Some(address) = &self.listen else {
            return Ok(Vec::new());
        };
        let failed = |source| StartError::Listen {
            address: address.clone(),
            source,
        };
        let mut resolved = lookup_host(address.as_str()).await.map_err(failed)?;
        let first = resolved
            .next()
            .ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))?;
        if !first.ip().is_loopback() && !self.insecure_listen {
            return Err(StartError::InsecureAddress { address: first });
        }
        let mut listeners = Vec::new();
        for index in 0..self.brokers {
            let port = match first.port() {
                0 => 0,
                port => self.port(port, index)?,
            };
            let listener = TcpListener::bind(SocketAddr::new(first.ip(), port)).await;
            listeners.push(listener.map_err(failed)?);
        }
        Ok(listeners)
    }

    fn cluster(&self, owner: Owner, listeners: &[TcpListener]) -> Result<Cluster, StartError> {
        let mut brokers = Vec::new();
        for index in 0..self.brokers {
            let (host, port) = match (&self.advertise, listeners.get(usize::from(index))) {
                (Some((host, port)), _) => (host.clone(), self.port(*port, index)?),
                (None, Some(listener)) => {
                    let address = listener.local_addr().map_err(|source| StartError::Listen {
                        address: self.listen.clone().unwrap_or_default(),
                        source,
                    })?;
                    (address.ip().to_string(), address.port())
                }
                (None, None) => ("localhost".to_owned(), self.port(MEMORY_PORT, index)?),
            };
            brokers.push(Member {
                id: node_id(owner.node_id, index)?,
                host,
                port,
                rack: None,
            });
        }
        Ok(Cluster {
            id: owner.cluster_id,
            brokers,
        })
    }

    fn port(&self, first: u16, index: u16) -> Result<u16, StartError> {
        first.checked_add(index).ok_or(StartError::Ports {
            brokers: self.brokers,
            port: first,
        })
    }
}

/// The id of the broker with this index. Below zero are ids that mean no broker.
// Kafka: KRaftConfigs.NODE_ID_CONFIG
fn node_id(first: i32, index: u16) -> Result<i32, StartError> {
    let id = first.checked_add(i32::from(index)).filter(|id| *id >= 0);
    id.ok_or(StartError::NodeId { first })
}
