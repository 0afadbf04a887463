//! The admin client: topics, groups, offsets.

use std::collections::BTreeMap;

use kohort::admin::{AdminError, ItemError, NewPartitions, NewTopic, OffsetSpec};
use kohort::{Admin, OffsetAndMetadata};
use kohort_broker::{Broker, ErrorCode};

use crate::support::{SOON, broker, consumer, fill, next_values, partition, transport};

fn admin(broker: &Broker) -> Admin {
    let builder = Admin::builder().bootstrap_servers(broker.bootstrap_servers());
    builder
        .transport(transport(broker))
        .build()
        .expect("valid settings")
}

#[tokio::test(start_paused = true)]
async fn topics_are_created_described_extended_and_deleted() {
    let broker = broker("t", 1).await;
    let admin = admin(&broker);
    let new = NewTopic {
        partitions: Some(2),
        ..NewTopic::new("new")
    };
    let created = admin
        .create_topics([new, NewTopic::new("t")])
        .await
        .expect("an answer");
    assert_eq!(created["new"].as_ref().map(|topic| topic.partitions), Ok(Some(2)));
    assert!(matches!(
        &created["t"],
        Err(ItemError::Refused {
            error: ErrorCode::TopicAlreadyExists,
            ..
        })
    ));
    let more = NewPartitions {
        topic: "new".into(),
        total: 5,
    };
    admin.create_partitions([more]).await.expect("an answer")["new"]
        .as_ref()
        .expect("it grows");
    let described = admin.describe_topics(["new"]).await.expect("an answer");
    assert_eq!(
        described["new"].as_ref().map(|topic| topic.partitions.len()),
        Ok(5)
    );
    let names = |topics: Vec<kohort::admin::TopicListing>| {
        topics.into_iter().map(|t| t.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        names(admin.list_topics(false).await.expect("an answer")),
        ["new", "t"]
    );
    admin.delete_topics(["new"]).await.expect("an answer")["new"]
        .as_ref()
        .expect("it goes");
    assert_eq!(names(admin.list_topics(false).await.expect("an answer")), ["t"]);
    assert_eq!(
        admin.describe_cluster().await.expect("an answer").brokers.len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn groups_are_listed_and_described_with_their_offsets() {
    let broker = broker("t", 1).await;
    fill(&broker, "t", 1, 0, 3).await;
    let admin = admin(&broker);
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    assert_eq!(next_values(&mut member).await.len(), 3);
    member.commit_sync().await.expect("it is written");
    let groups = admin.list_groups().await.expect("an answer");
    assert_eq!(
        groups
            .iter()
            .map(|group| (&*group.id, &*group.state))
            .collect::<Vec<_>>(),
        [("g", "Stable")]
    );
    let described = admin.describe_groups(["g"]).await.expect("an answer");
    let group = described["g"].as_ref().expect("it is there");
    assert_eq!((&*group.assignor, group.members.len()), ("range", 1));
    assert_eq!(group.members[0].assigned, [partition(0)]);
    let offsets = admin.list_group_offsets("g").await.expect("an answer");
    assert_eq!(
        offsets[&partition(0)]
            .as_ref()
            .map(|o| o.as_ref().map(|o| o.offset)),
        Ok(Some(3))
    );
    let ends = admin
        .list_offsets([(partition(0), OffsetSpec::Latest)])
        .await
        .expect("an answer");
    assert_eq!(
        ends[&partition(0)]
            .as_ref()
            .map(|found| found.map(|found| found.offset)),
        Ok(Some(3))
    );
    member.close(SOON).await.expect("it closes");
    let back = BTreeMap::from([(partition(0), OffsetAndMetadata::new(1))]);
    admin.alter_group_offsets("g", back).await.expect("an answer")[&partition(0)]
        .as_ref()
        .expect("no member is there");
    let mut member = consumer(&broker).group_id("g").build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    assert_eq!(next_values(&mut member).await, ["1", "2"]);
    member.close(SOON).await.expect("it closes");
    admin.delete_groups(["g"]).await.expect("an answer")["g"]
        .as_ref()
        .expect("no member is there");
    assert!(admin.list_groups().await.expect("an answer").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_cannot_be_reached_is_an_error_in_time() {
    let nowhere = kohort::transport::Transport::new(|_, _| {
        std::future::pending::<std::io::Result<tokio::io::DuplexStream>>()
    });
    let builder = Admin::builder()
        .bootstrap_servers("nowhere:1")
        .default_api_timeout_ms(3_000);
    let admin = builder.transport(nowhere).build().expect("valid settings");
    let start = tokio::time::Instant::now();
    let error = admin.list_topics(false).await.expect_err("nobody is there");
    assert!(
        matches!(error, AdminError::Failed(_)) && error.is_retriable(),
        "{error:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 3);
}
