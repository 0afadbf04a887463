//! The half of the simulation that drives the machines themselves: the engines of members and producers, and the node, over a
//! simulated network and disk on virtual time. Everything is decided by the seed; the same seed lives the same life.

mod application;
mod broker;
mod commits;
mod disk;
mod faults;
mod lives;
mod member;
mod network;
mod producer;
mod rest;
mod schedule;
mod sink;
mod tamper;
mod traffic;
mod world;

use kohort_machine::Instant;

use crate::Half;
use crate::mutants::Mutant;
use crate::plan::Plan;
use crate::report::Outcome;
use crate::story::Story;
use world::World;

/// Lives the life of one seed.
pub(crate) fn run(seed: u64, mutant: Option<Mutant>, story: Story) -> Outcome {
    let mut story = story;
    let plan = Plan::of(seed);
    story.note(Instant::ZERO, || format!("{plan:?}"));
    let (trouble, has_lull) = (plan.trouble, plan.has_lull);
    let mut world = World::new(seed, plan, mutant, story);
    if has_lull {
        world.run_for(trouble / 2);
        world.have_lull();
        world.run_for(trouble / 2);
    } else {
        world.run_for(trouble);
    }
    world.calm_down();
    world.come_to_rest();
    world.into_outcome(seed)
}

impl World {
    fn into_outcome(self, seed: u64) -> Outcome {
        Outcome {
            seed,
            half: Half::Machines,
            steps: self.steps,
            rebalances: self.ledger.rebalances(),
            records: self.ledger.records_handed_out(),
            faults: self.faults.counts().clone(),
            violations: self.ledger.violations().to_vec(),
            story: self.story,
        }
    }
}
