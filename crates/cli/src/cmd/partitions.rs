//! The partitions that a command line names, and their offsets.

use std::collections::{BTreeMap, BTreeSet};

use kohort::TopicPartition;
use kohort::admin::{Admin, OffsetSpec};

use super::groups::target::TopicScope;
use crate::failure::Failure;

/// The partitions of these topics, of which all must be there.
pub(crate) async fn partitions_of(
    admin: &Admin,
    scopes: &[TopicScope],
) -> Result<BTreeSet<TopicPartition>, Failure> {
    let topics: BTreeSet<&str> = scopes.iter().map(|scope| scope.topic.as_str()).collect();
    let described = admin
        .describe_topics(topics)
        .await
        .map_err(|error| Failure::because("topics", &error))?;
    let mut partitions = BTreeSet::new();
    for scope in scopes {
        let name = scope.topic.as_str();
        let topic = match described.get(name) {
            Some(Ok(topic)) => topic,
            Some(Err(error)) => return Err(Failure::because(format!("topic {name}"), error)),
            None => return Err(Failure::Failed(format!("there is no topic {name}"))),
        };
        if let Some(unknown) = scope
            .partitions
            .iter()
            .find(|number| !topic.partitions.contains_key(number))
        {
            return Err(Failure::Failed(format!("{name} has no partition {unknown}")));
        }
        let named = |number: &&i32| scope.partitions.is_empty() || scope.partitions.contains(number);
        partitions.extend(
            topic
                .partitions
                .keys()
                .filter(named)
                .map(|number| TopicPartition::new(name, *number)),
        );
    }
    Ok(partitions)
}

/// An offset of each partition; `None` where no record has such a time.
pub(crate) async fn find(
    admin: &Admin,
    partitions: &BTreeSet<TopicPartition>,
    spec: OffsetSpec,
) -> Result<BTreeMap<TopicPartition, Option<i64>>, Failure> {
    let found = admin
        .list_offsets(partitions.iter().map(|partition| (partition.clone(), spec)))
        .await
        .map_err(|error| Failure::because("offsets", &error))?;
    found
        .into_iter()
        .map(|(partition, found)| match found {
            Ok(found) => Ok((partition, found.map(|found| found.offset))),
            Err(error) => Err(Failure::because(format!("offsets of {partition}"), &error)),
        })
        .collect()
}
