//! Requests that no broker has, metadata, and the APIs that change or describe topics.

use kohort_protocol::Uuid;
use kohort_protocol::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kohort_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kohort_protocol::messages::delete_topics::DeleteTopicState;
use kohort_protocol::messages::describe_configs::DescribeConfigsResource;
use kohort_protocol::messages::describe_topic_partitions::{Cursor, TopicRequest};
use kohort_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use kohort_protocol::messages::metadata::MetadataRequestTopic;
use kohort_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeTopicPartitionsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
};
use tokio::io::AsyncWriteExt;

use crate::{Session, code};

pub(crate) async fn requests(session: &mut Session) {
    // key, version, correlation id 7, null client id, no tagged fields
    let head = |key: i16, version: i16, is_flexible: bool| {
        let mut bytes = [key.to_be_bytes(), version.to_be_bytes()].concat();
        bytes.extend_from_slice(&[0, 0, 0, 7, 0xff, 0xff]);
        bytes.extend_from_slice(if is_flexible { &[0] } else { &[] });
        bytes
    };
    let cases = [
        ("an unknown API", head(999, 0, true)),
        ("an API of controllers", head(52, 0, true)),
        ("a version too new", head(3, 99, true)),
        ("a version too old", head(0, 2, false)),
        ("ApiVersions too new", head(18, 99, true)),
        (
            "ApiVersions without names",
            [head(18, 3, true), vec![1, 1, 0]].concat(),
        ),
        (
            "an announced array that is not there",
            [head(3, 1, false), vec![0x7f, 0xff, 0xff, 0xff]].concat(),
        ),
        ("an empty frame", Vec::new()),
    ];
    for (case, bytes) in cases {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        session
            .client
            .stream
            .write_all(&[&length[..], &bytes[..]].concat())
            .await
            .unwrap();
        let answer = session.client.frame().await;
        let answer = answer.map_or("closed".into(), |frame| format!("{:02x?}", &frame[..]));
        session.observe(case, answer);
        session.reconnect().await;
    }
}

pub(crate) async fn metadata(session: &mut Session) {
    let absent = session.name("absent");
    for (case, version, name, topic_id) in [
        (
            "metadata of an unknown topic",
            12,
            Some(absent.as_str()),
            Uuid::default(),
        ),
        ("metadata of an invalid name", 12, Some("a b"), Uuid::default()),
        ("metadata of an empty name", 12, Some(""), Uuid::default()),
        ("metadata of an unknown id", 12, None, Uuid([9; 16])),
    ] {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                topic_id,
                name: name.map(Into::into),
            }]),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let found = session.client.ask(version, request).await.topics[0].clone();
        let name = found.name.map(|name| name.replace(&session.suffix, ""));
        session.observe(
            case,
            format!("{} {name:?} {}", code(found.error_code), found.topic_id),
        );
    }
}

fn creatable(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

fn with_setting(name: &str, key: &str, value: Option<&str>) -> CreatableTopic {
    let mut topic = creatable(name, 1, 1);
    topic.configs.push(CreatableTopicConfig {
        name: key.into(),
        value: value.map(Into::into),
    });
    topic
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let mut topic = creatable(name, -1, -1);
    topic.assignments = assignments
        .iter()
        .map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
            partition_index: *partition_index,
            broker_ids: broker_ids.to_vec(),
        })
        .collect();
    topic
}

pub(crate) async fn create(session: &mut Session) {
    let there = session.topic("there", &[]).await;
    let dotted = session.topic("dotted.name", &[]).await;
    let new = session.name("new");
    let new = new.as_str();
    let mut both = assigned(new, &[(0, &[0])]);
    both.num_partitions = 1;
    let cases = [
        ("a topic that exists", creatable(&there, 1, 1)),
        ("an invalid name", creatable("a b", 1, 1)),
        ("an empty name", creatable("", 1, 1)),
        ("a colliding name", creatable(&dotted.replace('.', "_"), 1, 1)),
        ("no partitions", creatable(new, 0, 1)),
        ("fewer than no partitions", creatable(new, -2, 1)),
        ("no replicas", creatable(new, 1, 0)),
        ("more replicas than brokers", creatable(new, 1, 2)),
        ("no partitions and no replicas", creatable(new, 0, 0)),
        (
            "an unknown setting",
            with_setting(new, "retention.msec", Some("1")),
        ),
        (
            "a setting of another type",
            with_setting(new, "retention.ms", Some("one")),
        ),
        (
            "a setting out of range",
            with_setting(new, "retention.ms", Some("-2")),
        ),
        ("a setting of null", with_setting(new, "retention.ms", None)),
        (
            "a policy that is none",
            with_setting(new, "cleanup.policy", Some("shrink")),
        ),
        ("an assignment", assigned(new, &[(0, &[0]), (1, &[0])])),
        ("an assignment with a gap", assigned(new, &[(0, &[0]), (2, &[0])])),
        ("an assignment to an unknown broker", assigned(new, &[(0, &[77])])),
        ("an assignment to nobody", assigned(new, &[(0, &[])])),
        ("an assignment and a number", both),
        ("defaults", creatable(new, -1, -1)),
    ];
    for (case, topic) in cases {
        let request = CreateTopicsRequest {
            topics: vec![topic],
            validate_only: true,
            ..Default::default()
        };
        let result = session.client.ask(7, request).await.topics[0].clone();
        session.observe(
            &format!("create {case}"),
            format!(
                "{} partitions={} replicas={}",
                code(result.error_code),
                result.num_partitions,
                result.replication_factor
            ),
        );
    }
    let request = CreateTopicsRequest {
        topics: vec![creatable(new, 1, 1), creatable(new, 1, 1)],
        ..Default::default()
    };
    let results = session.client.ask(7, request).await.topics;
    let codes: Vec<_> = results
        .iter()
        .map(|result| code(result.error_code).to_string())
        .collect();
    session.observe("create a name twice", codes.join(","));
}

pub(crate) async fn delete(session: &mut Session) {
    let there = session.topic("deleted", &[]).await;
    let absent = session.name("absent");
    let named = |name: &str| DeleteTopicState {
        name: Some(name.into()),
        topic_id: Uuid::default(),
    };
    let with_id = |topic_id| DeleteTopicState { name: None, topic_id };
    let both = DeleteTopicState {
        name: Some(there.clone()),
        topic_id: Uuid([9; 16]),
    };
    for (case, topics) in [
        ("an unknown name", vec![named(&absent)]),
        ("an unknown id", vec![with_id(Uuid([9; 16]))]),
        ("neither name nor id", vec![with_id(Uuid::default())]),
        ("name and id", vec![both]),
        ("a name twice", vec![named(&there), named(&there)]),
        ("a topic", vec![named(&there)]),
    ] {
        let request = DeleteTopicsRequest {
            topics,
            timeout_ms: 5000,
            ..Default::default()
        };
        let results = session.client.ask(6, request).await.responses;
        let results: Vec<_> = results
            .iter()
            .map(|result| format!("{} named={}", code(result.error_code), result.name.is_some()))
            .collect();
        session.observe(&format!("delete {case}"), results.join(", "));
    }
}

pub(crate) async fn grow(session: &mut Session) {
    let there = session.topic("growing", &[]).await;
    let absent = session.name("absent");
    let to = |broker_ids: &[i32]| CreatePartitionsAssignment {
        broker_ids: broker_ids.to_vec(),
    };
    for (case, name, count, assignments) in [
        ("an unknown topic", &absent, 2, None),
        ("by nothing", &there, 1, None),
        ("to nothing", &there, 0, None),
        ("by one", &there, 2, None),
        ("with too few assignments", &there, 3, Some(vec![to(&[0])])),
        ("to an unknown broker", &there, 2, Some(vec![to(&[77])])),
        ("to a broker", &there, 2, Some(vec![to(&[0])])),
    ] {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: name.clone(),
                count,
                assignments,
            }],
            timeout_ms: 5000,
            validate_only: true,
        };
        let result = session.client.ask(3, request).await.results[0].clone();
        session.observe(&format!("grow {case}"), code(result.error_code));
    }
}

pub(crate) async fn describe(session: &mut Session) {
    let there = session.topic("described", &[("retention.ms", "77")]).await;
    let absent = session.name("absent");
    for (case, resource_type, resource_name) in [
        ("an unknown topic", 2, absent.as_str()),
        ("an invalid topic", 2, "a b"),
        ("another broker", 4, "77"),
        ("no broker", 4, "x"),
    ] {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name: resource_name.into(),
                configuration_keys: None,
            }],
            ..Default::default()
        };
        let result = session.client.ask(4, request).await.results[0].clone();
        session.observe(&format!("configs of {case}"), code(result.error_code));
    }
    let keys = [
        "retention.ms",
        "cleanup.policy",
        "max.message.bytes",
        "min.cleanable.dirty.ratio",
    ];
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: there.clone(),
            configuration_keys: Some(keys.map(Into::into).to_vec()),
        }],
        ..Default::default()
    };
    let mut configs = session.client.ask(4, request).await.results[0].configs.clone();
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    for config in configs {
        let (value, source, kind) = (config.value, config.config_source, config.config_type);
        let flags = (config.read_only, config.is_sensitive);
        session.observe(
            &format!("config {}", config.name),
            format!("{value:?} source={source} type={kind} {flags:?}"),
        );
    }
    for (case, endpoint_type) in [("brokers", 1), ("controllers", 2)] {
        let request = DescribeClusterRequest {
            endpoint_type,
            include_cluster_authorized_operations: true,
            ..Default::default()
        };
        let response = session.client.ask(1, request).await;
        session.observe(
            &format!("cluster of {case}"),
            format!(
                "{} {}",
                code(response.error_code),
                response.cluster_authorized_operations
            ),
        );
    }
    for (case, names, cursor) in [
        ("a topic", vec![there.as_str()], None),
        ("an unknown topic", vec![absent.as_str()], None),
        ("an invalid topic", vec!["a b"], None),
        ("a cursor elsewhere", vec![there.as_str()], Some(("zzz", 0))),
        (
            "a negative cursor",
            vec![there.as_str()],
            Some((there.as_str(), -1)),
        ),
        (
            "a cursor behind the end",
            vec![there.as_str()],
            Some((there.as_str(), 5)),
        ),
    ] {
        let request = DescribeTopicPartitionsRequest {
            topics: names
                .iter()
                .map(|name| TopicRequest { name: (*name).into() })
                .collect(),
            cursor: cursor.map(|(name, partition_index)| Cursor {
                topic_name: name.into(),
                partition_index,
            }),
            ..Default::default()
        };
        let response = session.client.ask(0, request).await;
        let topics: Vec<_> = response
            .topics
            .iter()
            .map(|topic| {
                format!(
                    "{} {} operations={}",
                    code(topic.error_code),
                    topic.partitions.len(),
                    topic.topic_authorized_operations
                )
            })
            .collect();
        let more = response.next_cursor.is_some();
        session.observe(
            &format!("partitions of {case}"),
            format!("{topics:?} more={more}"),
        );
    }
}

pub(crate) async fn alter(session: &mut Session) {
    let there = session.topic("altered", &[]).await;
    let absent = session.name("absent");
    let (set, delete, append, subtract) = (0, 1, 2, 3);
    for (case, topic, changes) in [
        ("a key", &there, vec![("retention.ms", set, Some("77"))]),
        ("a key to null", &there, vec![("retention.ms", set, None)]),
        ("an unknown key", &there, vec![("retention.msec", set, Some("1"))]),
        (
            "a key to what it does not accept",
            &there,
            vec![("retention.ms", set, Some("one"))],
        ),
        (
            "a key twice",
            &there,
            vec![("retention.ms", set, Some("1")), ("retention.ms", set, Some("2"))],
        ),
        (
            "by adding to a list",
            &there,
            vec![("cleanup.policy", append, Some("compact"))],
        ),
        (
            "by adding to a list again",
            &there,
            vec![("cleanup.policy", append, Some("compact"))],
        ),
        (
            "by taking from a list",
            &there,
            vec![("cleanup.policy", subtract, Some("delete"))],
        ),
        (
            "by adding to a number",
            &there,
            vec![("retention.ms", append, Some("1"))],
        ),
        (
            "a good and a bad key",
            &there,
            vec![("retention.ms", set, Some("99")), ("flush.ms", set, Some("x"))],
        ),
        (
            "of an unknown topic",
            &absent,
            vec![("retention.ms", set, Some("77"))],
        ),
        ("by deleting", &there, vec![("max.message.bytes", delete, None)]),
    ] {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: 2,
                resource_name: topic.clone(),
                configs: changes
                    .iter()
                    .map(|(name, config_operation, value)| AlterableConfig {
                        name: (*name).into(),
                        config_operation: *config_operation,
                        value: value.map(Into::into),
                    })
                    .collect(),
            }],
            validate_only: false,
        };
        let response = session.client.ask(1, request).await;
        session.observe(&format!("alter {case}"), code(response.responses[0].error_code));
    }
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: there,
            configuration_keys: Some(vec!["retention.ms".into(), "cleanup.policy".into()]),
        }],
        ..Default::default()
    };
    // Kafka's brokers learn of a change a moment after it was acknowledged.
    let mut values = Vec::new();
    while values.first() != Some(&"compact".to_owned()) {
        let mut configs = session.client.ask(4, request.clone()).await.results[0]
            .configs
            .clone();
        configs.sort_by(|a, b| a.name.cmp(&b.name));
        values = configs.into_iter().filter_map(|config| config.value).collect();
    }
    session.observe("altered", values.join(" "));
}
