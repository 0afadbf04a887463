//! The settings against Kafka's own list of them (`kafka-consumer-configs.tsv`: name, type, default, validator).

use std::collections::BTreeMap;
use std::sync::Arc;

use kohort_groups::assign::{AssignError, Assignor, GroupTopics, Shares};
use kohort_groups::member::MemberConfig;
use kohort_groups::{RebalanceProtocol, Subscription};

use super::settings::Settings;
use super::*;

const KAFKA: &str = include_str!("kafka-consumer-configs.tsv");

fn kafka() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    KAFKA.lines().skip(1).map(|line| {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (name, _type, default, validator) = (cell(), cell(), cell(), cell());
        (name, default, validator)
    })
}

fn minimal() -> Draft<ConsumerConfig> {
    let mut draft = Draft::default();
    draft.set("bootstrap.servers", "localhost:9092");
    draft
}

/// Kafka's default in the syntax of a properties file.
fn text_of(default: &str) -> &str {
    match default.strip_prefix("class ").unwrap_or(default) {
        "null" | "[]" | "\"\"" => "",
        list => list
            .strip_prefix('[')
            .and_then(|l| l.strip_suffix(']'))
            .unwrap_or(list),
    }
}

#[test]
fn every_key_of_kafka_is_known_and_takes_its_default() {
    for (name, default, _) in kafka() {
        if ["group.id", "group.instance.id", "bootstrap.servers"].contains(&name) || default == "(required)" {
            continue;
        }
        let mut draft = minimal();
        draft.set("group.id", "g");
        draft.set(name, text_of(default));
        let result = draft.finish().and_then(|(config, _)| config.engine("c", &[]));
        assert!(result.is_ok(), "{name} = {default}: {result:?}");
    }
}

#[test]
fn the_defaults_are_kafkas() {
    for (name, default, _) in kafka() {
        if !ConsumerConfig::KEYS.contains(&name) || default == "(required)" || default == "null" {
            continue;
        }
        let mut config = ConsumerConfig::default();
        config
            .apply(name, text_of(default))
            .expect("Kafka's default is valid");
        // Classes there, short names here.
        if name != "partition.assignment.strategy" {
            assert_eq!(config, ConsumerConfig::default(), "{name}");
        }
    }
}

#[test]
fn the_ranges_are_kafkas() {
    let mut checked = 0;
    for (name, _, validator) in kafka() {
        let Some(min) = validator.strip_prefix('[').and_then(|v| v.strip_suffix(",...]")) else {
            continue;
        };
        if !ConsumerConfig::KEYS.contains(&name) {
            continue;
        }
        let min: i64 = min.parse().expect("a number");
        let with = |value: i64| {
            let mut draft = minimal();
            draft.set(name, &value.to_string());
            draft.finish().map(drop)
        };
        assert_eq!(with(min), Ok(()), "{name} = {min}");
        assert!(
            matches!(with(min - 1), Err(ConfigError::InvalidValue { key, .. }) if key == name),
            "{name}"
        );
        checked += 1;
    }
    assert!(checked > 15, "{checked} ranges");
}

#[test]
fn what_kafka_keeps_secret_is_not_shown_in_an_error() {
    let passwords = KAFKA
        .lines()
        .filter(|line| line.split('\t').nth(1) == Some("PASSWORD"));
    let mut count = 0;
    for name in passwords.filter_map(|line| line.split('\t').next()) {
        let error = minimal().try_set(name, "hunter2").expect_err(name);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        count += 1;
    }
    assert!(count >= 9, "{count}");
}

#[test]
fn a_key_of_security_is_refused_unless_at_its_default() {
    let mut draft = minimal();
    assert_eq!(draft.try_set("security.protocol", "plaintext"), Ok(()));
    assert_eq!(
        draft.try_set("security.protocol", "SASL_SSL"),
        Err(ConfigError::NotSupportedYet {
            key: "security.protocol",
            value: "SASL_SSL".to_owned(),
            default: "PLAINTEXT"
        })
    );
    assert!(draft.try_set("group.protocol", "consumer").is_err());
    assert!(draft.try_set("isolation.level", "read_committed").is_err());
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let error = minimal()
        .try_set("auto.ofset.reset", "earliest")
        .expect_err("misspelt");
    assert_eq!(
        error.to_string(),
        "unknown setting `auto.ofset.reset`; did you mean `auto.offset.reset`?"
    );
}

#[test]
fn the_first_mistake_is_the_one_reported() {
    let mut draft = minimal();
    draft.set("max.poll.records", "many");
    draft.set("no.such.key", "1");
    assert!(matches!(
        draft.finish(),
        Err(ConfigError::InvalidValue {
            key: "max.poll.records",
            ..
        })
    ));
}

#[test]
fn bootstrap_servers_are_required() {
    let missing = Draft::<ConsumerConfig>::default()
        .finish()
        .expect_err("nothing is set");
    assert_eq!(
        missing,
        ConfigError::Missing {
            key: "bootstrap.servers"
        }
    );
    let error = ConsumerConfig::from_properties("bootstrap.servers=localhost").expect_err("no port");
    assert!(matches!(
        error,
        ConfigError::InvalidValue {
            key: "bootstrap.servers",
            ..
        }
    ));
}

#[test]
fn without_a_group_auto_commit_is_off_and_an_error_when_asked_for() {
    let (config, _) = minimal().finish().expect("valid");
    assert!(!config.enable_auto_commit);
    let mut asked = minimal();
    asked.set("enable.auto.commit", "true");
    assert!(matches!(
        asked.finish(),
        Err(ConfigError::Conflict {
            key: "enable.auto.commit",
            ..
        })
    ));
}

#[test]
fn a_heartbeat_has_to_be_more_frequent_than_the_session_is_long() {
    let mut draft = minimal();
    draft.set("session.timeout.ms", "6000");
    draft.set("heartbeat.interval.ms", "6000");
    assert!(matches!(
        draft.finish(),
        Err(ConfigError::Conflict {
            key: "heartbeat.interval.ms",
            ..
        })
    ));
}

fn assignors(text: &str) -> Result<Vec<String>, ConfigError> {
    let mut draft = minimal();
    draft.set("group.id", "g");
    draft.set("partition.assignment.strategy", text);
    let (config, _) = draft.finish()?;
    let offered = config.engine("c", &[])?.group.expect("a group is set").assignors;
    Ok(offered.iter().map(|assignor| assignor.name.to_string()).collect())
}

#[test]
fn assignors_go_by_class_or_short_name() {
    let both = ["roundrobin", "range"];
    assert_eq!(assignors("roundrobin, range").expect("short names"), both);
    let classes = "org.apache.kafka.clients.consumer.RoundRobinAssignor,org.apache.kafka.clients.consumer.RangeAssignor";
    assert_eq!(assignors(classes).expect("class names"), both);
    assert_eq!(
        assignors("CooperativeStickyAssignor,class org.apache.kafka.clients.consumer.StickyAssignor")
            .expect("classes"),
        ["cooperative-sticky", "sticky"]
    );
    assert!(matches!(
        assignors("org.acme.Mine"),
        Err(ConfigError::InvalidValue { .. })
    ));
    assert!(matches!(
        assignors("range,range"),
        Err(ConfigError::InvalidValue { .. })
    ));
    assert!(matches!(assignors(""), Err(ConfigError::InvalidValue { .. })));
}

struct Named(&'static str);

impl Assignor for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn assign(&self, _: &GroupTopics, _: &BTreeMap<String, Subscription>) -> Result<Shares, AssignError> {
        Err(AssignError::new("it is only named here"))
    }
}

#[test]
fn own_assignors_go_by_their_names_and_may_not_take_kafkas() {
    let with = |name, strategy| {
        let mut draft = minimal();
        draft.set("group.id", "g");
        draft.set("partition.assignment.strategy", strategy);
        let (config, _) = draft.finish().expect("valid settings");
        let own: Arc<dyn Assignor> = Arc::new(Named(name));
        let group = config.engine("c", &[own])?.group.expect("a group is set");
        Ok(group
            .assignors
            .iter()
            .map(|offered| offered.name.to_string())
            .collect::<Vec<_>>())
    };
    assert_eq!(
        with("mine", "mine,range"),
        Ok(vec!["mine".to_owned(), "range".to_owned()])
    );
    assert!(matches!(
        with("range", "range"),
        Err(ConfigError::InvalidValue { .. })
    ));
    assert!(matches!(
        with("mine", "yours"),
        Err(ConfigError::InvalidValue { .. })
    ));
}

#[test]
fn a_group_begins_eager_unless_all_that_it_offers_can_cooperate() {
    let protocol = |strategy: Option<&str>| {
        let mut draft = minimal();
        draft.set("group.id", "g");
        if let Some(strategy) = strategy {
            draft.set("partition.assignment.strategy", strategy);
        }
        let (config, _) = draft.finish().expect("valid settings");
        let group = config
            .engine("c", &[])
            .expect("valid settings")
            .group
            .expect("a group is set");
        MemberConfig::new("g", group.assignors).rebalance_protocol()
    };
    assert_eq!(protocol(None), Ok(RebalanceProtocol::Eager));
    assert_eq!(
        protocol(Some("cooperative-sticky,range")),
        Ok(RebalanceProtocol::Eager)
    );
    assert_eq!(protocol(Some("sticky")), Ok(RebalanceProtocol::Eager));
    assert_eq!(
        protocol(Some("cooperative-sticky")),
        Ok(RebalanceProtocol::Cooperative)
    );
}

#[test]
fn a_class_has_to_read_what_the_type_reads() {
    const FITS: &[&str] = &["org.apache.kafka.common.serialization.LongDeserializer"];
    let check = |class| check_class("value.deserializer", class, Some(FITS), "i64");
    assert_eq!(check(None), Ok(()));
    assert_eq!(
        check(Some("org.apache.kafka.common.serialization.LongDeserializer")),
        Ok(())
    );
    assert_eq!(check(Some("LongDeserializer")), Ok(()));
    assert!(matches!(
        check(Some("org.apache.kafka.common.serialization.StringDeserializer")),
        Err(ConfigError::ClassMismatch { rust: "i64", .. })
    ));
    assert_eq!(
        check_class("value.deserializer", Some("com.acme.Mine"), None, "Mine"),
        Ok(())
    );
}

#[test]
fn typed_methods_and_keys_set_the_same() {
    let typed = crate::Consumer::<String, String>::builder()
        .bootstrap_servers("a:1,b:2")
        .group_id("g")
        .fetch_min_bytes(1_000)
        .check_crcs(false)
        .auto_offset_reset(AutoOffsetReset::Earliest);
    let keys = crate::Consumer::<String, String>::builder()
        .set("bootstrap.servers", "a:1,b:2")
        .set("group.id", "g")
        .set("fetch.min.bytes", "1000")
        .set("check.crcs", "false")
        .set("auto.offset.reset", "earliest");
    assert_eq!(typed.draft, keys.draft);
}
