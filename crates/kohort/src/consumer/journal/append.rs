//! How a line comes into a file that others may write to, in this process or in another one: in one piece, under the file's lock.

use core::time::Duration;
use std::borrow::Cow;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

/// How often a file that others begin anew is opened again.
const ATTEMPTS: usize = 5;

/// How long a line waits for a lock that others hold.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts to lock; the first ones are shorter, as others hold it for one line.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Opens the file, or makes it.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).open(path)
}

/// Where the file's predecessor is.
pub(super) fn predecessor(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Appends a line, all of it or nothing. A file that would be larger than `largest` with it is set aside first.
pub(super) fn append(path: &Path, line: &[u8], largest: u64) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let mut opened = Opened::at(path, until)?;
    let mut text = opened.on_its_own(line)?;
    if opened.length > 0 && opened.length + text.len() as u64 > largest {
        fs::rename(path, predecessor(path))?;
        // The old one stays locked until this one is.
        let anew = Opened::at(path, until)?;
        opened = anew;
        text = opened.on_its_own(line)?;
    }
    let Opened {
        mut file,
        is_locked,
        length,
    } = opened;
    file.write_all(&text).inspect_err(|_| {
        // Half a line would spoil the next one. That failing, or where others may have written meanwhile, the next one begins on a
        // line of its own.
        if is_locked {
            let _ = file.set_len(length);
        }
    })
}

/// A file with its lock, which ends with it.
struct Opened {
    file: File,
    /// A file system without locks has to do without: then two that begin the file anew at the same time lose what was set aside.
    is_locked: bool,
    length: u64,
}

impl Opened {
    fn at(path: &Path, until: Instant) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let file = open(path)?;
            let is_locked = lock(&file, until)?;
            let ours = file.metadata()?;
            // Whoever had the lock before may have set it aside, and not yet begun it anew.
            if fs::metadata(path).is_ok_and(|there| is_same(&ours, &there)) {
                let length = ours.len();
                return Ok(Self {
                    file,
                    is_locked,
                    length,
                });
            }
        }
        Err(io::Error::other("others set it aside each time it was opened"))
    }

    /// The line as it has to be written: a process may have ended in the midst of the one before.
    fn on_its_own<'a>(&mut self, line: &'a [u8]) -> io::Result<Cow<'a, [u8]>> {
        if self.length == 0 {
            return Ok(line.into());
        }
        let mut last = [0];
        self.file.seek(SeekFrom::End(-1))?;
        self.file.read_exact(&mut last)?;
        Ok(match last == *b"\n" {
            true => line.into(),
            false => [b"\n", line].concat().into(),
        })
    }
}

/// Whether the file is locked now; `false` where it cannot be. Nobody waits here for long: the lock may be held by one that hangs.
fn lock(file: &File, until: Instant) -> io::Result<bool> {
    let mut pause = Duration::from_millis(1);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(io::Error::new(ErrorKind::WouldBlock, "others keep it locked"));
            }
            Err(TryLockError::WouldBlock) => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
            Err(TryLockError::Error(_)) => return Ok(false),
        }
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Under the lock nobody makes the one that was opened longer.
#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.len() == other.len() && one.created().ok() == other.created().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Dir;
    use super::*;

    const LARGEST: u64 = 4 << 20;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).expect("a file")
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
            lines.extend(text(&path).lines().map(str::to_owned));
        }
        assert!(lines.iter().all(|line| line.len() == 40), "{lines:?}");
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 4 * 48);
    }

    #[test]
    fn a_file_that_would_be_too_large_takes_the_place_of_its_predecessor() {
        let dir = Dir::new();
        let path = dir.file();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            append(&path, line.as_bytes(), 11).expect("it is written");
        }
        assert_eq!(text(&predecessor(&path)), "three\nfour\n");
        assert_eq!(text(&path), "five\n");
    }

    #[test]
    fn a_line_that_is_too_large_alone_leaves_no_empty_file_behind() {
        let dir = Dir::new();
        append(&dir.file(), b"too large\n", 8).expect("it is written");
        assert_eq!(text(&dir.file()), "too large\n");
        assert!(!predecessor(&dir.file()).exists());
    }

    #[test]
    fn after_half_a_line_the_next_one_begins_on_its_own() {
        let dir = Dir::new();
        fs::write(dir.file(), "{\"ver").expect("a file");
        append(&dir.file(), b"whole\n", LARGEST).expect("it is written");
        assert_eq!(text(&dir.file()), "{\"ver\nwhole\n");
    }

    #[test]
    fn a_lock_that_others_keep_is_an_error_in_time() {
        let dir = Dir::new();
        let kept = open(&dir.file()).expect("a file");
        kept.lock().expect("nobody has it");
        let began = Instant::now();
        let error = append(&dir.file(), b"line\n", LARGEST).expect_err("it is locked");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(began.elapsed() >= PATIENCE, "{:?}", began.elapsed());
        assert_eq!(text(&dir.file()), "");
    }
}
