//! What came of one seed, and of all: figures to print.

use std::collections::BTreeMap;
use std::fmt;

use crate::ledger::Violation;
use crate::story::Story;

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Events that happened.
    pub steps: u64,
    /// Generations of the group.
    pub rebalances: u64,
    /// Records that applications were handed out.
    pub records: u64,
    /// What went wrong on purpose, and how often.
    pub faults: BTreeMap<&'static str, u64>,
    /// Invariants that did not hold; a run ends with the first.
    pub violations: Vec<Violation>,
    /// The end of its story, when it was kept.
    pub story: Story,
}

/// The sums over many seeds.
#[derive(Debug, Clone, Default)]
pub struct Report {
    seeds: u64,
    steps: u64,
    rebalances: u64,
    records: u64,
    faults: BTreeMap<&'static str, u64>,
    broken: u64,
}

impl Report {
    /// Adds what came of a seed.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.steps += outcome.steps;
        self.rebalances += outcome.rebalances;
        self.records += outcome.records;
        for (what, count) in &outcome.faults {
            *self.faults.entry(what).or_default() += count;
        }
        self.broken += u64::from(!outcome.violations.is_empty());
    }

    /// Adds another report.
    pub fn merge(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.rebalances += other.rebalances;
        self.records += other.records;
        for (what, count) in &other.faults {
            *self.faults.entry(what).or_default() += count;
        }
        self.broken += other.broken;
    }

    /// How many generations there were.
    pub fn rebalances(&self) -> u64 {
        self.rebalances
    }

    /// How many seeds broke an invariant.
    pub fn broken(&self) -> u64 {
        self.broken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.values().sum();
        writeln!(
            f,
            "seeds {}  steps {}  rebalances {}  records {}  faults {}  violations {}",
            self.seeds, self.steps, self.rebalances, self.records, faults, self.broken
        )?;
        self.faults
            .iter()
            .try_for_each(|(what, count)| writeln!(f, "  {count:>8}  {what}"))
    }
}
