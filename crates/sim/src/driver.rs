//! The half of the simulation that drives the real thing: `kohort::Consumer` and `kohort::Producer` with their tasks, and the
//! embedded broker, over in-memory connections, on a paused clock in one thread. So the driver, the channel to it and the caller's
//! side are under it, too, and futures are dropped halfway.

mod application;
mod cable;
mod commits;
mod decoder;
mod faults;
mod leaving;
mod listener;
mod lookups;
mod producer;
mod rest;
mod run;
mod storage;
mod tamper;
mod tap;
mod way;
mod world;

use tokio::runtime::Builder;

use crate::mutants::Mutant;
use crate::plan::Plan;
use crate::report::Outcome;
use crate::story::Story;

/// Lives the life of one seed.
pub(crate) fn run(seed: u64, mutant: Option<Mutant>, story: Story) -> Outcome {
    let plan = Plan::of(seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    runtime.block_on(world::live(seed, plan, mutant, story))
}
