//! `kohort topics`: create, list, describe, alter and delete.

mod settings;

use std::io::Write;
use std::sync::Arc;

use kohort::TopicPartition;
use kohort::admin::{Admin, NewTopic, OffsetSpec, Results, Topic};

use super::{admin, each};
use crate::args::{ClusterArgs, TopicsCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// Runs one of the commands.
pub(crate) async fn run(command: TopicsCommand) -> Result<(), Failure> {
    match command {
        TopicsCommand::Create {
            cluster,
            name,
            partitions,
            replication_factor,
            configs,
        } => {
            create(
                &cluster,
                NewTopic {
                    partitions,
                    replication_factor,
                    configs: configs.into_iter().collect(),
                    ..NewTopic::new(name)
                },
            )
            .await
        }
        TopicsCommand::List { cluster } => list(&cluster).await,
        TopicsCommand::Describe { cluster, names } => describe(&cluster, names).await,
        TopicsCommand::Configs(args) => settings::show(args).await,
        TopicsCommand::Alter(args) => settings::alter(args).await,
        TopicsCommand::Delete { cluster, names } => delete(&cluster, names).await,
    }
}

async fn create(cluster: &ClusterArgs, topic: NewTopic) -> Result<(), Failure> {
    let admin = admin(cluster).await?;
    let created = admin
        .create_topics([topic])
        .await
        .map_err(|error| Failure::because("creating", &error))?;
    each("cannot create", created, |name, created| {
        let partitions = created
            .partitions
            .map_or_else(String::new, |count| format!(" with {count} partitions"));
        anstream::eprintln!("kohort: created {name}{partitions}");
    })
}

async fn list(cluster: &ClusterArgs) -> Result<(), Failure> {
    let admin = admin(cluster).await?;
    let topics = admin
        .list_topics(false)
        .await
        .map_err(|error| Failure::because("listing", &error))?;
    Output::stdout().write(|out| {
        topics
            .iter()
            .try_for_each(|topic| writeln!(out, "{}", topic.name))
    })
}

async fn describe(cluster: &ClusterArgs, mut names: Vec<String>) -> Result<(), Failure> {
    let admin = admin(cluster).await?;
    if names.is_empty() {
        let listed = admin
            .list_topics(false)
            .await
            .map_err(|error| Failure::because("listing", &error))?;
        names = listed.iter().map(|topic| topic.name.to_string()).collect();
    }
    let described = admin
        .describe_topics(names)
        .await
        .map_err(|error| Failure::because("describing", &error))?;
    let mut topics = Vec::new();
    each("cannot describe", described, |_, topic| topics.push(topic))?;
    let table = table(&admin, &topics).await?;
    Output::stdout().write(|out| table.write(out, ""))
}

async fn table(admin: &Admin, topics: &[Topic]) -> Result<Table, Failure> {
    let partitions: Vec<TopicPartition> = topics
        .iter()
        .flat_map(|topic| {
            topic
                .partitions
                .keys()
                .map(|number| TopicPartition::new(Arc::clone(&topic.name), *number))
        })
        .collect();
    let ends = async |spec: OffsetSpec| {
        let asked = partitions.iter().map(|partition| (partition.clone(), spec));
        admin
            .list_offsets(asked)
            .await
            .map_err(|error| Failure::because("offsets", &error))
    };
    let (first, end) = (ends(OffsetSpec::Earliest).await?, ends(OffsetSpec::Latest).await?);
    let offset = |found: &Results<TopicPartition, Option<kohort::admin::FoundOffset>>,
                  partition: &TopicPartition| {
        match found.get(partition) {
            Some(Ok(Some(found))) => found.offset.to_string(),
            _ => "?".to_owned(),
        }
    };
    let mut table = Table::new(&[
        "topic",
        "partition",
        "leader",
        "replicas",
        "in sync",
        "first offset",
        "end offset",
    ]);
    for topic in topics {
        for (number, partition) in &topic.partitions {
            let at = TopicPartition::new(Arc::clone(&topic.name), *number);
            table.row(vec![
                topic.name.to_string(),
                number.to_string(),
                partition
                    .leader
                    .map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
                joined(&partition.replicas),
                joined(&partition.isr),
                offset(&first, &at),
                offset(&end, &at),
            ]);
        }
    }
    Ok(table)
}

fn joined(nodes: &[i32]) -> String {
    nodes.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

async fn delete(cluster: &ClusterArgs, names: Vec<String>) -> Result<(), Failure> {
    let admin = admin(cluster).await?;
    let deleted = admin
        .delete_topics(names)
        .await
        .map_err(|error| Failure::because("deleting", &error))?;
    each("cannot delete", deleted, |name, ()| {
        anstream::eprintln!("kohort: deleted {name}")
    })
}
