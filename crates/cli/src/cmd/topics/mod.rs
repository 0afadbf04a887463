//! `kohort topics`: create, list, describe, alter and delete.

mod delete_records;
mod describe;
mod settings;

use std::io::{self, Write};

use kohort::admin::NewTopic;
use serde::Serialize;

use super::{admin, each};
use crate::args::{ClusterArgs, TopicsCommand};
use crate::failure::Failure;
use crate::output::Output;

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
        TopicsCommand::List { cluster, json } => list(&cluster, json).await,
        TopicsCommand::Describe { cluster, json, names } => describe::run(&cluster, names, json).await,
        TopicsCommand::Configs(args) => settings::show(args).await,
        TopicsCommand::Alter(args) => settings::alter(args).await,
        TopicsCommand::DeleteRecords(args) => delete_records::run(args).await,
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

/// A topic as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    id: Option<String>,
}

async fn list(cluster: &ClusterArgs, json: bool) -> Result<(), Failure> {
    let admin = admin(cluster).await?;
    let topics = admin
        .list_topics(false)
        .await
        .map_err(|error| Failure::because("listing", &error))?;
    Output::stdout().write(|out| {
        topics.iter().try_for_each(|topic| match json {
            true => write_line(
                out,
                &Line {
                    topic: &topic.name,
                    id: topic.id.map(|id| id.to_string()),
                },
            ),
            false => writeln!(out, "{}", topic.name),
        })
    })
}

/// Writes a line of JSON.
fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    writeln!(out)
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
