//! `kohort groups`: which groups there are, who owns what, and how far behind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use kohort::TopicPartition;
use kohort::admin::{Admin, GroupDescription, GroupMember, OffsetSpec};

use super::admin;
use crate::args::{ClusterArgs, GroupsCommand};
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// Runs one of the commands.
pub(crate) async fn run(command: GroupsCommand) -> Result<(), Failure> {
    match command {
        GroupsCommand::List { cluster } => list(&cluster).await,
        GroupsCommand::Describe { cluster, group } => describe(&cluster, &group).await,
    }
}

async fn list(cluster: &ClusterArgs) -> Result<(), Failure> {
    let admin = admin(cluster).await?;
    let groups = admin
        .list_groups()
        .await
        .map_err(|error| Failure::because("listing", &error))?;
    let mut table = Table::new(&["group", "state", "type", "coordinator"]);
    for group in groups {
        table.row(vec![
            group.id.to_string(),
            group.state,
            group.group_type,
            group.coordinator.to_string(),
        ]);
    }
    Output::stdout().write(|out| table.write(out, ""))
}

async fn describe(cluster: &ClusterArgs, id: &str) -> Result<(), Failure> {
    let admin = admin(cluster).await?;
    let failed = |error: &dyn std::error::Error| Failure::because(format!("group {id}"), error);
    let mut described = admin
        .describe_groups([id])
        .await
        .map_err(|error| failed(&error))?;
    let Some((_, group)) = described.pop_first() else {
        return Err(Failure::Failed(format!(
            "group {id}: the broker did not describe it"
        )));
    };
    let group = group.map_err(|error| failed(&error))?;
    if group.state == "Dead" {
        return Err(Failure::Failed(format!("there is no group {id}")));
    }
    let rows = rows(&admin, &group).await?;
    Output::stdout().write(|out| {
        let assignor = if group.assignor.is_empty() {
            "-"
        } else {
            &group.assignor
        };
        let members = match group.members.len() {
            1 => "1 member".to_owned(),
            count => format!("{count} members"),
        };
        let coordinator = group
            .coordinator
            .map_or_else(|| "?".to_owned(), |node| node.to_string());
        writeln!(
            out,
            "group {id}: {}, {members}, assignor {assignor}, coordinator {coordinator}\n",
            group.state
        )?;
        rows.write(out, "")
    })
}

/// A row for each partition that is owned or was committed, and for each member that owns none.
async fn rows(admin: &Admin, group: &GroupDescription) -> Result<Table, Failure> {
    let failed = |error| Failure::because(format!("offsets of group {}", group.id), &error);
    let committed = admin.list_group_offsets(group.id.clone()).await.map_err(failed)?;
    let owners: BTreeMap<&TopicPartition, &GroupMember> = group
        .members
        .iter()
        .flat_map(|member| member.assigned.iter().map(move |partition| (partition, member)))
        .collect();
    let partitions: BTreeSet<&TopicPartition> = owners.keys().copied().chain(committed.keys()).collect();
    let asked = partitions
        .iter()
        .map(|partition| ((*partition).clone(), OffsetSpec::Latest));
    let ends = admin.list_offsets(asked).await.map_err(failed)?;

    let mut table = Table::new(&[
        "topic",
        "partition",
        "committed",
        "end",
        "lag",
        "member",
        "client id",
        "host",
    ]);
    for partition in partitions {
        let committed = match committed.get(partition) {
            Some(Ok(Some(committed))) => Some(committed.offset),
            _ => None,
        };
        let end = match ends.get(partition) {
            Some(Ok(Some(end))) => Some(end.offset),
            _ => None,
        };
        let lag = committed
            .zip(end)
            .map(|(committed, end)| (end - committed).max(0));
        let mut row = vec![partition.topic.to_string(), partition.partition.to_string()];
        row.extend(
            [committed, end, lag]
                .map(|number| number.map_or_else(|| "-".to_owned(), |number| number.to_string())),
        );
        row.extend(member_cells(owners.get(partition).copied()));
        table.row(row);
    }
    for idle in group.members.iter().filter(|member| member.assigned.is_empty()) {
        let mut row = vec!["-".to_owned(); 5];
        row.extend(member_cells(Some(idle)));
        table.row(row);
    }
    Ok(table)
}

fn member_cells(member: Option<&GroupMember>) -> [String; 3] {
    match member {
        Some(member) => [
            member.id.to_string(),
            member.client_id.clone(),
            // Kafka writes hosts as Java does: a slash before the address.
            member.host.trim_start_matches('/').to_owned(),
        ],
        None => ["-"; 3].map(str::to_owned),
    }
}
