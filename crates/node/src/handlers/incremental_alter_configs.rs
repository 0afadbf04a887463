//! IncrementalAlterConfigs, of topics, and what AlterConfigs has in common with it. The broker's own settings are fixed once it runs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::{ErrorCode, error_message};
use kohort_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
};
use kohort_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::config::{Config, Kind, TOPIC_KEYS, TopicConfig};
use crate::context::{Call, Cx, Outcome};
use crate::topics::{Topic, is_valid_name};

// Kafka: ConfigResource.Type
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

// Kafka: AlterConfigOp.OpType
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) type Refusal = (ErrorCode, String);

// Kafka: ConfigAdminManager.preprocess, ConfigurationControlManager.incrementalAlterConfigs
pub(super) fn handle(cx: &mut Cx<'_>, _call: &Call, request: IncrementalAlterConfigsRequest) -> Outcome {
    let name = |resource: &AlterConfigsResource| (resource.resource_type, resource.resource_name.clone());
    let names = Names::of(request.resources.iter().map(name));
    let mut responses = Vec::new();
    for resource in &request.resources {
        let once = names.check(&name(resource));
        let result = once.and_then(|()| alter(cx, resource, request.validate_only));
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
        error_message: message.and_then(error_message),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
    }
}

fn alter(cx: &mut Cx<'_>, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refusal> {
    let is_null = |config: &AlterableConfig| config.value.is_none() && config.config_operation != DELETE;
    let keys = resource.configs.iter().map(|config| (config.name.as_str(), is_null(config)));
    check(resource.resource_type, keys)?;
    let name = resource.resource_name.as_str();
    let mut altered = topic(cx, name)?.config.clone();
    for config in &resource.configs {
        alter_key(&mut altered, config, cx.config)?;
    }
    match validate_only {
        true => Ok(()),
        false => set(cx, name, altered),
    }
}

/// Checks the kind of resource and the keys, each with whether it lacks a value that it needs.
// Kafka: ConfigAdminManager.preprocess
pub(super) fn check<'a>(
    resource_type: i8,
    keys: impl Iterator<Item = (&'a str, bool)>,
) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    let mut nulls = Vec::new();
    for (key, is_null) in keys {
        if !seen.insert(key) {
            return Err((ErrorCode::InvalidRequest, "Error due to duplicate config keys".into()));
        }
        nulls.extend(is_null.then_some(key));
    }
    if !nulls.is_empty() {
        let message = format!("Null value not supported for : {}", nulls.join(", "));
        return Err((ErrorCode::InvalidRequest, message));
    }
    match resource_type {
        TOPIC => Ok(()),
        BROKER => {
            let message = "The settings of this broker are fixed once it runs.";
            Err((ErrorCode::InvalidRequest, message.into()))
        }
        other => Err((ErrorCode::InvalidRequest, format!("Unknown resource type {other}"))),
    }
}

/// The topic whose settings are to be altered.
pub(super) fn topic<'a>(cx: &'a Cx<'_>, name: &str) -> Result<&'a Topic, Refusal> {
    cx.topics.get(name).ok_or_else(|| match is_valid_name(name) {
        true => (ErrorCode::UnknownTopicOrPartition, format!("The topic '{name}' does not exist.")),
        false => (ErrorCode::InvalidTopicException, format!("Topic name is invalid: '{name}'")),
    })
}

/// Puts a topic's new settings in force.
pub(super) fn set(cx: &mut Cx<'_>, name: &str, config: TopicConfig) -> Result<(), Refusal> {
    match cx.topics.configure(name, config, cx.config, cx.wall_ms) {
        Ok(()) => Ok(()),
        Err(error) => Err((cx.storage_failed(name, &error), error.to_string())),
    }
}

/// Which resources a request names once; what it names twice is refused.
// Kafka: ConfigAdminManager.preprocess
pub(super) struct Names {
    count: BTreeMap<(i8, String), usize>,
}

impl Names {
    pub(super) fn of(resources: impl Iterator<Item = (i8, String)>) -> Self {
        let mut count: BTreeMap<(i8, String), usize> = BTreeMap::new();
        for resource in resources {
            let seen = count.entry(resource).or_default();
            *seen = seen.saturating_add(1);
        }
        Self { count }
    }

    pub(super) fn check(&self, resource: &(i8, String)) -> Result<(), Refusal> {
        match self.count.get(resource) {
            Some(1) => Ok(()),
            _ => Err((ErrorCode::InvalidRequest, "Each resource must appear at most once.".into())),
        }
    }
}

// Kafka: ConfigurationControlManager.incrementalAlterConfigResource
fn alter_key(topic: &mut TopicConfig, config: &AlterableConfig, broker: &Config) -> Result<(), Refusal> {
    let key = config.name.as_str();
    if config.config_operation == DELETE {
        topic.unset(key);
        return Ok(());
    }
    let Some(definition) = TOPIC_KEYS.iter().find(|definition| definition.name == key) else {
        return Err((ErrorCode::InvalidConfig, format!("Unknown topic config name: {key}")));
    };
    let given = config.value.as_deref().unwrap_or_default();
    let value = match config.config_operation {
        SET => given.to_string(),
        APPEND | SUBTRACT if definition.kind != Kind::List => {
            let message = format!("Can't append to or subtract from key {key} because its type is not LIST.");
            return Err((ErrorCode::InvalidConfig, message));
        }
        operation @ (APPEND | SUBTRACT) => {
            let is_set = |value: &&str| !value.is_empty();
            let mut values: Vec<&str> = topic.effective(definition, broker).split(',').filter(is_set).collect();
            for value in given.split(',').map(str::trim) {
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
