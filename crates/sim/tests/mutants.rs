//! Each bug that can be put in is found within as many seeds as stated here.

use kohort_sim::{Half, Mutant, Story, run};

/// How many seeds are tried at most. Most bugs show in the first few.
const fn within(mutant: Mutant) -> u64 {
    match mutant {
        // Needs a cooperative group in fair weather, one member of which lets the others wait.
        Mutant::RetainedIsPaused => 100,
        _ => 40,
    }
}

#[test]
fn every_mutant_is_found() {
    let mut missed = Vec::new();
    for mutant in Mutant::ALL {
        let found =
            (0..within(*mutant)).any(|seed| !run(seed, Some(*mutant), Story::last(0)).violations.is_empty());
        if !found {
            missed.push(mutant.name());
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn a_seed_without_a_mutant_breaks_nothing() {
    for seed in 0..6 {
        let outcome = run(seed, None, Story::last(0));
        assert_eq!(outcome.violations, [], "seed {seed}");
    }
}

#[test]
fn both_halves_count_generations_records_faults_and_steps() {
    for seed in 0..2 {
        let outcome = run(seed, None, Story::last(0));
        assert_eq!(outcome.half, Half::of(seed));
        let faults: u64 = outcome.faults.values().sum();
        let counted = [outcome.rebalances, outcome.records, faults, outcome.steps];
        assert!(counted.iter().all(|count| *count > 0), "{counted:?}");
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    for seed in 0..4 {
        let lives = [(); 2].map(|()| run(seed, None, Story::last(usize::MAX)).story.to_string());
        assert!(lives[0].lines().count() > 50, "seed {seed}");
        assert_eq!(lives[0], lives[1], "seed {seed}");
    }
}
