//! What the embedder of a node may do beside serving clients: create topics, move leaders, inject faults.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::ErrorCode;

use crate::cluster::BrokerId;
use crate::config::TopicConfig;
use crate::context::{Cx, Wake};
use crate::faults::FaultRule;
use crate::topics::{CLUSTER_METADATA, is_valid_name};

/// What an embedder wants.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Control {
    /// Create a topic.
    CreateTopic {
        /// Its name.
        name: String,
        /// How many partitions.
        partitions: i32,
        /// Its settings, by key.
        config: Vec<(String, String)>,
    },
    /// Make another broker the leader of a partition, in a new leader epoch.
    MoveLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The new leader.
        broker: BrokerId,
    },
    /// Stop one of the brokers: its connections are closed, and it loses all but what is in the logs. Nobody leads in its place.
    Stop {
        /// Which.
        broker: BrokerId,
    },
    /// Start a stopped broker again: it loads the groups that it hosts from the logs, and their sessions begin anew.
    Start {
        /// Which.
        broker: BrokerId,
    },
    /// Let the next requests of an API fail.
    Inject(FaultRule),
    /// Forget all faults that were not used up.
    ClearFaults,
}

/// Why a [`Control`] was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The name is no topic's, the topic is there already, or has not this partition.
    #[error("topic `{topic}`: {code}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong.
        code: ErrorCode,
    },
    /// A setting was refused.
    #[error("topic `{topic}`: {reason}")]
    Config {
        /// The topic.
        topic: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no such broker.
    #[error("there is no broker {0}")]
    Broker(BrokerId),
}

/// Does what the embedder wants.
pub(crate) fn apply(cx: &mut Cx<'_>, control: Control) -> Result<(), ControlError> {
    match control {
        Control::CreateTopic {
            name,
            partitions,
            config,
        } => create_topic(cx, name, partitions, &config),
        Control::MoveLeader {
            topic,
            partition,
            broker,
        } => move_leader(cx, topic, partition, broker),
        Control::Stop { broker } => set_stopped(cx, broker, true),
        Control::Start { broker } => set_stopped(cx, broker, false),
        Control::Inject(rule) => {
            cx.faults.inject(rule);
            Ok(())
        }
        Control::ClearFaults => {
            cx.faults.clear();
            Ok(())
        }
    }
}

fn set_stopped(cx: &mut Cx<'_>, broker: BrokerId, stopped: bool) -> Result<(), ControlError> {
    if cx.cluster.broker(broker).is_none() {
        return Err(ControlError::Broker(broker));
    }
    cx.set_groups_stopped(broker, stopped);
    Ok(())
}

fn create_topic(
    cx: &mut Cx<'_>,
    name: String,
    partitions: i32,
    settings: &[(String, String)],
) -> Result<(), ControlError> {
    let refused = |topic: &str, code| ControlError::Topic {
        topic: topic.to_string(),
        code,
    };
    if !is_valid_name(&name) {
        return Err(refused(&name, ErrorCode::InvalidTopicException));
    }
    // Kafka: ControllerApis.createTopics
    if name == CLUSTER_METADATA {
        return Err(refused(&name, ErrorCode::TopicAuthorizationFailed));
    }
    if partitions < 1 {
        return Err(refused(&name, ErrorCode::InvalidPartitions));
    }
    if cx.topics.get(&name).is_some() {
        return Err(refused(&name, ErrorCode::TopicAlreadyExists));
    }
    let mut config = TopicConfig::default();
    for (key, value) in settings {
        config.set(key, value).map_err(|error| ControlError::Config {
            topic: name.clone(),
            reason: error.to_string(),
        })?;
    }
    cx.create_topic(&name, partitions, config)
        .map_err(|code| refused(&name, code))
}

fn move_leader(cx: &mut Cx<'_>, topic: String, partition: i32, broker: BrokerId) -> Result<(), ControlError> {
    if cx.cluster.broker(broker).is_none() {
        return Err(ControlError::Broker(broker));
    }
    let unknown = ControlError::Topic {
        topic: topic.clone(),
        code: ErrorCode::UnknownTopicOrPartition,
    };
    let Some(found) = cx.topics.get_mut(&topic) else {
        return Err(unknown);
    };
    let id = found.id;
    let Some(moved) = found.partition_mut(partition) else {
        return Err(unknown);
    };
    moved.leader = broker;
    if let Err(error) = moved.log.begin_epoch() {
        // The epoch has begun; a later start may not know of it.
        cx.storage_failed(&topic, &error);
    }
    cx.wakes.push(Wake::Changed { topic_id: id.0 });
    Ok(())
}
