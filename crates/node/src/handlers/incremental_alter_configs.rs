//! IncrementalAlterConfigs, of topics and of brokers, and what AlterConfigs has in common with it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::{ErrorCode, error_message};
use kohort_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
};
use kohort_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::broker_configs;
use crate::config::{BROKER_KEYS, Config, Definition, DynamicConfig, Kind, TOPIC_KEYS, TopicConfig};
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
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: IncrementalAlterConfigsRequest) -> Outcome {
    let name = |resource: &AlterConfigsResource| (resource.resource_type, resource.resource_name.clone());
    let names = Names::of(request.resources.iter().map(name));
    let mut responses = Vec::new();
    for resource in &request.resources {
        let once = names.check(&name(resource));
        let result = once.and_then(|()| alter(cx, call, resource, request.validate_only));
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

fn alter(
    cx: &mut Cx<'_>,
    call: &Call,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusal> {
    let is_null = |config: &AlterableConfig| config.value.is_none() && config.config_operation != DELETE;
    let keys = resource.configs.iter().map(|config| (config.name.as_str(), is_null(config)));
    let kind = check(resource.resource_type, keys)?;
    let name = resource.resource_name.as_str();
    match kind {
        Kinds::Topic => {
            let mut altered = topic(cx, name)?.config.clone();
            for config in &resource.configs {
                alter_key(&mut altered, config, cx.config)?;
            }
            match validate_only {
                true => Ok(()),
                false => set(cx, name, altered),
            }
        }
        Kinds::Broker => {
            let scope = broker_configs::scope_to_alter(cx, call, name)?;
            let mut altered = cx.config.dynamic(scope).clone();
            for config in &resource.configs {
                alter_broker_key(&mut altered, config)?;
            }
            match validate_only {
                true => Ok(()),
                false => broker_configs::set(cx, scope, altered),
            }
        }
    }
}

/// The kinds of resources whose settings can be altered.
pub(super) enum Kinds {
    Topic,
    Broker,
}

/// Checks the kind of resource and the keys, each with whether it lacks a value that it needs.
// Kafka: ConfigAdminManager.preprocess
pub(super) fn check<'a>(
    resource_type: i8,
    keys: impl Iterator<Item = (&'a str, bool)>,
) -> Result<Kinds, Refusal> {
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
        TOPIC => Ok(Kinds::Topic),
        BROKER => Ok(Kinds::Broker),
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
        Ok(()) => {
            cx.configured();
            Ok(())
        }
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
    let value = altered(config, definition, topic.effective(definition, broker))?;
    topic
        .set(key, &value)
        .map_err(|error| (ErrorCode::InvalidConfig, error.to_string()))
}

// Kafka: ConfigAdminManager.prepareIncrementalConfigs, DynamicBrokerConfig.validate
fn alter_broker_key(broker: &mut DynamicConfig, config: &AlterableConfig) -> Result<(), Refusal> {
    let key = config.name.as_str();
    if config.config_operation == DELETE {
        broker.unset(key);
        return Ok(());
    }
    let value = match BROKER_KEYS.iter().find(|definition| definition.name == key) {
        Some(definition) => {
            let before = broker.overridden(key).unwrap_or(definition.default);
            altered(config, definition, before)?
        }
        None => config.value.clone().unwrap_or_default(),
    };
    broker
        .set(key, &value)
        .map_err(|error| broker_configs::refused(&error))
}

/// The value that a change makes of the one before.
fn altered(config: &AlterableConfig, definition: &Definition, before: &str) -> Result<String, Refusal> {
    let given = config.value.as_deref().unwrap_or_default();
    match config.config_operation {
        SET => Ok(given.to_string()),
        APPEND | SUBTRACT if definition.kind != Kind::List => {
            let key = definition.name;
            let message = format!("Can't append to or subtract from key {key} because its type is not LIST.");
            Err((ErrorCode::InvalidConfig, message))
        }
        operation @ (APPEND | SUBTRACT) => {
            let is_set = |value: &&str| !value.is_empty();
            let mut values: Vec<&str> = before.split(',').filter(is_set).collect();
            let given = given.split(',').map(str::trim);
            // Either list may have thousands of values.
            if operation == APPEND {
                let mut known: BTreeSet<&str> = values.iter().copied().collect();
                values.extend(given.filter(|value| known.insert(value)));
            } else {
                let gone: BTreeSet<&str> = given.collect();
                values.retain(|kept| !gone.contains(kept));
            }
            Ok(values.join(","))
        }
        other => Err((ErrorCode::InvalidRequest, format!("Unknown operation type {other}."))),
    }
}
