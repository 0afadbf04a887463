//! All that `Admin` asks.

use std::collections::BTreeMap;

use kohort::admin::{
    AdminError, AlterConfigOp, ConfigResource, ItemError, NewPartitions, NewTopic, OffsetSpec,
    RecordsToDelete, Results,
};
use kohort::{OffsetAndMetadata, TopicPartition};
use kohort_broker::ErrorCode;

use super::*;

/// What looks: it is asked again, and answers.
pub(crate) const LOOKING: [ApiKey; 8] = [
    ApiKey::ApiVersions,
    ApiKey::Metadata,
    ApiKey::FindCoordinator,
    ApiKey::ListGroups,
    ApiKey::DescribeGroups,
    ApiKey::OffsetFetch,
    ApiKey::ListOffsets,
    ApiKey::DescribeConfigs,
];

/// What changes something, and the error when it was done the first time.
pub(crate) const CHANGING: [(ApiKey, Option<ErrorCode>); 9] = [
    (ApiKey::CreateTopics, Some(ErrorCode::TopicAlreadyExists)),
    (ApiKey::DeleteTopics, Some(ErrorCode::UnknownTopicOrPartition)),
    (ApiKey::CreatePartitions, Some(ErrorCode::InvalidPartitions)),
    (ApiKey::DeleteGroups, Some(ErrorCode::GroupIdNotFound)),
    (ApiKey::LeaveGroup, Some(ErrorCode::UnknownMemberId)),
    (ApiKey::OffsetCommit, None),
    (ApiKey::OffsetDelete, None),
    (ApiKey::DeleteRecords, None),
    (ApiKey::IncrementalAlterConfigs, None),
];

/// The topic, group or instance of one attempt.
fn named(attempt: i64) -> String {
    format!("number-{attempt}")
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// The first result of what was asked for one thing.
fn only<K, V>(results: Results<K, V>) -> Result<V, AdminError> {
    let (_, result) = results.into_iter().next().expect("a result of each");
    Ok(result?)
}

async fn commit(admin: &Admin, group: &str, offset: i64) -> Result<(), AdminError> {
    let offsets = BTreeMap::from([(partition(), OffsetAndMetadata::new(offset))]);
    only(admin.alter_group_offsets(group, offsets).await?)
}

async fn committed(admin: &Admin, group: &str) -> Result<Option<i64>, AdminError> {
    let offsets = admin.list_group_offsets(group).await?;
    let committed = offsets.into_iter().next().and_then(|(_, offset)| offset.ok()?);
    Ok(committed.map(|committed| committed.offset))
}

async fn retention(admin: &Admin) -> Result<Option<String>, AdminError> {
    let settings = only(admin.describe_configs([ConfigResource::topic("t")]).await?)?;
    Ok(settings.get("retention.ms").and_then(|it| it.value.clone()))
}

async fn offset(admin: &Admin, of: OffsetSpec) -> Result<Option<i64>, AdminError> {
    let found = only(admin.list_offsets([(partition(), of)]).await?)?;
    Ok(found.map(|found| found.offset))
}

/// Makes what an attempt needs.
pub(crate) async fn prepare(api: ApiKey, truth: &Admin, broker: &Broker, attempt: i64) {
    let name = named(attempt);
    match api {
        ApiKey::DeleteTopics | ApiKey::CreatePartitions => {
            let new = NewTopic {
                partitions: Some(1),
                ..NewTopic::new(&*name)
            };
            only(truth.create_topics([new]).await.expect("an answer")).expect("a new name");
        }
        ApiKey::DeleteGroups => commit(truth, &name, 1).await.expect("no member is there"),
        ApiKey::LeaveGroup => {
            let mut member = consumer(broker.bootstrap_servers(), honest(broker))
                .group_id("members")
                .group_instance_id(name)
                .enable_auto_commit(false)
                .build()
                .expect("valid settings");
            member.subscribe(["t"]).expect("a group");
            while member.poll(SECOND).await.expect("no error").is_empty() {}
            // A static member stays when it closes.
            member.close(60 * SECOND).await.expect("it closes");
        }
        _ => {
            commit(truth, "g", 1).await.expect("no member is there");
            commit(truth, "others", 1).await.expect("no member is there");
        }
    }
}

/// Does what needs the API, once; whether what it hears is the truth.
pub(crate) async fn ask(api: ApiKey, admin: &Admin, attempt: i64) -> Result<bool, AdminError> {
    let name = named(attempt);
    match api {
        ApiKey::ApiVersions | ApiKey::Metadata => {
            let topics = admin.list_topics(false).await?;
            return Ok(topics.len() == 1);
        }
        ApiKey::ListGroups => return Ok(admin.list_groups().await?.len() == 2),
        ApiKey::FindCoordinator | ApiKey::DescribeGroups => {
            let group = only(admin.describe_groups(["g"]).await?)?;
            return Ok(group.state == "Empty");
        }
        ApiKey::OffsetFetch => return Ok(committed(admin, "g").await? == Some(1)),
        ApiKey::ListOffsets => return Ok(offset(admin, OffsetSpec::Latest).await? == Some(20)),
        ApiKey::DescribeConfigs => return Ok(retention(admin).await?.is_some()),
        ApiKey::CreateTopics => {
            only(admin.create_topics([NewTopic::new(&*name)]).await?)?;
        }
        ApiKey::DeleteTopics => only(admin.delete_topics([&*name]).await?)?,
        ApiKey::CreatePartitions => {
            let more = NewPartitions {
                topic: name.into(),
                total: 3,
            };
            only(admin.create_partitions([more]).await?)?;
        }
        ApiKey::DeleteGroups => only(admin.delete_groups([&*name]).await?)?,
        ApiKey::LeaveGroup => {
            let removed = admin.remove_members_from_group("members", [&*name], Some("enough"));
            only(removed.await?)?;
        }
        ApiKey::OffsetCommit => commit(admin, "g", attempt).await?,
        ApiKey::OffsetDelete => only(admin.delete_group_offsets("g", [partition()]).await?)?,
        ApiKey::DeleteRecords => {
            let before = RecordsToDelete::Before(attempt.min(20));
            only(admin.delete_records([(partition(), before)]).await?)?;
        }
        ApiKey::IncrementalAlterConfigs => {
            let set = AlterConfigOp::set("retention.ms", &*(1_000_000 + attempt).to_string());
            only(
                admin
                    .incremental_alter_configs([(ConfigResource::topic("t"), vec![set])])
                    .await?,
            )?;
        }
        _ => panic!("Admin does not ask {api}"),
    }
    Ok(true)
}

/// Does what needs the API, once, and is told the truth.
pub(crate) async fn attempt(api: ApiKey, admin: &Admin, attempt: i64) -> Result<(), AdminError> {
    assert!(ask(api, admin, attempt).await?, "{api}");
    Ok(())
}

/// Whether the change is there.
pub(crate) async fn is_done(api: ApiKey, truth: &Admin, attempt: i64) -> Result<bool, AdminError> {
    let name = named(attempt);
    let has_topic = async || -> Result<bool, AdminError> {
        let topics = truth.list_topics(false).await?;
        Ok(topics.iter().any(|topic| *topic.name == *name))
    };
    let has_group = async |group: &str| -> Result<bool, AdminError> {
        let groups = truth.list_groups().await?;
        Ok(groups.iter().any(|listed| *listed.id == *group))
    };
    Ok(match api {
        ApiKey::CreateTopics => has_topic().await?,
        ApiKey::DeleteTopics => !has_topic().await?,
        ApiKey::CreatePartitions => {
            let topic = only(truth.describe_topics([&*name]).await?)?;
            topic.partitions.len() == 3
        }
        ApiKey::DeleteGroups => !has_group(&name).await?,
        ApiKey::LeaveGroup => {
            let group = only(truth.describe_groups(["members"]).await?)?;
            group.members.is_empty()
        }
        ApiKey::OffsetCommit => committed(truth, "g").await? == Some(attempt),
        ApiKey::OffsetDelete => committed(truth, "g").await?.is_none(),
        ApiKey::DeleteRecords => offset(truth, OffsetSpec::Earliest).await? == Some(attempt.min(20)),
        ApiKey::IncrementalAlterConfigs => retention(truth).await? == Some((1_000_000 + attempt).to_string()),
        _ => true,
    })
}

/// Makes attempt after attempt, each with an answer cut at the next byte. `done_before` is how a change that was done is refused
/// when it is asked for again.
async fn cut_all(api: ApiKey, done_before: Option<ErrorCode>) {
    let broker = broker().await;
    let truth = admin(&broker, honest(&broker));
    let cutter = Cutter::new(api);
    prepare(api, &truth, &broker, 1).await;
    let looking = admin(&broker, cutter.transport(&broker));
    attempt(api, &looking, 1).await.expect("the truth");
    for (number, (what, wire)) in (2..).zip(cutter.ways()) {
        prepare(api, &truth, &broker, number).await;
        cutter.arm(wire);
        let admin = admin(&broker, cutter.transport(&broker));
        let result = timeout(120 * SECOND, attempt(api, &admin, number))
            .await
            .expect(&what);
        assert!(cutter.was_asked_again(), "{what}");
        match result {
            Ok(()) => assert_eq!(done_before, None, "{what}: it was done before"),
            Err(AdminError::Failed(ItemError::Refused { error, .. })) => {
                assert_eq!(Some(error), done_before, "{what}");
            }
            // It may be there later.
            Err(AdminError::Failed(ItemError::TimedOut { last: Some(last), .. })) => {
                assert_eq!(
                    done_before,
                    Some(ErrorCode::UnknownTopicOrPartition),
                    "{what}: {last}"
                );
            }
            Err(error) => panic!("{what}: {error}"),
        }
        assert!(is_done(api, &truth, number).await.expect("an answer"), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_at_any_byte_is_asked_for_again_by_an_administrator_that_looks() {
    for api in LOOKING {
        cut_all(api, None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_at_any_byte_is_asked_for_again_by_an_administrator_that_changes() {
    for (api, done_before) in CHANGING {
        cut_all(api, done_before).await;
    }
}
