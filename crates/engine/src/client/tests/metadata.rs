//! When metadata is asked for.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_protocol::messages::MetadataResponse;
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, VersionRange};

use super::probe::{Action, Event, Probe, SECOND, ask, load_metadata, probe, probe_with};
use crate::client::testing::{Arrived, Driven, Network};
use crate::client::{ClusterChange, Target, TopicChange};

fn changes(actions: Vec<Action>) -> Vec<ClusterChange> {
    let change = |action| match action {
        Action::Changed(change) => Some(change),
        _ => None,
    };
    actions.into_iter().filter_map(change).collect()
}

fn track(probe: &mut Driven<Probe>) -> Vec<ClusterChange> {
    changes(probe.step(Event::Call(|client, now| client.track_topics(now, ["t".into()]))))
}

fn topics(arrived: &Arrived) -> Option<Vec<&str>> {
    let RequestBody::Metadata(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    let topics = request.topics.as_ref()?;
    Some(topics.iter().filter_map(|topic| topic.name.as_deref()).collect())
}

#[test]
fn a_tracked_topic_is_asked_for_at_once() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[("t", 3), ("other", 1)]));
    let changes = track(&mut probe);
    assert_eq!(changes[0].topics, [TopicChange::Appeared("t".into())]);
    assert_eq!(probe.machine.client.cluster().partition_count("t"), Some(3));
    assert!(probe.machine.client.cluster().topic("other").is_none());
}

#[test]
fn a_new_topic_does_not_wait_for_the_backoff() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[("t", 3), ("u", 1)]));
    track(&mut probe);
    let changes = changes(probe.step(Event::Call(|client, now| client.track_topic(now, "u".into()))));
    assert_eq!(changes[0].topics, [TopicChange::Appeared("u".into())]);
}

#[test]
fn a_topic_tracked_while_a_refresh_is_under_way_is_asked_for_after_it() {
    let mut probe = probe(&[9001], Network::default());
    track(&mut probe);
    let first = probe.expect(ApiKey::Metadata);
    probe.step(Event::Call(|client, now| client.track_topic(now, "u".into())));
    assert_eq!(probe.network.waiting().count(), 0);
    let metadata = Network::with_cluster(1, &[("t", 3)]).metadata.unwrap();
    probe.answer(&first, metadata);
    assert_eq!(topics(&probe.expect(ApiKey::Metadata)), Some(vec!["t", "u"]));
}

#[test]
fn all_topics_are_asked_for_by_null() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(Event::Call(|client, now| client.track_all_topics(now, [])));
    assert_eq!(topics(&probe.expect(ApiKey::Metadata)), None);
}

#[test]
fn metadata_is_refreshed_when_it_is_old() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[("t", 3)]));
    track(&mut probe);
    assert!(changes(probe.advance(Duration::from_millis(299_999))).is_empty());
    assert_eq!(changes(probe.advance(Duration::from_millis(1))).len(), 1);
}

#[test]
fn wishes_during_the_backoff_are_one_refresh() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[("t", 3)]));
    track(&mut probe);
    for _ in 0..5 {
        let at_once = probe.step(Event::Call(|client, now| client.refresh_metadata(now)));
        assert!(changes(at_once).is_empty());
    }
    assert_eq!(changes(probe.advance(Duration::from_millis(120))).len(), 1);
    assert!(changes(probe.advance(10 * SECOND)).is_empty());
}

#[test]
fn an_unknown_topic_is_asked_for_again_with_growing_delays_until_it_is_there() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[]));
    let changes_at_once = track(&mut probe);
    let error = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(
        changes_at_once[0].topics,
        [TopicChange::Failed("t".into(), error)]
    );
    // 100, 200, 400, 800 ms, then every second, each ± 20 %.
    let refreshes = changes(probe.advance(10 * SECOND)).len();
    assert!((10..=16).contains(&refreshes), "{refreshes}");
    probe.network.metadata = Network::with_cluster(1, &[("t", 1)]).metadata;
    let appeared = changes(probe.advance(2 * SECOND));
    assert_eq!(appeared.len(), 1);
    assert_eq!(appeared[0].topics, [TopicChange::Appeared("t".into())]);
}

#[test]
fn a_topic_that_must_not_be_read_is_not_asked_for_again() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    let topic = &mut network.metadata.as_mut().unwrap().topics[0];
    topic.error_code = ErrorCode::TopicAuthorizationFailed.code();
    topic.partitions.clear();
    let mut probe = probe(&[9001], network);
    track(&mut probe);
    assert!(changes(probe.advance(10 * SECOND)).is_empty());
    let topic = probe.machine.client.cluster().topic("t").unwrap();
    assert_eq!(topic.error, Some(ErrorCode::TopicAuthorizationFailed));
}

#[test]
fn a_partition_without_a_leader_is_asked_for_again() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    let partition = &mut network.metadata.as_mut().unwrap().topics[0].partitions[0];
    partition.error_code = ErrorCode::LeaderNotAvailable.code();
    partition.leader_id = -1;
    let mut probe = probe(&[9001], network);
    track(&mut probe);
    assert_eq!(probe.machine.client.cluster().leader("t", 0), None);
    assert_eq!(changes(probe.advance(Duration::from_millis(120))).len(), 1);
}

#[test]
fn a_partition_whose_number_is_below_zero_is_not_there() {
    let mut network = Network::with_cluster(1, &[("t", 2)]);
    network.metadata.as_mut().unwrap().topics[0].partitions[1].partition_index = -5;
    let mut probe = probe(&[9001], network);
    track(&mut probe);
    let cluster = probe.machine.client.cluster();
    assert_eq!(
        (cluster.partition_count("t"), cluster.leader("t", -5)),
        (Some(1), None)
    );
    assert!(cluster.leader("t", 0).is_some());
}

#[test]
fn a_broker_whose_host_is_longer_than_any_name_is_not_there() {
    let mut network = Network::with_cluster(2, &[("t", 1)]);
    let brokers = &mut network.metadata.as_mut().unwrap().brokers;
    (brokers[0].host, brokers[1].host) = ("a".repeat(256), "a".repeat(255));
    let mut probe = probe(&[9001], network);
    track(&mut probe);
    let known: Vec<i32> = probe
        .machine
        .client
        .cluster()
        .brokers()
        .map(|broker| broker.id)
        .collect();
    assert_eq!(known, [2]);
}

#[test]
fn metadata_that_names_no_broker_counts_as_a_failure() {
    let mut probe = probe(&[9001], Network::default());
    track(&mut probe);
    let arrived = probe.expect(ApiKey::Metadata);
    assert!(changes(probe.answer(&arrived, MetadataResponse::default())).is_empty());
    assert_eq!(probe.machine.client.cluster().version(), 0);
    probe.advance(Duration::from_millis(120));
    probe.expect(ApiKey::Metadata);
}

#[test]
fn a_lost_connection_makes_metadata_be_asked_for() {
    let mut probe = probe(&[9001], Network::with_cluster(2, &[("t", 2)]));
    track(&mut probe);
    probe.advance(SECOND);
    probe.step(ask(Target::Fetch(2), SECOND));
    let arrived = probe.expect(ApiKey::ListGroups);
    probe.network.cut(arrived.link);
    assert_eq!(changes(probe.settle()).len(), 1);
}

#[test]
fn a_newer_leader_epoch_makes_metadata_be_asked_for() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[("t", 1)]));
    track(&mut probe);
    probe.advance(SECOND);
    let note = |client: &mut crate::client::Client, now| client.note_leader_epoch(now, "t", 0, 0);
    assert!(
        changes(probe.step(Event::Call(note))).is_empty(),
        "epoch 0 is known"
    );
    let note = |client: &mut crate::client::Client, now| client.note_leader_epoch(now, "t", 0, 4);
    assert_eq!(changes(probe.step(Event::Call(note))).len(), 1);
}

#[test]
fn an_old_broker_is_not_asked_when_it_would_create_the_topic() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network
        .versions
        .insert(ApiKey::Metadata, VersionRange { min: 0, max: 3 });
    let mut probe = probe_with(&[9001], network, |config| config.allow_auto_create_topics = false);
    assert!(track(&mut probe).is_empty());
    assert!(changes(probe.advance(SECOND)).is_empty());
}

#[test]
fn the_bootstrap_servers_are_asked_again_when_a_broker_says_so() {
    let mut probe = probe(&[9100], Network::with_cluster(1, &[("t", 1)]));
    load_metadata(&mut probe);
    let fresh = probe.network.metadata.take();
    let (link, _) = probe.network.links().next().unwrap();
    probe.network.cut(link);
    probe.advance(SECOND);
    let arrived = probe.expect(ApiKey::Metadata);
    assert_eq!(arrived.port, 9001);
    let told = MetadataResponse {
        error_code: ErrorCode::RebootstrapRequired.code(),
        ..Default::default()
    };
    probe.network.metadata = fresh;
    probe.network.take_connects();
    probe.answer(&arrived, told);
    probe.advance(SECOND);
    assert_eq!(probe.network.take_connects(), [9100]);
}
