//! For how long partitions were not read. A member knows it of what came back to it. Of what went from one member to another, the one
//! tells when it stopped and the other when it began, each by its own clock.

use std::collections::BTreeMap;

use super::line::{Line, Moment};

/// Topic, partition and how many milliseconds.
type Pause = (String, i32, f64);

type Partition<'a> = (&'a str, i32);

/// By how many milliseconds clocks of one machine may seem to differ.
const SKEW_MS: f64 = 5.0;

/// A partition that is not read any more, or is again.
#[derive(Clone, Copy)]
struct At {
    at: f64,
    /// The generation that it is read in again.
    generation: i32,
}

/// The pauses that ended with each of the lines, which are in the order of their beginnings.
pub(super) fn of(lines: &[Line]) -> Vec<Vec<Pause>> {
    let mut pauses: Vec<Vec<Pause>> = lines.iter().map(|line| line.pauses.clone()).collect();
    let mut stopped: BTreeMap<Partition<'_>, At> = BTreeMap::new();
    // Those whose stop is not told yet.
    let mut early: BTreeMap<Partition<'_>, (At, usize)> = BTreeMap::new();
    let mut add = |(topic, number): Partition<'_>, line: usize, pause: f64| {
        let Some(pauses) = pauses.get_mut(line) else {
            return;
        };
        if !pauses.iter().any(|(t, n, _)| t == topic && *n == number) {
            // Two clocks do not agree on more.
            pauses.push((topic.to_owned(), number, pause.max(0.0).round()));
        }
    };
    for (partition, at, change) in changes(lines) {
        match change {
            Change::Stop => match early.remove(&partition) {
                Some((start, line)) if start.generation == at.generation && at.at - start.at <= SKEW_MS => {
                    add(partition, line, 0.0);
                }
                _ => {
                    stopped.insert(partition, at);
                }
            },
            Change::Start { line } => match stopped.remove(&partition) {
                // Whoever had it in between may have written elsewhere.
                Some(stop) if stop.generation == at.generation => add(partition, line, at.at - stop.at),
                _ => {
                    early.insert(partition, (at, line));
                }
            },
        }
    }
    for pauses in &mut pauses {
        pauses.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    }
    pauses
}

enum Change {
    /// Somebody reads it no more.
    Stop,
    /// Somebody reads it, with this line.
    Start { line: usize },
}

/// What happened to partitions, with when it did, in order.
fn changes(lines: &[Line]) -> Vec<(Partition<'_>, At, Change)> {
    let mut changes = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        for (topic, number, after) in &line.stopped {
            let partition = (topic.as_str(), *number);
            if let Some(generation) = read_again_in(line, partition, *after) {
                let at = line.began_ms + after;
                changes.push((partition, At { at, generation }, Change::Stop));
            }
        }
        let got = line.got.iter();
        for (topic, number) in got.flat_map(|(topic, numbers)| numbers.iter().map(move |it| (topic, it))) {
            if let Some(generation) = line.generation {
                let at = line.began_ms + line.took_ms;
                let start = Change::Start { line: index };
                changes.push(((topic.as_str(), *number), At { at, generation }, start));
            }
        }
    }
    // Of what happened at the same time the stops come first of each line, as they were put in.
    changes.sort_by(|a, b| a.1.at.total_cmp(&b.1.at));
    changes
}

/// The generation in which somebody else reads what this member stopped reading so long after the beginning; a later one is not the
/// next owner's.
fn read_again_in(line: &Line, partition: Partition<'_>, after: f64) -> Option<i32> {
    let next = |generation: Option<i32>| generation?.checked_add(1);
    if line.is_way_out() {
        return next(line.generation);
    }
    let (topic, number) = partition;
    if line.lost.get(topic).is_some_and(|lost| lost.contains(&number)) {
        return next(line.generation_before);
    }
    match line.until(Moment::Synced) {
        // It joined with it, and learned that others are to get it.
        Some(synced) if after >= synced => next(line.generation),
        _ => line.generation,
    }
}
