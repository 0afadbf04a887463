//! The end of committed offsets, and of groups of which nothing is left.

use std::time::{Duration, Instant};

use kohort::admin::NewTopic;
use kohort::config::AutoOffsetReset;
use kohort::consumer::ResetCause;
use kohort::transport::Transport;
use kohort::{Admin, Consumer, OffsetAndMetadata, Producer, ProducerRecord, TopicPartition};
use kohort_broker::Broker;
use kohort_conformance::{committed, unique};
use kohort_protocol::messages::{
    CreateTopicsRequest, HeartbeatRequest, ListGroupsRequest, OffsetCommitRequest, SyncGroupRequest,
    create_topics::CreatableTopic,
    offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
};

use super::{Reader, embedded, join, join_request, ready, real};

// Kafka: OffsetMetadataManager.cleanupExpiredOffsets, GroupCoordinatorShard.cleanupGroupMetadata
#[tokio::test]
#[ignore = "takes a minute, the shortest offsets.retention.minutes; on a driven clock in kohort-node"]
async fn what_a_client_without_members_committed_expires_after_offsets_retention_minutes_and_its_group_with_it()
 {
    let group = unique("group");
    let (_broker, _, mut wire) = ready(&group).await;
    let topic = unique("topic");
    let created = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: topic.clone(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    assert_eq!(wire.call(5, created).await.topics[0].error_code, 0);
    let commit = OffsetCommitRequest {
        group_id: group.clone(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.clone(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 42,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    // Real Kafka answers CreateTopics before its broker has caught up.
    while wire.call(9, commit.clone()).await.topics[0].partitions[0].error_code != 0 {}
    let began = Instant::now();
    while committed(&mut wire, &group, &topic).await.committed_offset == 42 {
        assert!(began.elapsed() < Duration::from_secs(90), "it is still there");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(
        began.elapsed() >= Duration::from_secs(59),
        "{:?}",
        began.elapsed()
    );
    let listed = wire.call(5, ListGroupsRequest::default()).await;
    assert!(listed.groups.iter().all(|listed| listed.group_id != group));
}

// Kafka: ClassicGroup.offsetExpirationCondition: topics that a stable group reads do not expire
#[tokio::test]
#[ignore = "takes longer than a minute, the shortest offsets.retention.minutes; on a driven clock in kohort-groups"]
async fn what_a_member_reads_does_not_expire() {
    let group = unique("group");
    let (_broker, _, mut wire) = ready(&group).await;
    let create = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: "topic".to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    // It may be there from another run.
    wire.call(5, create).await;
    let joined = join(&mut wire, join_request(&group, "one")).await;
    let sync = SyncGroupRequest {
        group_id: group.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        group_instance_id: Some("one".to_owned()),
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("p".to_owned()),
        ..SyncGroupRequest::default()
    };
    assert_eq!(wire.call(5, sync).await.error_code, 0);
    let commit = OffsetCommitRequest {
        group_id: group.clone(),
        generation_id_or_member_epoch: joined.generation_id,
        member_id: joined.member_id.clone(),
        group_instance_id: Some("one".to_owned()),
        topics: vec![OffsetCommitRequestTopic {
            name: "topic".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 42,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    while wire.call(9, commit.clone()).await.topics[0].partitions[0].error_code != 0 {}
    let heartbeat = HeartbeatRequest {
        group_id: group.clone(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        group_instance_id: Some("one".to_owned()),
    };
    for _ in 0..70 {
        assert_eq!(wire.call(4, heartbeat.clone()).await.error_code, 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(committed(&mut wire, &group, "topic").await.committed_offset, 42);
}

/// Real Kafka on its own time, or else a broker in memory, of which a minute is over at once.
struct Place {
    bootstrap: String,
    embedded: Option<(Broker, Transport)>,
}

/// Sets where a client of this place connects.
macro_rules! at {
    ($place:expr, $builder:expr) => {{
        let builder = $builder.bootstrap_servers(&*$place.bootstrap);
        match &$place.embedded {
            Some((_, transport)) => builder.transport(transport.clone()),
            None => builder,
        }
    }};
}

impl Place {
    async fn find() -> Self {
        if let Some(bootstrap) = real() {
            return Self {
                bootstrap,
                embedded: None,
            };
        }
        tokio::time::pause();
        let broker = embedded().start().await.expect("it starts");
        let transport = Transport::new(broker.connector().into_fn());
        Self {
            bootstrap: broker.bootstrap_servers(),
            embedded: Some((broker, transport)),
        }
    }

    /// A member of the group that reads two records a poll and commits when it is told to.
    fn member(&self, group: &str, topic: &str) -> Reader {
        let builder = at!(self, Consumer::builder())
            .group_id(group)
            .enable_auto_commit(false)
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .max_poll_records(2);
        let mut member: Reader = builder.build().expect("valid settings");
        member.subscribe([topic]).expect("a group and a topic");
        member
    }

    /// Makes a topic of one partition with these records.
    async fn fill(&self, admin: &Admin, topic: &str, values: &[&str]) {
        let one = NewTopic {
            partitions: Some(1),
            ..NewTopic::new(topic)
        };
        admin.create_topics([one]).await.expect("the task runs");
        let producer = at!(self, Producer::builder());
        let producer: Producer<(), String> = producer.build().expect("valid settings");
        for value in values {
            let record = ProducerRecord::new(topic, (), (*value).to_owned());
            producer.send(record).await.expect("it is written");
        }
    }
}

/// The values of the next poll that returns any.
async fn next(member: &mut Reader) -> Vec<String> {
    loop {
        let records = member.poll(Duration::from_secs(1)).await.expect("a poll");
        if !records.is_empty() {
            return records.into_iter().map(|record| record.value).collect();
        }
    }
}

/// What the group committed of partition 0.
async fn offset(admin: &Admin, group: &str, topic: &str) -> Option<i64> {
    let mut offsets = admin.list_group_offsets(group).await.expect("an answer");
    let of_partition = offsets.remove(&TopicPartition::new(topic, 0))?;
    of_partition.expect("no error").map(|committed| committed.offset)
}

// Kafka: ClassicGroup.offsetExpirationCondition; on real Kafka it takes 80 s
#[tokio::test]
async fn what_a_group_committed_expires_once_it_was_empty_for_offsets_retention_minutes_and_it_begins_anew() {
    let place = Place::find().await;
    let admin = at!(place, Admin::builder()).build().expect("valid settings");
    let (topic, other) = (unique("topic"), unique("other"));
    place.fill(&admin, &topic, &["0", "1", "2", "3"]).await;
    place.fill(&admin, &other, &["0"]).await;
    let (goes, lives) = (unique("goes"), unique("lives"));
    let mut leaver = place.member(&goes, &topic);
    let mut stayer = place.member(&lives, &topic);
    for member in [&mut leaver, &mut stayer] {
        assert_eq!(next(member).await, ["0", "1"]);
        member.commit_sync().await.expect("it is written");
    }
    let not_subscribed = [(TopicPartition::new(&*other, 0), OffsetAndMetadata::new(1))];
    let committed = stayer.commit_sync_offsets(not_subscribed).await;
    committed.expect("it is written");
    let began = tokio::time::Instant::now();

    // The time counts from when the group became empty, not from its commits.
    tokio::time::sleep(Duration::from_secs(20)).await;
    leaver.close(Duration::from_secs(10)).await.expect("it leaves");
    let empty = tokio::time::Instant::now();
    while offset(&admin, &goes, &topic).await == Some(2) {
        assert!(empty.elapsed() < Duration::from_secs(75), "it is still there");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(offset(&admin, &goes, &topic).await, None);
    assert!(
        empty.elapsed() >= Duration::from_secs(59),
        "{:?}",
        empty.elapsed()
    );

    // Of a group that lives what its members read stays, however old the commit is; the rest does not.
    assert!(began.elapsed() >= Duration::from_secs(79));
    assert_eq!(offset(&admin, &lives, &topic).await, Some(2));
    assert_eq!(offset(&admin, &lives, &other).await, None);
    let listed = admin.list_groups().await.expect("an answer");
    let is_listed = |group: &str| listed.iter().any(|listed| *listed.id == *group);
    assert!(is_listed(&lives) && !is_listed(&goes), "{listed:?}");
    assert_eq!(next(&mut stayer).await, ["2", "3"]);

    // The group is a new one: its first generation, and `auto.offset.reset` decides.
    let mut anew = place.member(&goes, &topic);
    assert_eq!(next(&mut anew).await, ["0", "1"]);
    let identity = anew.group_metadata().await.expect("an answer");
    assert_eq!(identity.expect("it has joined").generation, 1);
    let resets = anew.take_position_resets();
    let resets: Vec<_> = resets
        .iter()
        .map(|reset| (&reset.cause, reset.from, reset.to))
        .collect();
    assert_eq!(resets, [(&ResetCause::NoCommittedOffset, Some(0), 0)]);
}
