//! `kohort groups describe`: who owns what, and how far behind each is; once, or again and again.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use kohort::Admin;
use tokio::time::Instant;

use super::view::{self, Before, Group, Share};
use crate::args::DescribeGroupsArgs;
use crate::cmd::{admin, told_to_stop};
use crate::failure::Failure;
use crate::output::Output;

/// A group and its partitions.
type Seen = (Group, Vec<Share>);

/// Shows the groups, and with `--watch` shows them again until told to stop.
pub(super) async fn run(args: DescribeGroupsArgs) -> Result<(), Failure> {
    let admin = admin(&args.cluster).await?;
    let seen = ask(&admin, &args).await?;
    show(&admin, &seen, None, args.watch.is_some()).await?;
    match args.watch {
        None => Ok(()),
        Some(seconds) => watch(&admin, &args, seen, Duration::from_secs(seconds)).await,
    }
}

async fn watch(
    admin: &Admin,
    args: &DescribeGroupsArgs,
    mut before: Vec<Seen>,
    every: Duration,
) -> Result<(), Failure> {
    let stopped = told_to_stop();
    tokio::pin!(stopped);
    let mut asked = Instant::now();
    loop {
        tokio::select! {
            () = &mut stopped => return Err(Failure::Interrupted),
            () = tokio::time::sleep_until(asked + every) => {}
        }
        let (elapsed, now) = (asked.elapsed(), Instant::now());
        let seen = ask(admin, args).await?;
        show(admin, &seen, Some((&before, elapsed)), true).await?;
        (before, asked) = (seen, now);
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
                seen.push((group, shares));
            }
            // It was deleted after it was listed.
            None if args.all => {}
            None => return Err(Failure::Failed(format!("there is no group {id}"))),
        }
    }
    Ok(seen)
}

async fn show(
    admin: &Admin,
    seen: &[Seen],
    before: Option<(&[Seen], Duration)>,
    again: bool,
) -> Result<(), Failure> {
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
        if again && is_terminal {
            // Home, and clear to the end.
            out.write_all(b"\x1b[H\x1b[J")?;
        }
        for (index, (group, shares)) in seen.iter().enumerate() {
            if index > 0 || (before.is_some() && !is_terminal) {
                writeln!(out)?;
            }
            let before = before.and_then(|(before, elapsed)| {
                let (_, shares) = before.iter().find(|(before, _)| before.id == group.id)?;
                Some(Before { shares, elapsed })
            });
            let coordinator = group.coordinator.map(address);
            write(out, group, shares, before, coordinator.as_deref())?;
        }
        Ok(())
    })
}

fn write(
    out: &mut impl Write,
    group: &Group,
    shares: &[Share],
    before: Option<Before<'_>>,
    coordinator: Option<&str>,
) -> io::Result<()> {
    let assignor = match group.assignor.as_str() {
        "" => "-",
        assignor => assignor,
    };
    writeln!(
        out,
        "group {}: {}, {}, lag {}, assignor {assignor}, coordinator {}",
        group.id,
        group.state,
        group.member_count(),
        view::total_lag(shares),
        coordinator.unwrap_or("?"),
    )?;
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
