//! Settings of brokers that are changed while they run.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult};
use kohort_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, alter_configs,
    incremental_alter_configs,
};

use super::Bench;
use super::durable::{Machine, SYSTEM};

// Kafka: ConfigResource.Type
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
// Kafka: DescribeConfigsResponse.ConfigSource
const OF_BROKER: i8 = 2;
const OF_ALL: i8 = 3;
const STATIC: i8 = 4;
const DEFAULT: i8 = 5;

/// Sets a key, or takes it back.
pub(super) fn change(name: &str, key: &str, value: Option<&str>) -> IncrementalAlterConfigsRequest {
    let config = incremental_alter_configs::AlterableConfig {
        name: key.into(),
        // Kafka: AlterConfigOp.OpType
        config_operation: i8::from(value.is_none()),
        value: value.map(Into::into),
    };
    IncrementalAlterConfigsRequest {
        resources: vec![incremental_alter_configs::AlterConfigsResource {
            resource_type: BROKER,
            resource_name: name.into(),
            configs: vec![config],
        }],
        ..Default::default()
    }
}

fn alter(bench: &mut Bench, name: &str, key: &str, value: Option<&str>) -> (ErrorCode, String) {
    let answer = bench.ask(1, change(name, key, value)).responses.remove(0);
    let message = answer.error_message.unwrap_or_default();
    (ErrorCode::from_code(answer.error_code), message.to_string())
}

fn describing(kind: i8, name: &str, key: &str) -> DescribeConfigsRequest {
    DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            configuration_keys: Some(vec![key.into()]),
        }],
        include_synonyms: true,
        ..Default::default()
    }
}

fn described(bench: &mut Bench, kind: i8, name: &str, key: &str) -> DescribeConfigsResourceResult {
    bench.ask(4, describing(kind, name, key)).results[0].configs[0].clone()
}

/// Names, values and sources.
fn synonyms(config: &DescribeConfigsResourceResult) -> Vec<(&str, &str, i8)> {
    let synonyms = config.synonyms.iter();
    synonyms
        .map(|synonym| {
            (
                synonym.name.as_str(),
                synonym.value.as_deref().unwrap_or("-"),
                synonym.source,
            )
        })
        .collect()
}

#[test]
fn a_change_for_all_brokers_is_in_force_for_topics_without_a_setting_of_their_own() {
    let mut bench = Bench::new();
    bench.create_topic("own", 1, &[("max.message.bytes", "1000")]);
    assert_eq!(
        alter(&mut bench, "", "message.max.bytes", Some("60")).0,
        ErrorCode::None
    );
    let of = |bench: &mut Bench, topic| ErrorCode::from_code(bench.produce(topic, &["a"]).error_code);
    assert_eq!(of(&mut bench, "t"), ErrorCode::MessageTooLarge);
    assert_eq!(of(&mut bench, "own"), ErrorCode::None);
    assert_eq!(
        alter(&mut bench, "", "message.max.bytes", None).0,
        ErrorCode::None
    );
    assert_eq!(of(&mut bench, "t"), ErrorCode::None);
}

// Kafka: ConfigHelper.createTopicConfigEntry, createBrokerConfigEntry
#[test]
fn a_value_is_told_with_every_place_where_it_is_set() {
    const KEY: &str = "log.retention.ms";
    let mut bench = Bench::with(&[(KEY, "4000")]);
    assert_eq!(alter(&mut bench, "", KEY, Some("3000")).0, ErrorCode::None);
    assert_eq!(alter(&mut bench, "0", KEY, Some("2000")).0, ErrorCode::None);
    let all = [
        (KEY, "2000", OF_BROKER),
        (KEY, "3000", OF_ALL),
        (KEY, "4000", STATIC),
        (KEY, "604800000", DEFAULT),
    ];
    for (kind, name, key) in [(BROKER, "0", KEY), (TOPIC, "t", "retention.ms")] {
        let config = described(&mut bench, kind, name, key);
        assert_eq!(
            (config.value.as_deref(), config.config_source),
            (Some("2000"), OF_BROKER)
        );
        assert!(!config.read_only);
        assert_eq!(synonyms(&config), all);
    }
    let of_all = described(&mut bench, BROKER, "", KEY);
    assert_eq!(synonyms(&of_all), [(KEY, "3000", OF_ALL)]);
}

#[test]
fn nothing_but_what_was_changed_is_told_of_all_brokers() {
    let mut bench = Bench::with(&[("log.retention.ms", "4000")]);
    let request = describing(BROKER, "", "log.retention.ms");
    assert_eq!(bench.ask(4, request).results[0].configs, []);
}

#[test]
fn what_cannot_be_changed_is_refused_and_told_as_read_only() {
    let mut bench = Bench::new();
    for (name, key, value, said) in [
        (
            "0",
            "num.partitions",
            "3",
            "Cannot update these configs dynamically",
        ),
        (
            "",
            "num.partitions",
            "3",
            "Cannot update these configs dynamically",
        ),
        (
            "0",
            "log.retention.hours",
            "3",
            "Cannot update these configs dynamically",
        ),
        ("0", "no.such.key", "3", "no.such.key"),
        ("0", "log.segment.bytes", "5", "log.segment.bytes"),
        ("7", "log.retention.ms", "5", "Unexpected broker id"),
        ("x", "log.retention.ms", "5", "must be an integer"),
    ] {
        let (code, message) = alter(&mut bench, name, key, Some(value));
        assert_eq!(code, ErrorCode::InvalidRequest, "{name} {key}");
        assert!(message.contains(said), "{message}");
    }
    assert!(described(&mut bench, BROKER, "0", "num.partitions").read_only);
}

#[test]
fn a_change_that_is_only_checked_changes_nothing() {
    let mut bench = Bench::new();
    let request = IncrementalAlterConfigsRequest {
        validate_only: true,
        ..change("", "message.max.bytes", Some("60"))
    };
    assert_eq!(bench.ask(1, request).responses[0].error_code, 0);
    assert_eq!(bench.produce("t", &["a"]).error_code, 0);
}

#[test]
fn the_older_way_replaces_all_that_was_changed() {
    let mut bench = Bench::new();
    assert_eq!(
        alter(&mut bench, "", "log.retention.ms", Some("3000")).0,
        ErrorCode::None
    );
    let request = AlterConfigsRequest {
        resources: vec![alter_configs::AlterConfigsResource {
            resource_type: BROKER,
            resource_name: String::new(),
            configs: vec![alter_configs::AlterableConfig {
                name: "log.roll.ms".into(),
                value: Some("5000".into()),
            }],
        }],
        ..Default::default()
    };
    assert_eq!(bench.ask(2, request).responses[0].error_code, 0);
    let retention = described(&mut bench, BROKER, "0", "log.retention.ms");
    assert_eq!(retention.config_source, DEFAULT);
    let roll = described(&mut bench, BROKER, "0", "log.roll.ms");
    assert_eq!(
        (roll.value.as_deref(), roll.config_source),
        (Some("5000"), OF_ALL)
    );
}

#[test]
fn brokers_of_one_process_are_changed_together() {
    let mut bench = Bench::of_brokers(2, &[]);
    let (code, message) = alter(&mut bench, "0", "log.retention.ms", Some("5"));
    assert_eq!(code, ErrorCode::InvalidRequest);
    assert!(message.contains("share"), "{message}");
    assert_eq!(
        alter(&mut bench, "", "log.retention.ms", Some("5")).0,
        ErrorCode::None
    );
}

#[test]
fn records_that_a_change_makes_too_old_are_removed_although_nothing_is_written() {
    let mut bench = Bench::with(&[
        ("log.retention.ms", "-1"),
        ("log.retention.check.interval.ms", "10000"),
    ]);
    bench.produce("t", &["a"]);
    bench.advance(60_000);
    assert_eq!(
        alter(&mut bench, "", "log.retention.ms", Some("30000")).0,
        ErrorCode::None
    );
    bench.advance(10_000);
    let node = bench.harness.machine();
    let log = &node.topics.get("t").expect("it is there").partitions[0].log;
    assert_eq!(log.start_offset(), 1);
}

#[test]
fn what_was_changed_is_in_force_after_a_crash() {
    let mut machine = Machine::new(SYSTEM);
    for (name, value) in [("", "60"), ("0", "70")] {
        let request = change(name, "message.max.bytes", Some(value));
        assert_eq!(machine.ask(1, request).responses[0].error_code, 0);
    }
    for value in ["70", "60", "1048588"] {
        machine = machine.crash();
        let config = machine
            .ask(4, describing(BROKER, "0", "message.max.bytes"))
            .results[0]
            .configs[0]
            .clone();
        assert_eq!(config.value.as_deref(), Some(value));
        let node = machine.bench.harness.machine();
        let largest = node
            .topics
            .get("t")
            .expect("it is there")
            .log_config
            .max_message_bytes;
        assert_eq!(largest.to_string(), value);
        let name = if value == "70" { "0" } else { "" };
        let request = change(name, "message.max.bytes", None);
        assert_eq!(machine.ask(1, request).responses[0].error_code, 0);
    }
}
