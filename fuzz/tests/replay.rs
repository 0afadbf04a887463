//! Every target over its seeds, its corpus, and some thousands of changes of them: what once was found stays fixed.

use kohort_fuzz::run::{catch_panics, run};
use kohort_fuzz::targets::{ALL, Target};
use kohort_fuzz::{corpus, mutate};
use kohort_machine::Prng;

fn check(target: &Target, input: &[u8]) {
    let outcome = run(target, input);
    if let Some(panic) = outcome.panic {
        // The hook that keeps quiet goes first.
        drop(std::panic::take_hook());
        panic!("{}: {panic}\n{}", target.name, corpus::encode(input));
    }
}

/// One test alone, because memory is counted for the whole process.
#[test]
fn no_target_fails_on_what_is_known_nor_on_changes_of_it() {
    catch_panics();
    for target in ALL {
        let mut inputs = (target.seeds)();
        let seeds = inputs.len();
        inputs.extend(corpus::read(&corpus::kept(target.name)));
        assert!(inputs.len() > seeds, "{} has no corpus", target.name);
        inputs.push(Vec::new());
        for input in &inputs {
            check(target, input);
        }
        let mut prng = Prng::from_seed(1);
        for _ in 0..2_000 {
            let pick = prng.below(inputs.len() as u64) as usize;
            let other = prng.below(inputs.len() as u64) as usize;
            check(
                target,
                &mutate::mutate(&mut prng, target.shape, &inputs[pick], &inputs[other]),
            );
        }
        println!("{}: {seeds} seeds, {} inputs", target.name, inputs.len());
    }
}
