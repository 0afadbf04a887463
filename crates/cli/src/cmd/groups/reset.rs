//! `kohort groups reset`: what a reset would do, and with `--execute` doing it. How a plan reads is `plan`'s; what can be typed
//! is in `target`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;

use kohort::admin::{Admin, OffsetSpec};
use kohort::{OffsetAndMetadata, TopicPartition};

use super::plan::{self, Move};
use super::target::{Target, offsets_of_file};
use super::view::{self, Group};
use crate::args::ResetGroupArgs;
use crate::cmd::admin;
use crate::cmd::partitions::{find, partitions_of};
use crate::failure::Failure;
use crate::output::Output;
use crate::time;

/// Shows the plan, and acts on it when told to.
pub(super) async fn run(args: ResetGroupArgs) -> Result<(), Failure> {
    let file = args.from_file.as_ref().map(|path| {
        let text = fs::read_to_string(path).map_err(|error| Failure::because(path.display(), &error))?;
        offsets_of_file(&text, Some(&args.group))
            .map_err(|why| Failure::Failed(format!("{}: {why}", path.display())))
    });
    let file = file.transpose()?;
    let admin = admin(&args.cluster).await?;
    let group = Group::find(&admin, &args.group).await?;
    let committed = view::committed(&admin, &args.group).await?;
    let partitions = match &file {
        Some(offsets) => offsets.keys().cloned().collect(),
        None => scope(&admin, &args, &committed).await?,
    };
    if partitions.is_empty() {
        return Err(Failure::Failed(format!(
            "group {} has committed nothing; name topics with --topic",
            args.group
        )));
    }
    let moves = moves(&admin, &args, file.as_ref(), &committed, &partitions).await?;
    show(&args, group.as_ref(), &moves)?;
    match group.as_ref().filter(|group| !group.is_inactive()) {
        Some(active) if args.execute => Err(Failure::Failed(format!(
            "nothing was changed: group {} is {} ({}), and only a group without members can be reset",
            active.id,
            active.state,
            active.member_count()
        ))),
        _ if args.execute => execute(&admin, &args.group, &moves).await,
        _ => {
            anstream::eprintln!("kohort: nothing was changed; --execute does it");
            Ok(())
        }
    }
}

/// The partitions that the command line names.
async fn scope(
    admin: &Admin,
    args: &ResetGroupArgs,
    committed: &BTreeMap<TopicPartition, i64>,
) -> Result<BTreeSet<TopicPartition>, Failure> {
    match args.all_topics {
        true => Ok(committed.keys().cloned().collect()),
        false => partitions_of(admin, &args.topics).await,
    }
}

/// Where each partition is to go.
async fn moves(
    admin: &Admin,
    args: &ResetGroupArgs,
    file: Option<&BTreeMap<TopicPartition, i64>>,
    committed: &BTreeMap<TopicPartition, i64>,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<Vec<Move>, Failure> {
    let first = find(admin, partitions, OffsetSpec::Earliest).await?;
    let end = find(admin, partitions, OffsetSpec::Latest).await?;
    let since = match args.to {
        Some(Target::Since(time)) => Some(time),
        Some(Target::Ago(duration)) => Some(time::now().saturating_sub(duration).max(0)),
        _ => None,
    };
    let by_time = match since {
        Some(since) => {
            anstream::eprintln!("kohort: to the first records since {}", time::show(since));
            find(admin, partitions, OffsetSpec::Timestamp(since)).await?
        }
        None => BTreeMap::new(),
    };
    let mut moves = Vec::new();
    for partition in partitions {
        let offset = |of: &BTreeMap<TopicPartition, Option<i64>>| of.get(partition).copied().flatten();
        let from = committed.get(partition).copied();
        let (first, end) = (offset(&first).unwrap_or(0), offset(&end).unwrap_or(0));
        let asked = match (args.to, args.shift_by) {
            (Some(Target::Earliest), _) => Some(first),
            (Some(Target::Latest), _) => Some(end),
            (Some(Target::Current), _) => from,
            (Some(Target::At(offset)), _) => Some(offset),
            // Kafka: ConsumerGroupCommand.OffsetsUtils.getLogTimestampOffsets: the end where no record is that young.
            (Some(Target::Since(_) | Target::Ago(_)), _) => Some(offset(&by_time).unwrap_or(end)),
            (None, Some(by)) => from.map(|from| from.saturating_add(by)),
            (None, None) => file.and_then(|file| file.get(partition).copied()),
        };
        let Some(asked) = asked else {
            return Err(Failure::Failed(format!(
                "group {} has committed nothing for {partition}, so there is nothing to go by; leave it out, or use another --to",
                args.group
            )));
        };
        moves.push(Move {
            partition: partition.clone(),
            from,
            asked,
            first,
            end,
        });
    }
    Ok(moves)
}

fn show(args: &ResetGroupArgs, group: Option<&Group>, moves: &[Move]) -> Result<(), Failure> {
    let mut output = Output::stdout();
    if args.export {
        return output.write(|out| out.write_all(plan::lines(moves).as_bytes()));
    }
    output.write(|out| {
        match group {
            Some(group) => writeln!(
                out,
                "group {}: {}, {}\n",
                group.id,
                group.state,
                group.member_count()
            )?,
            None => writeln!(out, "group {}: not there yet\n", args.group)?,
        }
        if let Some(active) = group.filter(|group| !group.is_inactive()) {
            match active.members.is_empty() {
                true => writeln!(out, "Blocked until its members are stopped.\n")?,
                false => {
                    writeln!(out, "Blocked until these members are stopped:")?;
                    view::members_table(active, &[]).write(out, "  ")?;
                    writeln!(out)?;
                }
            }
        }
        plan::table(moves).write(out, "")?;
        writeln!(out, "\n{}", plan::summary(moves))
    })
}

async fn execute(admin: &Admin, group: &str, moves: &[Move]) -> Result<(), Failure> {
    let offsets = moves
        .iter()
        .map(|next| (next.partition.clone(), OffsetAndMetadata::new(next.to())));
    let altered = admin
        .alter_group_offsets(group, offsets.collect())
        .await
        .map_err(|error| Failure::because(format!("group {group}"), &error))?;
    let mut refused = None;
    let mut done = 0_usize;
    for (partition, result) in altered {
        match result {
            Ok(()) => done += 1,
            Err(error) => {
                refused.get_or_insert_with(|| Failure::because(format!("{partition} was not reset"), &error));
            }
        }
    }
    anstream::eprintln!("kohort: {done} of {} partitions reset", moves.len());
    refused.map_or(Ok(()), Err)
}
