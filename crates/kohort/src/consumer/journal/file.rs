//! The journal's file: a line of JSON for each rebalance that ended. A thread of its own writes it, so that neither `poll` nor the
//! network task nor the end of a runtime waits for a disk or a lock; only `close` does, within its time.

use core::fmt::Display;
use core::mem;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use kohort_groups::member::Outcome;
use tokio::sync::watch;

use super::Rebalance;
use super::append::{append, open};
use super::line::{Line, Names};
use crate::config::ConfigError;

/// The size that a file does not pass: it is set aside as `FILE.1` before, in the place of the one there, and begun anew.
const LARGEST: u64 = 4 << 20;

/// How many bytes may wait for a disk that does not take them, or for a lock. A line that is larger alone is not written, so that
/// no file is larger than [`LARGEST`].
const MOST_WAITING: usize = 4 << 20;

/// A consumer's file. Cloning shares it.
#[derive(Debug, Clone)]
pub(in super::super) struct JournalFile {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    names: Names,
    queue: Mutex<Queue>,
    /// Whether all is written that can be.
    is_idle: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    /// The bytes of these lines and of the one that is being written.
    bytes: usize,
    /// A thread is at it.
    is_busy: bool,
    /// How many lines are missing since the last that was written.
    missing: u64,
    /// The generation that the member is in after what was noted last.
    generation: Option<i32>,
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
            queue: Mutex::default(),
            is_idle: watch::Sender::new(true),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Has the rebalance written; does not wait for it.
    pub(super) fn note(&self, rebalance: &Rebalance) {
        let before = self.shared.lock().follow(rebalance);
        let Ok(mut line) = serde_json::to_vec(&Line::of(&self.shared.names, rebalance, before)) else {
            return;
        };
        line.push(b'\n');
        let mut queue = self.shared.lock();
        if queue.bytes + line.len() > MOST_WAITING {
            drop(queue);
            return self.shared.miss("too much waits for the disk");
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        if mem::replace(&mut queue.is_busy, true) {
            return;
        }
        drop(queue);
        self.shared.is_idle.send_replace(false);
        let shared = Arc::clone(&self.shared);
        // Nobody waits for the thread: it has its share of the queue, and goes on when the consumer and its runtime are gone.
        let begun = thread::Builder::new().name("kohort-journal".to_owned());
        if let Err(error) = begun.spawn(move || shared.write()) {
            let error = error.to_string();
            while let Some(line) = self.shared.next() {
                self.shared.tell(&line, Err(io::Error::other(error.as_str())));
            }
        }
    }

    /// Waits until all that was noted is written, or could not be.
    pub(in super::super) async fn written(&self) {
        // The sender is here.
        let _ = self.shared.is_idle.subscribe().wait_for(|is_idle| *is_idle).await;
    }
}

impl Queue {
    /// The generation that the member was in before this rebalance.
    fn follow(&mut self, rebalance: &Rebalance) -> Option<i32> {
        let before = self.generation;
        self.generation = match rebalance.outcome {
            Outcome::Left => None,
            _ => rebalance.generation.or(before),
        };
        before
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits until nothing does.
    fn write(&self) {
        while let Some(line) = self.next() {
            self.tell(&line, append(&self.path, &line, LARGEST));
        }
    }

    /// The next line; that there is none ends the thread's work.
    fn next(&self) -> Option<Vec<u8>> {
        let mut queue = self.lock();
        let line = queue.lines.pop_front();
        if line.is_none() {
            queue.is_busy = false;
            self.is_idle.send_replace(true);
        }
        line
    }

    /// What became of a line that does not wait any more.
    fn tell(&self, line: &[u8], written: io::Result<()>) {
        let mut queue = self.lock();
        queue.bytes -= line.len();
        if let Err(error) = written {
            drop(queue);
            return self.miss(error);
        }
        let missing = mem::take(&mut queue.missing);
        drop(queue);
        if missing > 0 {
            let path = self.path.display();
            tracing::warn!(%path, missing, "the journal of rebalances is written again");
        }
    }

    /// A line that will not be written. One warning for those that follow each other.
    fn miss(&self, why: impl Display) {
        let mut queue = self.lock();
        queue.missing += 1;
        let is_first = queue.missing == 1;
        drop(queue);
        if is_first {
            let path = self.path.display();
            tracing::warn!(%path, %why, "the journal of rebalances cannot be written; the consumer goes on");
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use kohort_groups::TopicPartition;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::super::tests::{Dir, rebalance};
    use super::*;

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

    /// Waits until the thread, which nobody waits for otherwise, has written so many.
    fn wait_for(path: &Path, count: usize) {
        let began = Instant::now();
        while fs::read_to_string(path).expect("a file").matches('\n').count() < count {
            assert!(began.elapsed() < Duration::from_secs(10), "nothing is written");
            thread::yield_now();
        }
    }

    #[test]
    fn who_is_dropped_while_others_have_the_lock_waits_for_nothing_and_what_waits_is_written() {
        let dir = Dir::new();
        let file = opened(&dir.file());
        let lock = open(&dir.file()).expect("a file");
        lock.lock().expect("nobody has it");
        file.note(&rebalance(1));
        file.note(&rebalance(2));
        drop(file);
        assert!(numbers(&dir.file()).is_empty());
        drop(lock);
        wait_for(&dir.file(), 2);
        assert_eq!(numbers(&dir.file()), [1, 2]);
    }

    /// Counts warnings of the thread that it is set for.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_the_first_that_does_not_fit_is_a_warning() {
        let dir = Dir::new();
        let file = opened(&dir.file());
        let warnings = Warnings::default();
        // Where there is one subscriber only, tracing asks the thread that first comes to a place in the code whether anybody listens
        // there, and remembers it for all: another test's thread would say no.
        let _second = tracing::Dispatch::new(Warnings::default());
        let _set = tracing::subscriber::set_default(warnings.clone());
        let mut large = rebalance(1);
        large.gave_up = (0..10_000)
            .map(|number| TopicPartition::new("t".repeat(100), number))
            .collect();
        large.stopped = large
            .gave_up
            .iter()
            .map(|gone| (gone.clone(), Duration::ZERO))
            .collect();
        for told in 1..=2 {
            let lock = open(&dir.file()).expect("a file");
            lock.lock().expect("nobody has it");
            // Each of them has more than 1 MB, most of it in `stopped`.
            for _ in 0..10 {
                file.note(&large);
            }
            let missing = {
                let queue = file.shared.lock();
                assert!(queue.bytes <= MOST_WAITING, "{}", queue.bytes);
                queue.missing
            };
            assert!(missing >= 6, "{missing}");
            assert_eq!(warnings.0.load(Ordering::Relaxed), told);
            drop(lock);
            file.written().await;
            let queue = file.shared.lock();
            assert_eq!((queue.missing, queue.bytes), (0, 0));
        }
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
