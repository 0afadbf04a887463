//! One line of a member's file, as `docs/rebalancing.md` describes it.

use serde::Deserialize;

use super::super::{ByTopic, Named};

/// The form that is understood.
const VERSION: u32 = 1;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    version: u32,
    pub(super) group: String,
    pub(super) member: Option<String>,
    client_id: String,
    pub(super) instance_id: Option<String>,
    /// Not in whole milliseconds.
    pub(super) began_ms: f64,
    pub(super) took_ms: f64,
    pub(super) cause: Said,
    pub(super) later_causes: Vec<Said>,
    /// The generation that it was in before, and the one that it reached, or left.
    pub(super) generation_before: Option<i32>,
    pub(super) generation: Option<i32>,
    pub(super) leader: Option<String>,
    pub(super) assignor: Option<String>,
    pub(super) outcome: String,
    pub(super) giving_up_ms: Option<f64>,
    pub(super) joining_ms: Option<f64>,
    pub(super) syncing_ms: Option<f64>,
    pub(super) taking_ms: Option<f64>,
    pub(super) kept: usize,
    pub(super) gave_up: ByTopic,
    pub(super) lost: ByTopic,
    pub(super) got: ByTopic,
    /// Topic, partition, and how many milliseconds after the beginning.
    pub(super) stopped: Vec<(String, i32, f64)>,
    pub(super) pauses: Vec<(String, i32, f64)>,
    pub(super) partitions_unlisted: usize,
}

/// How far a member has come in a rebalance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// It has given up what has to go before, and joins, or leaves.
    Prepared,
    /// Its JoinGroup is answered.
    Joined,
    /// Its SyncGroup is answered.
    Synced,
    /// It has taken what it got.
    Taken,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) reason: String,
}

/// A line, if it is one of a form that is known.
pub(super) fn parse(text: &[u8]) -> Option<Line> {
    let line: Line = serde_json::from_slice(text).ok()?;
    (line.version == VERSION).then_some(line)
}

impl Line {
    pub(super) fn named(&self) -> Named {
        Named {
            member: self.member.clone().unwrap_or_else(|| "?".to_owned()),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            host: String::new(),
        }
    }

    /// Whether it is of one that went, and so came to no generation.
    pub(super) fn is_way_out(&self) -> bool {
        matches!(self.cause.name.as_str(), "leaving" | "failed")
    }

    /// How many milliseconds it took from the beginning to there, if it came so far.
    pub(super) fn until(&self, moment: Moment) -> Option<f64> {
        let phases = [
            (Moment::Prepared, self.giving_up_ms),
            (Moment::Joined, self.joining_ms),
            (Moment::Synced, self.syncing_ms),
            (Moment::Taken, self.taking_ms),
        ];
        let mut phases = phases.into_iter().filter(|(of, _)| *of <= moment);
        let sum = phases.try_fold(0.0, |sum, (_, phase)| Some(sum + phase?));
        sum.map(super::to_the_microsecond)
    }

    /// When it ended, in ms since 1970.
    pub(super) fn end_ms(&self) -> f64 {
        self.began_ms + self.took_ms
    }

    /// The generation that the member was in before.
    pub(super) fn was_in(&self) -> Option<i32> {
        match self.is_way_out() {
            true => self.generation,
            false => self.generation_before,
        }
    }

    /// Whether both are of one member, be it in another process since.
    pub(super) fn is_of_same_member(&self, other: &Self) -> bool {
        let is_same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        is_same(&self.member, &other.member) || is_same(&self.instance_id, &other.instance_id)
    }
}
