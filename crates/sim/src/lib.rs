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

/// In which half a seed lives: its own, or the other when the bug cannot be put in there.
pub fn half_of(seed: u64, mutant: Option<Mutant>) -> Half {
    let own = Half::of(seed);
    let halves = mutant.map_or(&[] as &[Half], Mutant::halves);
    match halves.first() {
        Some(other) if !halves.contains(&own) => *other,
        _ => own,
    }
}

/// Lives the life of one seed, with a bug put in or without, in the half that [`half_of`] says, and keeps as much of its story as
/// `story` says.
pub fn run(seed: u64, mutant: Option<Mutant>, story: Story) -> Outcome {
    match half_of(seed, mutant) {
        Half::Machines => machines::run(seed, mutant, story),
        Half::Driver => driver::run(seed, mutant, story),
    }
}
