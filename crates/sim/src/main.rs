//! The command: runs seeds, prints figures, and tells the story of a seed that broke an invariant.
#![allow(clippy::print_stdout)]

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use kohort_sim::{Half, Mutant, Outcome, Report, Story, half_of, run};

/// Simulates Kohort's members, producers, brokers, network and disk by seed, and looks for broken invariants.
#[derive(Debug, Parser)]
struct Args {
    /// Run these seeds: A..B, without B.
    #[arg(long, value_parser = range, default_value = "0..200", conflicts_with = "seed")]
    seeds: Range<u64>,
    /// Run one seed and print its story.
    #[arg(long)]
    seed: Option<u64>,
    /// Run only the seeds of one half: machines or driver.
    #[arg(long, value_parser = half)]
    only: Option<Half>,
    /// Put this bug in.
    #[arg(long)]
    mutant: Option<Mutant>,
    /// List the bugs that can be put in.
    #[arg(long)]
    list_mutants: bool,
    /// Threads; each runs seeds of its own.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Lines of a story that are printed.
    #[arg(long, default_value_t = 400)]
    lines: usize,
    /// Go on after a seed that broke an invariant, and tell no stories.
    #[arg(long)]
    keep_going: bool,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("a range is A..B")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
    Ok(number(from)?..number(to)?)
}

fn half(text: &str) -> Result<Half, String> {
    match text {
        "machines" => Ok(Half::Machines),
        "driver" => Ok(Half::Driver),
        _ => Err(format!("machines or driver, not {text}")),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list_mutants {
        for mutant in Mutant::ALL {
            let halves: Vec<String> = mutant.halves().iter().map(ToString::to_string).collect();
            let (name, about) = (mutant.name(), mutant.about().trim());
            println!("{name:<28} {:<17} {about}", halves.join(" "));
        }
        return ExitCode::SUCCESS;
    }
    if let (Some(mutant), Some(only)) = (args.mutant, args.only)
        && !mutant.halves().contains(&only)
    {
        println!("{mutant} cannot be put in in the half of {only}");
        return ExitCode::FAILURE;
    }
    match args.seed {
        Some(seed) => tell(seed, &args),
        None => run_all(&args),
    }
}

/// Runs one seed with its story.
fn tell(seed: u64, args: &Args) -> ExitCode {
    let outcome = run(seed, args.mutant, Story::last(args.lines));
    print!("{}", outcome.story);
    verdict(&outcome);
    match outcome.violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn verdict(outcome: &Outcome) {
    let Outcome {
        seed,
        steps,
        rebalances,
        records,
        half,
        ..
    } = outcome;
    println!("seed {seed} ({half}): {steps} steps, {rebalances} rebalances, {records} records");
    for violation in &outcome.violations {
        println!("seed {seed} breaks {violation}");
    }
}

fn run_all(args: &Args) -> ExitCode {
    let start = Instant::now();
    let next = AtomicU64::new(args.seeds.start);
    let found = Mutex::new((Report::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| work(args, &next, &found));
        }
    });
    let (report, mut broken) = found
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let seconds = start.elapsed().as_secs_f64();
    print!("{report}");
    #[allow(clippy::cast_precision_loss)]
    let rate = report.rebalances() as f64 / seconds;
    println!("{seconds:.1} s, {rate:.0} rebalances a second");
    broken.sort_by_key(|outcome: &Outcome| outcome.seed);
    for outcome in &broken {
        verdict(outcome);
    }
    match broken.first() {
        None => ExitCode::SUCCESS,
        Some(first) => {
            if !args.keep_going {
                tell(first.seed, args);
            }
            ExitCode::FAILURE
        }
    }
}

fn work(args: &Args, next: &AtomicU64, found: &Mutex<(Report, Vec<Outcome>)>) {
    let mut report = Report::default();
    let mut broken = Vec::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= args.seeds.end {
            break;
        }
        if args.only.is_some_and(|only| only != half_of(seed, args.mutant)) {
            continue;
        }
        let outcome = run(seed, args.mutant, Story::last(0));
        report.add(&outcome);
        if let Some(first) = outcome.violations.first() {
            println!("seed {seed} breaks {first}");
            broken.push(outcome);
            if !args.keep_going {
                next.store(args.seeds.end, Ordering::Relaxed);
            }
        }
    }
    let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.0.merge(&report);
    found.1.append(&mut broken);
}
