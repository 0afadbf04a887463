//! Subscribing by pattern: when names are asked about, what the group is joined with, and when it is joined again.

use super::rig::*;
use crate::client::testing::Arrived;
use crate::consumer::{CallbackKind, Change, Command, CommandReply, ConsumerConfig, OffsetReset};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use kohort_groups::wire::consumer_protocol::decode_subscription;
use kohort_protocol::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, Uuid};

const MAX_AGE: Duration = Duration::from_secs(300);

fn config(config: &mut ConsumerConfig) {
    config.auto_offset_reset = OffsetReset::Earliest;
}

/// A consumer whose pattern matches what begins with `t`.
fn of_t_topics() -> Rig {
    let mut rig = Rig::in_group(config);
    rig.pattern = |topic| topic.starts_with('t');
    subscribe_pattern(&mut rig);
    rig
}

fn subscribe_pattern(rig: &mut Rig) {
    let pattern = "the rig says".into();
    rig.change(Change::SubscribePattern { pattern });
    rig.begin_polling();
}

fn matched(rig: &Rig) -> Vec<&str> {
    rig.delivery.subscribed().iter().map(|topic| &**topic).collect()
}

/// The topics that a JoinGroup carries.
fn joins_with(arrived: &Arrived) -> Vec<Arc<str>> {
    let RequestBody::JoinGroup(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    let subscription = decode_subscription(request.protocols[0].metadata.clone()).expect("a subscription");
    subscription.topics
}

/// A topic of two partitions comes into being.
fn create_topic(rig: &mut Rig, name: &'static str, is_internal: bool) {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        ..Default::default()
    };
    let topics = &mut rig.driven.network.metadata.as_mut().unwrap().topics;
    topics.push(MetadataResponseTopic {
        name: Some(name.into()),
        topic_id: Uuid([9; 16]),
        is_internal,
        partitions: (0..2).map(partition).collect(),
        ..Default::default()
    });
    for partition in 0..2 {
        rig.logs.insert((name, partition), Log::default());
    }
}

/// So much time passes that metadata are asked for again; the application goes on polling.
fn age(rig: &mut Rig) {
    for _ in 0..310 {
        rig.advance(SECOND);
        rig.poll().unwrap();
    }
}

fn delete_topic(rig: &mut Rig, name: &str) {
    let topics = &mut rig.driven.network.metadata.as_mut().unwrap().topics;
    topics.retain(|topic| topic.name.as_deref() != Some(name));
}

#[test]
fn the_group_is_joined_with_the_topics_that_match() {
    let mut rig = of_t_topics();
    assert_eq!(rig.poll_all(), [records(0, 0, 10), records(1, 0, 10)].concat());
    assert_eq!(matched(&rig), ["t"]);
    assert_eq!(rig.calls, [(CallbackKind::Assigned, vec![0, 1])]);
    assert_eq!(rig.generation, 1, "the group is joined once");
}

// Kafka: ConsumerCoordinatorTest.testPatternJoinGroupLeader
#[test]
fn the_group_is_not_joined_before_the_topics_of_the_whole_cluster_are_known() {
    let mut rig = Rig::in_group(config);
    let metadata = rig.driven.network.metadata.take();
    subscribe_pattern(&mut rig);
    let asked = rig.driven.expect(ApiKey::Metadata);
    let RequestBody::Metadata(request) = &asked.body else {
        panic!();
    };
    assert_eq!(request.topics, None, "all topics are asked for");
    rig.advance(SECOND);
    assert_eq!(rig.generation, 0);
    rig.driven.network.metadata.clone_from(&metadata);
    rig.answer_with(&asked, metadata.unwrap());
    assert_eq!(rig.generation, 1);
}

// Kafka: ConsumerCoordinatorTest.testRebalanceWithMetadataChange
#[test]
fn a_pattern_that_matches_nothing_joins_with_nothing_and_again_when_a_topic_matches() {
    let mut rig = Rig::in_group(config);
    rig.pattern = |topic| topic == "x";
    subscribe_pattern(&mut rig);
    rig.poll().unwrap();
    assert_eq!(rig.calls, [(CallbackKind::Assigned, vec![])]);
    create_topic(&mut rig, "x", false);
    age(&mut rig);
    assert_eq!(rig.calls.last(), Some(&(CallbackKind::Assigned, vec![0, 1])));
    assert_eq!(matched(&rig), ["x"]);
    assert_eq!(rig.generation, 2);
}

#[test]
fn a_topic_that_is_created_is_seen_when_the_metadata_are_old_and_not_before() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    let began = rig.driven.now();
    create_topic(&mut rig, "t2", false);
    while rig.generation == 1 {
        rig.advance(Duration::from_millis(50));
        // A broker that never answered would be a reason to ask again.
        rig.expire_fetches();
        rig.poll().unwrap();
    }
    let took = rig.driven.now() - began;
    assert!(
        took <= MAX_AGE + SECOND && took > MAX_AGE - SECOND,
        "a rejoin after {took:?}"
    );
    rig.poll().unwrap();
    assert_eq!(matched(&rig), ["t", "t2"]);
    assert_eq!(rig.delivery.assignment().count(), 4);
}

// Kafka: ConsumerCoordinator.poll, "For consumer group that uses pattern-based subscription"
#[test]
fn a_member_looks_for_new_topics_before_it_joins_again_because_of_another() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    create_topic(&mut rig, "t2", false);
    rig.hold.push(ApiKey::JoinGroup);
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    rig.advance(4 * SECOND);
    rig.poll().unwrap();
    let join = rig.driven.expect(ApiKey::JoinGroup);
    assert_eq!(joins_with(&join), ["t".into(), "t2".into()]);
    rig.driven.network.put_back(vec![join]);
    rig.hold.clear();
    age(&mut rig);
    assert_eq!((rig.generation, matched(&rig)), (2, vec!["t", "t2"]));
}

#[test]
fn a_cooperative_member_gives_up_a_topic_that_is_gone_before_it_joins_and_not_in_a_round_of_its_own() {
    let mut rig = Rig::in_group(|settings| {
        config(settings);
        settings.group.as_mut().unwrap().assignors = cooperative();
    });
    rig.pattern = |topic| topic.starts_with('t');
    create_topic(&mut rig, "t2", false);
    subscribe_pattern(&mut rig);
    rig.poll().unwrap();
    assert_eq!(rig.delivery.assignment().count(), 4);
    // The broker would not know the topic of these.
    rig.hold.push(ApiKey::Fetch);
    rig.advance(4 * SECOND);
    delete_topic(&mut rig, "t2");
    rig.calls.clear();
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    rig.advance(4 * SECOND);
    assert_eq!(
        (rig.generation, rig.calls.len()),
        (1, 0),
        "the listener is waited for"
    );
    rig.poll().unwrap();
    rig.advance(4 * SECOND);
    rig.poll().unwrap();
    assert_eq!(rig.calls[0], (CallbackKind::Revoked, vec![0, 1]));
    assert_eq!(rig.generation, 2, "one round is enough");
    assert_eq!(rig.delivery.assignment().count(), 2);
}

#[test]
fn brokers_that_do_not_say_which_topics_there_are_keep_a_group_waiting_for_a_second() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    // The rig would not know the topics of these.
    rig.hold.push(ApiKey::Fetch);
    rig.driven.network.metadata = None;
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    rig.advance(4 * SECOND);
    rig.do_due().unwrap();
    assert_eq!(rig.count(ApiKey::JoinGroup), 1, "the second one waits");
    rig.advance(SECOND);
    assert_eq!(rig.count(ApiKey::JoinGroup), 2);
}

#[test]
fn a_join_that_waits_for_names_is_not_lost_when_another_pattern_or_a_list_comes() {
    for is_pattern in [true, false] {
        let mut rig = of_t_topics();
        rig.poll().unwrap();
        rig.hold.push(ApiKey::Fetch);
        let metadata = rig.driven.network.metadata.take();
        rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
        rig.advance(4 * SECOND);
        rig.do_due().unwrap();
        rig.pattern = |topic| topic == "u";
        match is_pattern {
            true => subscribe_pattern(&mut rig),
            false => {
                let topics = vec!["u".into()];
                rig.change(Change::Subscribe { topics });
                rig.begin_polling();
            }
        }
        while let Some(asked) = rig.driven.network.take(ApiKey::Metadata) {
            rig.driven.network.metadata.clone_from(&metadata);
            rig.answer_with(&asked, metadata.clone().unwrap());
        }
        for _ in 0..4 {
            rig.advance(SECOND);
            rig.poll().unwrap();
        }
        let assigned: Vec<_> = rig.delivery.assignment().map(|it| it.topic.clone()).collect();
        assert_eq!(assigned, ["u".into()], "pattern: {is_pattern}");
    }
}

#[test]
fn a_topic_that_is_deleted_is_no_longer_in_the_next_join() {
    let mut rig = of_t_topics();
    create_topic(&mut rig, "t2", false);
    age(&mut rig);
    assert_eq!(rig.delivery.assignment().count(), 4);
    // The broker would not know the topic of these.
    rig.hold.push(ApiKey::Fetch);
    rig.hold.push(ApiKey::JoinGroup);
    delete_topic(&mut rig, "t2");
    age(&mut rig);
    let join = rig.driven.expect(ApiKey::JoinGroup);
    assert_eq!(joins_with(&join), ["t".into()]);
}

#[test]
fn a_topic_that_does_not_match_starts_no_rebalance_and_is_asked_about_once() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    create_topic(&mut rig, "other", false);
    age(&mut rig);
    // Were it asked about again it would match now.
    rig.pattern = |_| true;
    age(&mut rig);
    assert_eq!((rig.generation, matched(&rig)), (1, vec!["t"]));
}

// Kafka: KafkaConsumerTest / ConsumerMetadataTest.testPatternSubscriptionNoInternalTopics
#[test]
fn internal_topics_match_no_pattern_unless_that_is_wanted() {
    for (excludes, expected) in [
        (true, vec!["t", "u"]),
        (false, vec!["__consumer_offsets", "t", "u"]),
    ] {
        let mut rig = Rig::in_group(|config| config.exclude_internal_topics = excludes);
        create_topic(&mut rig, "__consumer_offsets", true);
        subscribe_pattern(&mut rig);
        assert_eq!(matched(&rig), expected);
    }
}

#[test]
fn another_pattern_replaces_the_first_and_the_group_is_joined_again() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    rig.hold.push(ApiKey::JoinGroup);
    rig.pattern = |topic| topic == "u";
    subscribe_pattern(&mut rig);
    rig.poll().unwrap();
    assert_eq!(rig.calls.last(), Some(&(CallbackKind::Revoked, vec![0, 1])));
    let join = rig.driven.expect(ApiKey::JoinGroup);
    assert_eq!(joins_with(&join), ["u".into()]);
}

#[test]
fn after_unsubscribing_metadata_of_the_cluster_are_no_longer_asked_for_and_no_topic_is_joined_for() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    let timeout = SECOND;
    let token = rig.command(Command::Unsubscribe { timeout });
    rig.do_due().unwrap();
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    create_topic(&mut rig, "t2", false);
    rig.hold.push(ApiKey::Fetch);
    rig.driven.network.metadata = None;
    rig.advance(MAX_AGE + SECOND);
    while let Some(asked) = rig.driven.network.take(ApiKey::Metadata) {
        let RequestBody::Metadata(request) = &asked.body else {
            panic!();
        };
        assert_eq!(request.topics, Some(vec![]));
    }
    assert_eq!(rig.generation, 1);
}

#[test]
fn a_list_after_a_pattern_is_no_pattern_any_more() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    rig.command(Command::Unsubscribe { timeout: SECOND });
    rig.do_due().unwrap();
    rig.subscribe();
    rig.poll().unwrap();
    let generation = rig.generation;
    create_topic(&mut rig, "t2", false);
    age(&mut rig);
    assert_eq!(rig.generation, generation);
}

#[test]
fn a_leader_does_not_wait_for_metadata_of_a_topic_that_does_not_exist() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    // The other member wants a topic that is gone.
    rig.hold.push(ApiKey::JoinGroup);
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    rig.advance(4 * SECOND);
    rig.poll().unwrap();
    let join = rig.driven.expect(ApiKey::JoinGroup);
    let other = kohort_groups::wire::consumer_protocol::encode_subscription(&kohort_groups::Subscription {
        topics: vec!["gone".into()],
        ..Default::default()
    })
    .expect("a subscription");
    let RequestBody::JoinGroup(request) = &join.body else {
        panic!();
    };
    let member = |id: &str, metadata| kohort_protocol::messages::join_group::JoinGroupResponseMember {
        member_id: String::from(id),
        metadata,
        ..Default::default()
    };
    let answer = kohort_protocol::messages::JoinGroupResponse {
        generation_id: 2,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: "m".into(),
        members: vec![
            member("m", request.protocols[0].metadata.clone()),
            member("n", other),
        ],
        member_id: "m".into(),
        ..Default::default()
    };
    rig.answer_with(&join, answer);
    rig.advance(SECOND);
    rig.poll().unwrap();
    assert_eq!(rig.calls.last(), Some(&(CallbackKind::Assigned, vec![0, 1])));
}

#[test]
fn a_topic_without_a_leader_that_does_not_match_is_no_reason_to_ask_for_all_metadata_again() {
    let mut rig = of_t_topics();
    create_topic(&mut rig, "other", false);
    let topics = &mut rig.driven.network.metadata.as_mut().unwrap().topics;
    let other = &mut topics.last_mut().unwrap().partitions[0];
    other.leader_id = -1;
    other.error_code = ErrorCode::LeaderNotAvailable.code();
    age(&mut rig);
    rig.hold.push(ApiKey::Fetch);
    // Had the leaderless partition left something open, this would be asked for at once.
    rig.driven.network.metadata = None;
    rig.advance(10 * SECOND);
    assert!(rig.driven.network.take(ApiKey::Metadata).is_none());
}

// Kafka: Metadata.handleMetadataResponse asks again when a topic has an InvalidMetadataException
#[test]
fn a_topic_in_error_that_matches_is_asked_for_again_until_it_is_there() {
    let mut rig = of_t_topics();
    create_topic(&mut rig, "t2", false);
    let topics = &mut rig.driven.network.metadata.as_mut().unwrap().topics;
    let created = topics.pop().unwrap();
    topics.push(MetadataResponseTopic {
        error_code: ErrorCode::LeaderNotAvailable.code(),
        partitions: Vec::new(),
        ..created.clone()
    });
    age(&mut rig);
    assert_eq!(matched(&rig), ["t"]);
    *rig.driven
        .network
        .metadata
        .as_mut()
        .unwrap()
        .topics
        .last_mut()
        .unwrap() = created;
    rig.advance(2 * SECOND);
    assert_eq!(matched(&rig), ["t", "t2"]);
}

// Kafka: ConsumerCoordinatorTest.testJoinGroupWithTopicsAddedByLeader (maybeUpdateJoinedSubscription)
#[test]
fn a_topic_that_the_leader_knows_first_is_taken_without_another_rebalance() {
    let mut rig = of_t_topics();
    rig.poll().unwrap();
    rig.hold.push(ApiKey::SyncGroup);
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    rig.advance(4 * SECOND);
    rig.poll().unwrap();
    create_topic(&mut rig, "t2", false);
    let sync = rig.driven.expect(ApiKey::SyncGroup);
    let assignment = kohort_groups::Assignment {
        partitions: vec![of_t(0), kohort_groups::TopicPartition::new("t2", 1)],
        user_data: None,
    };
    let answer = kohort_protocol::messages::SyncGroupResponse {
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignment: kohort_groups::wire::consumer_protocol::encode_assignment(&assignment)
            .expect("an assignment"),
        ..Default::default()
    };
    rig.hold.clear();
    rig.answer_with(&sync, answer);
    rig.poll().unwrap();
    assert_eq!(rig.calls.last(), Some(&(CallbackKind::Assigned, vec![0, 1])));
    assert_eq!(rig.delivery.assignment().count(), 2);
    rig.advance(SECOND);
    assert_eq!(matched(&rig), ["t", "t2"]);
}
