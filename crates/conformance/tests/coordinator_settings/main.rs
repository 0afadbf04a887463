//! Settings of the coordinator, which the suite's brokers leave at their defaults. Without `KOHORT_COORDINATOR_BOOTSTRAP` a broker is
//! embedded; on real Kafka:
//!
//! ```sh
//! export KOHORT_COORDINATOR_BOOTSTRAP=$(scripts/real-kafka/real-kafka start group.max.size=2 group.min.session.timeout.ms=2000 \
//!     group.initial.rebalance.delay.ms=700 offsets.retention.minutes=1 offsets.retention.check.interval.ms=1000)
//! cargo test -p kohort-conformance --test coordinator_settings -- --include-ignored
//! ```

mod expiry;

use std::time::{Duration, Instant};

use kohort::admin::NewTopic;
use kohort::consumer::{MemberError, PollError, ReadError};
use kohort::{Admin, Consumer};
use kohort_broker::Broker;
use kohort_conformance::{Wire, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::consumer_protocol::{ConsumerProtocolSubscription, encode_versioned};
use kohort_protocol::messages::{
    FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    join_group::JoinGroupRequestProtocol,
};

const SETTINGS: [(&str, &str); 5] = [
    ("group.max.size", "2"),
    ("group.min.session.timeout.ms", "2000"),
    ("group.initial.rebalance.delay.ms", "700"),
    ("offsets.retention.minutes", "1"),
    ("offsets.retention.check.interval.ms", "1000"),
];

/// The address of the real broker.
fn real() -> Option<String> {
    std::env::var("KOHORT_COORDINATOR_BOOTSTRAP").ok()
}

/// A broker with these settings, not started.
fn embedded() -> kohort_broker::Builder {
    let with = |builder: kohort_broker::Builder, (key, value): (&str, &str)| builder.config(key, value);
    SETTINGS.into_iter().fold(Broker::builder(), with)
}

/// A broker with these settings, which lives as long as the first part if it is embedded; its address; a connection. Its coordinator
/// answers for the group.
async fn ready(group: &str) -> (Option<Broker>, String, Wire) {
    let (broker, bootstrap) = match real() {
        Some(bootstrap) => (None, bootstrap),
        None => {
            let builder = embedded().listen("127.0.0.1:0");
            let broker = builder.start().await.expect("it starts");
            let bootstrap = broker.bootstrap_servers();
            (Some(broker), bootstrap)
        }
    };
    let mut wire = Wire::connect(&bootstrap).await.expect("the broker answers");
    let heartbeat = HeartbeatRequest {
        group_id: group.to_owned(),
        ..HeartbeatRequest::default()
    };
    loop {
        let find = FindCoordinatorRequest {
            key: group.to_owned(),
            ..FindCoordinatorRequest::default()
        };
        wire.call(3, find).await;
        let answer = wire.call(4, heartbeat.clone()).await.error_code;
        if answer == ErrorCode::UnknownMemberId.code() {
            return (broker, bootstrap, wire);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A static member, which needs no id beforehand.
fn join_request(group: &str, instance: &str) -> JoinGroupRequest {
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["topic".to_owned()],
        ..Default::default()
    };
    let protocol = JoinGroupRequestProtocol {
        name: "p".to_owned(),
        metadata: encode_versioned(&subscription, 1).expect("version 1 carries topics"),
    };
    JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        group_instance_id: Some(instance.to_owned()),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol],
        ..JoinGroupRequest::default()
    }
}

async fn join(wire: &mut Wire, request: JoinGroupRequest) -> JoinGroupResponse {
    wire.call(9, request).await
}

// Kafka: GroupMetadataManager.tryCompleteInitialRebalanceElseSchedule
#[tokio::test]
async fn an_empty_group_waits_for_group_initial_rebalance_delay_ms_and_once_more_when_somebody_comes() {
    let group = unique("group");
    let (_broker, bootstrap, mut first) = ready(&group).await;
    let mut second = Wire::connect(&bootstrap).await.expect("it answers");
    let began = Instant::now();
    first.send(9, join_request(&group, "one")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let joined = join(&mut second, join_request(&group, "two")).await;
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert!(
        began.elapsed() >= Duration::from_millis(1_350),
        "{:?}",
        began.elapsed()
    );
    let (_, joined) = first.receive::<JoinGroupRequest>(9).await.expect("an answer");
    assert_eq!((joined.generation_id, joined.members.len()), (1, 2));
}

// Kafka: GroupMetadataManager.acceptJoiningMember
#[tokio::test]
async fn a_member_beyond_group_max_size_is_refused() {
    let group = unique("group");
    let (_broker, bootstrap, mut wire) = ready(&group).await;
    let mut second = Wire::connect(&bootstrap).await.expect("it answers");
    let mut third = Wire::connect(&bootstrap).await.expect("it answers");
    wire.send(9, join_request(&group, "one")).await;
    second.send(9, join_request(&group, "two")).await;
    let (_, leader) = wire.receive::<JoinGroupRequest>(9).await.expect("an answer");
    assert_eq!(leader.error_code, 0);
    let refused = join(&mut third, join_request(&group, "three")).await;
    assert_eq!(refused.error_code, ErrorCode::GroupMaxSizeReached.code());
    // One that is there may go on.
    let again = JoinGroupRequest {
        member_id: leader.member_id.clone(),
        ..join_request(&group, "one")
    };
    assert_eq!(join(&mut wire, again).await.error_code, 0);
}

type Reader = Consumer<(), String>;

/// A member of the group, not yet polled.
fn member(bootstrap: &str, group: &str, topic: &str) -> Reader {
    let mut member: Reader = Consumer::builder()
        .bootstrap_servers(bootstrap)
        .group_id(group)
        .heartbeat_interval_ms(300)
        .build()
        .expect("valid settings");
    member.subscribe([topic]).expect("a group and a topic");
    member
}

/// Polls all of them until each has so many partitions.
async fn shared(members: &mut [&mut Reader], each: usize) {
    let began = Instant::now();
    while members.iter().any(|member| member.assignment().len() != each) {
        assert!(began.elapsed() < Duration::from_secs(30), "not {each} each");
        for member in &mut *members {
            member.poll(Duration::from_millis(50)).await.expect("a poll");
        }
    }
}

// Kafka: ConsumerBounceTest.testClassicConsumerReceivesFatalExceptionWhenGroupPassesMaxSize
#[tokio::test]
async fn a_consumer_beyond_group_max_size_is_told_so_by_poll_and_joins_once_there_is_room() {
    let (group, topic) = (unique("group"), unique("topic"));
    let (_broker, bootstrap, _wire) = ready(&group).await;
    let admin = Admin::builder()
        .bootstrap_servers(&*bootstrap)
        .build()
        .expect("valid settings");
    let two = NewTopic {
        partitions: Some(2),
        ..NewTopic::new(&*topic)
    };
    admin.create_topics([two]).await.expect("the task runs");
    let [mut first, mut second, mut third] = [(); 3].map(|()| member(&bootstrap, &group, &topic));
    shared(&mut [&mut first, &mut second], 1).await;
    let refused = loop {
        match third.poll(Duration::from_millis(200)).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let PollError::Read(ReadError::Membership(refused)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        matches!(&*refused, MemberError::GroupMaxSizeReached { group_id } if **group_id == *group),
        "{refused:?}"
    );
    // The others were not disturbed.
    shared(&mut [&mut first, &mut second], 1).await;
    second.close(Duration::from_secs(10)).await.expect("it leaves");
    shared(&mut [&mut first, &mut third], 1).await;
}

// Kafka: GroupCoordinatorService.joinGroup
#[tokio::test]
async fn a_session_may_be_as_short_as_group_min_session_timeout_ms() {
    let group = unique("group");
    let (_broker, _, mut wire) = ready(&group).await;
    for (session_timeout_ms, expected) in [
        (1_999, ErrorCode::InvalidSessionTimeout),
        (2_000, ErrorCode::None),
    ] {
        let request = JoinGroupRequest {
            session_timeout_ms,
            ..join_request(&group, "one")
        };
        assert_eq!(join(&mut wire, request).await.error_code, expected.code());
    }
}
