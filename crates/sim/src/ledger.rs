//! What is true, and what must hold: the ledger is told what was written, handed out, processed, committed and assigned, and says
//! what of it breaks an invariant. It knows nothing of how the simulation brought it about.
//!
//! The invariants have the numbers of `docs/simulation.md`: I1 one owner, I2 what stays goes on, I3 commits go back by their owner only, I4 at least once, I5 nothing
//! after a revocation or a seek, I6 what was acknowledged stays, I7 stable stays stable, I8 reading goes on. I3 and I4 of commits are
//! in [`commits`] and [`sent`], I1 and I5 in [`readers`], I2 in [`reading`], what look-ups tell in [`lookups`], the end of a run in
//! [`rest`].

mod commits;
mod lookups;
mod readers;
mod reading;
mod rest;
mod sent;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kohort_groups::TopicPartition;

pub(crate) use commits::CommitRequest;
pub(crate) use rest::Living;

/// A reader: one life of one member.
pub(crate) type ReaderNo = usize;

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one: `I1` and so on.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// A partition's log, and what became of its records.
#[derive(Debug, Default)]
struct Log {
    /// What is at each offset, where that is known.
    ids: BTreeMap<i64, u64>,
    /// Records that their producer knows to be written.
    acknowledged: BTreeMap<i64, u64>,
    /// All before this offset is processed.
    processed: i64,
    /// What is processed beyond.
    beyond: BTreeSet<i64>,
}

impl Log {
    fn end(&self) -> i64 {
        self.ids.last_key_value().map_or(0, |(offset, _)| offset + 1)
    }

    fn process(&mut self, from: i64, to: i64) {
        for offset in from.max(self.processed)..to {
            self.beyond.insert(offset);
        }
        while self.beyond.remove(&self.processed) {
            self.processed += 1;
        }
    }
}

/// The ledger.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    violations: Vec<Violation>,
    logs: BTreeMap<TopicPartition, Log>,
    coordinator: commits::Coordinator,
    readers: readers::Readers,
    reading: reading::Reading,
    sent: sent::Sent,
}

impl Ledger {
    /// What was broken so far.
    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub(crate) fn break_rule(&mut self, invariant: &'static str, what: String) {
        self.violations.push(Violation { invariant, what });
    }

    /// A record is in the log.
    pub(crate) fn written(&mut self, partition: &TopicPartition, offset: i64, id: u64) {
        let log = self.logs.entry(partition.clone()).or_default();
        if let Some(before) = log.ids.insert(offset, id)
            && before != id
        {
            let what = format!("{partition}@{offset} was record {before} and became record {id}");
            self.break_rule("I6", what);
        }
    }

    /// The producer learnt that its record is in the log.
    pub(crate) fn acknowledged(&mut self, partition: &TopicPartition, offset: i64, id: u64) {
        let log = self.logs.entry(partition.clone()).or_default();
        log.acknowledged.insert(offset, id);
        let there = *log.ids.entry(offset).or_insert(id);
        if there != id {
            let what = format!("{partition}@{offset} is record {there}, acknowledged was record {id}");
            self.break_rule("I6", what);
        }
    }

    /// After a loss of power: these records are in the logs, and no others.
    pub(crate) fn recovered(&mut self, records: &BTreeMap<TopicPartition, BTreeMap<i64, u64>>) {
        let none = BTreeMap::new();
        let mut broken = Vec::new();
        for (partition, log) in &mut self.logs {
            let there = records.get(partition).unwrap_or(&none);
            for (offset, id) in &log.acknowledged {
                if there.get(offset) != Some(id) {
                    broken.push(format!("{partition}@{offset} was acknowledged and is gone"));
                }
            }
            let end = there.last_key_value().map_or(0, |(offset, _)| offset + 1);
            if end < log.processed {
                broken.push(format!(
                    "{partition} was read up to {}, and ends at {end}",
                    log.processed
                ));
            }
            log.ids.clone_from(there);
        }
        for what in broken {
            self.break_rule("I6", what);
        }
    }

    /// An application is done with these records.
    pub(crate) fn processed(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        self.logs.entry(partition.clone()).or_default().process(from, to);
    }
}
