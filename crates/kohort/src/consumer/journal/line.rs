//! A rebalance as a line of JSON. `docs/rebalancing.md` has its fields; who reads it skips those that it does not know.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kohort_groups::TopicPartition;
use serde::Serialize;

use super::{Cause, Rebalance};

/// The version of the form: raised when a field changes its meaning.
const VERSION: u32 = 1;

/// How many partitions a line lists of each kind; a member may have more than anyone reads.
const MOST_LISTED: usize = 10_000;

/// Partitions by topic.
type ByTopic<'a> = BTreeMap<&'a str, Vec<i32>>;
/// Topic, partition and how many milliseconds.
type Timed<'a> = Vec<(&'a str, i32, f64)>;

/// Whose journal it is.
#[derive(Debug, Clone)]
pub(in super::super) struct Names {
    pub(in super::super) group: Arc<str>,
    pub(in super::super) client_id: Arc<str>,
    pub(in super::super) instance_id: Option<Arc<str>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    version: u32,
    group: &'a str,
    member: Option<&'a str>,
    client_id: &'a str,
    instance_id: Option<&'a str>,
    number: u64,
    began_ms: f64,
    took_ms: f64,
    cause: Said,
    later_causes: Vec<Said>,
    generation_before: Option<i32>,
    generation: Option<i32>,
    leader: Option<&'a str>,
    assignor: Option<&'a str>,
    outcome: &'static str,
    giving_up_ms: Option<f64>,
    joining_ms: Option<f64>,
    syncing_ms: Option<f64>,
    taking_ms: Option<f64>,
    kept: usize,
    gave_up: ByTopic<'a>,
    lost: ByTopic<'a>,
    got: ByTopic<'a>,
    stopped: Timed<'a>,
    pauses: Timed<'a>,
    partitions_unlisted: usize,
}

#[derive(Debug, Serialize)]
struct Said {
    name: &'static str,
    reason: String,
}

impl<'a> Line<'a> {
    /// `before` is the generation that the member was in.
    pub(super) fn of(names: &'a Names, rebalance: &'a Rebalance, before: Option<i32>) -> Self {
        let phases = rebalance.phases;
        // What is in the other lists is in one of these.
        let lists = [&rebalance.gave_up, &rebalance.got];
        let unlisted = lists.map(|list| list.len().saturating_sub(MOST_LISTED));
        Self {
            version: VERSION,
            group: &names.group,
            member: rebalance.member_id.as_deref(),
            client_id: &names.client_id,
            instance_id: names.instance_id.as_deref(),
            number: rebalance.number,
            began_ms: since_1970(rebalance.began),
            took_ms: millis(rebalance.duration),
            cause: said(&rebalance.cause),
            later_causes: rebalance.retries.iter().map(said).collect(),
            generation_before: before,
            generation: rebalance.generation,
            leader: rebalance.leader.as_deref(),
            assignor: rebalance.assignor.as_deref(),
            outcome: rebalance.outcome.name(),
            giving_up_ms: phases.giving_up.map(millis),
            joining_ms: phases.joining.map(millis),
            syncing_ms: phases.syncing.map(millis),
            taking_ms: phases.taking.map(millis),
            kept: rebalance.kept,
            gave_up: by_topic(&rebalance.gave_up),
            lost: by_topic(&rebalance.lost),
            got: by_topic(&rebalance.got),
            stopped: timed(&rebalance.stopped),
            pauses: timed(&rebalance.pauses),
            partitions_unlisted: unlisted.iter().sum(),
        }
    }
}

fn said(cause: &Cause) -> Said {
    Said {
        name: cause.name(),
        reason: cause.to_string(),
    }
}

fn by_topic(partitions: &[TopicPartition]) -> ByTopic<'_> {
    let mut by_topic = ByTopic::new();
    for TopicPartition { topic, partition } in partitions.iter().take(MOST_LISTED) {
        by_topic.entry(topic).or_default().push(*partition);
    }
    by_topic
}

fn timed(partitions: &[(TopicPartition, Duration)]) -> Timed<'_> {
    let each = partitions.iter().take(MOST_LISTED);
    each.map(|(at, duration)| (&*at.topic, at.partition, millis(*duration)))
        .collect()
}

/// Not in whole milliseconds: others compare it with theirs.
fn since_1970(at: SystemTime) -> f64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// In milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::rebalance;
    use super::*;

    fn names() -> Names {
        Names {
            group: "g".into(),
            client_id: "c".into(),
            instance_id: None,
        }
    }

    // The form is other programs' to read: a change that this test notices changes the version, or only adds a field.
    #[test]
    fn a_line_has_the_fields_that_the_documentation_names() {
        let line = serde_json::to_string(&Line::of(&names(), &rebalance(2), Some(6))).expect("it is JSON");
        assert_eq!(
            line,
            concat!(
                r#"{"version":1,"group":"g","member":"m","client_id":"c","instance_id":null,"number":2,"began_ms":1001000.25,"#,
                r#""took_ms":5000.0,"cause":{"name":"first_join","reason":"subscribed"},"later_causes":[],"generation_before":6,"generation":7,"#,
                r#""leader":"m","assignor":"range","outcome":"assigned","giving_up_ms":0.0,"joining_ms":2000.0,"#,
                r#""syncing_ms":1000.0,"taking_ms":2000.0,"kept":3,"gave_up":{"t":[0]},"lost":{},"got":{"t":[0,1]},"#,
                r#""stopped":[["t",0,0.0]],"pauses":[["t",0,5000.0]],"partitions_unlisted":0}"#
            )
        );
    }

    #[test]
    fn a_line_lists_ten_thousand_partitions_of_each_kind_and_counts_the_rest() {
        let mut rebalance = rebalance(2);
        let of = |count: i32| (0..count).map(|number| TopicPartition::new("t", number));
        rebalance.gave_up = of(10_003).collect();
        rebalance.stopped = of(10_003).map(|gone| (gone, Duration::ZERO)).collect();
        rebalance.got = of(10_001).collect();
        let names = names();
        let line = Line::of(&names, &rebalance, None);
        let listed = [line.gave_up["t"].len(), line.stopped.len(), line.got["t"].len()];
        assert_eq!((listed, line.partitions_unlisted), ([10_000; 3], 4));
    }
}
