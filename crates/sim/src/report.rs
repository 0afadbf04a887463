//! What came of one seed, and of all: figures to print.

use std::collections::BTreeMap;
use std::fmt;

use crate::Half;
use crate::ledger::Violation;
use crate::story::Story;

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Which half lived it.
    pub half: Half,
    /// What happened: with machines each event that one of them, an application or the outside was given; with the real driver what
    /// can be seen of that, which is what connections brought, what applications did and what the outside did.
    pub steps: u64,
    /// Generations of the group, as the coordinator's log has them.
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

/// Sums over seeds of one half.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    seeds: u64,
    steps: u64,
    rebalances: u64,
    records: u64,
    faults: u64,
    broken: u64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.rebalances += other.rebalances;
        self.records += other.records;
        self.faults += other.faults;
        self.broken += other.broken;
    }
}

/// The sums over many seeds, the halves apart.
#[derive(Debug, Clone, Default)]
pub struct Report {
    machines: Sums,
    driver: Sums,
    faults: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Adds what came of a seed.
    pub fn add(&mut self, outcome: &Outcome) {
        let sums = match outcome.half {
            Half::Machines => &mut self.machines,
            Half::Driver => &mut self.driver,
        };
        sums.add(&Sums {
            seeds: 1,
            steps: outcome.steps,
            rebalances: outcome.rebalances,
            records: outcome.records,
            faults: outcome.faults.values().sum(),
            broken: u64::from(!outcome.violations.is_empty()),
        });
        self.add_faults(&outcome.faults);
    }

    /// Adds another report.
    pub fn merge(&mut self, other: &Self) {
        self.machines.add(&other.machines);
        self.driver.add(&other.driver);
        self.add_faults(&other.faults);
    }

    fn add_faults(&mut self, faults: &BTreeMap<&'static str, u64>) {
        for (what, count) in faults {
            *self.faults.entry(what).or_default() += count;
        }
    }

    /// How many generations there were.
    pub fn rebalances(&self) -> u64 {
        self.machines.rebalances + self.driver.rebalances
    }

    /// How many seeds broke an invariant.
    pub fn broken(&self) -> u64 {
        self.machines.broken + self.driver.broken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a step is differs, so steps are not summed over the halves.
        for (half, sums) in [(Half::Machines, &self.machines), (Half::Driver, &self.driver)] {
            if sums.seeds > 0 {
                let Sums { seeds, steps, .. } = sums;
                write!(f, "{half:<8}  seeds {seeds}  steps {steps}")?;
                sums.write_alike(f)?;
            }
        }
        let mut both = self.machines;
        both.add(&self.driver);
        write!(f, "{:<8}  seeds {}", "both", both.seeds)?;
        both.write_alike(f)?;
        self.faults
            .iter()
            .try_for_each(|(what, count)| writeln!(f, "  {count:>8}  {what}"))
    }
}

impl Sums {
    /// The figures that mean the same in both halves.
    fn write_alike(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rebalances,
            records,
            faults,
            broken,
            ..
        } = self;
        writeln!(
            f,
            "  rebalances {rebalances}  records {records}  faults {faults}  violations {broken}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(seed: u64, steps: u64) -> Outcome {
        Outcome {
            seed,
            half: Half::of(seed),
            steps,
            rebalances: 3,
            records: 5,
            faults: BTreeMap::from([("cut", 2)]),
            violations: Vec::new(),
            story: Story::last(0),
        }
    }

    #[test]
    fn steps_are_printed_of_each_half_and_never_summed() {
        let mut report = Report::default();
        report.add(&outcome(0, 700));
        report.add(&outcome(1, 40));
        let printed = report.to_string();
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(
            lines,
            [
                "machines  seeds 1  steps 700  rebalances 3  records 5  faults 2  violations 0",
                "driver    seeds 1  steps 40  rebalances 3  records 5  faults 2  violations 0",
                "both      seeds 2  rebalances 6  records 10  faults 4  violations 0",
                "         4  cut",
            ]
        );
    }

    #[test]
    fn a_half_that_was_not_run_is_not_printed() {
        let mut report = Report::default();
        report.add(&outcome(1, 40));
        let printed = report.to_string();
        assert!(!printed.contains("machines"), "{printed}");
    }
}
