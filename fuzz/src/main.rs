//! The driver: `cargo run --release -- TARGET [--runs N] [--seconds S] [--seed N]`, or `list`. It begins with the target's seeds and both corpora,
//! keeps what passes new edges, and says at the end what it did. `-- TARGET --keep` writes the smallest inputs that pass every
//! known edge to `corpus/TARGET.hex`. `-- TARGET --replay HEX` runs one input and prints what it panics with.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kohort_fuzz::coverage::Coverage;
use kohort_fuzz::run::{catch_panics, run};
use kohort_fuzz::targets::{ALL, Target};
use kohort_fuzz::{corpus, mutate};
use kohort_machine::Prng;

/// How long one input may take before the run ends as a hang.
const HANG: Duration = Duration::from_secs(10);

/// How often a run says how far it is, so that one that is killed leaves a count.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The input that runs, and since when.
static RUNNING: Mutex<Option<(Instant, Vec<u8>)>> = Mutex::new(None);

struct Options {
    runs: u64,
    seconds: u64,
    seed: u64,
    keep: bool,
    replay: Option<String>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(target) = ALL.iter().find(|target| target.name == name) else {
        let names: Vec<_> = ALL.iter().map(|target| target.name).collect();
        println!("{}", names.join("\n"));
        return;
    };
    let mut options = Options {
        runs: u64::MAX,
        seconds: 60,
        seed: 0,
        keep: false,
        replay: None,
    };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|value| value.parse().ok());
        match argument.as_str() {
            "--runs" => options.runs = number().unwrap_or(u64::MAX),
            "--seconds" => options.seconds = number().unwrap_or(60),
            "--seed" => options.seed = number().unwrap_or(0),
            "--keep" => options.keep = true,
            "--replay" => options.replay = arguments.next(),
            other => {
                eprintln!("unknown argument {other}");
                std::process::exit(2);
            }
        }
    }
    if let Some(input) = options.replay.as_deref().and_then(corpus::decode) {
        (target.run)(&input);
        return;
    }
    catch_panics();
    std::thread::spawn(|| watch(target.name));
    let known = known(target);
    if options.keep {
        let kept = smallest(target, known);
        corpus::write(&corpus::kept(target.name), &kept).expect("the corpus can be written");
        println!("{}: {} inputs kept", target.name, kept.len());
        return;
    }
    fuzz(target, known, &options);
}

fn working(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/corpus")
        .join(format!("{target}.hex"))
}

fn finds(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/finds")
        .join(format!("{target}.hex"))
}

fn known(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    inputs.extend(corpus::read(&corpus::kept(target.name)));
    inputs.extend(corpus::read(&working(target.name)));
    inputs
}

/// Ends the program when one input takes too long. Looks are counted rather than time, so that a program that was stopped and
/// goes on does not look like one that hangs.
fn watch(target: &str) {
    const PAUSE: Duration = Duration::from_millis(500);
    let mut looks = 0;
    let mut seen = None;
    loop {
        std::thread::sleep(PAUSE);
        let running = RUNNING.lock().ok().and_then(|running| running.clone());
        let Some((since, input)) = running else {
            continue;
        };
        looks = if seen == Some(since) { looks + 1 } else { 0 };
        seen = Some(since);
        if PAUSE * looks > HANG {
            println!("{target}: HANG {}", corpus::encode(&input));
            std::process::exit(3);
        }
    }
}

fn fuzz(target: &Target, known: Vec<Vec<u8>>, options: &Options) {
    let began = Instant::now();
    let mut prng = Prng::from_seed(options.seed);
    let mut coverage = Coverage::default();
    let mut inputs: Vec<Vec<u8>> = Vec::new();
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    let (mut runs, mut peak, mut slowest) = (0u64, 0usize, Duration::ZERO);
    let mut first = known.into_iter();
    let end = Duration::from_secs(options.seconds);
    let mut next_report = REPORT_EVERY;
    while runs < options.runs && began.elapsed() < end {
        let (input, is_first) = match first.next() {
            Some(input) => (input, true),
            None if inputs.is_empty() => (vec![0], false),
            None => {
                // Younger inputs more often: they are where something is new.
                let from = match prng.chance(1, 2) {
                    true => inputs.len().saturating_sub(64),
                    false => 0,
                };
                let pick = from + prng.below((inputs.len() - from) as u64) as usize;
                let other = prng.below(inputs.len() as u64) as usize;
                (
                    mutate::mutate(&mut prng, target.shape, &inputs[pick], &inputs[other]),
                    false,
                )
            }
        };
        if began.elapsed() >= next_report {
            next_report = began.elapsed() + REPORT_EVERY;
            eprintln!(
                "{}: {runs} runs in {:.0} s, {} inputs, {} finds",
                target.name,
                began.elapsed().as_secs_f64(),
                inputs.len(),
                found.len()
            );
        }
        if let Ok(mut running) = RUNNING.lock() {
            *running = Some((Instant::now(), input.clone()));
        }
        coverage.reset();
        let outcome = run(target, &input);
        let is_new = coverage.take();
        runs += 1;
        peak = peak.max(outcome.peak);
        if outcome.time > slowest {
            slowest = outcome.time;
            if slowest > Duration::from_millis(500) {
                println!(
                    "{}: slow {slowest:?} {}",
                    target.name,
                    shorten(&corpus::encode(&input))
                );
            }
        }
        if let Some(panic) = outcome.panic {
            let place = panic.split(": ").next().unwrap_or_default().to_owned();
            if !found.iter().any(|(known, _)| *known == place) {
                println!("{}: FOUND {panic}\n  {}", target.name, corpus::encode(&input));
                found.push((place, input));
            }
        } else if is_new || (is_first && coverage.edges().1 == 0) {
            inputs.push(input);
        }
    }
    if let Ok(mut running) = RUNNING.lock() {
        *running = None;
    }
    let seconds = began.elapsed().as_secs_f64();
    let (passed, edges) = coverage.edges();
    println!(
        "{}: {runs} runs in {seconds:.0} s ({:.0}/s), seed {}, {} inputs, {passed} of {edges} edges, {} finds, most memory of \
         one input {peak} bytes, slowest {slowest:?}",
        target.name,
        runs as f64 / seconds,
        options.seed,
        inputs.len(),
        found.len()
    );
    if edges > 0 {
        corpus::write(&working(target.name), &inputs).expect("the corpus can be written");
    }
    if !found.is_empty() {
        let found: Vec<_> = found.into_iter().map(|(_, input)| input).collect();
        corpus::write(&finds(target.name), &found).expect("the finds can be written");
        std::process::exit(1);
    }
}

fn shorten(line: &str) -> &str {
    line.get(..200).unwrap_or(line)
}

/// How large a corpus may be, as a file.
const LARGEST_CORPUS: usize = 190_000;

/// The smallest inputs that together pass every edge that all of them pass, seeds apart, or as many of these as a corpus may have.
fn smallest(target: &Target, mut inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut coverage = Coverage::default();
    coverage.by_edge_only = true;
    for seed in (target.seeds)() {
        coverage.reset();
        run(target, &seed);
        coverage.take();
    }
    inputs.sort_by_key(Vec::len);
    inputs.dedup();
    inputs.retain(|input| {
        coverage.reset();
        let outcome = run(target, input);
        coverage.take() && outcome.panic.is_none() && input.len() <= 4096
    });
    let mut left = LARGEST_CORPUS;
    inputs
        .into_iter()
        .take_while(|input| {
            let line = corpus::encode(input).len() + 1;
            left.checked_sub(line).inspect(|rest| left = *rest).is_some()
        })
        .collect()
}
