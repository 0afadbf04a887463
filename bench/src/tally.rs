//! What was read, and what it cost: the line that the benchmark collects.

use std::fmt;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Counts from the program's start, and costs from the first record on.
#[derive(Debug)]
pub(crate) struct Tally {
    begun: Instant,
    first: Option<(Instant, Usage)>,
    pub(crate) records: u64,
    bytes: u64,
    key_bytes: u64,
    polls: u64,
}

/// What the process used so far.
#[derive(Debug, Clone, Copy)]
struct Usage {
    processor: Duration,
    /// The most memory that was resident, in MiB.
    resident: f64,
}

impl Usage {
    fn now() -> nix::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Ok(Self {
            processor: Duration::from_micros(u64::try_from(micros).unwrap_or(0)),
            resident: usage.max_rss() as f64 / 1024.0,
        })
    }
}

impl Tally {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            first: None,
            records: 0,
            bytes: 0,
            key_bytes: 0,
            polls: 0,
        }
    }

    /// A poll gave records.
    pub(crate) fn poll(&mut self) -> nix::Result<()> {
        self.polls += 1;
        if self.first.is_none() {
            self.first = Some((Instant::now(), Usage::now()?));
        }
        Ok(())
    }

    /// One record; both its key and its value are looked at.
    #[inline]
    pub(crate) fn record(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.records += 1;
        self.key_bytes += key.map_or(0, <[u8]>::len) as u64;
        self.bytes += value.map_or(0, <[u8]>::len) as u64;
    }

    /// The line to be printed.
    pub(crate) fn end(&self) -> nix::Result<impl fmt::Display> {
        let (now, usage) = (Instant::now(), Usage::now()?);
        let (first, before) = self.first.unwrap_or((now, usage));
        Ok(format!(
            "{{\"records\":{},\"bytes\":{},\"keybytes\":{},\"secs\":{:.4},\"total_secs\":{:.4},\"first_secs\":{:.4},\"cpu\":{:.3},\"cpu_after_first\":{:.3},\"rss_mb\":{:.1},\"polls\":{}}}",
            self.records,
            self.bytes,
            self.key_bytes,
            (now - first).as_secs_f64(),
            (now - self.begun).as_secs_f64(),
            (first - self.begun).as_secs_f64(),
            usage.processor.as_secs_f64(),
            usage.processor.saturating_sub(before.processor).as_secs_f64(),
            usage.resident,
            self.polls,
        ))
    }
}
