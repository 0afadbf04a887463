//! The mode `member`: what was read, and when, for measuring how long a rebalance keeps partitions from being read.
//!
//! `# subscribe MS` once, then for each poll and partition with records a line `MS PARTITION COUNT LAST`: milliseconds since 1970
//! when the poll returned, how many records of which partition, and the offset of the last of them; those offsets are in a row.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kohort::consumer::{PollError, RawRecords};
use tokio::signal::unix::{SignalKind, signal};

use crate::Arguments;

/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(100);
/// How long leaving may take.
const LEAVING: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut consumer = arguments.consumer()?;
    let wakeup = consumer.wakeup_handle();
    tokio::spawn(async move {
        terminate.recv().await;
        wakeup.wakeup();
    });
    print(&format!("# subscribe {}\n", now_ms()))?;
    consumer.subscribe([&*arguments.topic])?;
    loop {
        match consumer.poll_raw(WAIT).await {
            Ok(polled) if polled.is_empty() => {}
            Ok(polled) => print(&lines(&polled, now_ms())?)?,
            Err(PollError::Wakeup) => break,
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => writeln!(std::io::stderr(), "{} {error}", now_ms())?,
        }
    }
    Ok(consumer.close(LEAVING).await?)
}

fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn now_ms() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis())
}

/// One run of offsets of one partition.
struct Run {
    partition: i32,
    count: u64,
    last: i64,
}

fn lines(polled: &RawRecords, ms: u128) -> Result<String, std::fmt::Error> {
    let mut runs: Vec<Run> = Vec::new();
    for (partition, record) in polled.iter() {
        match runs.last_mut() {
            Some(run) if run.partition == partition.partition && run.last + 1 == record.offset => {
                run.count += 1;
                run.last = record.offset;
            }
            _ => runs.push(Run {
                partition: partition.partition,
                count: 1,
                last: record.offset,
            }),
        }
    }
    let mut text = String::new();
    for run in runs {
        writeln!(text, "{ms} {} {} {}", run.partition, run.count, run.last)?;
    }
    Ok(text)
}
