//! Strings as long as Kafka's strings can be: what an answer says around one must not make the answer impossible.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kohort_protocol::messages::alter_configs::AlterConfigsResource as Replaced;
use kohort_protocol::messages::create_partitions::CreatePartitionsTopic;
use kohort_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use kohort_protocol::messages::describe_configs::DescribeConfigsResource;
use kohort_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use kohort_protocol::messages::join_group::JoinGroupRequestProtocol;
use kohort_protocol::messages::leave_group::MemberIdentity;
use kohort_protocol::messages::metadata::MetadataRequestTopic;
use kohort_protocol::messages::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest,
    DeleteTopicsRequest, DescribeConfigsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
    IncrementalAlterConfigsRequest, JoinGroupRequest, LeaveGroupRequest, MetadataRequest, RequestHeader,
};
use kohort_protocol::{Request, RequestBody, ResponseBody, frame};

use super::{Bench, closed, reply, written};
use crate::interface::Action;

fn longest() -> String {
    "x".repeat(i16::MAX as usize)
}

fn created(name: &str, key: &str, value: &str) -> RequestBody {
    let setting = CreatableTopicConfig {
        name: key.into(),
        value: Some(value.into()),
    };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![setting],
        ..Default::default()
    };
    CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    }
    .into()
}

fn altered(name: &str, key: &str, value: &str) -> RequestBody {
    let config = AlterableConfig {
        name: key.into(),
        config_operation: 0,
        value: Some(value.into()),
    };
    let resource = AlterConfigsResource {
        resource_type: 2,
        resource_name: name.into(),
        configs: vec![config],
    };
    IncrementalAlterConfigsRequest {
        resources: vec![resource],
        ..Default::default()
    }
    .into()
}

fn described(resource_type: i8, name: &str) -> RequestBody {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        ..Default::default()
    };
    DescribeConfigsRequest {
        resources: vec![resource],
        ..Default::default()
    }
    .into()
}

fn requests(long: &str) -> Vec<(i16, RequestBody)> {
    let replaced = AlterConfigsRequest {
        resources: vec![Replaced {
            resource_type: 2,
            resource_name: long.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let grown = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: long.into(),
            count: 2,
            ..Default::default()
        }],
        ..Default::default()
    };
    let metadata = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(long.into()),
            ..Default::default()
        }]),
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    let deleted = DeleteTopicsRequest {
        topic_names: vec![long.into()],
        ..Default::default()
    };
    let coordinator = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec![long.into()],
        ..Default::default()
    };
    let left = LeaveGroupRequest {
        group_id: long.into(),
        members: vec![MemberIdentity {
            member_id: long.into(),
            group_instance_id: Some(long.into()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let groups = DescribeGroupsRequest {
        groups: vec![long.into()],
        ..Default::default()
    };
    let gone = DeleteGroupsRequest {
        groups_names: vec![long.into()],
    };
    vec![
        (7, created(long, "retention.ms", "1")),
        (7, created("new", long, "1")),
        (7, created("new", "retention.ms", long)),
        (7, created("new", "cleanup.policy", long)),
        (1, altered(long, "retention.ms", "1")),
        (1, altered("t", long, "1")),
        (1, altered("t", "retention.ms", long)),
        (4, described(2, long)),
        (4, described(4, long)),
        (2, replaced.into()),
        (3, grown.into()),
        (12, metadata.into()),
        (5, deleted.into()),
        (4, coordinator.into()),
        (5, left.into()),
        (6, groups.into()),
        (2, gone.into()),
    ]
}

#[test]
fn whatever_quotes_a_string_of_the_longest_is_answered() {
    let mut bench = Bench::new();
    bench.ask(
        4,
        FindCoordinatorRequest {
            coordinator_keys: vec!["g".into()],
            ..Default::default()
        },
    );
    for (version, request) in requests(&longest()) {
        let (api, conn) = (request.api_key(), bench.connect());
        let mut actions = bench.send(conn, version, request);
        actions.extend(bench.advance(0));
        assert_eq!(closed(&actions, conn), None, "{api}");
        assert!(written(&actions, conn).is_some(), "{api}");
    }
    assert_eq!(bench.produce("t", &["a"]).error_code, 0);
}

/// Sends a request of a client with an id of the longest, and gives the answer that comes without a wait.
fn ask<R>(bench: &mut Bench, version: i16, request: R) -> R::Response
where
    R: Request + Into<RequestBody>,
    R::Response: TryFrom<ResponseBody>,
{
    let header = RequestHeader {
        client_id: Some("ä".repeat(16_383)),
        ..Default::default()
    };
    let frame = frame::encode_request(&header, version, &request.into()).expect("it just fits");
    let conn = bench.connect();
    let mut actions: Vec<Action> = bench.send_bytes(conn, frame.freeze().slice(4..));
    actions.extend(bench.advance(0));
    reply::<R>(&actions, conn, version).expect("an answer")
}

#[test]
fn members_with_ids_of_the_longest_are_told_who_they_are() {
    let mut bench = Bench::with(&[("group.initial.rebalance.delay.ms", "0")]);
    let coordinator = FindCoordinatorRequest {
        coordinator_keys: vec!["g".into(), "h".into()],
        ..Default::default()
    };
    ask(&mut bench, 4, coordinator);
    let join = |group: &str, member: &str, instance: Option<String>| JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: member.into(),
        group_instance_id: instance,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let first = ask(&mut bench, 9, join("g", "", None));
    assert!(first.member_id.len() <= i16::MAX as usize);
    assert!(first.member_id.starts_with("ää"));
    let joined = ask(&mut bench, 9, join("g", &first.member_id, None));
    assert_eq!((joined.error_code, &joined.leader), (0, &first.member_id));
    let joined = ask(&mut bench, 9, join("h", "", Some(longest())));
    assert_eq!(joined.error_code, 0);
    assert_eq!(joined.leader, joined.member_id);
    let groups = DescribeGroupsRequest {
        groups: vec!["g".to_string(), "h".to_string()],
        ..Default::default()
    };
    let described = ask(&mut bench, 5, groups).groups;
    let members: Vec<usize> = described.iter().map(|group| group.members.len()).collect();
    assert_eq!(members, [1, 1]);
}
