//! IncrementalAlterConfigs, of topics. The broker's own settings are fixed once it runs.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
};
use kohort_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::config::{Config, Kind, TOPIC_KEYS, TopicConfig};
use crate::context::{Call, Cx, Outcome};
use crate::topics::is_valid_name;

// Kafka: ConfigResource.Type
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

// Kafka: AlterConfigOp.OpType
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Refusal = (ErrorCode, String);

// Kafka: ConfigAdminManager.preprocess, ConfigurationControlManager.incrementalAlterConfigs
pub(super) fn handle(cx: &mut Cx<'_>, _call: &Call, request: IncrementalAlterConfigsRequest) -> Outcome {
    let mut count: BTreeMap<(i8, &str), usize> = BTreeMap::new();
    for resource in &request.resources {
        *count
            .entry((resource.resource_type, resource.resource_name.as_str()))
            .or_default() += 1;
    }
    let mut responses = Vec::new();
    for resource in &request.resources {
        let name = resource.resource_name.as_str();
        let result = match count.get(&(resource.resource_type, name)) {
            Some(1) => alter(cx, resource, request.validate_only),
            _ => Err((ErrorCode::InvalidRequest, "Each resource must appear at most once.".into())),
        };
        let (code, message) = match result {
            Ok(()) => (ErrorCode::None, None),
            Err((code, message)) => (code, Some(message)),
        };
        responses.push(answer(resource, code, message));
    }
    IncrementalAlterConfigsResponse {
        responses,
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(
    request: &IncrementalAlterConfigsRequest,
    code: ErrorCode,
) -> IncrementalAlterConfigsResponse {
    let responses = request
        .resources
        .iter()
        .map(|resource| answer(resource, code, Some(code.to_string())));
    IncrementalAlterConfigsResponse {
        responses: responses.collect(),
        ..Default::default()
    }
}

fn answer(resource: &AlterConfigsResource, code: ErrorCode, message: Option<String>) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: code.code(),
        error_message: message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
    }
}

fn alter(cx: &mut Cx<'_>, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {}
        BROKER => {
            let message = "The settings of this broker are fixed once it runs.";
            return Err((ErrorCode::InvalidRequest, message.into()));
        }
        other => return Err((ErrorCode::InvalidRequest, format!("Unknown resource type {other}"))),
    }
    let mut keys: Vec<&str> = resource.configs.iter().map(|config| config.name.as_str()).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        let message = "Error due to duplicate config keys.";
        return Err((ErrorCode::InvalidRequest, message.into()));
    }
    let is_null = |config: &&AlterableConfig| config.value.is_none() && config.config_operation != DELETE;
    if let Some(config) = resource.configs.iter().find(is_null) {
        let message = format!("Null value not supported for: {}", config.name);
        return Err((ErrorCode::InvalidRequest, message));
    }
    let Some(topic) = cx.topics.get_mut(name) else {
        return Err(match is_valid_name(name) {
            true => (ErrorCode::UnknownTopicOrPartition, format!("Topic '{name}' does not exist.")),
            false => (ErrorCode::InvalidTopicException, format!("Topic name is invalid: '{name}'")),
        });
    };
    let mut altered = topic.config.clone();
    for config in &resource.configs {
        alter_key(&mut altered, config, cx.config)?;
    }
    if !validate_only {
        topic.log_config = altered.log_config(cx.config);
        topic.config = altered;
    }
    Ok(())
}

// Kafka: ConfigurationControlManager.incrementalAlterConfigResource
fn alter_key(topic: &mut TopicConfig, config: &AlterableConfig, broker: &Config) -> Result<(), Refusal> {
    let key = config.name.as_str();
    let Some(definition) = TOPIC_KEYS.iter().find(|definition| definition.name == key) else {
        return Err((ErrorCode::InvalidConfig, format!("Unknown topic config name: {key}")));
    };
    let given = config.value.as_deref().unwrap_or_default();
    let value = match config.config_operation {
        SET => given.to_string(),
        DELETE => {
            topic.unset(key);
            return Ok(());
        }
        APPEND | SUBTRACT if definition.kind != Kind::List => {
            let message = format!("Can't append to or subtract from key {key} because its type is not LIST.");
            return Err((ErrorCode::InvalidConfig, message));
        }
        operation @ (APPEND | SUBTRACT) => {
            let is_set = |value: &&str| !value.is_empty();
            let mut values: Vec<&str> = topic.effective(definition, broker).split(',').filter(is_set).collect();
            for value in given.split(',') {
                match operation {
                    APPEND if !values.contains(&value) => values.push(value),
                    SUBTRACT => values.retain(|kept| *kept != value),
                    _ => {}
                }
            }
            values.join(",")
        }
        other => return Err((ErrorCode::InvalidRequest, format!("Unknown operation type {other}."))),
    };
    topic
        .set(key, &value)
        .map_err(|error| (ErrorCode::InvalidConfig, error.to_string()))
}
