//! The rebalances of a group: when, why, who, what moved, how long. A broker of Kohort's writes a journal of them, which tells all;
//! of any broker the records of `__consumer_offsets` tell when and what moved, as far back as they were not compacted. Consumers tell
//! of themselves in files.

mod history;
mod journal;
mod members;
mod view;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kohort::{Consumer, TopicPartition};
use serde::{Deserialize, Serialize};

use crate::args::ClusterArgs;
use crate::failure::Failure;

pub(super) use members::told_by;
pub(super) use view::write;

/// How long one poll waits.
const POLL_TIMEOUT: Duration = Duration::from_millis(200);

/// Where what is known comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// The broker's journal.
    Journal,
    /// The group's records in `__consumer_offsets`.
    OffsetsTopic,
    /// The files of members.
    Members,
}

/// What is known of a group's rebalances.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Known {
    #[serde(rename = "rebalances_from")]
    source: Source,
    /// Oldest first.
    rebalances: Vec<Told>,
}

/// One rebalance; what is not known is `None` or empty. The fields are those of the journal's records.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    number: Option<u64>,
    began_ms: Option<i64>,
    cause: Option<Cause>,
    later_causes: Vec<Cause>,
    later_causes_unlisted: usize,
    generation_before: Option<i32>,
    generation: Option<i32>,
    assignor: Option<String>,
    leader: Option<String>,
    outcome: Option<String>,
    prepare_ms: Option<f64>,
    join_ms: Option<f64>,
    sync_ms: Option<f64>,
    /// Of members' files alone: from then until the last listener had taken what it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    take_ms: Option<f64>,
    members: Vec<Member>,
    #[serde(skip_serializing_if = "is_none")]
    members_unlisted: usize,
    departed_unlisted: usize,
    ownership_known: bool,
    /// Topic, partition and how many milliseconds.
    pauses: Vec<(String, i32, f64)>,
    unowned: ByTopic,
    partitions_unlisted: usize,
}

type ByTopic = BTreeMap<String, Vec<i32>>;

/// Usually all are listed.
fn is_none(unlisted: &usize) -> bool {
    *unlisted == 0
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Cause {
    name: String,
    members: Vec<Named>,
    #[serde(skip_serializing_if = "is_none")]
    members_unlisted: usize,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Named {
    member: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Member {
    #[serde(flatten)]
    named: Named,
    fate: Option<String>,
    joined_ms: Option<f64>,
    synced_ms: Option<f64>,
    /// These of members' files alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    giving_up_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    joining_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    syncing_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taking_ms: Option<f64>,
    kept: usize,
    gave_up: ByTopic,
    /// What of it others may have had by then.
    #[serde(skip_serializing_if = "ByTopic::is_empty")]
    lost: ByTopic,
    got: ByTopic,
}

/// The last `count` rebalances of each of the groups.
pub(super) async fn known(
    cluster: &ClusterArgs,
    groups: &[&str],
    count: usize,
) -> Result<BTreeMap<String, Known>, Failure> {
    let mut consumer = consumer(cluster)?;
    let known = ask(&mut consumer, groups, count).await;
    // It is in no group and commits nothing.
    let _ = consumer.close(Duration::ZERO).await;
    known
}

async fn ask(
    consumer: &mut BytesConsumer,
    groups: &[&str],
    count: usize,
) -> Result<BTreeMap<String, Known>, Failure> {
    if let Some(known) = journal::read(consumer, groups, count).await? {
        return Ok(known);
    }
    history::read(consumer, groups, count).await
}

type BytesConsumer = Consumer<Option<Bytes>, Option<Bytes>>;

fn consumer(cluster: &ClusterArgs) -> Result<BytesConsumer, Failure> {
    let mut builder = Consumer::builder()
        .set("bootstrap.servers", &cluster.bootstrap)
        .set("client.id", "kohort-cli")
        .set("allow.auto.create.topics", "false");
    for (key, value) in &cluster.properties {
        builder = builder.set(key, value);
    }
    // Also when the properties name a group.
    builder
        .set("enable.auto.commit", "false")
        .build()
        .map_err(|error| Failure::building("consumer", &error))
}

/// How many partitions a topic has; 0 when it is not there.
async fn partition_count(consumer: &mut BytesConsumer, topic: &str) -> Result<usize, Failure> {
    let known = consumer
        .partitions_for(topic)
        .await
        .map_err(|error| Failure::because(format!("partitions of {topic}"), &error))?;
    Ok(known.len())
}

/// Hands each record that the partition holds now to `each`.
async fn read_to_the_end(
    consumer: &mut BytesConsumer,
    topic: &str,
    partition: i32,
    mut each: impl FnMut(Bytes, Option<Bytes>),
) -> Result<(), Failure> {
    let failed =
        |error: &dyn std::error::Error| Failure::because(format!("reading {topic}-{partition}"), error);
    let partition = TopicPartition::new(topic, partition);
    consumer
        .assign([partition.clone()])
        .map_err(|error| failed(&error))?;
    consumer
        .seek_to_beginning([&partition])
        .map_err(|error| failed(&error))?;
    let ends = consumer
        .end_offsets([partition.clone()])
        .await
        .map_err(|error| failed(&error))?;
    let end = ends.get(&partition).copied().unwrap_or(0);
    while consumer
        .position(&partition)
        .await
        .map_err(|error| failed(&error))?
        < end
    {
        let records = consumer
            .poll(POLL_TIMEOUT)
            .await
            .map_err(|error| failed(&error))?;
        for record in records {
            if let Some(key) = record.key {
                each(key, record.value);
            }
        }
    }
    Ok(())
}

/// Keeps the last `count`.
fn keep_last(rebalances: &mut Vec<Told>, count: usize) {
    rebalances.drain(..rebalances.len().saturating_sub(count));
}
