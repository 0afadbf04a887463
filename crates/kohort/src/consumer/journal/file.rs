//! The journal's file: a line of JSON for each rebalance that ended. Threads for blocking work write it, so that neither `poll`
//! nor the network task waits for a disk; only `close` does, within its time.
//!
//! Others may write to the same file, in this process or in another one: a line is appended in one piece, under the file's lock.

use core::mem;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::Rebalance;
use super::line::{Line, Names};
use crate::config::ConfigError;

/// The size from which a file is set aside as `FILE.1`, in the place of the one before, and begun anew.
const LARGEST: u64 = 4 << 20;

/// How many lines may wait for a disk that does not take them.
const MOST_WAITING: usize = 1_000;

/// How often a file that others begin anew is opened again.
const ATTEMPTS: usize = 5;

/// A consumer's file. Cloning shares it.
#[derive(Debug, Clone)]
pub(in super::super) struct JournalFile {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    names: Names,
    waiting: Mutex<Waiting>,
    /// Whether all is written that can be.
    is_idle: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    /// A thread is at it.
    is_busy: bool,
    /// How many lines are missing since the last that was written.
    missing: u64,
}

impl JournalFile {
    /// Opens the file of the setting `key`, or makes it.
    pub(in super::super) fn open(key: &'static str, path: &Path, names: Names) -> Result<Self, ConfigError> {
        // Whoever works in another directory later writes on where it began.
        let opened = open(path).and_then(|_| fs::canonicalize(path));
        let path = opened.map_err(|error| ConfigError::File {
            key,
            path: path.to_owned(),
            kind: error.kind(),
            reason: error.to_string(),
        })?;
        let shared = Shared {
            path,
            names,
            waiting: Mutex::default(),
            is_idle: watch::Sender::new(true),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Has the rebalance written; does not wait for it. Called inside of a runtime.
    pub(super) fn note(&self, rebalance: &Rebalance) {
        let Ok(mut line) = serde_json::to_vec(&Line::of(&self.shared.names, rebalance)) else {
            return;
        };
        line.push(b'\n');
        let mut waiting = self.shared.lock();
        if waiting.lines.len() == MOST_WAITING {
            waiting.missing += 1;
            return;
        }
        waiting.lines.push_back(line);
        if mem::replace(&mut waiting.is_busy, true) {
            return;
        }
        drop(waiting);
        self.shared.is_idle.send_replace(false);
        let shared = Arc::clone(&self.shared);
        // Nobody waits for the thread; what it did not come to is written when the last handle is dropped.
        drop(spawn_blocking(move || shared.write()));
    }

    /// Waits until all that was noted is written, or could not be.
    pub(in super::super) async fn written(&self) {
        // The sender is here.
        let _ = self.shared.is_idle.subscribe().wait_for(|is_idle| *is_idle).await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits until nothing does.
    fn write(&self) {
        loop {
            let lines = {
                let mut waiting = self.lock();
                if waiting.lines.is_empty() {
                    waiting.is_busy = false;
                    self.is_idle.send_replace(true);
                    return;
                }
                mem::take(&mut waiting.lines)
            };
            for line in &lines {
                self.tell(append(&self.path, line, LARGEST));
            }
        }
    }

    /// One warning for lines that fail one after another.
    fn tell(&self, written: io::Result<()>) {
        let path = self.path.display();
        let mut waiting = self.lock();
        match written {
            Ok(()) => match mem::take(&mut waiting.missing) {
                0 => {}
                missing => tracing::warn!(%path, missing, "the journal of rebalances is written again"),
            },
            Err(error) => {
                if waiting.missing == 0 {
                    tracing::warn!(%path, %error, "the journal of rebalances cannot be written; the consumer goes on");
                }
                waiting.missing += 1;
            }
        }
    }
}

/// The runtime may have ended before a thread came to what waits.
impl Drop for Shared {
    fn drop(&mut self) {
        self.write();
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).open(path)
}

/// The file with its lock, which ends with it. Where a file system has no locks, it has to do without: then two that begin the file
/// anew at the same time lose what was set aside.
fn open_locked(path: &Path, largest: u64) -> io::Result<File> {
    let mut file = open(path)?;
    for _ in 1..ATTEMPTS {
        let _ = file.lock();
        // Whoever had the lock before may have set it aside, and not yet begun it anew.
        let there = fs::metadata(path).map_or(0, |there| there.len());
        if file.metadata()?.len() < largest || there >= largest {
            break;
        }
        file = open(path)?;
    }
    Ok(file)
}

/// Where the file's predecessor is.
fn predecessor(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Appends a line, all of it or nothing.
fn append(path: &Path, line: &[u8], largest: u64) -> io::Result<()> {
    let mut file = open_locked(path, largest)?;
    if file.metadata()?.len() >= largest {
        fs::rename(path, predecessor(path))?;
        // The old one stays locked until this one is.
        let anew = open_locked(path, largest)?;
        file = anew;
    }
    let length = file.metadata()?.len();
    let mut line = line.to_vec();
    if length > 0 && !ends_a_line(&mut file)? {
        // A process ended in the midst of one.
        line.insert(0, b'\n');
    }
    file.write_all(&line).inspect_err(|_| {
        // Half a line would spoil the next one. That failing, the next one begins on a line of its own.
        let _ = file.set_len(length);
    })
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::super::tests::rebalance;
    use super::*;

    /// A directory of a test's own, which goes with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            static COUNT: AtomicU64 = AtomicU64::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("kohort-journal-{}-{number}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            fs::create_dir_all(&dir).expect("a directory");
            Self(dir)
        }

        fn file(&self) -> PathBuf {
            self.0.join("journal.jsonl")
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            // What is left is the system's to remove.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn opened(path: &Path) -> JournalFile {
        let names = Names {
            group: "g".into(),
            client_id: "c".into(),
            instance_id: None,
        };
        JournalFile::open("k", path, names).expect("it can be written")
    }

    fn numbers(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).expect("a file");
        let number = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            line["number"].as_u64().expect("a number")
        };
        text.lines().map(number).collect()
    }

    #[tokio::test]
    async fn what_was_noted_is_written_in_order() {
        let dir = Dir::new();
        let file = opened(&dir.file());
        for number in 1..=50 {
            file.note(&rebalance(number));
        }
        file.written().await;
        assert_eq!(numbers(&dir.file()), (1..=50).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_runtime_did_not_come_to_is_written_with_the_last_handle() {
        let dir = Dir::new();
        let file = opened(&dir.file());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .expect("a runtime");
        let (begun, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (is_begun, may_end) = (Arc::clone(&begun), Arc::clone(&end));
        runtime.spawn_blocking(move || {
            is_begun.wait();
            may_end.wait();
        });
        begun.wait();
        let entered = runtime.enter();
        file.note(&rebalance(1));
        drop(entered);
        // The one thread is busy until the runtime is told to end.
        runtime.shutdown_background();
        end.wait();
        drop(file);
        // The thread may have to drop its share of it first.
        let began = Instant::now();
        while numbers(&dir.file()).is_empty() {
            assert!(began.elapsed() < Duration::from_secs(10), "nothing is written");
            thread::yield_now();
        }
        assert_eq!(numbers(&dir.file()), [1]);
    }

    #[test]
    fn lines_of_many_at_once_stay_whole_and_none_is_lost() {
        let dir = Dir::new();
        let path = dir.file();
        // So that the file is begun anew once: from 100 lines of 41 bytes on.
        let largest = 4_100;
        thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..48 {
                        let line = format!("{writer} {number:02} {}\n", "x".repeat(35));
                        append(path, line.as_bytes(), largest).expect("it is written");
                    }
                });
            }
        });
        let mut lines: Vec<String> = Vec::new();
        for path in [predecessor(&path), path] {
            let text = fs::read_to_string(path).expect("a file");
            lines.extend(text.lines().map(str::to_owned));
        }
        assert!(lines.iter().all(|line| line.len() == 40), "{lines:?}");
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 4 * 48);
    }

    #[test]
    fn a_file_that_is_too_large_takes_the_place_of_its_predecessor() {
        let dir = Dir::new();
        let path = dir.file();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            append(&path, line.as_bytes(), 8).expect("it is written");
        }
        let text = |path: &Path| fs::read_to_string(path).expect("a file");
        assert_eq!(text(&predecessor(&path)), "three\nfour\n");
        assert_eq!(text(&path), "five\n");
    }

    #[test]
    fn after_half_a_line_the_next_one_begins_on_its_own() {
        let dir = Dir::new();
        fs::write(dir.file(), "{\"ver").expect("a file");
        append(&dir.file(), b"whole\n", LARGEST).expect("it is written");
        let text = fs::read_to_string(dir.file()).expect("a file");
        assert_eq!(text, "{\"ver\nwhole\n");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_keeps_nobody_waiting_and_goes_on_when_it_can() {
        let dir = Dir::new();
        let file = opened(&dir.file());
        fs::remove_dir_all(&dir.0).expect("it is there");
        file.note(&rebalance(1));
        file.written().await;
        assert_eq!(file.shared.lock().missing, 1);
        fs::create_dir_all(&dir.0).expect("a directory");
        file.note(&rebalance(2));
        file.written().await;
        assert_eq!(numbers(&dir.file()), [2]);
        assert_eq!(file.shared.lock().missing, 0);
    }
}
