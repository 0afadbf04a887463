//! `kohort groups`: which groups there are, who owns what and how far behind, moving and deleting offsets.

mod describe;
mod json;
mod plan;
mod rebalances;
mod reset;
pub(crate) mod target;
mod view;

use self::view::Group;
use super::{admin, each};
use crate::args::{DeleteGroupsArgs, DeleteOffsetsArgs, GroupsCommand, ListGroupsArgs, RemoveMembersArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::table::Table;

/// Runs one of the commands.
pub(crate) async fn run(command: GroupsCommand) -> Result<(), Failure> {
    match command {
        GroupsCommand::List(args) => list(args).await,
        GroupsCommand::Describe(args) => describe::run(args).await,
        GroupsCommand::Reset(args) => reset::run(args).await,
        GroupsCommand::Delete(args) => delete(args).await,
        GroupsCommand::DeleteOffsets(args) => delete_offsets(args).await,
        GroupsCommand::RemoveMembers(args) => remove_members(args).await,
    }
}

async fn list(args: ListGroupsArgs) -> Result<(), Failure> {
    let admin = admin(&args.cluster).await?;
    let groups = admin
        .list_groups()
        .await
        .map_err(|error| Failure::because("listing", &error))?;
    let is_wanted = |wanted: &[String], is: &str| {
        wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(is))
    };
    let mut table = Table::new(&["group", "state", "type", "protocol", "coordinator"]);
    for group in groups {
        if is_wanted(&args.states, &group.state) && is_wanted(&args.types, &group.group_type) {
            table.row(vec![
                group.id.to_string(),
                group.state,
                group.group_type,
                match group.protocol_type.is_empty() {
                    true => "-".to_owned(),
                    false => group.protocol_type,
                },
                group.coordinator.to_string(),
            ]);
        }
    }
    Output::stdout().write(|out| table.write(out, ""))
}

async fn delete(args: DeleteGroupsArgs) -> Result<(), Failure> {
    let admin = admin(&args.cluster).await?;
    for id in &args.groups {
        if let Some(group) = Group::find(&admin, id)
            .await?
            .filter(|group| !group.is_inactive())
        {
            if !group.members.is_empty() {
                Output::stdout().write(|out| view::members_table(&group, &[]).write(out, ""))?;
            }
            return Err(Failure::Failed(format!(
                "nothing was deleted: group {id} is {} ({}), and only a group without members can be deleted",
                group.state,
                group.member_count()
            )));
        }
    }
    let deleted = admin
        .delete_groups(args.groups)
        .await
        .map_err(|error| Failure::because("deleting", &error))?;
    each("cannot delete", deleted, |id, ()| {
        anstream::eprintln!("kohort: deleted {id}");
    })
}

async fn delete_offsets(args: DeleteOffsetsArgs) -> Result<(), Failure> {
    let admin = admin(&args.cluster).await?;
    // What is committed decides, so that offsets of a topic that is gone can be deleted, too.
    let mut committed = view::committed(&admin, &args.group).await?;
    committed.retain(|partition, _| args.topics.iter().any(|scope| scope.contains(partition)));
    if committed.is_empty() {
        return Err(Failure::Failed(format!(
            "group {} has committed nothing for these topics",
            args.group
        )));
    }
    let deleted = admin
        .delete_group_offsets(args.group, committed.keys().cloned())
        .await
        .map_err(|error| Failure::because("deleting offsets", &error))?;
    each("cannot delete the offset of", deleted, |partition, ()| {
        if let Some(offset) = committed.get(&partition) {
            anstream::eprintln!("kohort: deleted the offset {offset} of {partition}");
        }
    })
}

async fn remove_members(args: RemoveMembersArgs) -> Result<(), Failure> {
    let admin = admin(&args.cluster).await?;
    // Kafka removes who is there and says UNKNOWN_MEMBER_ID of the others, which does not say who is there.
    let Some(group) = Group::find(&admin, &args.group).await? else {
        return Err(Failure::Failed(format!("there is no group {}", args.group)));
    };
    let removed = admin
        .remove_members_from_group(
            args.group,
            args.instances,
            Some("removed with kohort groups remove-member"),
        )
        .await
        .map_err(|error| Failure::because("removing members", &error))?;
    if removed.values().any(Result::is_err) {
        let there: Vec<&str> = group
            .members
            .iter()
            .filter_map(|member| member.group_instance_id.as_deref())
            .collect();
        match there.is_empty() {
            true => anstream::eprintln!("kohort: group {} has no static members", group.id),
            false => anstream::eprintln!("kohort: the static members of {}: {}", group.id, there.join(", ")),
        }
    }
    each("cannot remove", removed, |instance, ()| {
        anstream::eprintln!("kohort: removed {instance}");
    })
}
