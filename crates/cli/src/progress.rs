//! How far a long piece of work is, on a terminal's stderr alone: one line that is written over and over, and is gone at the end.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::time::Instant;

/// How often the line is drawn.
const REDRAWN_EVERY: Duration = Duration::from_millis(200);

/// What was done so far, counted by who does it.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Records that are acknowledged.
    pub(crate) acknowledged: Cell<u64>,
    /// Records that are on their way.
    pub(crate) in_flight: Cell<u64>,
    /// Bytes of keys and values that were handed to the producer.
    pub(crate) bytes: Cell<u64>,
}

/// Draws the line again and again; for ever, so drop it when the work is done. Where stderr is no terminal, it does nothing.
pub(crate) async fn show(counts: &Counts) -> Infallible {
    if !io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let _cleared = Cleared;
    let began = Instant::now();
    loop {
        tokio::time::sleep(REDRAWN_EVERY).await;
        // A terminal that is gone is told by what the command says at its end.
        let _ = write!(io::stderr(), "\r{}\x1b[K", line(counts, began.elapsed()));
    }
}

/// Clears the line when it is dropped.
struct Cleared;

impl Drop for Cleared {
    fn drop(&mut self) {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

fn line(counts: &Counts, elapsed: Duration) -> String {
    let (acknowledged, bytes) = (counts.acknowledged.get(), counts.bytes.get());
    let seconds = elapsed.as_secs_f64().max(f64::EPSILON);
    format!(
        "{acknowledged} records written, {:.0} records/s, {} ({}/s), {} in flight",
        acknowledged as f64 / seconds,
        size(bytes as f64),
        size(bytes as f64 / seconds),
        counts.in_flight.get()
    )
}

/// Bytes in the unit that leaves one to three digits before the point.
fn size(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut scaled = bytes;
    let mut unit = "B";
    for larger in UNITS {
        if scaled < 1000.0 {
            break;
        }
        scaled /= 1024.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{scaled:.0} B"),
        unit => format!("{scaled:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_rate_bytes_and_what_is_in_flight() {
        let counts = Counts::default();
        counts.acknowledged.set(3000);
        counts.in_flight.set(120);
        counts.bytes.set(3 << 20);
        assert_eq!(
            line(&counts, Duration::from_secs(2)),
            "3000 records written, 1500 records/s, 3.0 MiB (1.5 MiB/s), 120 in flight"
        );
    }

    #[test]
    fn sizes_have_at_most_three_digits_before_the_point() {
        for (bytes, shown) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1000.0, "1.0 KiB"),
            (1536.0, "1.5 KiB"),
            (1023.0 * 1024.0, "1.0 MiB"),
            (5e15, "4547.5 TiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
