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
    instance_id: Option<String>,
    pub(super) began_ms: i64,
    pub(super) took_ms: f64,
    pub(super) cause: Said,
    pub(super) later_causes: Vec<Said>,
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

    /// The generation that the member was in before, as far as the lines before this one tell.
    pub(super) fn generation_before(&self, lines: &[Self]) -> Option<i32> {
        if self.is_way_out() {
            return self.generation;
        }
        let member = self.member.as_ref()?;
        let before = lines
            .iter()
            .rev()
            .find(|line| line.member.as_ref() == Some(member));
        before.and_then(|line| line.generation)
    }
}
