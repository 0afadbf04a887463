//! Metadata: brokers, topics, partitions and their leaders. Topics that are asked for may be created by it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::messages::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kohort_protocol::messages::{MetadataRequest, MetadataResponse};
use kohort_protocol::{ErrorCode, Uuid};

use super::create_topics::LARGEST_PARTITIONS;
use crate::context::{Call, Cx, Outcome};
use crate::interface::{CloseReason, Level};
use crate::topics::{CLUSTER_METADATA, Topic, is_internal, is_valid_name};

/// All operations that Kafka knows for a topic: without an authorizer everyone may do them.
// Kafka: AclEntry.supportedOperations(TOPIC): READ, WRITE, CREATE, DESCRIBE, DELETE, ALTER, DESCRIBE_CONFIGS, ALTER_CONFIGS
pub(super) const TOPIC_OPERATIONS: i32 = 0b0000_1101_1111_1000;
/// All operations that Kafka knows for the cluster.
// Kafka: AclEntry.supportedOperations(CLUSTER): CREATE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE, ALTER, DESCRIBE
pub(super) const CLUSTER_OPERATIONS: i32 = 0b0001_1111_1010_0000;

// Kafka: KafkaApis.handleTopicMetadataRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: MetadataRequest) -> Outcome {
    // In version 0 an empty list asks for all topics.
    let wanted = match &request.topics {
        Some(topics) if call.version > 0 || !topics.is_empty() => Some(topics),
        _ => None,
    };
    let mut topics = Vec::new();
    match wanted {
        None => topics.extend(cx.topics.iter().map(describe)),
        Some(wanted) => {
            let ids: BTreeSet<[u8; 16]> = wanted.iter().map(|topic| topic.topic_id.0).collect();
            let uses_ids = ids.iter().any(|id| *id != Uuid::default().0);
            // Kafka: a null name or an id below version 12 is an InvalidRequestException.
            if call.version < 12 && (uses_ids || wanted.iter().any(|topic| topic.name.is_none())) {
                return refuse(&request, ErrorCode::InvalidRequest).into();
            }
            if uses_ids {
                for id in ids.into_iter().map(Uuid).filter(|id| *id != Uuid::default()) {
                    topics.push(by_id(cx, id));
                }
            } else {
                let names: BTreeSet<&str> = wanted.iter().filter_map(|topic| topic.name.as_deref()).collect();
                let may_create = request.allow_auto_topic_creation && may_create_all(cx, &names);
                for name in names {
                    topics.push(by_name(cx, name, may_create));
                }
            }
        }
    }
    if request.include_topic_authorized_operations {
        for topic in &mut topics {
            topic.topic_authorized_operations = TOPIC_OPERATIONS;
        }
    }
    let mut response = MetadataResponse {
        brokers: brokers(cx),
        cluster_id: Some(cx.cluster.id.clone()),
        controller_id: cx.cluster.controller(),
        topics,
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    if cx.cluster.brokers.is_empty() {
        return Outcome::Close(CloseReason::Malformed("this node plays no broker".into()));
    }
    response.into()
}

// Kafka: MetadataRequest.getErrorResponse
pub(super) fn refuse(request: &MetadataRequest, code: ErrorCode) -> MetadataResponse {
    let topics = request.topics.iter().flatten().map(|topic| MetadataResponseTopic {
        error_code: code.code(),
        name: Some(topic.name.clone().unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    });
    MetadataResponse {
        topics: topics.collect(),
        error_code: code.code(),
        ..Default::default()
    }
}

fn brokers(cx: &Cx<'_>) -> Vec<MetadataResponseBroker> {
    let brokers = cx.cluster.brokers.iter().map(|broker| MetadataResponseBroker {
        node_id: broker.id,
        host: broker.host.clone(),
        port: i32::from(broker.port),
        rack: broker.rack.clone(),
    });
    brokers.collect()
}

fn by_id(cx: &Cx<'_>, id: Uuid) -> MetadataResponseTopic {
    match cx.topics.name_of(id).and_then(|name| cx.topics.get(&name)) {
        Some(topic) => describe(topic),
        None => MetadataResponseTopic {
            error_code: ErrorCode::UnknownTopicId.code(),
            name: None,
            topic_id: id,
            ..Default::default()
        },
    }
}

/// Whether those topics that are not there may be created: all or none. The node's other clients wait meanwhile.
// Kafka: ReplicationControlManager.createTopics: MAX_PARTITIONS_PER_BATCH, of a request whose answer nobody is told
fn may_create_all(cx: &mut Cx<'_>, names: &BTreeSet<&str>) -> bool {
    if !cx.config.is_on("auto.create.topics.enable") {
        return false;
    }
    let is_new = |name: &&&str| cx.topics.get(name).is_none() && is_valid_name(name);
    let new = names.iter().filter(is_new);
    let partitions = new.fold(0i32, |sum, name| sum.saturating_add(cx.default_partitions(name)));
    if partitions > LARGEST_PARTITIONS {
        let message = format!(
            "a client asks for topics that are not there and would have {partitions} partitions; at most {LARGEST_PARTITIONS} are \
             created at once, so none of them is"
        );
        cx.log(Level::Warn, message);
    }
    partitions <= LARGEST_PARTITIONS
}

// Kafka answers UNKNOWN_TOPIC_OR_PARTITION while it creates a topic, and the client asks again; here it is there at once.
fn by_name(cx: &mut Cx<'_>, name: &str, may_create: bool) -> MetadataResponseTopic {
    if let Some(topic) = cx.topics.get(name) {
        return describe(topic);
    }
    let error = if !is_valid_name(name) {
        ErrorCode::InvalidTopicException
    } else if name == CLUSTER_METADATA {
        // Kafka: ControllerApis.createTopics refuses it, and nobody is told
        ErrorCode::UnknownTopicOrPartition
    } else if may_create && cx.topics.colliding(name).is_some() {
        // Kafka: ReplicationControlManager.createTopic
        ErrorCode::InvalidTopicException
    } else if may_create {
        match cx.create_with_defaults(name) {
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
            Err(code) => code,
        }
    } else {
        ErrorCode::UnknownTopicOrPartition
    };
    match cx.topics.get(name) {
        Some(topic) => describe(topic),
        None => MetadataResponseTopic {
            error_code: error.code(),
            name: Some(String::from(name)),
            is_internal: is_internal(name),
            ..Default::default()
        },
    }
}

fn describe(topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.numbered().map(|(number, partition)| MetadataResponsePartition {
        partition_index: number,
        leader_id: partition.leader,
        leader_epoch: partition.log.leader_epoch(),
        replica_nodes: alloc::vec![partition.leader],
        isr_nodes: alloc::vec![partition.leader],
        ..Default::default()
    });
    MetadataResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        ..Default::default()
    }
}
