//! DescribeConfigs, IncrementalAlterConfigs and AlterConfigs.

use kohort_conformance::{Wire, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
    alter_configs,
    describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult},
    incremental_alter_configs,
};

use crate::setup::{code, topic, wire};

// Kafka: ConfigResource.Type
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
// Kafka: AlterConfigOp.OpType
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
// Kafka: DescribeConfigsResponse.ConfigSource
const TOPIC_CONFIG: i8 = 1;
const DEFAULT_CONFIG: i8 = 5;

async fn describe(wire: &mut Wire, kind: i8, name: &str, keys: &[&str]) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configuration_keys: Some(keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    wire.call(4, request).await.results.remove(0)
}

async fn config(wire: &mut Wire, topic: &str, key: &str) -> DescribeConfigsResourceResult {
    let mut described = describe(wire, TOPIC, topic, &[key]).await;
    assert_eq!((described.error_code, described.configs.len()), (0, 1));
    described.configs.remove(0)
}

/// Waits until a topic's key has the value: real Kafka answers before its broker has caught up.
async fn becomes(wire: &mut Wire, topic: &str, key: &str, value: &str) -> DescribeConfigsResourceResult {
    loop {
        let config = config(wire, topic, key).await;
        if config.value.as_deref() == Some(value) {
            return config;
        }
        tokio::task::yield_now().await;
    }
}

/// Changes keys of a topic one way each; the error and its message.
async fn alter(wire: &mut Wire, topic: &str, changes: &[(&str, i8, Option<&str>)]) -> (i16, Option<String>) {
    let changes = changes.iter();
    let configs = changes.map(
        |(key, operation, value)| incremental_alter_configs::AlterableConfig {
            name: (*key).to_owned(),
            config_operation: *operation,
            value: value.map(str::to_owned),
        },
    );
    let resource = incremental_alter_configs::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.to_owned(),
        configs: configs.collect(),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource],
        validate_only: false,
    };
    let response = wire.call(1, request).await.responses.remove(0);
    (response.error_code, response.error_message)
}

async fn replace(wire: &mut Wire, topic: &str, settings: &[(&str, &str)]) -> i16 {
    let settings = settings.iter();
    let configs = settings.map(|(key, value)| alter_configs::AlterableConfig {
        name: (*key).to_owned(),
        value: Some((*value).to_owned()),
    });
    let resource = alter_configs::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.to_owned(),
        configs: configs.collect(),
    };
    let request = AlterConfigsRequest {
        resources: vec![resource],
        validate_only: false,
    };
    wire.call(2, request).await.responses[0].error_code
}

// Kafka: ConfigHelper.createTopicConfigEntry
#[tokio::test]
async fn a_key_says_where_its_value_comes_from_and_what_else_there_was() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let default = config(&mut wire, &topic, "max.message.bytes").await;
    assert_eq!(
        (
            default.value.as_deref(),
            default.config_source,
            default.config_type
        ),
        (Some("1048588"), DEFAULT_CONFIG, 3)
    );
    assert!(!default.is_sensitive && !default.read_only);
    assert!(default.documentation.is_some_and(|text| !text.is_empty()));
    alter(&mut wire, &topic, &[("max.message.bytes", SET, Some("2000"))]).await;
    let set = becomes(&mut wire, &topic, "max.message.bytes", "2000").await;
    assert_eq!(set.config_source, TOPIC_CONFIG);
    let synonyms: Vec<_> = set
        .synonyms
        .iter()
        .map(|synonym| (synonym.name.as_str(), synonym.value.as_deref(), synonym.source))
        .collect();
    assert_eq!(
        synonyms,
        [
            ("max.message.bytes", Some("2000"), TOPIC_CONFIG),
            ("message.max.bytes", Some("1048588"), DEFAULT_CONFIG)
        ]
    );
}

// Kafka: ConfigHelper.createBrokerConfigEntry
#[tokio::test]
async fn a_brokers_key_that_cannot_change_is_read_only() {
    let mut wire = wire().await;
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    };
    let id = wire.call(9, request).await.controller_id;
    let described = describe(&mut wire, BROKER, &id.to_string(), &["fetch.max.bytes"]).await;
    assert_eq!((described.error_code, described.configs.len()), (0, 1));
    let config = &described.configs[0];
    assert_eq!(
        (config.value.as_deref(), config.read_only),
        (Some("57671680"), true)
    );
}

// Kafka: ConfigHelper.describeConfigs
#[tokio::test]
async fn what_is_not_there_cannot_be_described() {
    let mut wire = wire().await;
    let cases = [
        (TOPIC, unique("topic"), ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "no good name".to_owned(), ErrorCode::InvalidTopicException),
        (BROKER, "4711".to_owned(), ErrorCode::InvalidRequest),
        (BROKER, "x".to_owned(), ErrorCode::InvalidRequest),
    ];
    for (kind, name, error) in cases {
        let described = describe(&mut wire, kind, &name, &[]).await;
        assert_eq!(described.error_code, code(error), "{name}");
        assert_eq!(described.configs, [], "{name}");
    }
}

// Kafka: ConfigurationControlManager.incrementalAlterConfigResource
#[tokio::test]
async fn keys_are_set_taken_back_and_lists_grow_and_shrink() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let set = [("retention.ms", SET, Some("5000"))];
    assert_eq!(alter(&mut wire, &topic, &set).await, (0, None));
    becomes(&mut wire, &topic, "retention.ms", "5000").await;
    let back = [("retention.ms", DELETE, None)];
    assert_eq!(alter(&mut wire, &topic, &back).await, (0, None));
    becomes(&mut wire, &topic, "retention.ms", "604800000").await;
    let grow = [("cleanup.policy", APPEND, Some("compact"))];
    assert_eq!(alter(&mut wire, &topic, &grow).await, (0, None));
    becomes(&mut wire, &topic, "cleanup.policy", "delete,compact").await;
    let shrink = [("cleanup.policy", SUBTRACT, Some("delete"))];
    assert_eq!(alter(&mut wire, &topic, &shrink).await, (0, None));
    becomes(&mut wire, &topic, "cleanup.policy", "compact").await;
}

// Kafka: ConfigAdminManager.preprocess, LogConfig.validate, ConfigurationControlManager
#[tokio::test]
async fn what_cannot_be_set_is_refused_and_changes_nothing() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let absent = unique("topic");
    type Case<'a> = (&'a str, &'a [(&'a str, i8, Option<&'a str>)], ErrorCode);
    let cases: [Case<'_>; 7] = [
        (
            &topic,
            &[("no.such.key", SET, Some("1"))],
            ErrorCode::InvalidConfig,
        ),
        (
            &topic,
            &[("retention.ms", SET, Some("soon"))],
            ErrorCode::InvalidConfig,
        ),
        (&topic, &[("retention.ms", SET, None)], ErrorCode::InvalidRequest),
        (
            &topic,
            &[("retention.ms", SET, Some("1")), ("retention.ms", DELETE, None)],
            ErrorCode::InvalidRequest,
        ),
        (
            &topic,
            &[("retention.ms", APPEND, Some("1"))],
            ErrorCode::InvalidConfig,
        ),
        (
            &topic,
            &[("retention.ms", SET, Some("1")), ("no.such.key", SET, Some("1"))],
            ErrorCode::InvalidConfig,
        ),
        (
            &absent,
            &[("retention.ms", SET, Some("1"))],
            ErrorCode::UnknownTopicOrPartition,
        ),
    ];
    for (name, changes, error) in cases {
        let (answered, message) = alter(&mut wire, name, changes).await;
        assert_eq!(answered, code(error), "{changes:?}: {message:?}");
        assert!(message.is_some_and(|message| !message.is_empty()), "{changes:?}");
    }
    let kept = config(&mut wire, &topic, "retention.ms").await;
    assert_eq!(kept.value.as_deref(), Some("-1"), "as it was created");
}

// Kafka: ConfigurationControlManager.incrementalAlterConfigResource: nothing was there
#[tokio::test]
async fn a_key_that_there_is_not_can_be_taken_back() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let back = [("no.such.key", DELETE, None)];
    assert_eq!(alter(&mut wire, &topic, &back).await, (0, None));
}

// Kafka: ConfigurationControlManager.legacyAlterConfigs
#[tokio::test]
async fn the_older_way_replaces_all_settings_of_a_topic() {
    let mut wire = wire().await;
    let topic = topic(&mut wire, 1).await;
    let both = [("retention.ms", "5000"), ("max.message.bytes", "2000")];
    assert_eq!(replace(&mut wire, &topic, &both).await, 0);
    becomes(&mut wire, &topic, "max.message.bytes", "2000").await;
    becomes(&mut wire, &topic, "retention.ms", "5000").await;
    assert_eq!(replace(&mut wire, &topic, &[("retention.ms", "6000")]).await, 0);
    becomes(&mut wire, &topic, "retention.ms", "6000").await;
    becomes(&mut wire, &topic, "max.message.bytes", "1048588").await;
    assert_eq!(
        replace(&mut wire, &topic, &[("no.such.key", "1")]).await,
        code(ErrorCode::InvalidConfig)
    );
    assert_eq!(
        replace(&mut wire, &unique("topic"), &[]).await,
        code(ErrorCode::UnknownTopicOrPartition)
    );
}
