//! The files, and the older ones that were set aside as `FILE.1`, while members write on.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::line::{self, Line};
use crate::failure::Failure;

/// How often a file is read again that was set aside meanwhile.
const ATTEMPTS: usize = 5;

/// For how long a file that is set aside may not be there.
const PAUSE: Duration = Duration::from_millis(10);

/// The lines of the files.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Line>, Failure> {
    let mut seen = BTreeSet::new();
    let mut lines = Vec::new();
    for file in files {
        let parts = in_time_of(file).map_err(|error| Failure::because(file.display(), &error))?;
        for Part { path, bytes } in parts {
            // One that is named twice, as by a pattern of the shell, is read once.
            if seen.insert(path.clone()) {
                take(&path, &bytes, &mut lines);
            }
        }
    }
    Ok(lines)
}

/// What was in a file.
struct Part {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The file and its predecessor, neither of which was set aside while they were read.
fn in_time_of(file: &Path) -> io::Result<Vec<Part>> {
    for _ in 1..ATTEMPTS {
        match both(file, || {}) {
            Ok(Some(parts)) => return Ok(parts),
            Ok(None) => {}
            // It is begun anew in a moment, or is not there at all.
            Err(error) if error.kind() == ErrorKind::NotFound => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    both(file, || {})?.ok_or_else(|| io::Error::other("it was set aside each time it was read"))
}

/// The predecessor and the file; `None` when the file was set aside after it was opened. `meanwhile` is what others do then.
fn both(file: &Path, meanwhile: impl FnOnce()) -> io::Result<Option<Vec<Part>>> {
    // Whoever writes to a link sets aside what it leads to.
    let path = fs::canonicalize(file)?;
    let mut opened = File::open(&path)?;
    meanwhile();
    let mut older = path.clone().into_os_string();
    older.push(".1");
    let older = PathBuf::from(older);
    let mut parts = Vec::new();
    match fs::read(&older) {
        Ok(bytes) => {
            // A link of this name is the same file as what it leads to, when that is named.
            let path = fs::canonicalize(&older).unwrap_or(older);
            parts.push(Part { path, bytes });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    opened.read_to_end(&mut bytes)?;
    let is_there = is_same(&opened.metadata()?, &fs::metadata(&path)?);
    parts.push(Part { path, bytes });
    Ok(is_there.then_some(parts))
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// One that is begun anew is shorter.
#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    other.len() >= one.len()
}

fn take(path: &Path, bytes: &[u8], lines: &mut Vec<Line>) {
    let mut unread = 0;
    for text in bytes.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()) {
        match line::parse(text) {
            Some(line) => lines.push(line),
            None => unread += 1,
        }
    }
    if unread > 0 {
        anstream::eprintln!(
            "kohort: {}: {unread} lines are left out, because they are no rebalances, cut, or of a newer form",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A directory of a test's own, which goes with it.
    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            static COUNT: AtomicU64 = AtomicU64::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("kohort-cli-journals-{}-{number}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        /// A file with a line of each of these groups.
        fn file(&self, name: &str, groups: &[&str]) -> PathBuf {
            let path = self.0.join(name);
            let lines = groups.iter();
            let lines = lines.map(|group| format!("{{\"version\":1,\"group\":\"{group}\"}}\n"));
            fs::write(&path, lines.collect::<String>()).unwrap();
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            // What is left is the system's to remove.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn groups(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.group.as_str()).collect()
    }

    #[test]
    fn what_was_set_aside_is_read_first_and_nothing_twice() {
        let dir = Dir::new();
        let (older, file) = (dir.file("f.1", &["a"]), dir.file("f", &["b", "c"]));
        let lines = read(&[file.clone(), older, file]).unwrap();
        assert_eq!(groups(&lines), ["a", "b", "c"]);
    }

    #[cfg(unix)]
    #[test]
    fn what_was_set_aside_is_beside_the_file_that_a_link_leads_to() {
        let dir = Dir::new();
        dir.file("target.1", &["a"]);
        let link = dir.0.join("link");
        std::os::unix::fs::symlink(dir.file("target", &["b"]), &link).unwrap();
        assert_eq!(groups(&read(&[link]).unwrap()), ["a", "b"]);
    }

    #[test]
    fn a_file_that_is_set_aside_meanwhile_is_read_again() {
        let dir = Dir::new();
        let file = dir.file("f", &["a", "b"]);
        let sets_aside = || {
            fs::rename(&file, dir.0.join("f.1")).unwrap();
            dir.file("f", &["c"]);
        };
        assert!(both(&file, sets_aside).unwrap().is_none());
        assert_eq!(groups(&read(&[file]).unwrap()), ["a", "b", "c"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        assert!(read(&[Dir::new().0.join("none")]).is_err());
    }
}
