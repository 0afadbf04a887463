//! What the newest metadata says of the cluster: brokers, controller, topics, partitions, leaders. When it is asked for lives
//! in `metadata`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_protocol::messages::MetadataResponse;
use kohort_protocol::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};
use kohort_protocol::{ErrorCode, Uuid};

/// A broker, as metadata or a coordinator lookup names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// The host that it advertises.
    pub host: String,
    /// The port that it advertises.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// The longest host name that is one, bytes: what messages quote of a longer one would be kept many times.
// RFC 1035, 2.3.4: 255 octets or less
const LONGEST_HOST: usize = 255;

impl Broker {
    /// What a broker says of one, if a connection to it can be tried.
    pub(crate) fn advertised(id: i32, host: String, port: i32, rack: Option<String>) -> Option<Self> {
        let port = u16::try_from(port).ok()?;
        (host.len() <= LONGEST_HOST).then_some(Self { id, host, port, rack })
    }
}

/// A topic, as the newest metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; none from a broker that does not send ids (metadata before version 10) or when the topic is in error.
    pub id: Option<Uuid>,
    /// Whether it is one of Kafka's own, such as `__consumer_offsets`.
    pub is_internal: bool,
    /// Why there are no partitions: UNKNOWN_TOPIC_OR_PARTITION, TOPIC_AUTHORIZATION_FAILED, INVALID_TOPIC_EXCEPTION, ….
    pub error: Option<ErrorCode>,
    /// Its partitions by number; empty when the topic is in error.
    pub partitions: BTreeMap<i32, Partition>,
}

/// A partition, as the newest metadata has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partition {
    /// Node id of the leader, if there is one.
    pub leader: Option<i32>,
    /// The leader's epoch, if the broker sends it (KIP-320).
    pub leader_epoch: Option<i32>,
    /// Node ids of all replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids of the replicas in sync.
    pub isr: Vec<i32>,
    /// Node ids of the replicas that are offline.
    pub offline_replicas: Vec<i32>,
    /// LEADER_NOT_AVAILABLE, REPLICA_NOT_AVAILABLE, ….
    pub error: Option<ErrorCode>,
}

/// What one refresh, or one leader learned from a response, changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterChange {
    /// [`Cluster::version`] after the change.
    pub version: u64,
    /// Whether brokers came, went or moved.
    pub has_new_brokers: bool,
    /// What changed in topics, in order of their names.
    pub topics: Vec<TopicChange>,
}

/// What changed in one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicChange {
    /// It is known now, or it is known again after an error.
    Appeared(Arc<str>),
    /// It has partitions no longer: deleted, not authorized, or not tracked any more; its error, if there is one, is in
    /// [`Topic::error`].
    Gone(Arc<str>),
    /// It was deleted and made again under the same name: offsets and epochs of before mean nothing now.
    Recreated(Arc<str>),
    /// The number of its partitions changed.
    Partitions(Arc<str>),
    /// Leaders, or their epochs, of these partitions changed.
    Leaders(Arc<str>, Vec<i32>),
    /// Some of its replicas are on other brokers.
    Replicas(Arc<str>),
    /// It is in error, or in another error than before.
    Failed(Arc<str>, ErrorCode),
}

/// The newest metadata. Reading it costs nothing; [`Client`](super::Client) keeps it fresh.
///
/// ```
/// use kohort_engine::client::Cluster;
///
/// let cluster = Cluster::default();
/// assert_eq!(cluster.version(), 0);
/// assert!(cluster.topic("orders").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cluster {
    version: u64,
    is_whole: bool,
    id: Option<String>,
    controller: Option<i32>,
    brokers: BTreeMap<i32, Broker>,
    /// The rack of each broker that has one. A broker that is away keeps its own as long as a replica is on it.
    racks: BTreeMap<i32, Arc<str>>,
    topics: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<Uuid, Arc<str>>,
    /// The newest leader epoch seen per partition, whatever said it; kept while a topic is in error, dropped with its id.
    epochs: BTreeMap<Arc<str>, Epochs>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Epochs {
    id: Option<Uuid>,
    newest: BTreeMap<i32, i32>,
}

impl Cluster {
    /// How many times metadata was applied; 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the newest metadata was of all topics: one that is not known does not exist, or may not be seen.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The cluster's id, if a broker said it.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Node id of the controller, if a broker said it and the broker is known.
    pub fn controller(&self) -> Option<i32> {
        self.controller.filter(|id| self.brokers.contains_key(id))
    }

    /// The broker with this node id.
    pub fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// All brokers, by node id.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    /// Racks by node id, those of brokers that are away for a while included: what is on them is not elsewhere.
    // Kafka's cluster has no rack for them, so that an assignment depends on who is up.
    pub fn racks(&self) -> &BTreeMap<i32, Arc<str>> {
        &self.racks
    }

    /// The topic of this name, if metadata was received for it, even when it is in error.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// All topics that metadata was received for, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.values()
    }

    /// The name of the topic with this id.
    pub fn topic_name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.names.get(&id)
    }

    /// A partition of a topic.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partitions.get(&partition)
    }

    /// Node id of a partition's leader, if there is one and the broker is known.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = self.partition(topic, partition)?.leader?;
        self.brokers.contains_key(&leader).then_some(leader)
    }

    /// The number of a topic's partitions; none when it is unknown or in error.
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        let topic = self.topics.get(topic)?;
        topic.error.is_none().then_some(topic.partitions.len())
    }

    /// The newest leader epoch that was seen of a partition.
    pub fn newest_leader_epoch(&self, topic: &str, partition: i32) -> Option<i32> {
        self.epochs.get(topic)?.newest.get(&partition).copied()
    }

    /// Takes in a response. `wanted` are the topics asked for, none for all: what was not asked for, and not sent, is dropped.
    pub(super) fn apply(
        &mut self,
        response: MetadataResponse,
        wanted: Option<&BTreeSet<Arc<str>>>,
    ) -> ClusterChange {
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let broker = Broker::advertised(broker.node_id, broker.host, broker.port, broker.rack)?;
            Some((broker.id, broker))
        });
        let brokers: BTreeMap<i32, Broker> = brokers.collect();
        let has_new_brokers = brokers != self.brokers;
        brokers.values().for_each(|broker| self.note_rack(broker));
        self.brokers = brokers;
        self.id = response.cluster_id.or(self.id.take());
        self.controller = Some(response.controller_id).filter(|id| *id >= 0);

        let mut changes = Vec::new();
        let mut sent = BTreeSet::new();
        for topic in response.topics {
            let Some(name) = topic.name.as_deref().map(Arc::<str>::from) else {
                continue;
            };
            if wanted.is_none_or(|wanted| wanted.contains(&name)) {
                sent.insert(name.clone());
                self.apply_topic(name, topic, &mut changes);
            }
        }
        let gone: Vec<Arc<str>> = self
            .topics
            .keys()
            .filter(|name| !sent.contains(*name))
            .cloned()
            .collect();
        for name in gone {
            self.topics.remove(&name);
            self.epochs.remove(&name);
            changes.push((name.clone(), TopicChange::Gone(name)));
        }
        changes.sort_by(|(left, _), (right, _)| left.cmp(right));
        self.names = self
            .topics
            .values()
            .filter_map(|topic| Some((topic.id?, topic.name.clone())))
            .collect();
        self.forget_racks();
        self.is_whole = wanted.is_none();
        self.version += 1;
        ClusterChange {
            version: self.version,
            has_new_brokers,
            topics: changes.into_iter().map(|(_, change)| change).collect(),
        }
    }

    fn note_rack(&mut self, broker: &Broker) {
        match &broker.rack {
            Some(rack) if self.racks.get(&broker.id).is_some_and(|known| **known == **rack) => {}
            Some(rack) => {
                self.racks.insert(broker.id, rack.as_str().into());
            }
            None => {
                self.racks.remove(&broker.id);
            }
        }
    }

    /// Forgets the racks of brokers that are away and have no replica.
    fn forget_racks(&mut self) {
        if self.racks.keys().all(|id| self.brokers.contains_key(id)) {
            return;
        }
        let partitions = self.topics.values().flat_map(|topic| topic.partitions.values());
        let mut needed: BTreeSet<i32> = partitions.flat_map(|it| it.replicas.iter().copied()).collect();
        needed.extend(self.brokers.keys());
        self.racks.retain(|id, _| needed.contains(id));
    }

    fn apply_topic(
        &mut self,
        name: Arc<str>,
        sent: MetadataResponseTopic,
        changes: &mut Vec<(Arc<str>, TopicChange)>,
    ) {
        let error = Some(ErrorCode::from_code(sent.error_code)).filter(|error| error.is_error());
        let id = Some(sent.topic_id).filter(|id| !id.is_zero());
        let old = self.topics.remove(&name);
        let had_partitions = old.as_ref().is_some_and(|topic| topic.error.is_none());
        let mut push = |change| changes.push((name.clone(), change));
        if let Some(error) = error {
            if had_partitions {
                push(TopicChange::Gone(name.clone()));
            }
            if old.as_ref().and_then(|topic| topic.error) != Some(error) {
                push(TopicChange::Failed(name.clone(), error));
            }
            let topic = Topic {
                name: name.clone(),
                id,
                is_internal: sent.is_internal,
                error: Some(error),
                partitions: BTreeMap::new(),
            };
            self.topics.insert(name, topic);
            return;
        }

        let epochs = self.epochs.entry(name.clone()).or_default();
        // Kafka: Metadata.updateLatestMetadata, "topic id changed": epochs of the old topic do not bind the new one.
        let is_recreated = epochs.id.is_some() && id.is_some() && epochs.id != id;
        if is_recreated {
            epochs.newest.clear();
        }
        epochs.id = id.or(epochs.id);
        let old = old.filter(|_| had_partitions && !is_recreated);
        let mut partitions = BTreeMap::new();
        for partition in sent.partitions {
            let index = partition.partition_index;
            let known = old.as_ref().and_then(|topic| topic.partitions.get(&index));
            partitions.insert(index, newer(partition, known, &mut epochs.newest));
        }

        match &old {
            None if is_recreated => push(TopicChange::Recreated(name.clone())),
            None => push(TopicChange::Appeared(name.clone())),
            Some(old) => {
                if old.partitions.len() != partitions.len() {
                    push(TopicChange::Partitions(name.clone()));
                }
                let leader = |partition: &Partition| (partition.leader, partition.leader_epoch);
                let moved: Vec<i32> = partitions
                    .iter()
                    .filter(|(index, new)| {
                        old.partitions
                            .get(index)
                            .is_some_and(|old| leader(old) != leader(new))
                    })
                    .map(|(index, _)| *index)
                    .collect();
                if !moved.is_empty() {
                    push(TopicChange::Leaders(name.clone(), moved));
                }
                let has_moved = |(index, new): (&i32, &Partition)| {
                    let old = old.partitions.get(index);
                    old.is_some_and(|old| old.replicas != new.replicas)
                };
                if partitions.iter().any(has_moved) {
                    push(TopicChange::Replicas(name.clone()));
                }
            }
        }
        let topic = Topic {
            name: name.clone(),
            id,
            is_internal: sent.is_internal,
            error: None,
            partitions,
        };
        self.topics.insert(name, topic);
    }

    /// Takes in a leader that a Fetch or Produce response named (KIP-951); none when it is no news.
    pub(super) fn apply_leader(
        &mut self,
        name: &str,
        index: i32,
        leader: i32,
        leader_epoch: i32,
        endpoint: Option<Broker>,
    ) -> Option<ClusterChange> {
        // Kafka: Metadata.updatePartitionLeadership
        let partition = self.topics.get_mut(name)?.partitions.get_mut(&index)?;
        let is_known =
            self.brokers.contains_key(&leader) || endpoint.as_ref().is_some_and(|it| it.id == leader);
        if !is_known || partition.leader_epoch.is_some_and(|known| known >= leader_epoch) {
            return None;
        }
        partition.leader = Some(leader);
        partition.leader_epoch = Some(leader_epoch);
        partition.error = None;
        let has_new_brokers = match endpoint {
            Some(endpoint) if self.brokers.get(&endpoint.id) != Some(&endpoint) => {
                self.note_rack(&endpoint);
                self.brokers.insert(endpoint.id, endpoint);
                true
            }
            _ => false,
        };
        self.note_leader_epoch(name, index, leader_epoch);
        self.version += 1;
        let name = self.topics.get_key_value(name)?.0.clone();
        Some(ClusterChange {
            version: self.version,
            has_new_brokers,
            topics: alloc::vec![TopicChange::Leaders(name, alloc::vec![index])],
        })
    }

    /// Remembers a leader epoch; whether it is newer than any before.
    // Kafka: Metadata.updateLastSeenEpochIfNewer
    pub(super) fn note_leader_epoch(&mut self, name: &str, index: i32, leader_epoch: i32) -> bool {
        let Some(epochs) = self.epochs.get_mut(name) else {
            return false;
        };
        match epochs.newest.get(&index) {
            Some(known) if *known >= leader_epoch => false,
            _ => {
                epochs.newest.insert(index, leader_epoch);
                true
            }
        }
    }
}

impl From<MetadataResponse> for Cluster {
    /// The cluster as one response has it.
    fn from(response: MetadataResponse) -> Self {
        let mut cluster = Self::default();
        cluster.apply(response, None);
        cluster
    }
}

/// The partition as sent, or as known when the broker that answered lags behind what was seen before.
// Kafka: Metadata.updateLatestMetadata, KIP-320
fn newer(
    sent: MetadataResponsePartition,
    known: Option<&Partition>,
    newest: &mut BTreeMap<i32, i32>,
) -> Partition {
    let index = sent.partition_index;
    let leader_epoch = Some(sent.leader_epoch).filter(|epoch| *epoch >= 0);
    if let (Some(epoch), Some(seen), Some(known)) = (leader_epoch, newest.get(&index), known)
        && epoch < *seen
    {
        return known.clone();
    }
    if let Some(epoch) = leader_epoch {
        let seen = newest.entry(index).or_insert(epoch);
        *seen = epoch.max(*seen);
    }
    Partition {
        leader: Some(sent.leader_id).filter(|id| *id >= 0),
        leader_epoch,
        replicas: sent.replica_nodes,
        isr: sent.isr_nodes,
        offline_replicas: sent.offline_replicas,
        error: Some(ErrorCode::from_code(sent.error_code)).filter(|error| error.is_error()),
    }
}

#[cfg(test)]
mod tests;
