//! DescribeConfigs, of topics, of this broker, and of what was changed for all brokers. None is sensitive.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::{ErrorCode, error_message};
use kohort_protocol::messages::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kohort_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::broker_configs;
use super::once::once;
use crate::config::{
    BROKER_KEYS, Config, Definition, Scope, Source, TOPIC_KEYS, TopicConfig, documentation, is_dynamic,
};
use crate::context::{Call, Cx, Outcome};
use crate::topics::is_valid_name;

// Kafka: ConfigResource.Type
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

// Kafka: ConfigHelper.describeConfigs
pub(super) fn handle(cx: &Cx<'_>, call: &Call, mut request: DescribeConfigsRequest) -> Outcome {
    once(&mut request.resources, |resource| {
        (resource.resource_type, resource.resource_name.clone())
    });
    let results = request.resources.iter().map(|resource| {
        describe(cx, call, resource)
            .map(|mut configs| {
                for config in &mut configs {
                    if !request.include_synonyms {
                        config.synonyms.clear();
                    }
                    if request.include_documentation {
                        config.documentation = documentation(&config.name).map(Into::into);
                    }
                }
                DescribeConfigsResult {
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.clone(),
                    configs,
                    ..Default::default()
                }
            })
            .unwrap_or_else(|(code, message)| failed(resource, code, message))
    });
    DescribeConfigsResponse {
        results: results.collect(),
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &DescribeConfigsRequest, code: ErrorCode) -> DescribeConfigsResponse {
    let results = request
        .resources
        .iter()
        .map(|resource| failed(resource, code, code.to_string()));
    DescribeConfigsResponse {
        results: results.collect(),
        ..Default::default()
    }
}

fn failed(resource: &DescribeConfigsResource, code: ErrorCode, message: String) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code: code.code(),
        error_message: error_message(message),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}

type Entries = Vec<DescribeConfigsResourceResult>;

fn describe(
    cx: &Cx<'_>,
    call: &Call,
    resource: &DescribeConfigsResource,
) -> Result<Entries, (ErrorCode, String)> {
    let is_wanted = |definition: &&Definition| {
        let keys = resource.configuration_keys.as_deref().unwrap_or_default();
        keys.is_empty() || keys.iter().any(|key| key == definition.name)
    };
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => match cx.topics.get(name) {
            Some(topic) => Ok(TOPIC_KEYS
                .iter()
                .filter(is_wanted)
                .map(|definition| topic_entry(definition, &topic.config, cx.config))
                .collect()),
            None if is_valid_name(name) => Err((
                ErrorCode::UnknownTopicOrPartition,
                "This server does not host this topic-partition.".into(),
            )),
            None => Err((ErrorCode::InvalidTopicException, format!("Topic name is invalid: '{name}'"))),
        },
        BROKER => match broker_configs::scope(call, name)? {
            // Kafka: DynamicBrokerConfig.currentDynamicDefaultConfigs
            Scope::Cluster => {
                let is_set = |definition: &&Definition| {
                    cx.config.dynamic(Scope::Cluster).overridden(definition.name).is_some()
                };
                let definitions = BROKER_KEYS.iter().filter(is_wanted).filter(is_set);
                Ok(definitions.map(|definition| default_entry(definition, cx.config)).collect())
            }
            Scope::Broker => Ok(BROKER_KEYS
                .iter()
                .filter(is_wanted)
                .map(|definition| broker_entry(definition, cx.config))
                .collect()),
        },
        other => Err((ErrorCode::InvalidRequest, format!("Unsupported resource type: {other}"))),
    }
}

// Kafka: ConfigHelper.createTopicConfigEntry
fn topic_entry(
    definition: &Definition,
    topic: &TopicConfig,
    broker: &Config,
) -> DescribeConfigsResourceResult {
    let mut synonyms = Vec::new();
    synonyms.extend(
        topic
            .overridden(definition.name)
            .map(|value| synonym(definition.name, value, Source::Topic)),
    );
    if let Some(key) = definition.broker_key {
        synonyms.extend(broker_synonyms(key, definition.default, broker));
    }
    entry(
        definition,
        topic.effective(definition, broker),
        topic.source(definition, broker),
        false,
        synonyms,
    )
}

// Kafka: ConfigHelper.createBrokerConfigEntry
fn broker_entry(definition: &Definition, config: &Config) -> DescribeConfigsResourceResult {
    let name = definition.name;
    let set = config.layers(name).next();
    entry(
        definition,
        config.text(name),
        set.map_or(Source::Default, |(source, _)| source),
        !is_dynamic(name),
        broker_synonyms(name, definition.default, config).collect(),
    )
}

/// What is set for all brokers.
fn default_entry(definition: &Definition, config: &Config) -> DescribeConfigsResourceResult {
    let name = definition.name;
    let value = config.dynamic(Scope::Cluster).overridden(name).unwrap_or_default();
    let source = Source::DynamicDefaultBroker;
    let synonyms = alloc::vec![synonym(name, value, source)];
    entry(definition, value, source, !is_dynamic(name), synonyms)
}

/// Where a broker's key is set, the place in force first.
// Kafka: ConfigHelper.configSynonyms
fn broker_synonyms<'a>(
    key: &'a str,
    default: &'a str,
    config: &'a Config,
) -> impl Iterator<Item = DescribeConfigsSynonym> + 'a {
    let layers = config.layers(key).chain([(Source::Default, default)]);
    layers.map(move |(source, value)| synonym(key, value, source))
}

fn synonym(name: &str, value: &str, source: Source) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym {
        name: name.into(),
        value: Some(value.into()),
        source: source as i8,
    }
}

fn entry(
    definition: &Definition,
    value: &str,
    source: Source,
    read_only: bool,
    synonyms: Vec<DescribeConfigsSynonym>,
) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult {
        name: definition.name.into(),
        value: Some(value.into()),
        read_only,
        config_source: source as i8,
        synonyms,
        config_type: definition.kind as i8,
        ..Default::default()
    }
}
