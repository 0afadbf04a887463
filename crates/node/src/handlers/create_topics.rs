//! CreateTopics.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::{ErrorCode, error_message};
use kohort_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult,
};
use kohort_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use crate::config::{ConfigError, TOPIC_KEYS, TopicConfig};
use crate::context::{Call, Cx, Outcome};
use crate::topics::{CLUSTER_METADATA, is_valid_name};

/// How many partitions one request may create.
// Kafka: ReplicationControlManager.MAX_PARTITIONS_PER_BATCH
pub(super) const LARGEST_PARTITIONS: i32 = 10_000;

// Kafka: ControllerApis.createTopics, ReplicationControlManager.createTopics and validateTotalNumberOfPartitions
pub(super) fn handle(cx: &mut Cx<'_>, _call: &Call, request: CreateTopicsRequest) -> Outcome {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    let mut partitions: i64 = 0;
    for topic in &request.topics {
        *count.entry(topic.name.as_str()).or_default() += 1;
        let by_count = match topic.num_partitions {
            -1 if topic.assignments.is_empty() => default_partitions(cx),
            partitions => partitions.max(0),
        };
        let wanted = i64::from(by_count).max(topic.assignments.len() as i64);
        partitions = partitions.saturating_add(wanted);
    }
    if partitions > i64::from(LARGEST_PARTITIONS) {
        let message = too_many();
        return refuse_saying(&request, ErrorCode::PolicyViolation, &message).into();
    }
    let mut results = Vec::new();
    for topic in &request.topics {
        // A name that comes twice is refused once.
        let result = match count.insert(topic.name.as_str(), 0) {
            Some(1) => create(cx, topic, request.validate_only),
            Some(0) => continue,
            _ => Err(Refusal(ErrorCode::InvalidRequest, "Duplicate topic name.".into())),
        };
        results.push(result.unwrap_or_else(|refusal| refused(&topic.name, refusal)));
    }
    CreateTopicsResponse {
        topics: results,
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &CreateTopicsRequest, code: ErrorCode) -> CreateTopicsResponse {
    refuse_saying(request, code, &code.to_string())
}

fn refuse_saying(request: &CreateTopicsRequest, code: ErrorCode, message: &str) -> CreateTopicsResponse {
    let topics = request
        .topics
        .iter()
        .map(|topic| refused(&topic.name, Refusal(code, message.into())));
    CreateTopicsResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

/// What a request is told that would create more than [`LARGEST_PARTITIONS`].
pub(super) fn too_many() -> String {
    format!("At most {LARGEST_PARTITIONS} partitions are created at once.")
}

struct Refusal(ErrorCode, String);

fn refused(name: &str, Refusal(code, message): Refusal) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_string(),
        error_code: code.code(),
        error_message: error_message(message),
        configs: None,
        ..Default::default()
    }
}

fn create(cx: &mut Cx<'_>, topic: &CreatableTopic, validate_only: bool) -> Result<CreatableTopicResult, Refusal> {
    let name = topic.name.as_str();
    // Kafka: ControllerApis.createTopics
    if name == CLUSTER_METADATA {
        return Err(Refusal(ErrorCode::TopicAuthorizationFailed, "Authorization failed.".into()));
    }
    if !is_valid_name(name) {
        let message = format!("Topic name is invalid: '{name}' needs 1 to 249 letters, digits, '.', '_' or '-'");
        return Err(Refusal(ErrorCode::InvalidTopicException, message));
    }
    if cx.topics.get(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err(Refusal(ErrorCode::TopicAlreadyExists, message));
    }
    if let Some(other) = cx.topics.colliding(name) {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(Refusal(ErrorCode::InvalidTopicException, message));
    }
    let mut config = TopicConfig::default();
    for setting in &topic.configs {
        let Some(value) = &setting.value else {
            let message = format!("Null value not supported for topic configs: {}", setting.name);
            return Err(Refusal(ErrorCode::InvalidConfig, message));
        };
        config.set(&setting.name, value).map_err(|error| match error {
            ConfigError::UnknownKey { key } => {
                Refusal(ErrorCode::InvalidConfig, format!("Unknown topic config name: {key}"))
            }
            error => Refusal(ErrorCode::InvalidConfig, error.to_string()),
        })?;
    }
    let partitions = partitions(cx, topic)?;
    let mut result = CreatableTopicResult {
        name: name.to_string(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: Some(effective(cx, &config)),
        ..Default::default()
    };
    if !validate_only {
        cx.create_topic(name, partitions, config)
            .map_err(|code| Refusal(code, code.to_string()))?;
        result.topic_id = cx.topics.get(name).map(|topic| topic.id).unwrap_or_default();
    }
    Ok(result)
}

// Kafka: ReplicationControlManager.createTopic
fn partitions(cx: &Cx<'_>, topic: &CreatableTopic) -> Result<i32, Refusal> {
    if !topic.assignments.is_empty() {
        return assigned(cx, topic);
    }
    let default_factor = cx.config.int("default.replication.factor");
    let factor = match topic.replication_factor {
        -1 => default_factor,
        factor => i64::from(factor),
    };
    if factor < 1 {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(Refusal(ErrorCode::InvalidReplicationFactor, message.into()));
    }
    if topic.num_partitions < -1 || topic.num_partitions == 0 {
        let message = "Number of partitions was set to an invalid non-positive value.";
        return Err(Refusal(ErrorCode::InvalidPartitions, message.into()));
    }
    if factor > 1 {
        let message = format!(
            "Unable to replicate the partition {factor} time(s): this broker keeps one replica of each partition."
        );
        return Err(Refusal(ErrorCode::InvalidReplicationFactor, message));
    }
    Ok(match topic.num_partitions {
        -1 => default_partitions(cx),
        partitions => partitions,
    })
}

fn default_partitions(cx: &Cx<'_>) -> i32 {
    i32::try_from(cx.config.int("num.partitions")).unwrap_or(1)
}

/// The number of partitions of a manual assignment, which must name one known broker for each.
fn assigned(cx: &Cx<'_>, topic: &CreatableTopic) -> Result<i32, Refusal> {
    if topic.replication_factor != -1 || topic.num_partitions != -1 {
        let message = "With a manual assignment, partitions and replication factor must be -1.";
        return Err(Refusal(ErrorCode::InvalidRequest, message.into()));
    }
    let mut numbers: Vec<i32> = topic
        .assignments
        .iter()
        .map(|assignment| assignment.partition_index)
        .collect();
    numbers.sort_unstable();
    let is_consecutive = numbers.iter().zip(0i32..).all(|(number, expected)| *number == expected);
    let has_brokers = topic.assignments.iter().all(|assignment| {
        assignment.broker_ids.len() == 1
            && assignment
                .broker_ids
                .iter()
                .all(|id| cx.cluster.broker(*id).is_some())
    });
    if !is_consecutive || !has_brokers {
        let message = "An assignment needs one known broker for each partition, numbered from 0.";
        return Err(Refusal(ErrorCode::InvalidReplicaAssignment, message.into()));
    }
    i32::try_from(numbers.len())
        .map_err(|_| Refusal(ErrorCode::InvalidPartitions, "Too many partitions.".into()))
}

fn effective(cx: &Cx<'_>, config: &TopicConfig) -> Vec<CreatableTopicConfigs> {
    let configs = TOPIC_KEYS.iter().map(|definition| CreatableTopicConfigs {
        name: definition.name.into(),
        value: Some(config.effective(definition, cx.config).into()),
        config_source: config.source(definition, cx.config) as i8,
        ..Default::default()
    });
    configs.collect()
}
