//! `kohort topics describe`: the partitions of topics, their leaders, replicas and offsets, as a table or as lines of JSON.

use std::sync::Arc;

use kohort::TopicPartition;
use kohort::admin::{Admin, FoundOffset, OffsetSpec, Results, Topic};
use serde::Serialize;

use super::write_line;
use crate::args::ClusterArgs;
use crate::cmd::{admin, each};
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// A topic.
#[derive(Serialize)]
struct Described<'a> {
    topic: &'a str,
    id: Option<String>,
    internal: bool,
    partitions: Vec<Partition<'a>>,
}

#[derive(Serialize)]
struct Partition<'a> {
    partition: i32,
    leader: Option<i32>,
    replicas: &'a [i32],
    in_sync: &'a [i32],
    /// The first offset that is there, if the leader says it.
    first: Option<i64>,
    /// The offset after the last record, if the leader says it.
    end: Option<i64>,
}

/// Describes these topics, or all.
pub(super) async fn run(cluster: &ClusterArgs, mut names: Vec<String>, json: bool) -> Result<(), Failure> {
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
    let (first, end) = (
        offsets(&admin, &topics, OffsetSpec::Earliest).await?,
        offsets(&admin, &topics, OffsetSpec::Latest).await?,
    );
    let described: Vec<Described<'_>> = topics.iter().map(|topic| describe(topic, &first, &end)).collect();
    Output::stdout().write(|out| match json {
        true => described.iter().try_for_each(|topic| write_line(out, topic)),
        false => table(&described).write(out, ""),
    })
}

type Offsets = Results<TopicPartition, Option<FoundOffset>>;

async fn offsets(admin: &Admin, topics: &[Topic], spec: OffsetSpec) -> Result<Offsets, Failure> {
    let asked = topics.iter().flat_map(|topic| {
        let numbers = topic.partitions.keys();
        numbers.map(move |number| (TopicPartition::new(Arc::clone(&topic.name), *number), spec))
    });
    admin
        .list_offsets(asked.collect::<Vec<_>>())
        .await
        .map_err(|error| Failure::because("offsets", &error))
}

fn describe<'a>(topic: &'a Topic, first: &Offsets, end: &Offsets) -> Described<'a> {
    let partitions = topic.partitions.iter().map(|(number, partition)| {
        let at = TopicPartition::new(Arc::clone(&topic.name), *number);
        let offset = |of: &Offsets| match of.get(&at) {
            Some(Ok(Some(found))) => Some(found.offset),
            _ => None,
        };
        Partition {
            partition: *number,
            leader: partition.leader,
            replicas: &partition.replicas,
            in_sync: &partition.isr,
            first: offset(first),
            end: offset(end),
        }
    });
    Described {
        topic: &topic.name,
        id: topic.id.map(|id| id.to_string()),
        internal: topic.is_internal,
        partitions: partitions.collect(),
    }
}

fn table(topics: &[Described<'_>]) -> Table {
    let mut table = Table::new(&[
        "topic",
        "partition",
        "leader",
        "replicas",
        "in sync",
        "first offset",
        "end offset",
    ]);
    let offset = |offset: Option<i64>| offset.map_or_else(|| "?".to_owned(), |offset| offset.to_string());
    for topic in topics {
        for partition in &topic.partitions {
            table.row(vec![
                topic.topic.to_owned(),
                partition.partition.to_string(),
                partition
                    .leader
                    .map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
                joined(partition.replicas),
                joined(partition.in_sync),
                offset(partition.first),
                offset(partition.end),
            ]);
        }
    }
    table
}

fn joined(nodes: &[i32]) -> String {
    nodes.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}
