//! One run of one input: what it panicked with, how long it took, how much memory it held at most.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::MEMORY;
use crate::targets::Target;

/// Where and with what words the last panic happened.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// What one run came to.
pub struct Outcome {
    /// The panic, with its place in the source.
    pub panic: Option<String>,
    /// How long it took.
    pub time: Duration,
    /// How many bytes were held at most, above those that were held before.
    pub peak: usize,
}

/// Keeps panics from being printed; [`run`] reports them.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, |place| format!("{}:{}", place.file(), place.line()));
        let words = info
            .payload()
            .downcast_ref::<&str>()
            .map(|words| (*words).to_owned())
            .or_else(|| info.payload().downcast_ref::<String>().cloned())
            .unwrap_or_default();
        if let Ok(mut panic) = PANIC.lock() {
            *panic = format!("{place}: {words}");
        }
    }));
}

/// Runs a target over one input, and holds it to its bound of memory.
pub fn run(target: &Target, input: &[u8]) -> Outcome {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let time = began.elapsed();
    let peak = MEMORY.peak_usage().saturating_sub(before);
    let mut panic = result
        .err()
        .map(|_| PANIC.lock().map(|panic| panic.clone()).unwrap_or_default());
    let bound = (target.memory)(input.len());
    if panic.is_none() && peak > bound {
        panic = Some(format!(
            "memory of {}: {peak} bytes held, {bound} allowed for {} bytes of input",
            target.name,
            input.len()
        ));
    }
    Outcome { panic, time, peak }
}
