//! Rebalances as text.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{ByTopic, Cause, Known, Member, Named, Source, Told};
use crate::table::Table;
use crate::time;

const NONE: &str = "-";

/// Writes what is known of a group's rebalances, oldest first.
pub(in super::super) fn write(out: &mut impl Write, known: &Known) -> io::Result<()> {
    if known.source == Source::OffsetsTopic {
        writeln!(
            out,
            "\nThis broker keeps no journal of rebalances, so why they began, how long their phases took and how long partitions\n\
             paused is not known. When generations began and what moved is told by the group's records in __consumer_offsets."
        )?;
    }
    if known.rebalances.is_empty() {
        return writeln!(out, "\nno rebalance is known");
    }
    known.rebalances.iter().try_for_each(|told| {
        writeln!(out)?;
        rebalance(out, told)
    })
}

fn rebalance(out: &mut impl Write, told: &Told) -> io::Result<()> {
    let generation = |generation: Option<i32>| generation.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let outcome = match told.outcome.as_deref() {
        Some("stayed") => "ended, stays a member until its session ends",
        outcome => outcome.unwrap_or("?"),
    };
    write!(
        out,
        "{}  generation {} -> {}, {outcome}",
        told.began_ms.map_or_else(|| NONE.to_owned(), time::show),
        generation(told.generation_before),
        generation(told.generation),
    )?;
    let phases: Vec<f64> = [told.prepare_ms, told.join_ms, told.sync_ms]
        .into_iter()
        .flatten()
        .collect();
    if !phases.is_empty() {
        write!(out, " after {}", millis(phases.iter().sum()))?;
    }
    writeln!(out)?;
    if let Some(cause) = &told.cause {
        writeln!(out, "  why     {}", cause_text(cause))?;
    }
    for cause in &told.later_causes {
        writeln!(out, "  then    {}", cause_text(cause))?;
    }
    if told.later_causes_unlisted > 0 {
        writeln!(out, "  then    {} more", told.later_causes_unlisted)?;
    }
    if let Some(prepare) = told.prepare_ms {
        let phase = |phase: Option<f64>| phase.map_or_else(|| NONE.to_owned(), millis);
        writeln!(
            out,
            "  took    {} until the first joined, {} until all had, {} until all had their assignment{}",
            millis(prepare),
            phase(told.join_ms),
            phase(told.sync_ms),
            told.take_ms.map_or_else(String::new, |take| format!(
                ", {} until all had taken it",
                millis(take)
            ))
        )?;
    }
    if let Some(assignor) = &told.assignor {
        let leader = told.leader.as_deref().unwrap_or(NONE);
        writeln!(out, "  by      {assignor} of {leader}")?;
    }
    if !told.pauses.is_empty() {
        writeln!(out, "  paused  {}", pauses(&told.pauses))?;
    }
    if !told.unowned.is_empty() {
        writeln!(out, "  nobody  {}", partitions(&told.unowned))?;
    }
    if told.partitions_unlisted > 0 {
        writeln!(
            out,
            "  and {} partitions that are not listed",
            told.partitions_unlisted
        )?;
    }
    if !told.ownership_known && !told.members.is_empty() {
        writeln!(out, "  what moved is not known")?;
    }
    if !told.members.is_empty() {
        members(&told.members).write(out, "  ")?;
    }
    if told.members_unlisted > 0 {
        writeln!(out, "  and {} members that are not listed", told.members_unlisted)?;
    }
    if told.departed_unlisted > 0 {
        writeln!(out, "  and {} members that came and went", told.departed_unlisted)?;
    }
    Ok(())
}

/// `session expired: app-1 (app, 127.0.0.1)`.
fn cause_text(cause: &Cause) -> String {
    let mut text = cause.name.replace('_', " ");
    if !cause.members.is_empty() {
        let members: Vec<String> = cause.members.iter().map(member_text).collect();
        text.push_str(&format!(": {}", members.join(", ")));
    }
    if cause.members_unlisted > 0 {
        text.push_str(&format!(" and {} more", cause.members_unlisted));
    }
    if let Some(size) = cause.size {
        text.push_str(&format!(": {size} members"));
    }
    for said in [&cause.error, &cause.reason].into_iter().flatten() {
        if !said.is_empty() {
            text.push_str(&format!(" ({said})"));
        }
    }
    text
}

fn member_text(named: &Named) -> String {
    let Named {
        member,
        instance_id,
        client_id,
        host,
    } = named;
    let who = instance_id
        .as_deref()
        .filter(|id| !id.is_empty())
        .unwrap_or(client_id);
    if who.is_empty() {
        return member.clone();
    }
    if host.is_empty() {
        return format!("{member} ({who})");
    }
    format!("{member} ({who}, {host})")
}

fn members(members: &[Member]) -> Table {
    // Members tell of their listeners, and do not know their hosts.
    let tell_themselves = members.iter().any(|member| member.giving_up_ms.is_some());
    let mut header = vec!["member", "instance id", "client id"];
    header.extend(match tell_themselves {
        true => ["fate", "giving up", "joined", "assigned", "taking"].as_slice(),
        false => ["host", "fate", "joined", "assigned"].as_slice(),
    });
    header.extend(["kept", "gave up", "got"]);
    let mut table = Table::new(&header);
    let time = |time: Option<f64>| time.map_or_else(|| NONE.to_owned(), millis);
    for member in members {
        let named = &member.named;
        let mut row = vec![
            named.member.clone(),
            named.instance_id.as_deref().unwrap_or(NONE).to_owned(),
            named.client_id.clone(),
        ];
        let fate = member.fate.as_deref().unwrap_or(NONE).replace('_', " ");
        let (joined, assigned) = (time(member.joined_ms), time(member.synced_ms));
        match tell_themselves {
            true => {
                let (giving_up, taking) = (time(member.giving_up_ms), time(member.taking_ms));
                row.extend([fate, giving_up, joined, assigned, taking]);
            }
            false => row.extend([named.host.clone(), fate, joined, assigned]),
        }
        row.extend([member.kept.to_string(), gave_up(member), partitions(&member.got)]);
        table.row(row);
    }
    table
}

/// `orders:0,1 (lost orders:1)`.
fn gave_up(member: &Member) -> String {
    let gave_up = partitions(&member.gave_up);
    match member.lost.is_empty() {
        true => gave_up,
        false => format!("{gave_up} (lost {})", partitions(&member.lost)),
    }
}

/// `orders:0,1 13.0 s; orders:2 0.5 s`: the longest first.
fn pauses(pauses: &[(String, i32, f64)]) -> String {
    let mut by_duration: BTreeMap<u64, ByTopic> = BTreeMap::new();
    for (topic, partition, millis) in pauses {
        let micros = (millis * 1000.0) as u64;
        let paused = by_duration.entry(micros).or_default();
        paused.entry(topic.clone()).or_default().push(*partition);
    }
    let each = by_duration.iter().rev();
    let texts: Vec<String> = each
        .map(|(micros, paused)| format!("{} {}", partitions(paused), millis(*micros as f64 / 1000.0)))
        .collect();
    texts.join("; ")
}

/// `orders:0,1 refunds:0`.
fn partitions(by_topic: &ByTopic) -> String {
    if by_topic.is_empty() {
        return NONE.to_owned();
    }
    let of_topic = |(topic, partitions): (&String, &Vec<i32>)| {
        let numbers: Vec<String> = partitions.iter().map(i32::to_string).collect();
        format!("{topic}:{}", numbers.join(","))
    };
    by_topic.iter().map(of_topic).collect::<Vec<_>>().join(" ")
}

/// A duration as short as it is told apart: `0.25 ms`, `37 ms`, `3.5 s`.
fn millis(millis: f64) -> String {
    if millis >= 1000.0 {
        format!("{:.1} s", millis / 1000.0)
    } else if millis >= 10.0 {
        format!("{millis:.0} ms")
    } else if millis.fract() == 0.0 {
        // What two clocks tell is not known to more.
        format!("{millis} ms")
    } else {
        format!("{millis:.2} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let texts = [0.0, 0.25, 2.0, 9.994, 37.4, 999.0, 1000.0, 13_049.0].map(millis);
        assert_eq!(
            texts,
            [
                "0 ms", "0.25 ms", "2 ms", "9.99 ms", "37 ms", "999 ms", "1.0 s", "13.0 s"
            ]
        );
    }

    #[test]
    fn pauses_of_the_same_length_are_told_together_and_the_longest_first() {
        let told = [
            ("orders".to_owned(), 0, 500.0),
            ("orders".to_owned(), 1, 13_000.0),
            ("refunds".to_owned(), 0, 500.0),
            ("orders".to_owned(), 2, 500.0),
        ];
        assert_eq!(pauses(&told), "orders:1 13.0 s; orders:0,2 refunds:0 500 ms");
    }

    #[test]
    fn a_cause_names_who_and_what_they_said() {
        let named = Named {
            member: "app-1".to_owned(),
            instance_id: None,
            client_id: "app".to_owned(),
            host: "127.0.0.1".to_owned(),
        };
        let cause = Cause {
            name: "members_left".to_owned(),
            members: vec![named],
            reason: Some("the consumer is being closed".to_owned()),
            ..Cause::default()
        };
        let more = Cause {
            members_unlisted: 7,
            reason: None,
            ..cause.clone()
        };
        assert_eq!(
            cause_text(&more),
            "members left: app-1 (app, 127.0.0.1) and 7 more"
        );
        assert_eq!(
            cause_text(&cause),
            "members left: app-1 (app, 127.0.0.1) (the consumer is being closed)"
        );
    }
}
