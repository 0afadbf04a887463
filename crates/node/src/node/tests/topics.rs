//! Metadata and the APIs that change or describe topics.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::messages::create_partitions::CreatePartitionsTopic;
use kohort_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use kohort_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use kohort_protocol::messages::delete_topics::DeleteTopicState;
use kohort_protocol::messages::describe_configs::DescribeConfigsResource;
use kohort_protocol::messages::describe_topic_partitions::Cursor;
use kohort_protocol::messages::metadata::{MetadataRequestTopic, MetadataResponseTopic};
use kohort_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kohort_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, DescribeConfigsRequest, DescribeTopicPartitionsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest,
};
use kohort_protocol::{ErrorCode, Uuid};

use super::Bench;

fn named(names: &[&str]) -> MetadataRequest {
    let topics = names.iter().map(|name| MetadataRequestTopic {
        name: Some(name.to_string()),
        ..Default::default()
    });
    MetadataRequest {
        topics: Some(topics.collect()),
        allow_auto_topic_creation: true,
        ..Default::default()
    }
}

fn metadata_of(bench: &mut Bench, name: &str) -> MetadataResponseTopic {
    bench.ask(12, named(&[name])).topics[0].clone()
}

fn error_of(bench: &mut Bench, name: &str) -> ErrorCode {
    ErrorCode::from_code(metadata_of(bench, name).error_code)
}

fn create(bench: &mut Bench, topic: CreatableTopic) -> ErrorCode {
    let request = CreateTopicsRequest {
        topics: alloc::vec![topic],
        ..Default::default()
    };
    ErrorCode::from_code(bench.ask(7, request).topics[0].error_code)
}

fn creatable(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

fn with_setting(name: &str, key: &str, value: &str) -> CreatableTopic {
    let mut topic = creatable(name, 2, 1);
    topic.configs.push(CreatableTopicConfig {
        name: key.into(),
        value: Some(value.into()),
    });
    topic
}

fn delete_by_name(bench: &mut Bench, name: &str) -> ErrorCode {
    let request = DeleteTopicsRequest {
        topic_names: alloc::vec![name.into()],
        ..Default::default()
    };
    ErrorCode::from_code(bench.ask(5, request).responses[0].error_code)
}

#[test]
fn metadata_names_the_brokers_and_all_topics() {
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let response = Bench::new().ask(12, request);
    assert_eq!(response.cluster_id.as_deref(), Some("a-cluster"));
    assert_eq!((response.controller_id, response.brokers.len()), (0, 1));
    let broker = &response.brokers[0];
    assert_eq!((broker.host.as_str(), broker.port), ("localhost", 9092));
    let topics: Vec<(String, usize)> = response
        .topics
        .iter()
        .map(|topic| (topic.name.clone().unwrap_or_default(), topic.partitions.len()))
        .collect();
    assert_eq!(topics, [("t".to_string(), 1), ("u".to_string(), 3)]);
}

#[test]
fn no_topics_are_asked_for_with_an_empty_list_but_all_in_version_0() {
    let mut bench = Bench::new();
    assert!(bench.ask(1, named(&[])).topics.is_empty());
    assert_eq!(bench.ask(0, named(&[])).topics.len(), 2);
}

#[test]
fn a_topic_is_found_by_id() {
    let mut bench = Bench::new();
    let id = bench.harness.machine().topic_id("t").expect("the topic exists");
    let by_id = |topic_id| MetadataRequest {
        topics: Some(alloc::vec![MetadataRequestTopic { topic_id, name: None }]),
        ..Default::default()
    };
    let found = bench.ask(12, by_id(id)).topics[0].clone();
    assert_eq!((found.name.as_deref(), found.topic_id), (Some("t"), id));
    let absent = bench.ask(12, by_id(Uuid([9; 16]))).topics[0].clone();
    assert_eq!(ErrorCode::from_code(absent.error_code), ErrorCode::UnknownTopicId);
}

#[test]
fn asking_for_a_topic_creates_it_when_both_sides_allow_it() {
    let mut bench = Bench::with(&[("num.partitions", "4")]);
    let mut request = named(&["new"]);
    request.allow_auto_topic_creation = false;
    let refused = bench.ask(12, request).topics[0].clone();
    assert_eq!(
        ErrorCode::from_code(refused.error_code),
        ErrorCode::UnknownTopicOrPartition
    );
    let created = metadata_of(&mut bench, "new");
    assert_eq!((created.error_code, created.partitions.len()), (0, 4));

    let mut bench = Bench::with(&[("auto.create.topics.enable", "false")]);
    assert_eq!(error_of(&mut bench, "new"), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn asking_for_too_many_topics_at_once_creates_none() {
    let mut bench = Bench::with(&[("num.partitions", "1000")]);
    let names: Vec<String> = (0..11).map(|number| alloc::format!("new-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Of those that are there nothing is created.
    let asked = [&names[..], &["t", "u", "a b"]].concat();
    for topic in bench.ask(12, named(&asked)).topics {
        let expected = match topic.name.as_deref() {
            Some("t" | "u") => ErrorCode::None,
            Some("a b") => ErrorCode::InvalidTopicException,
            _ => ErrorCode::UnknownTopicOrPartition,
        };
        assert_eq!(
            ErrorCode::from_code(topic.error_code),
            expected,
            "{:?}",
            topic.name
        );
    }
    let asked = [&names[1..], &["t", "u", "a b"]].concat();
    let created = bench.ask(12, named(&asked)).topics;
    let partitions: usize = created.iter().map(|topic| topic.partitions.len()).sum();
    assert_eq!(partitions, 10_000 + 1 + 3);
}

#[test]
fn asking_for_a_topic_whose_name_collides_creates_none() {
    let mut bench = Bench::new();
    assert_eq!(error_of(&mut bench, "a.b"), ErrorCode::None);
    assert_eq!(error_of(&mut bench, "a_b"), ErrorCode::InvalidTopicException);
    assert_eq!(error_of(&mut bench, "a.b"), ErrorCode::None);
    // Of two that are asked for together the first one is created.
    let asked = bench.ask(12, named(&["c_d", "c.d"])).topics;
    let codes: Vec<ErrorCode> = asked
        .iter()
        .map(|topic| ErrorCode::from_code(topic.error_code))
        .collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::InvalidTopicException]);
}

#[test]
fn an_invalid_name_is_told_apart_from_an_unknown_one() {
    assert_eq!(
        error_of(&mut Bench::new(), "a b"),
        ErrorCode::InvalidTopicException
    );
}

#[test]
fn the_offsets_topic_is_created_as_kafka_does() {
    let created = metadata_of(&mut Bench::new(), "__consumer_offsets");
    assert!(created.is_internal);
    assert_eq!(created.partitions.len(), 50);
}

#[test]
fn a_topic_is_created_with_its_settings() {
    let mut bench = Bench::new();
    let topic = with_setting("new", "retention.ms", "1000");
    assert_eq!(create(&mut bench, topic), ErrorCode::None);
    assert_eq!(metadata_of(&mut bench, "new").partitions.len(), 2);
    let request = DescribeConfigsRequest {
        resources: alloc::vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: "new".into(),
            configuration_keys: Some(alloc::vec!["retention.ms".into()]),
        }],
        ..Default::default()
    };
    let configs = bench.ask(4, request).results[0].configs.clone();
    assert_eq!(configs.len(), 1);
    // Kafka: ConfigSource.DYNAMIC_TOPIC_CONFIG
    assert_eq!(
        (configs[0].value.as_deref(), configs[0].config_source),
        (Some("1000"), 1)
    );
}

#[test]
fn topics_that_cannot_be_created_are_refused() {
    let mut bench = Bench::new();
    let cases = [
        (creatable("t", 1, 1), ErrorCode::TopicAlreadyExists),
        (creatable("a b", 1, 1), ErrorCode::InvalidTopicException),
        (creatable("new", 0, 1), ErrorCode::InvalidPartitions),
        (creatable("new", 1, 0), ErrorCode::InvalidReplicationFactor),
        (creatable("new", 1, 2), ErrorCode::InvalidReplicationFactor),
        (
            with_setting("new", "retention.msec", "1"),
            ErrorCode::InvalidConfig,
        ),
        (
            with_setting("new", "retention.ms", "one"),
            ErrorCode::InvalidConfig,
        ),
        (creatable("a.b", -1, -1), ErrorCode::None),
        (creatable("a_b", -1, -1), ErrorCode::InvalidTopicException),
    ];
    for (topic, expected) in cases {
        assert_eq!(create(&mut bench, topic.clone()), expected, "{topic:?}");
    }
}

#[test]
fn topics_that_leave_their_number_of_partitions_to_the_broker_count_with_its_default() {
    let mut bench = Bench::with(&[("num.partitions", "1000"), ("auto.create.topics.enable", "false")]);
    let mut request = CreateTopicsRequest {
        topics: (0..11)
            .map(|number| creatable(&alloc::format!("new-{number}"), -1, 1))
            .collect(),
        ..Default::default()
    };
    for topic in bench.ask(7, request.clone()).topics {
        assert_eq!(ErrorCode::from_code(topic.error_code), ErrorCode::PolicyViolation);
    }
    assert_eq!(error_of(&mut bench, "new-0"), ErrorCode::UnknownTopicOrPartition);
    request.topics.pop();
    for topic in bench.ask(7, request).topics {
        assert_eq!((topic.error_code, topic.num_partitions), (0, 1000));
    }
}

#[test]
fn a_name_that_comes_twice_is_refused_once() {
    let names = ["new", "new", "other"];
    let request = CreateTopicsRequest {
        topics: names.iter().map(|name| creatable(name, 1, 1)).collect(),
        ..Default::default()
    };
    let results: Vec<_> = Bench::new()
        .ask(7, request)
        .topics
        .iter()
        .map(|topic| (topic.name.clone(), ErrorCode::from_code(topic.error_code)))
        .collect();
    assert_eq!(
        results,
        [
            ("new".to_string(), ErrorCode::InvalidRequest),
            ("other".to_string(), ErrorCode::None)
        ]
    );
}

#[test]
fn validation_creates_nothing() {
    let mut bench = Bench::with(&[("auto.create.topics.enable", "false")]);
    let request = CreateTopicsRequest {
        topics: alloc::vec![creatable("new", 1, 1)],
        validate_only: true,
        ..Default::default()
    };
    assert_eq!(bench.ask(7, request).topics[0].error_code, 0);
    assert_eq!(error_of(&mut bench, "new"), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn topics_are_deleted_by_name_and_by_id() {
    let mut bench = Bench::with(&[("auto.create.topics.enable", "false")]);
    assert_eq!(delete_by_name(&mut bench, "t"), ErrorCode::None);
    assert_eq!(
        delete_by_name(&mut bench, "t"),
        ErrorCode::UnknownTopicOrPartition
    );
    let topic_id = bench.harness.machine().topic_id("u").expect("the topic exists");
    let by_id = DeleteTopicsRequest {
        topics: alloc::vec![DeleteTopicState { name: None, topic_id }],
        ..Default::default()
    };
    let deleted = bench.ask(6, by_id.clone()).responses[0].clone();
    assert_eq!((deleted.error_code, deleted.name.as_deref()), (0, Some("u")));
    assert_eq!(
        ErrorCode::from_code(bench.ask(6, by_id).responses[0].error_code),
        ErrorCode::UnknownTopicId
    );
    assert_eq!(error_of(&mut bench, "u"), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn topics_are_not_deleted_where_that_is_off() {
    let mut bench = Bench::with(&[("delete.topic.enable", "false")]);
    assert_eq!(delete_by_name(&mut bench, "t"), ErrorCode::TopicDeletionDisabled);
}

#[test]
fn a_topic_created_again_is_empty_and_has_another_id() {
    let mut bench = Bench::new();
    bench.produce("t", &["a"]);
    let before = bench.harness.machine().topic_id("t");
    delete_by_name(&mut bench, "t");
    bench.create_topic("t", 1, &[]);
    assert_ne!(bench.harness.machine().topic_id("t"), before);
    assert_eq!(bench.produce("t", &["b"]).base_offset, 0);
}

#[test]
fn partitions_are_added_and_never_removed() {
    let mut bench = Bench::new();
    for (count, expected, partitions) in [
        (2, ErrorCode::InvalidPartitions, 3),
        (3, ErrorCode::InvalidPartitions, 3),
        (5, ErrorCode::None, 5),
    ] {
        let request = CreatePartitionsRequest {
            topics: alloc::vec![CreatePartitionsTopic {
                name: "u".into(),
                count,
                assignments: None,
            }],
            ..Default::default()
        };
        let result = bench.ask(3, request).results[0].clone();
        assert_eq!(ErrorCode::from_code(result.error_code), expected);
        assert_eq!(metadata_of(&mut bench, "u").partitions.len(), partitions);
    }
}

#[test]
fn deleting_records_moves_the_beginning_of_the_log() {
    let mut bench = Bench::new();
    bench.produce("t", &["a", "b", "c"]);
    // The offset asked for, then the low watermark and the error (1: OFFSET_OUT_OF_RANGE).
    for (offset, expected) in [
        (2, (2, 0)),
        (1, (2, 0)),
        (-1, (3, 0)),
        (4, (-1, 1)),
        (-2, (-1, 1)),
    ] {
        let request = DeleteRecordsRequest {
            topics: alloc::vec![DeleteRecordsTopic {
                name: "t".into(),
                partitions: alloc::vec![DeleteRecordsPartition {
                    partition_index: 0,
                    offset
                }],
            }],
            ..Default::default()
        };
        let result = bench.ask(2, request).topics[0].partitions[0].clone();
        assert_eq!((result.low_watermark, result.error_code), expected, "to {offset}");
    }
}

#[test]
fn a_partition_of_which_records_were_deleted_is_refused_when_the_request_names_it_again() {
    let mut bench = Bench::new();
    bench.produce("t", &["a", "b", "c"]);
    // The first is out of range.
    let partitions = [9, 1, 2].map(|offset| DeleteRecordsPartition {
        partition_index: 0,
        offset,
    });
    let topic = DeleteRecordsTopic {
        name: "t".into(),
        partitions: partitions.into(),
    };
    let request = DeleteRecordsRequest {
        topics: alloc::vec![topic; 2],
        ..Default::default()
    };
    let answer = bench.ask(2, request);
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let told: Vec<(i64, ErrorCode)> = partitions
        .map(|partition| {
            (
                partition.low_watermark,
                ErrorCode::from_code(partition.error_code),
            )
        })
        .collect();
    let again = (-1, ErrorCode::InvalidRequest);
    assert_eq!(
        told,
        [
            (-1, ErrorCode::OffsetOutOfRange),
            (1, ErrorCode::None),
            again,
            again,
            again,
            again
        ]
    );
}

#[test]
fn topics_are_described_in_pages() {
    let mut bench = Bench::new();
    let mut request = DescribeTopicPartitionsRequest {
        response_partition_limit: 2,
        ..Default::default()
    };
    let first = bench.ask(0, request.clone());
    let counts: Vec<usize> = first.topics.iter().map(|topic| topic.partitions.len()).collect();
    assert_eq!(counts, [1, 1]);
    let cursor = first.next_cursor.expect("there is more");
    assert_eq!((cursor.topic_name.as_str(), cursor.partition_index), ("u", 1));
    request.cursor = Some(Cursor {
        topic_name: cursor.topic_name,
        partition_index: cursor.partition_index,
    });
    let second = bench.ask(0, request);
    assert!(second.next_cursor.is_none());
    let numbers: Vec<i32> = second.topics[0]
        .partitions
        .iter()
        .map(|partition| partition.partition_index)
        .collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn the_cluster_is_described() {
    let request = DescribeClusterRequest {
        endpoint_type: 1,
        ..Default::default()
    };
    let response = Bench::new().ask(1, request);
    assert_eq!(
        (response.cluster_id.as_str(), response.brokers.len()),
        ("a-cluster", 1)
    );
}

#[test]
fn the_end_of_the_current_leader_epoch_is_the_end_of_the_log() {
    let mut bench = Bench::new();
    bench.produce("t", &["a", "b"]);
    for (epoch, expected) in [(0, (0, 2)), (1, (-1, -1))] {
        let request = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: alloc::vec![OffsetForLeaderTopic {
                topic: "t".into(),
                partitions: alloc::vec![OffsetForLeaderPartition {
                    leader_epoch: epoch,
                    ..Default::default()
                }],
            }],
        };
        let end = bench.ask(4, request).topics[0].partitions[0].clone();
        assert_eq!((end.leader_epoch, end.end_offset), expected);
    }
}

#[test]
fn the_partitions_that_are_added_to_all_topics_at_once_are_bounded_together() {
    let mut bench = Bench::new();
    let grown = |t, u| {
        let topics = [("t", t), ("u", u), ("absent", i32::MAX)];
        let topics = topics.map(|(name, count)| CreatePartitionsTopic {
            name: name.into(),
            count,
            assignments: None,
        });
        CreatePartitionsRequest {
            topics: topics.to_vec(),
            ..Default::default()
        }
    };
    // There are 1 and 3.
    for result in bench.ask(3, grown(5001, 5004)).results {
        assert_eq!(
            ErrorCode::from_code(result.error_code),
            ErrorCode::PolicyViolation
        );
    }
    assert_eq!(metadata_of(&mut bench, "t").partitions.len(), 1);
    let results = bench.ask(3, grown(5001, 5003)).results;
    let codes: Vec<ErrorCode> = results
        .iter()
        .map(|result| ErrorCode::from_code(result.error_code))
        .collect();
    let absent = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(codes, [ErrorCode::None, ErrorCode::None, absent]);
    assert_eq!(metadata_of(&mut bench, "t").partitions.len(), 5001);
}
