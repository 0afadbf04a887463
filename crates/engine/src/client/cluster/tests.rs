//! Applying metadata.

use alloc::vec;

use kohort_protocol::messages::metadata::MetadataResponseBroker;

use super::*;

fn partition(index: i32, leader: i32, epoch: i32) -> MetadataResponsePartition {
    MetadataResponsePartition {
        partition_index: index,
        leader_id: leader,
        leader_epoch: epoch,
        ..Default::default()
    }
}

fn topic(id: u8, partitions: Vec<MetadataResponsePartition>) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some("t".into()),
        topic_id: Uuid([id; 16]),
        partitions,
        ..Default::default()
    }
}

fn failed(error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        name: Some("t".into()),
        error_code: error.code(),
        ..Default::default()
    }
}

fn response(topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
    let broker = |node_id| MetadataResponseBroker {
        node_id,
        host: "kafka".into(),
        port: 9092,
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![broker(1), broker(2)],
        controller_id: 2,
        topics,
        ..Default::default()
    }
}

fn apply(cluster: &mut Cluster, topics: Vec<MetadataResponseTopic>) -> Vec<TopicChange> {
    cluster.apply(response(topics), None).topics
}

#[test]
fn a_new_topic_appears_once() {
    let mut cluster = Cluster::default();
    let change = cluster.apply(response(vec![topic(1, vec![partition(0, 1, 5)])]), None);
    assert_eq!(change.version, 1);
    assert!(change.has_new_brokers);
    assert_eq!(change.topics, [TopicChange::Appeared("t".into())]);
    assert_eq!(cluster.leader("t", 0), Some(1));
    assert_eq!(cluster.controller(), Some(2));
    assert_eq!(cluster.topic_name(Uuid([1; 16])).map(|name| &**name), Some("t"));
    assert_eq!(apply(&mut cluster, vec![topic(1, vec![partition(0, 1, 5)])]), []);
}

#[test]
fn an_older_leader_epoch_is_ignored() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, vec![topic(1, vec![partition(0, 1, 5)])]);
    assert_eq!(apply(&mut cluster, vec![topic(1, vec![partition(0, 2, 4)])]), []);
    assert_eq!(cluster.leader("t", 0), Some(1));
    let moved = [TopicChange::Leaders("t".into(), vec![0])];
    assert_eq!(
        apply(&mut cluster, vec![topic(1, vec![partition(0, 2, 6)])]),
        moved
    );
    assert_eq!(cluster.leader("t", 0), Some(2));
}

#[test]
fn a_recreated_topic_starts_its_epochs_anew() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, vec![topic(1, vec![partition(0, 1, 5)])]);
    let recreated = [TopicChange::Recreated("t".into())];
    assert_eq!(
        apply(&mut cluster, vec![topic(2, vec![partition(0, 2, 0)])]),
        recreated
    );
    assert_eq!(cluster.leader("t", 0), Some(2));
    assert_eq!(cluster.newest_leader_epoch("t", 0), Some(0));
    assert_eq!(cluster.topic_name(Uuid([1; 16])), None);
}

#[test]
fn a_topic_recreated_behind_an_error_is_recreated_all_the_same() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, vec![topic(1, vec![partition(0, 1, 5)])]);
    let error = ErrorCode::UnknownTopicOrPartition;
    let gone = [
        TopicChange::Gone("t".into()),
        TopicChange::Failed("t".into(), error),
    ];
    assert_eq!(apply(&mut cluster, vec![failed(error)]), gone);
    assert_eq!(apply(&mut cluster, vec![failed(error)]), []);
    assert_eq!(cluster.partition_count("t"), None);
    let recreated = [TopicChange::Recreated("t".into())];
    assert_eq!(
        apply(&mut cluster, vec![topic(2, vec![partition(0, 2, 0)])]),
        recreated
    );
}

#[test]
fn more_partitions_are_a_change() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, vec![topic(1, vec![partition(0, 1, 5)])]);
    let grown = vec![topic(1, vec![partition(0, 1, 5), partition(1, 2, 0)])];
    assert_eq!(apply(&mut cluster, grown), [TopicChange::Partitions("t".into())]);
    assert_eq!(cluster.partition_count("t"), Some(2));
}

#[test]
fn a_topic_that_is_not_wanted_any_longer_goes() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, vec![topic(1, vec![partition(0, 1, 5)])]);
    let late = response(vec![topic(1, vec![partition(0, 1, 5)])]);
    let change = cluster.apply(late, Some(&BTreeSet::new()));
    assert_eq!(change.topics, [TopicChange::Gone("t".into())]);
    assert_eq!(cluster.topic("t"), None);
}

#[test]
fn a_leader_named_by_a_response_is_taken_when_it_is_newer() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, vec![topic(1, vec![partition(0, 1, 5)])]);
    assert_eq!(cluster.apply_leader("t", 0, 2, 5, None), None);
    assert_eq!(
        cluster.apply_leader("t", 0, 3, 6, None),
        None,
        "broker 3 has no address"
    );
    let endpoint = Broker {
        id: 3,
        host: "new".into(),
        port: 1,
        rack: None,
    };
    let change = cluster.apply_leader("t", 0, 3, 6, Some(endpoint)).unwrap();
    assert_eq!(change.topics, [TopicChange::Leaders("t".into(), vec![0])]);
    assert_eq!(cluster.leader("t", 0), Some(3));
}

#[test]
fn a_broker_with_an_impossible_port_is_left_out() {
    let mut cluster = Cluster::default();
    let mut response = response(vec![]);
    response.brokers[0].port = 70_000;
    response.controller_id = 1;
    cluster.apply(response, None);
    assert_eq!(cluster.broker(1), None);
    assert_eq!(cluster.controller(), None);
}

#[test]
fn replicas_that_move_are_told_and_racks_of_brokers_that_are_away_are_kept_while_needed() {
    let on = |replicas: &[i32]| MetadataResponsePartition {
        replica_nodes: replicas.to_vec(),
        ..partition(0, 1, 5)
    };
    let mut sent = response(vec![topic(1, vec![on(&[1, 2])])]);
    sent.brokers[0].rack = Some("a".into());
    sent.brokers[1].rack = Some("b".into());
    let mut cluster = Cluster::default();
    cluster.apply(sent.clone(), None);
    let racks = |cluster: &Cluster| -> Vec<String> {
        cluster
            .racks()
            .iter()
            .map(|(id, rack)| alloc::format!("{id}{rack}"))
            .collect()
    };
    assert_eq!(racks(&cluster), ["1a", "2b"]);
    sent.brokers.pop();
    assert!(cluster.apply(sent.clone(), None).has_new_brokers);
    assert_eq!(racks(&cluster), ["1a", "2b"], "broker 2 comes back");
    sent.topics = vec![topic(1, vec![on(&[1])])];
    let moved = [TopicChange::Replicas("t".into())];
    assert_eq!(cluster.apply(sent.clone(), None).topics, moved);
    assert_eq!(racks(&cluster), ["1a"]);
    sent.brokers[0].rack = None;
    cluster.apply(sent, None);
    assert!(cluster.racks().is_empty());
}

// KIP-951
#[test]
fn a_broker_that_an_answer_names_brings_its_rack() {
    let mut cluster = Cluster::default();
    apply(&mut cluster, vec![topic(1, vec![partition(0, 1, 5)])]);
    let endpoint = Broker {
        id: 3,
        host: "kafka".into(),
        port: 9093,
        rack: Some("c".into()),
    };
    let change = cluster.apply_leader("t", 0, 3, 6, Some(endpoint));
    assert!(change.is_some_and(|change| change.has_new_brokers));
    assert_eq!(cluster.racks().get(&3).map(|rack| &**rack), Some("c"));
}
