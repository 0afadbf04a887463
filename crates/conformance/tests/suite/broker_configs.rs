//! DescribeConfigs, IncrementalAlterConfigs and AlterConfigs.

use kohort_conformance::{Wire, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
    alter_configs,
    describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult},
    incremental_alter_configs,
};

use crate::consumer_setup::soon;
use crate::setup::{code, coordinator_ready, topic, wire};

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
const DYNAMIC_BROKER_CONFIG: i8 = 2;
const DYNAMIC_DEFAULT_BROKER_CONFIG: i8 = 3;
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
    alter_resource(wire, TOPIC, topic, changes).await
}

async fn alter_resource(
    wire: &mut Wire,
    kind: i8,
    name: &str,
    changes: &[(&str, i8, Option<&str>)],
) -> (i16, Option<String>) {
    let changes = changes.iter();
    let configs = changes.map(
        |(key, operation, value)| incremental_alter_configs::AlterableConfig {
            name: (*key).to_owned(),
            config_operation: *operation,
            value: value.map(str::to_owned),
        },
    );
    let resource = incremental_alter_configs::AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
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

// Kafka: GroupCoordinatorService.groupMetadataTopicConfigs
#[tokio::test]
async fn the_topic_of_commits_is_compacted_and_kept_in_the_codec_that_it_is_written_in() {
    let mut wire = wire().await;
    coordinator_ready(&mut wire, &unique("group")).await;
    for (key, value) in [("cleanup.policy", "compact"), ("compression.type", "producer")] {
        let config = config(&mut wire, "__consumer_offsets", key).await;
        assert_eq!(
            (config.value.as_deref(), config.config_source),
            (Some(value), TOPIC_CONFIG),
            "{key}"
        );
    }
}

/// The id of the broker under test.
async fn broker(wire: &mut Wire) -> String {
    let request = MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    };
    wire.call(9, request).await.controller_id.to_string()
}

/// A key of a broker, of all of them where `name` is empty; `None` where nothing is set for all.
async fn broker_config(wire: &mut Wire, name: &str, key: &str) -> Option<DescribeConfigsResourceResult> {
    let mut described = describe(wire, BROKER, name, &[key]).await;
    assert_eq!(described.error_code, 0);
    described.configs.pop()
}

// Kafka: ConfigHelper.createBrokerConfigEntry, DynamicBrokerConfig.ALL_DYNAMIC_CONFIGS
#[tokio::test]
async fn a_brokers_key_that_cannot_change_is_read_only() {
    let mut wire = wire().await;
    let id = broker(&mut wire).await;
    for (key, read_only) in [
        ("fetch.max.bytes", true),
        ("num.partitions", true),
        ("auto.create.topics.enable", true),
        ("group.max.size", true),
        ("log.retention.check.interval.ms", true),
        ("log.flush.offset.checkpoint.interval.ms", true),
        ("offsets.retention.minutes", true),
        ("log.cleanup.policy", false),
        ("log.flush.interval.messages", false),
        ("log.flush.interval.ms", false),
        ("log.index.interval.bytes", false),
        ("log.index.size.max.bytes", false),
        ("log.message.timestamp.after.max.ms", false),
        ("log.message.timestamp.type", false),
        ("log.retention.bytes", false),
        ("log.retention.ms", false),
        ("log.roll.ms", false),
        ("log.segment.bytes", false),
        ("message.max.bytes", false),
        ("min.insync.replicas", false),
        ("producer.id.expiration.ms", false),
    ] {
        let config = broker_config(&mut wire, &id, key).await.expect(key);
        assert_eq!(config.read_only, read_only, "{key}");
    }
    let config = broker_config(&mut wire, &id, "fetch.max.bytes").await;
    assert_eq!(
        config.and_then(|config| config.value).as_deref(),
        Some("57671680")
    );
}

/// Names, values and places of what a key is set to, without its default.
fn set_at(config: &DescribeConfigsResourceResult) -> Vec<(&str, Option<&str>, i8)> {
    let synonyms = config.synonyms.iter();
    let set = synonyms.filter(|synonym| synonym.source != DEFAULT_CONFIG);
    set.map(|synonym| (synonym.name.as_str(), synonym.value.as_deref(), synonym.source))
        .collect()
}

// Kafka: DynamicBrokerConfig: a broker's own before that of all, both while it runs; ConfigHelper.createTopicConfigEntry
#[tokio::test]
async fn a_setting_of_a_broker_is_changed_while_it_runs_and_a_topics_own_comes_before_it() {
    // No other test of the suite looks at this key.
    const KEY: &str = "log.index.interval.bytes";
    let mut wire = wire().await;
    let id = broker(&mut wire).await;
    let topic = topic(&mut wire, 1).await;
    for (name, value) in [("", "5001"), (id.as_str(), "5002")] {
        let changed = alter_resource(&mut wire, BROKER, name, &[(KEY, SET, Some(value))]).await;
        assert_eq!(changed, (0, None));
        let config = becomes(&mut wire, &topic, "index.interval.bytes", value).await;
        let source = match name {
            "" => DYNAMIC_DEFAULT_BROKER_CONFIG,
            _ => DYNAMIC_BROKER_CONFIG,
        };
        assert_eq!(config.config_source, source);
    }
    let config = broker_config(&mut wire, &id, KEY).await.expect("it is there");
    assert_eq!(
        (config.value.as_deref(), config.config_source),
        (Some("5002"), DYNAMIC_BROKER_CONFIG)
    );
    let both = [
        (KEY, Some("5002"), DYNAMIC_BROKER_CONFIG),
        (KEY, Some("5001"), DYNAMIC_DEFAULT_BROKER_CONFIG),
    ];
    assert_eq!(set_at(&config), both);
    let of_all = broker_config(&mut wire, "", KEY).await.expect("it is there");
    assert_eq!(of_all.value.as_deref(), Some("5001"));
    assert_eq!(set_at(&of_all), both[1..]);
    assert_eq!(set_at(&of_all).len(), of_all.synonyms.len(), "and nothing else");
    let own = [("index.interval.bytes", SET, Some("5003"))];
    assert_eq!(alter(&mut wire, &topic, &own).await, (0, None));
    let config = becomes(&mut wire, &topic, "index.interval.bytes", "5003").await;
    assert_eq!(config.config_source, TOPIC_CONFIG);
    assert_eq!(set_at(&config)[1..], both);
    for name in [id.as_str(), ""] {
        let back = alter_resource(&mut wire, BROKER, name, &[(KEY, DELETE, None)]).await;
        assert_eq!(back, (0, None));
    }
    let back = async {
        while broker_config(&mut wire, "", KEY).await.is_some() {
            tokio::task::yield_now().await;
        }
        loop {
            let config = broker_config(&mut wire, &id, KEY).await.expect("it is there");
            if config.config_source == DEFAULT_CONFIG {
                return config;
            }
            tokio::task::yield_now().await;
        }
    };
    let config = soon("the default", back).await;
    assert_eq!(config.value.as_deref(), Some("4096"));
}

// Kafka: ConfigAdminManager.validateBrokerConfigChange, DynamicBrokerConfig.validateConfigs
#[tokio::test]
async fn what_cannot_be_changed_of_a_broker_is_refused() {
    let mut wire = wire().await;
    let id = broker(&mut wire).await;
    for (name, key, operation, value) in [
        (id.as_str(), "num.partitions", SET, "4"),
        ("", "num.partitions", SET, "4"),
        (id.as_str(), "log.retention.hours", SET, "4"),
        (id.as_str(), "log.retention.ms", SET, "soon"),
        (id.as_str(), "log.retention.ms", SET, "0"),
        (id.as_str(), "log.segment.bytes", SET, "5"),
        ("4711", "log.retention.ms", SET, "5"),
        ("x", "log.retention.ms", SET, "5"),
    ] {
        let (answered, message) =
            alter_resource(&mut wire, BROKER, name, &[(key, operation, Some(value))]).await;
        assert_eq!(
            answered,
            code(ErrorCode::InvalidRequest),
            "{name} {key}: {message:?}"
        );
        assert!(message.is_some_and(|message| !message.is_empty()), "{key}");
    }
    let (answered, message) = alter_resource(&mut wire, BROKER, "", &[("log.retention.ms", SET, None)]).await;
    assert_eq!(answered, code(ErrorCode::InvalidRequest), "{message:?}");
}

// Kafka: ConfigAdminManager.prepareIncrementalConfigs: what was not set is taken back without a word
#[tokio::test]
async fn a_brokers_key_that_is_read_only_or_not_there_can_be_taken_back() {
    let mut wire = wire().await;
    let id = broker(&mut wire).await;
    for key in ["num.partitions", "no.such.key"] {
        let back = alter_resource(&mut wire, BROKER, &id, &[(key, DELETE, None)]).await;
        assert_eq!(back, (0, None), "{key}");
    }
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
