//! Calls of the admin client that are dropped anywhere: each that asks, each that changes something.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use kohort::admin::{
    AdminError, AlterConfigOp, ConfigResource, DescribeConfigsOptions, ItemError, ListGroupsOptions,
    NewPartitions, NewTopic, OffsetSpec, RecordsToDelete, Results,
};
use kohort::{Admin, OffsetAndMetadata};
use kohort_broker::Broker;

use super::{everywhere, filled};
use crate::support::{SOON, consumer, fill, next_values, partition, transport};

const SECOND: Duration = Duration::from_secs(1);

fn admin(broker: &Broker) -> Admin {
    let builder = Admin::builder().bootstrap_servers(broker.bootstrap_servers());
    let builder = builder.transport(transport(broker));
    builder.build().expect("valid settings")
}

/// The result for the one thing that was asked about.
fn only<K: Ord, T>(results: Results<K, T>) -> Result<T, AdminError> {
    let result = results.into_values().next().expect("it was asked for");
    Ok(result?)
}

/// Commits an offset for partition 0 of `t`.
async fn commit(admin: &Admin, group: &str, offset: i64) -> Result<(), AdminError> {
    let offsets = BTreeMap::from([(partition(0), OffsetAndMetadata::new(offset))]);
    only(admin.alter_group_offsets(group, offsets).await?)
}

fn new_topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        partitions: Some(partitions),
        ..NewTopic::new(name)
    }
}

fn t() -> ConfigResource {
    ConfigResource::topic("t")
}

/// A question that is dropped anywhere has its answer when it is asked again.
async fn a_question<T: Debug + PartialEq>(ask: impl AsyncFn(&Admin) -> Result<T, AdminError>, expected: T) {
    let (ask, expected) = (&ask, &expected);
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        commit(&admin(&broker), "g", 3).await.expect("no member is there");
        let admin = admin(&broker);
        let is_done = cut.run(ask(&admin)).await.is_some();
        assert_eq!(ask(&admin).await.as_ref(), Ok(expected), "{cut:?}");
        is_done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn questions_of_the_admin_client_for_the_cluster_and_its_topics_can_be_dropped_anywhere() {
    a_question(
        async |admin: &Admin| Ok(admin.describe_cluster().await?.brokers.len()),
        1,
    )
    .await;
    a_question(
        async |admin: &Admin| {
            let topics = admin.list_topics(false).await?;
            Ok(topics.iter().map(|topic| topic.name.to_string()).collect())
        },
        vec!["t".to_owned()],
    )
    .await;
    a_question(
        async |admin: &Admin| Ok(only(admin.describe_topics(["t"]).await?)?.partitions.len()),
        1,
    )
    .await;
    a_question(
        async |admin: &Admin| {
            let found = only(admin.list_offsets([(partition(0), OffsetSpec::Latest)]).await?)?;
            Ok(found.map(|found| found.offset))
        },
        Some(4),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn questions_of_the_admin_client_for_settings_can_be_dropped_anywhere() {
    a_question(
        async |admin: &Admin| {
            let settings = only(admin.describe_configs([t()]).await?)?;
            Ok(settings["cleanup.policy"].value.clone())
        },
        Some("delete".to_owned()),
    )
    .await;
    a_question(
        async |admin: &Admin| {
            let options = DescribeConfigsOptions {
                include_synonyms: true,
                include_documentation: true,
            };
            let settings = only(admin.describe_configs_with([t()], options).await?)?;
            Ok(settings["cleanup.policy"].value.clone())
        },
        Some("delete".to_owned()),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn questions_of_the_admin_client_for_groups_can_be_dropped_anywhere() {
    a_question(
        async |admin: &Admin| {
            let groups = admin.list_groups().await?;
            Ok(groups.iter().map(|group| group.id.to_string()).collect())
        },
        vec!["g".to_owned()],
    )
    .await;
    a_question(
        async |admin: &Admin| {
            let stable = ListGroupsOptions {
                states: vec!["Stable".to_owned()],
                ..Default::default()
            };
            Ok(admin.list_groups_with(stable).await?.len())
        },
        0,
    )
    .await;
    a_question(
        async |admin: &Admin| Ok(only(admin.describe_groups(["g"]).await?)?.state),
        "Empty".to_owned(),
    )
    .await;
    a_question(
        async |admin: &Admin| {
            let committed = only(admin.list_group_offsets("g").await?)?;
            Ok(committed.map(|committed| committed.offset))
        },
        Some(3),
    )
    .await;
}

/// A change that is dropped anywhere is there soon or not at all. It comes neither later nor a second time: what somebody else
/// has put back stays as it is. Given again it is done.
async fn a_change(
    put: impl AsyncFn(&Broker, &Admin),
    change: impl AsyncFn(&Admin) -> Result<(), AdminError>,
    look: impl AsyncFn(&Admin) -> Result<i64, AdminError>,
    [before, after]: [i64; 2],
) {
    let (put, change, look) = (&put, &change, &look);
    everywhere(|cut| async move {
        let broker = filled(1, 4).await;
        let (other, admin) = (admin(&broker), admin(&broker));
        put(&broker, &other).await;
        assert_eq!(look(&other).await, Ok(before));
        let is_done = match cut.run(change(&admin)).await {
            Some(changed) => {
                changed.expect("nothing is in the way");
                true
            }
            None => false,
        };
        tokio::time::sleep(SECOND).await;
        let seen = look(&other).await.expect("an answer");
        assert!(
            seen == after || (!is_done && seen == before),
            "{cut:?}: {seen} is neither {before} nor {after}"
        );
        put(&broker, &other).await;
        tokio::time::sleep(100 * SECOND).await;
        assert_eq!(look(&other).await, Ok(before), "{cut:?}: it was done again");
        change(&admin).await.expect("nothing is in the way");
        assert_eq!(look(&other).await, Ok(after), "{cut:?}");
        is_done
    })
    .await;
}

/// How many partitions `new` has; 0 when there is none.
async fn partitions_of_new(admin: &Admin) -> Result<i64, AdminError> {
    let topics = admin.list_topics(false).await?;
    if !topics.iter().any(|topic| &*topic.name == "new") {
        return Ok(0);
    }
    let described = only(admin.describe_topics(["new"]).await?)?;
    Ok(i64::try_from(described.partitions.len()).expect("few"))
}

/// Makes `new` anew, with so many partitions, or removes it.
async fn put_new(admin: &Admin, partitions: i32) {
    match only(admin.delete_topics(["new"]).await.expect("an answer")) {
        Ok(()) | Err(AdminError::Failed(ItemError::Refused { .. } | ItemError::TimedOut { .. })) => {}
        Err(error) => panic!("{error}"),
    }
    if partitions > 0 {
        let new = new_topic("new", partitions);
        only(admin.create_topics([new]).await.expect("an answer")).expect("it is not there");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_admin_client_was_to_change_of_topics_when_its_call_was_dropped_is_changed_once_or_not() {
    a_change(
        async |_: &Broker, admin: &Admin| put_new(admin, 0).await,
        async |admin: &Admin| only(admin.create_topics([new_topic("new", 2)]).await?).map(drop),
        partitions_of_new,
        [0, 2],
    )
    .await;
    a_change(
        async |_: &Broker, admin: &Admin| put_new(admin, 2).await,
        async |admin: &Admin| only(admin.delete_topics(["new"]).await?),
        partitions_of_new,
        [2, 0],
    )
    .await;
    a_change(
        async |_: &Broker, admin: &Admin| put_new(admin, 2).await,
        async |admin: &Admin| {
            let more = NewPartitions {
                topic: "new".into(),
                total: 5,
            };
            only(admin.create_partitions([more]).await?)
        },
        partitions_of_new,
        [2, 5],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn records_that_the_admin_client_was_to_delete_when_its_call_was_dropped_are_deleted_or_not() {
    a_change(
        async |broker: &Broker, admin: &Admin| {
            only(admin.delete_topics(["t"]).await.expect("an answer")).expect("it is there");
            let new = new_topic("t", 1);
            only(admin.create_topics([new]).await.expect("an answer")).expect("it is gone");
            fill(broker, "t", 1, 0, 4).await;
        },
        async |admin: &Admin| {
            let deleted = admin.delete_records([(partition(0), RecordsToDelete::Before(3))]);
            only(deleted.await?).map(drop)
        },
        async |admin: &Admin| {
            let found = only(admin.list_offsets([(partition(0), OffsetSpec::Earliest)]).await?)?;
            Ok(found.expect("it has a beginning").offset)
        },
        [0, 3],
    )
    .await;
}

async fn set(admin: &Admin, value: &str) -> Result<(), AdminError> {
    let set = vec![AlterConfigOp::set("retention.ms", value)];
    only(admin.incremental_alter_configs([(t(), set)]).await?)
}

#[tokio::test(start_paused = true)]
async fn settings_that_the_admin_client_was_to_change_when_its_call_was_dropped_are_changed_once_or_not() {
    a_change(
        async |_: &Broker, admin: &Admin| set(admin, "1000000").await.expect("it is valid"),
        async |admin: &Admin| set(admin, "2000000").await,
        async |admin: &Admin| {
            let settings = only(admin.describe_configs([t()]).await?)?;
            let value = settings["retention.ms"]
                .value
                .as_deref()
                .expect("it is no secret");
            Ok(value.parse().expect("a number"))
        },
        [1_000_000, 2_000_000],
    )
    .await;
}

/// What `g` has committed for partition 0 of `t`; −1 when there is nothing.
async fn committed(admin: &Admin) -> Result<i64, AdminError> {
    let offsets = admin.list_group_offsets("g").await?;
    let committed = offsets.into_values().next().and_then(|offset| offset.ok()?);
    Ok(committed.map_or(-1, |committed| committed.offset))
}

async fn put_offset(_: &Broker, admin: &Admin) {
    commit(admin, "g", 1).await.expect("no member is there");
}

#[tokio::test(start_paused = true)]
async fn offsets_that_the_admin_client_was_to_change_when_its_call_was_dropped_are_changed_once_or_not() {
    a_change(
        put_offset,
        async |admin: &Admin| commit(admin, "g", 2).await,
        committed,
        [1, 2],
    )
    .await;
    a_change(
        put_offset,
        async |admin: &Admin| only(admin.delete_group_offsets("g", [partition(0)]).await?),
        committed,
        [1, -1],
    )
    .await;
    a_change(
        put_offset,
        async |admin: &Admin| only(admin.delete_groups(["g"]).await?),
        committed,
        [1, -1],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_the_admin_client_was_to_remove_when_its_call_was_dropped_is_removed_or_not() {
    a_change(
        async |broker: &Broker, _: &Admin| {
            let builder = consumer(broker).group_id("members").group_instance_id("first");
            // A static member stays when it closes, for longer than this takes.
            let builder = builder.enable_auto_commit(false).session_timeout_ms(300_000);
            let mut member = builder.build().expect("valid settings");
            member.subscribe(["t"]).expect("a group");
            assert_eq!(next_values(&mut member).await.len(), 4);
            member.close(SOON).await.expect("it closes");
        },
        async |admin: &Admin| {
            let removed = admin.remove_members_from_group("members", ["first"], Some("enough"));
            only(removed.await?)
        },
        async |admin: &Admin| {
            let group = only(admin.describe_groups(["members"]).await?)?;
            Ok(i64::try_from(group.members.len()).expect("few"))
        },
        [1, 0],
    )
    .await;
}
