//! What consumers write of their rebalances themselves, with `kohort.rebalance.journal.file`: each file is of one member or of several,
//! and the lines of one generation are one rebalance.

mod files;
mod line;
mod pauses;

use std::collections::BTreeMap;
use std::path::PathBuf;

use self::line::{Line, Moment};
use super::{Cause, Known, Member, Named, Source, Told, keep_last};
use crate::failure::Failure;

/// By how many milliseconds clocks of machines may differ without that a rebalance is told as two.
const SKEW_MS: f64 = 10_000.0;

/// The last `count` rebalances of each group that the files tell of.
pub(in super::super) fn told_by(files: &[PathBuf], count: usize) -> Result<BTreeMap<String, Known>, Failure> {
    let mut by_group: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in files::read(files)? {
        by_group.entry(line.group.clone()).or_default().push(line);
    }
    let known = by_group.into_iter().map(|(group, lines)| {
        let source = Source::Members;
        let mut rebalances = rebalances(lines);
        keep_last(&mut rebalances, count);
        (group, Known { source, rebalances })
    });
    Ok(known.collect())
}

/// The lines of one group as rebalances, oldest first.
fn rebalances(mut lines: Vec<Line>) -> Vec<Told> {
    lines.sort_by(|one, other| one.began_ms.total_cmp(&other.began_ms));
    let pauses = pauses::of(&lines);
    let mut merged: Vec<Vec<Part<'_>>> = Vec::new();
    // A leader's id is new in each process, so that a group that began anew is not taken for the one before.
    let mut reached: BTreeMap<(i32, &str), usize> = BTreeMap::new();
    for (line, pauses) in lines.iter().zip(&pauses) {
        let part = Part { line, pauses };
        // Without a leader it did not come to a generation, or left one.
        let generation = line.generation.zip(line.leader.as_deref());
        let with = generation.and_then(|generation| reached.get(&generation));
        match with.and_then(|at| merged.get_mut(*at)) {
            Some(parts) if is_part_of(line, parts) => parts.push(part),
            _ => {
                if let Some(generation) = generation {
                    reached.insert(generation, merged.len());
                }
                merged.push(vec![part]);
            }
        }
    }
    merged.iter().map(|parts| rebalance(parts)).collect()
}

/// Whether a line of the same generation is of the same rebalance. A static member that returns within its session, and a member that
/// joins again without need, get the generation that the group is in.
// Kafka: GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin, GroupMetadataManager.classicGroupJoinExistingMember
fn is_part_of(line: &Line, parts: &[Part<'_>]) -> bool {
    let end = parts.iter().map(|part| part.line.end_ms()).fold(0.0, f64::max);
    let is_there = parts.iter().any(|part| part.line.is_of_same_member(line));
    !is_there && line.began_ms <= end + SKEW_MS
}

/// One member's part in a rebalance.
struct Part<'a> {
    line: &'a Line,
    pauses: &'a [(String, i32, f64)],
}

fn rebalance(parts: &[Part<'_>]) -> Told {
    let lines = || parts.iter().map(|part| part.line);
    let began_ms = lines().map(|line| line.began_ms).fold(f64::INFINITY, f64::min);
    // From the beginning of the rebalance to when this member had come so far.
    let after = |line: &Line, moment: Moment| {
        let until = line.until(moment)?;
        Some(to_the_microsecond(line.began_ms - began_ms + until))
    };
    let joins = |line: &Line| after(line, Moment::Prepared).filter(|_| !line.is_way_out());
    let joined = |line: &Line| after(line, Moment::Joined);
    let synced = |line: &Line| after(line, Moment::Synced);
    let taken = |line: &Line| after(line, Moment::Taken);
    let last = |of: &dyn Fn(&Line) -> Option<f64>| lines().filter_map(of).reduce(f64::max);
    let prepare_ms = lines().filter_map(joins).reduce(f64::min);
    let since = |of: Option<f64>, before: Option<f64>| Some(to_the_microsecond((of? - before?).max(0.0)));
    let (all_joined, all_synced) = (last(&joined), last(&synced));
    let mut causes = causes(parts);
    let one = |of: fn(&Line) -> Option<&String>| lines().find_map(of).cloned();
    let has_left = lines().all(Line::is_way_out);
    Told {
        began_ms: Some(began_ms as i64),
        cause: (!causes.is_empty()).then(|| causes.remove(0)),
        later_causes: causes,
        generation_before: lines().filter_map(Line::was_in).max(),
        generation: lines().find_map(|line| line.generation).filter(|_| !has_left),
        assignor: one(|line| line.assignor.as_ref()),
        leader: one(|line| line.leader.as_ref()),
        outcome: outcome(parts).map(str::to_owned),
        prepare_ms,
        join_ms: since(all_joined, prepare_ms),
        sync_ms: since(all_synced, all_joined),
        take_ms: since(last(&taken), all_synced),
        members: parts
            .iter()
            .map(|part| Member {
                named: part.line.named(),
                fate: Some(fate(part.line).to_owned()),
                joined_ms: joins(part.line),
                synced_ms: synced(part.line),
                giving_up_ms: part.line.giving_up_ms,
                joining_ms: part.line.joining_ms,
                syncing_ms: part.line.syncing_ms,
                taking_ms: part.line.taking_ms,
                kept: part.line.kept,
                gave_up: part.line.gave_up.clone(),
                lost: part.line.lost.clone(),
                got: part.line.got.clone(),
            })
            .collect(),
        ownership_known: true,
        pauses: parts.iter().flat_map(|part| part.pauses).cloned().collect(),
        partitions_unlisted: lines().map(|line| line.partitions_unlisted).sum(),
        ..Told::default()
    }
}

/// What sums have beyond that is made up.
fn to_the_microsecond(millis: f64) -> f64 {
    (millis * 1000.0).round() / 1000.0
}

/// Why, each with those who say so: first what made the group rebalance, as far as it is known, then that members heard of it, then
/// what made them join again.
fn causes(parts: &[Part<'_>]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    let mut add = |said: &line::Said, by: Named| {
        let is_same = |cause: &&mut Cause| {
            cause.name == said.name && cause.reason.as_deref() == Some(said.reason.as_str())
        };
        match causes.iter_mut().find(is_same) {
            Some(cause) => cause.members.push(by),
            None => causes.push(Cause {
                name: said.name.clone(),
                members: vec![by],
                reason: Some(said.reason.clone()),
                ..Cause::default()
            }),
        }
    };
    let hears_of_it = |part: &&Part<'_>| part.line.cause.name == "rebalance_in_progress";
    let (heard, own): (Vec<_>, Vec<_>) = parts.iter().partition(hears_of_it);
    for part in own.into_iter().chain(heard) {
        add(&part.line.cause, part.line.named());
    }
    for part in parts {
        // That a member is given its id comes with each first join.
        let later = part.line.later_causes.iter();
        for said in later.filter(|said| said.name != "member_id_required") {
            add(said, part.line.named());
        }
    }
    causes
}

/// The best that became of it.
fn outcome<'a>(parts: &[Part<'a>]) -> Option<&'a str> {
    let outcomes = || parts.iter().map(|part| part.line.outcome.as_str());
    outcomes()
        .find(|outcome| *outcome == "assigned")
        .or_else(|| outcomes().next())
}

fn fate(line: &Line) -> &str {
    match (line.outcome.as_str(), line.cause.name.as_str()) {
        ("assigned", "first_join") => "joined",
        ("assigned", "unknown_member_id" | "poll_expired" | "polled_after_error") => "came back",
        ("assigned", _) => "stayed",
        // It ended, but is one until its session does.
        ("stayed", _) => "still_member",
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests;
