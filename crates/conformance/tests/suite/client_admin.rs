//! The admin client: settings, groups, committed offsets, records.

use std::collections::BTreeMap;
use std::time::Duration;

use kohort::admin::{
    AlterConfigOp, ConfigResource, ConfigSource, ConfigType, DescribeConfigsOptions, ItemError,
    ListGroupsOptions, RecordsToDelete,
};
use kohort::{Admin, OffsetAndMetadata, TopicPartition};
use kohort_conformance::{cluster, unique};
use kohort_protocol::ErrorCode;

use crate::consumer_setup::{
    SOON, built, committed, member, new_topic, of_group, offsets, partitions, read, settle, soon, standalone,
    write,
};

fn admin() -> Admin {
    let builder = Admin::builder().bootstrap_servers(&*cluster().bootstrap);
    builder.build().expect("valid settings")
}

fn code<T: std::fmt::Debug>(result: &Result<T, ItemError>) -> ErrorCode {
    match result {
        Err(ItemError::Refused { error, .. }) => *error,
        other => panic!("{other:?}"),
    }
}

/// A group without members that has committed an offset in each of these partitions.
async fn committing(topic: &str, count: i32) -> String {
    let group = unique("group");
    let offset = |partition| (partition, OffsetAndMetadata::new(3));
    let wanted: BTreeMap<_, _> = partitions(topic, 0..count).into_iter().map(offset).collect();
    let results = admin()
        .alter_group_offsets(&*group, wanted)
        .await
        .expect("an answer");
    assert!(results.values().all(Result::is_ok), "{results:?}");
    group
}

// Kafka: ConfigHelper.describeConfigs, ConfigAdminManager; KIP-226
#[tokio::test]
async fn a_topics_settings_are_changed_one_by_one_and_told_with_their_sources() {
    let topic = ConfigResource::topic(new_topic(1).await);
    let admin = admin();
    let set = vec![
        AlterConfigOp::set("retention.ms", "123456"),
        AlterConfigOp::Append {
            name: "cleanup.policy".into(),
            value: "compact".into(),
        },
    ];
    let changed = admin.incremental_alter_configs([(topic.clone(), set)]).await;
    assert_eq!(changed.expect("an answer")[&topic], Ok(()));
    let read = || async {
        let options = DescribeConfigsOptions {
            include_synonyms: true,
            include_documentation: false,
        };
        let mut described = admin
            .describe_configs_with([topic.clone()], options)
            .await
            .expect("an answer");
        described
            .remove(&topic)
            .expect("it was asked for")
            .expect("it is there")
    };
    // A real broker learns of a change from its controller, a little later.
    let read_when = async |retention: &str| {
        loop {
            let settings = read().await;
            if settings["retention.ms"].value.as_deref() == Some(retention) {
                return settings;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let within = Duration::from_secs(20);
    let settings = tokio::time::timeout(within, read_when("123456"))
        .await
        .expect("it is set");
    let retention = &settings["retention.ms"];
    assert_eq!(retention.value.as_deref(), Some("123456"));
    assert_eq!(
        (retention.source, retention.config_type, retention.is_default()),
        (ConfigSource::DynamicTopicConfig, ConfigType::Long, false)
    );
    assert_eq!(
        (&*retention.synonyms[0].name, retention.synonyms[0].source),
        ("retention.ms", ConfigSource::DynamicTopicConfig)
    );
    assert_eq!(
        settings["cleanup.policy"].value.as_deref(),
        Some("delete,compact")
    );
    assert!(settings["segment.ms"].is_default());
    let reset = vec![AlterConfigOp::delete("retention.ms")];
    let changed = admin.incremental_alter_configs([(topic.clone(), reset)]).await;
    assert_eq!(changed.expect("an answer")[&topic], Ok(()));
    let settings = tokio::time::timeout(within, read_when("604800000"))
        .await
        .expect("it is reset");
    assert_eq!(
        settings["cleanup.policy"].value.as_deref(),
        Some("delete,compact")
    );
}

// Kafka: ConfigAdminManager.preprocess, ControllerConfigurationValidator
#[tokio::test]
async fn changes_of_settings_have_a_result_for_each_resource() {
    let topic = ConfigResource::topic(new_topic(1).await);
    let missing = ConfigResource::topic(unique("missing"));
    let wrong = vec![AlterConfigOp::set("retention.ms", "soon")];
    let right = vec![AlterConfigOp::set("retention.ms", "1000")];
    let admin = admin();
    let results = admin
        .incremental_alter_configs([(topic.clone(), wrong), (missing.clone(), right)])
        .await
        .expect("an answer");
    assert_eq!(code(&results[&topic]), ErrorCode::InvalidConfig);
    assert_eq!(code(&results[&missing]), ErrorCode::UnknownTopicOrPartition);
    let described = admin
        .describe_configs([topic.clone(), missing.clone()])
        .await
        .expect("an answer");
    assert!(
        described[&topic]
            .as_ref()
            .is_ok_and(|it| it["retention.ms"].value.as_deref() == Some("-1"))
    );
    assert_eq!(code(&described[&missing]), ErrorCode::UnknownTopicOrPartition);
}

// Kafka: ConfigHelper.describeConfigs: a broker tells its own settings
#[tokio::test]
async fn a_brokers_settings_are_told_by_itself() {
    let admin = admin();
    let described = admin.describe_cluster().await.expect("an answer");
    let broker = ConfigResource::broker(described.brokers.first().expect("a broker").id);
    let mut settings = admin.describe_configs([broker.clone()]).await.expect("an answer");
    let settings = settings
        .remove(&broker)
        .expect("it was asked for")
        .expect("it is there");
    let id = &settings["num.partitions"];
    assert_eq!((id.config_type, id.is_sensitive), (ConfigType::Int, false));
}

// Kafka: KafkaApis.handleDeleteRecordsRequest, Partition.deleteRecordsOnLeader (KIP-107)
#[tokio::test]
async fn records_are_deleted_up_to_an_offset_or_all_of_them() {
    let topic = new_topic(2).await;
    write(&topic, 0, 0..10).await;
    write(&topic, 1, 0..10).await;
    let (first, second) = (TopicPartition::new(&*topic, 0), TopicPartition::new(&*topic, 1));
    let admin = admin();
    let wanted = [
        (first.clone(), RecordsToDelete::Before(4)),
        (second.clone(), RecordsToDelete::All),
    ];
    let deleted = admin.delete_records(wanted).await.expect("an answer");
    assert_eq!((&deleted[&first], &deleted[&second]), (&Ok(4), &Ok(10)));
    assert_eq!(
        offsets(&read(&mut standalone(&topic, 0..1), 6).await),
        [4, 5, 6, 7, 8, 9]
    );
    let past = admin
        .delete_records([(first.clone(), RecordsToDelete::Before(11))])
        .await
        .expect("an answer");
    assert_eq!(code(&past[&first]), ErrorCode::OffsetOutOfRange);
}

// Kafka: GroupCoordinatorService.deleteOffsets (KIP-496)
#[tokio::test]
async fn committed_offsets_are_forgotten_unless_a_member_is_subscribed() {
    let (topic, other) = (new_topic(1).await, new_topic(1).await);
    let group = committing(&topic, 1).await;
    let admin = admin();
    let mut members = [member(&group, &other)];
    settle(&mut members, |shares| shares[0] == [0]).await;
    members[0].commit_sync().await.expect("it is written");
    let (forgotten, kept) = (TopicPartition::new(&*topic, 0), TopicPartition::new(&*other, 0));
    let results = admin
        .delete_group_offsets(&*group, [forgotten.clone(), kept.clone()])
        .await
        .expect("an answer");
    assert_eq!(results[&forgotten], Ok(()));
    assert_eq!(code(&results[&kept]), ErrorCode::GroupSubscribedToTopic);
    assert_eq!(committed(&group, &topic, 0).await, None);
    let [member] = members;
    member.close(SOON).await.expect("it closes");
}

// Kafka: GroupCoordinatorService.deleteOffsets, deleteGroups: GROUP_ID_NOT_FOUND
#[tokio::test]
async fn a_group_that_is_not_there_is_a_typed_error() {
    let topic = new_topic(1).await;
    // Its coordinator is there once another group was asked for.
    let _ready = committing(&topic, 1).await;
    let group = unique("nobody");
    let admin = admin();
    let partition = TopicPartition::new(&*topic, 0);
    let deleted = admin.delete_group_offsets(&*group, [partition.clone()]).await;
    assert_eq!(
        code(&deleted.expect("an answer")[&partition]),
        ErrorCode::GroupIdNotFound
    );
    let deleted = admin.delete_groups([&*group]).await.expect("an answer");
    assert_eq!(code(&deleted[&*group]), ErrorCode::GroupIdNotFound);
    let described = admin.describe_groups([&*group]).await.expect("an answer");
    assert_eq!(code(&described[&*group]), ErrorCode::GroupIdNotFound);
}

// Kafka: GroupCoordinatorService.deleteGroups, commitOffset of a group without members
#[tokio::test]
async fn a_group_is_deleted_and_its_offsets_altered_only_without_members() {
    let topic = new_topic(1).await;
    let group = committing(&topic, 1).await;
    let admin = admin();
    let mut members = [member(&group, &topic)];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let deleted = admin.delete_groups([&*group]).await.expect("an answer");
    assert_eq!(code(&deleted[&*group]), ErrorCode::NonEmptyGroup);
    let partition = TopicPartition::new(&*topic, 0);
    let offset = BTreeMap::from([(partition.clone(), OffsetAndMetadata::new(1))]);
    let altered = admin
        .alter_group_offsets(&*group, offset)
        .await
        .expect("an answer");
    assert_eq!(code(&altered[&partition]), ErrorCode::UnknownMemberId);
    let [member] = members;
    member.close(SOON).await.expect("it closes");
    assert_eq!(
        admin.delete_groups([&*group]).await.expect("an answer")[&*group],
        Ok(())
    );
    assert_eq!(committed(&group, &topic, 0).await, None);
}

// Kafka: GroupCoordinatorService.listGroups (KIP-518, KIP-848)
#[tokio::test]
async fn groups_are_listed_by_state_and_type() {
    let topic = new_topic(1).await;
    let empty = committing(&topic, 1).await;
    let stable = unique("group");
    let mut members = [member(&stable, &topic)];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let admin = admin();
    let listed = |options: ListGroupsOptions| {
        let (admin, ours) = (admin.clone(), [empty.clone(), stable.clone()]);
        async move {
            let groups = admin.list_groups_with(options).await.expect("an answer");
            let groups = groups
                .into_iter()
                .filter(|group| ours.iter().any(|it| **it == *group.id));
            groups
                .map(|it| (it.id.to_string(), it.state))
                .collect::<BTreeMap<_, _>>()
        }
    };
    let of = |group: &String, state: &str| BTreeMap::from([(group.clone(), state.to_owned())]);
    let states = |state: &str| ListGroupsOptions {
        states: vec![state.to_owned()],
        ..Default::default()
    };
    let types = |of: &str| ListGroupsOptions {
        types: vec![of.to_owned()],
        ..Default::default()
    };
    assert_eq!(listed(states("Empty")).await, of(&empty, "Empty"));
    assert_eq!(listed(states("Stable")).await, of(&stable, "Stable"));
    assert_eq!(listed(types("classic")).await.len(), 2);
    assert_eq!(listed(types("share")).await.len(), 0);
    let consumers = ListGroupsOptions {
        protocol_types: vec!["consumer".to_owned()],
        ..Default::default()
    };
    assert_eq!(listed(consumers).await, of(&stable, "Stable"));
    let [member] = members;
    member.close(SOON).await.expect("it closes");
}

// Kafka: GroupMetadataManager.describeGroups
#[tokio::test]
async fn a_group_is_described_with_its_members() {
    let topic = new_topic(2).await;
    let group = unique("group");
    let settings = of_group(&group)
        .client_id("described")
        .group_instance_id("instance");
    let mut reader = built(settings);
    reader.subscribe([&*topic]).expect("a topic");
    let mut members = [reader];
    settle(&mut members, |shares| shares[0].len() == 2).await;
    let admin = admin();
    let mut described = admin.describe_groups([&*group]).await.expect("an answer");
    let described = described
        .remove(&*group)
        .expect("it was asked for")
        .expect("it is there");
    assert_eq!(
        (&*described.state, &*described.protocol_type, &*described.assignor),
        ("Stable", "consumer", "range")
    );
    let brokers = admin.describe_cluster().await.expect("an answer").brokers;
    assert!(
        brokers
            .iter()
            .any(|broker| Some(broker.id) == described.coordinator)
    );
    let [member] = &described.members[..] else {
        panic!("{described:?}");
    };
    assert!(member.id.starts_with("instance-"), "{}", member.id);
    assert_eq!(member.group_instance_id.as_deref(), Some("instance"));
    assert_eq!((&*member.client_id, &*member.host), ("described", "/127.0.0.1"));
    assert_eq!(member.assigned, partitions(&topic, 0..2));
}

// Kafka: GroupMetadataManager.classicGroupLeave (KIP-345): a static member is removed by its instance id
#[tokio::test]
async fn a_static_member_is_removed_by_its_instance_id() {
    let topic = new_topic(1).await;
    let group = unique("group");
    let mut reader = built(of_group(&group).group_instance_id("instance"));
    reader.subscribe([&*topic]).expect("a topic");
    let mut members = [reader];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let [member] = members;
    // A static member does not leave when it closes (KIP-345).
    member.close(SOON).await.expect("it closes");
    let admin = admin();
    let state = || async {
        let described = admin.describe_groups([&*group]).await.expect("an answer");
        described[&*group].as_ref().expect("it is there").state.clone()
    };
    assert_eq!(state().await, "Stable");
    let removed = admin
        .remove_members_from_group(&*group, ["instance", "stranger"], Some("the test is done"))
        .await
        .expect("an answer");
    assert_eq!(removed["instance"], Ok(()));
    assert_eq!(code(&removed["stranger"]), ErrorCode::UnknownMemberId);
    soon("an empty group", async {
        while state().await != "Empty" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
