//! For how long partitions were not read. A member knows it of what came back to it. Of what went from one member to another, the one
//! tells when it stopped and the other when it began, each by its own clock.

use std::collections::BTreeMap;

use super::line::Line;

/// Topic, partition and how many milliseconds.
type Pause = (String, i32, f64);

/// A partition that is not read.
#[derive(Clone, Copy)]
struct Stopped {
    at: f64,
    generation: i32,
}

/// The pauses that ended with each of the lines, which are in the order of their beginnings.
pub(super) fn of(lines: &[Line]) -> Vec<Vec<Pause>> {
    let mut pauses: Vec<Vec<Pause>> = lines.iter().map(|line| line.pauses.clone()).collect();
    let mut stopped: BTreeMap<(&str, i32), Stopped> = BTreeMap::new();
    for (at, change) in changes(lines) {
        match change {
            Change::Stop {
                partition,
                generation,
            } => {
                stopped.insert(partition, Stopped { at, generation });
            }
            Change::Start { partition, line } => {
                let Some(began) = stopped.remove(&partition) else {
                    continue;
                };
                let (Some(line), Some(pauses)) = (lines.get(line), pauses.get_mut(line)) else {
                    continue;
                };
                let (topic, number) = partition;
                let is_told = pauses.iter().any(|(t, n, _)| t == topic && *n == number);
                // Whoever had it in between may have written elsewhere.
                let follows = |generation| (0..=1).contains(&(generation - began.generation));
                if !is_told && line.generation.is_some_and(follows) {
                    pauses.push((topic.to_owned(), number, super::to_the_microsecond(at - began.at)));
                }
            }
        }
    }
    for pauses in &mut pauses {
        pauses.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    }
    pauses
}

enum Change<'a> {
    /// Somebody reads it no more.
    Stop {
        partition: (&'a str, i32),
        generation: i32,
    },
    /// Somebody reads it, with this line.
    Start { partition: (&'a str, i32), line: usize },
}

/// What happened to partitions, with when it did, in order.
fn changes(lines: &[Line]) -> Vec<(f64, Change<'_>)> {
    let mut changes = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let began = line.began_ms as f64;
        for (topic, number, after) in &line.stopped {
            if let Some(generation) = line.generation {
                let partition = (topic.as_str(), *number);
                changes.push((
                    began + after,
                    Change::Stop {
                        partition,
                        generation,
                    },
                ));
            }
        }
        let got = line.got.iter();
        for (topic, number) in got.flat_map(|(topic, numbers)| numbers.iter().map(move |it| (topic, it))) {
            let partition = (topic.as_str(), *number);
            changes.push((
                began + line.took_ms,
                Change::Start {
                    partition,
                    line: index,
                },
            ));
        }
    }
    // Of what happened at the same time the stops come first, as they were put in.
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    changes
}
