//! Deterministic simulation of Kohort: members, producers, brokers, network and disk in one thread, by seed. It looks for what no
//! test has thought of; what it finds becomes a test at the machine.
//!
//! What lives here: the simulated surroundings, the faults, the invariants and the mutants that show that those find bugs. What does
//! not: any rule of Kafka.
//!
//! ```
//! let outcome = kohort_sim::run(2, None, kohort_sim::Story::last(0));
//! assert!(outcome.violations.is_empty());
//! assert!(outcome.rebalances > 0);
//! ```

use std::fmt;

mod driver;
mod ledger;
mod logs;
mod machines;
mod messages;
mod mutants;
mod plan;
mod report;
mod story;

pub use ledger::Violation;
pub use mutants::Mutant;
pub use report::{Outcome, Report};
pub use story::Story;

/// Which half of the simulation a seed belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The machines, in a simulated network: even seeds.
    Machines,
    /// The real driver: odd seeds.
    Driver,
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Machines => "machines",
            Self::Driver => "driver",
        })
    }
}

impl Half {
    /// That of a seed.
    pub const fn of(seed: u64) -> Self {
        match seed.is_multiple_of(2) {
            true => Self::Machines,
            false => Self::Driver,
        }
    }
}

/// Lives the life of one seed, with a bug put in or without, and keeps as much of its story as `story` says. Even seeds drive the
/// machines, odd ones the real driver; bugs are put in between machines only, whatever the seed.
pub fn run(seed: u64, mutant: Option<Mutant>, story: Story) -> Outcome {
    match (mutant, Half::of(seed)) {
        (None, Half::Driver) => driver::run(seed, story),
        (mutant, _) => machines::run(seed, mutant, story),
    }
}
