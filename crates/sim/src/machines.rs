//! The half of the simulation that drives the machines themselves: the engines of members and producers, and the node, over a
//! simulated network and disk on virtual time. Everything is decided by the seed; the same seed lives the same life.

mod application;
mod broker;
mod disk;
mod faults;
mod member;
mod network;
mod producer;
mod schedule;
mod tamper;
mod world;

use kohort_machine::Instant;

use crate::mutants::Mutant;
use crate::plan::{PROMPT, Plan, REST, WATCH};
use crate::report::Outcome;
use crate::story::Story;
use world::World;

/// Lives the life of one seed.
pub(crate) fn run(seed: u64, mutant: Option<Mutant>, story: Story) -> Outcome {
    let mut story = story;
    let plan = Plan::of(seed);
    story.note(Instant::ZERO, || format!("{plan:?}"));
    let trouble = Instant::ZERO + plan.trouble;
    let mut world = World::new(seed, plan, mutant, story);
    world.run_until(trouble);
    world.calm_down();
    world.run_until(trouble + REST);
    world.come_to_rest();
    world.into_outcome(seed)
}

impl World {
    /// Looks whether everything is in order, now that it has been calm for long.
    fn come_to_rest(&mut self) {
        let (living, partitions) = (self.living(), self.all_partitions());
        if !self.ledger.violations().is_empty() {
            return;
        }
        self.ledger.check_ownership(&living, &partitions);
        for producer in self.producers.values_mut() {
            producer.stop();
        }
        self.probe(&partitions);
        self.run_until(self.now + PROMPT);
        if !self.ledger.violations().is_empty() {
            return;
        }
        self.ledger.check_all_read(&living, &partitions);
        let (rest, generation) = (self.now, self.ledger.generation());
        self.run_until(rest + WATCH);
        if self.ledger.violations().is_empty() {
            self.ledger.check_stable(rest, generation);
        }
    }

    /// A new producer writes one record to each partition.
    fn probe(&mut self, partitions: &[kohort_groups::TopicPartition]) {
        let no = self.producers.len();
        self.start_producer(no);
        if let Some(producer) = self.producers.get_mut(&no) {
            producer.stop();
            for partition in partitions {
                producer.send(self.now, partition, &mut self.issued_ids);
            }
        }
        self.drain_producer(no);
    }

    fn into_outcome(self, seed: u64) -> Outcome {
        Outcome {
            seed,
            steps: self.steps,
            rebalances: self.ledger.rebalances(),
            records: self.ledger.records_handed_out(),
            faults: self.faults.counts().clone(),
            violations: self.ledger.violations().to_vec(),
            story: self.story,
        }
    }
}
