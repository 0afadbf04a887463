//! `kohort groups describe`: who owns what, and how far behind each is; once, or again and again.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use kohort::Admin;
use tokio::time::Instant;

use super::json::{self, Line};
use super::rebalances::{self, Known};
use super::view::{self, Before, Group, Share};
use crate::args::DescribeGroupsArgs;
use crate::cmd::{admin, told_to_stop};
use crate::failure::Failure;
use crate::output::Output;

/// A group, its partitions, and what was asked of its rebalances.
struct Seen {
    group: Group,
    shares: Vec<Share>,
    rebalances: Option<Known>,
}

/// Shows the groups, and with `--watch` shows them again until told to stop.
pub(super) async fn run(args: DescribeGroupsArgs) -> Result<(), Failure> {
    if !args.journal.is_empty() {
        return show_files(&args);
    }
    let admin = admin(&args.cluster).await?;
    let asked = Instant::now();
    let seen = ask(&admin, &args).await?;
    show(&admin, &args, &seen, None).await?;
    let Some(seconds) = args.watch else {
        return Ok(());
    };
    tokio::select! {
        () = told_to_stop() => Err(Failure::Interrupted),
        ended = watch(&admin, &args, (asked, seen), Duration::from_secs(seconds)) => ended,
    }
}

/// Shows what members wrote into files. No broker is asked: it may be away, or know nothing of this.
fn show_files(args: &DescribeGroupsArgs) -> Result<(), Failure> {
    let mut known = rebalances::told_by(&args.journal, count(args))?;
    let told: Vec<(String, Known)> = match args.all {
        true => known.into_iter().collect(),
        false => {
            let find = |group: &String| {
                let files: Vec<_> = args
                    .journal
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect();
                let none = || {
                    Failure::Failed(format!(
                        "no rebalance of group {group} is in {}",
                        files.join(", ")
                    ))
                };
                known.remove_entry(group).ok_or_else(none)
            };
            args.groups.iter().map(find).collect::<Result<_, _>>()?
        }
    };
    Output::stdout().write(|out| {
        for (index, (group, known)) in told.iter().enumerate() {
            if args.json {
                serde_json::to_writer(&mut *out, &json::Told { group, known })?;
                writeln!(out)?;
                continue;
            }
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "group {group}: rebalances as its members wrote them")?;
            rebalances::write(out, known)?;
        }
        Ok(())
    })
}

/// How many rebalances of each group are asked for.
fn count(args: &DescribeGroupsArgs) -> usize {
    let count = args.rebalances.unwrap_or(u64::MAX);
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Shows the groups again and again; ends only with an error that is not the cluster's.
async fn watch(
    admin: &Admin,
    args: &DescribeGroupsArgs,
    mut last: (Instant, Vec<Seen>),
    every: Duration,
) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(every).await;
        let now = Instant::now();
        let shown = match ask(admin, args).await {
            Ok(seen) => {
                let (asked, before) = &last;
                let before = Some((before.as_slice(), now.duration_since(*asked)));
                let shown = show(admin, args, &seen, before).await;
                last = (now, seen);
                shown
            }
            Err(failure) => Err(failure),
        };
        match shown {
            // Who watches wants to see the end of it.
            Err(Failure::Failed(why)) => anstream::eprintln!("kohort: {why}"),
            other => other?,
        }
    }
}

async fn ask(admin: &Admin, args: &DescribeGroupsArgs) -> Result<Vec<Seen>, Failure> {
    let mut ids = args.groups.clone();
    if args.all {
        let listed = admin
            .list_groups()
            .await
            .map_err(|error| Failure::because("listing", &error))?;
        ids = listed.iter().map(|group| group.id.to_string()).collect();
    }
    let mut seen = Vec::new();
    for id in &ids {
        match Group::find(admin, id).await? {
            Some(group) => {
                let shares = view::shares(admin, &group).await?;
                seen.push(Seen {
                    group,
                    shares,
                    rebalances: None,
                });
            }
            // It was deleted after it was listed.
            None if args.all => {}
            None => return Err(Failure::Failed(format!("there is no group {id}"))),
        }
    }
    if args.rebalances.is_some() {
        let groups: Vec<&str> = seen.iter().map(|seen| seen.group.id.as_str()).collect();
        let mut known = rebalances::known(&args.cluster, &groups, count(args)).await?;
        for seen in &mut seen {
            seen.rebalances = known.remove(&seen.group.id);
        }
    }
    Ok(seen)
}

async fn show(
    admin: &Admin,
    args: &DescribeGroupsArgs,
    seen: &[Seen],
    before: Option<(&[Seen], Duration)>,
) -> Result<(), Failure> {
    if args.json {
        return Output::stdout().write(|out| {
            seen.iter().try_for_each(|seen| {
                let line = Line::of(&seen.group, &seen.shares, seen.rebalances.as_ref());
                serde_json::to_writer(&mut *out, &line)?;
                writeln!(out)
            })
        });
    }
    let cluster = admin
        .describe_cluster()
        .await
        .map_err(|error| Failure::because("cluster", &error))?;
    let address = |node: i32| {
        let broker = cluster.brokers.iter().find(|broker| broker.id == node);
        broker.map_or_else(
            || node.to_string(),
            |broker| format!("{node} at {}:{}", broker.host, broker.port),
        )
    };
    let is_terminal = io::stdout().is_terminal();
    Output::stdout().write(|out| {
        if args.watch.is_some() && is_terminal {
            // Home, and clear to the end.
            out.write_all(b"\x1b[H\x1b[J")?;
        }
        for (index, seen) in seen.iter().enumerate() {
            if index > 0 || (before.is_some() && !is_terminal) {
                writeln!(out)?;
            }
            let before = before.and_then(|(before, elapsed)| {
                let before = before.iter().find(|before| before.group.id == seen.group.id)?;
                let shares = &before.shares;
                Some(Before { shares, elapsed })
            });
            let coordinator = seen.group.coordinator.map(address);
            write(out, seen, before, coordinator.as_deref())?;
        }
        Ok(())
    })
}

fn write(
    out: &mut impl Write,
    seen: &Seen,
    before: Option<Before<'_>>,
    coordinator: Option<&str>,
) -> io::Result<()> {
    let Seen { group, shares, .. } = seen;
    let assignor = match group.assignor.as_str() {
        "" => "-",
        assignor => assignor,
    };
    writeln!(
        out,
        "group {}: {}, {}, {}, assignor {assignor}, coordinator {}",
        group.id,
        group.state,
        group.member_count(),
        view::total_lag_text(shares),
        coordinator.unwrap_or("?"),
    )?;
    if let Some(known) = &seen.rebalances {
        return rebalances::write(out, known);
    }
    if !shares.is_empty() {
        writeln!(out)?;
        view::partitions_table(group, shares, before).write(out, "")?;
    }
    if !group.members.is_empty() {
        writeln!(out)?;
        view::members_table(group, shares).write(out, "")?;
    }
    Ok(())
}
