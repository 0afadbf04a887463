//! DescribeConfigs, of topics and of this broker. A broker's settings are fixed once it runs, so all are read-only; none is
//! sensitive.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::{ErrorCode, error_message};
use kohort_protocol::messages::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kohort_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::once::once;
use crate::config::{BROKER_KEYS, Config, Definition, Source, TOPIC_KEYS, TopicConfig, documentation};
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
        // Without an id the dynamic defaults of the cluster are meant, of which there are none.
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER if name.parse() == Ok(call.broker) => Ok(BROKER_KEYS
            .iter()
            .filter(is_wanted)
            .map(|definition| broker_entry(definition, cx.config))
            .collect()),
        BROKER => Err((
            ErrorCode::InvalidRequest,
            format!("Unexpected broker id, expected {} or empty string, but received {name}", call.broker),
        )),
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
        synonyms.extend(
            broker
                .overridden(key)
                .map(|value| synonym(key, value, Source::StaticBroker)),
        );
        synonyms.push(synonym(key, definition.default, Source::Default));
    }
    entry(
        definition,
        topic.effective(definition, broker),
        topic.source(definition, broker),
        false,
        synonyms,
    )
}

fn broker_entry(definition: &Definition, config: &Config) -> DescribeConfigsResourceResult {
    let name = definition.name;
    let overridden = config.overridden(name);
    let mut synonyms = Vec::new();
    synonyms.extend(overridden.map(|value| synonym(name, value, Source::StaticBroker)));
    synonyms.push(synonym(name, definition.default, Source::Default));
    let source = match overridden {
        Some(_) => Source::StaticBroker,
        None => Source::Default,
    };
    entry(definition, config.text(name), source, true, synonyms)
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
