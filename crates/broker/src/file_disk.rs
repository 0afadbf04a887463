//! Files in one directory of the system, as the logs of a node need them. Nothing here knows what is in a file.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kohort_node::log::{Disk, Entry, StorageError};

/// How many files are kept open. Systems allow a process 1,024 by default, and connections need some.
const LARGEST_OPEN: usize = 256;
/// How many descriptors are held for when connections have all others: a log that cannot be opened takes no more records.
const RESERVE: usize = 8;

/// A directory. All its handles share the open files.
#[derive(Debug, Clone)]
pub(crate) struct FileDisk {
    root: Arc<Path>,
    open: Arc<Mutex<OpenFiles>>,
}

/// The files that are open, and when each was used last.
#[derive(Debug, Default)]
struct OpenFiles {
    by_path: HashMap<Box<str>, (Arc<File>, u64)>,
    uses: u64,
    reserve: Vec<File>,
}

impl OpenFiles {
    /// An open file; one that was not used for long is closed for it.
    fn get(&mut self, root: &Path, path: &str, create: bool) -> io::Result<Arc<File>> {
        self.uses = self.uses.saturating_add(1);
        if let Some((file, last_use)) = self.by_path.get_mut(path) {
            *last_use = self.uses;
            return Ok(Arc::clone(file));
        }
        if self.by_path.len() >= LARGEST_OPEN {
            self.close_oldest();
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false);
        let full = root.join(path);
        let file = Arc::new(self.with_descriptor(|| options.open(&full))?);
        self.by_path.insert(path.into(), (Arc::clone(&file), self.uses));
        while self.reserve.len() < RESERVE
            && let Ok(spare) = File::open(root)
        {
            self.reserve.push(spare);
        }
        Ok(file)
    }

    /// Keeps the descriptor of a directory that was synced: once it is free, a connection may have it.
    fn keep(&mut self, directory: File) {
        if self.reserve.len() < RESERVE {
            self.reserve.push(directory);
        }
    }

    /// Opens something; while the process has no descriptor left, what is needed least is closed for it.
    fn with_descriptor<T>(&mut self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        loop {
            match open() {
                Err(error) if is_out_of_descriptors(&error) && self.close_one() => {}
                result => return result,
            }
        }
    }

    /// Closes the file that was not used for longest or, without one, one of the reserve.
    fn close_one(&mut self) -> bool {
        let oldest = self.by_path.iter().min_by_key(|(_, (_, used))| *used);
        match oldest.map(|(path, _)| path.clone()) {
            Some(path) => self.by_path.remove(&path).is_some(),
            None => self.reserve.pop().is_some(),
        }
    }

    /// Closes the half that was not used for longest, so that this is rare.
    fn close_oldest(&mut self) {
        let mut uses: Vec<u64> = self.by_path.values().map(|(_, used)| *used).collect();
        uses.sort_unstable();
        let middle = uses.get(uses.len() / 2).copied().unwrap_or_default();
        self.by_path.retain(|_, (_, used)| *used >= middle);
    }

    /// Closes a file, or the files of a directory, because the name is about to change.
    fn close(&mut self, path: &str) {
        self.by_path.retain(|open, _| {
            !open
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
    }
}

/// Whether the process (EMFILE) or the system (ENFILE) has as many files open as it may.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

impl FileDisk {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.into(),
            open: Arc::default(),
        }
    }

    fn open_files(&self) -> MutexGuard<'_, OpenFiles> {
        // Whatever panicked, the files are still open and their map is whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, operation: &'static str, path: &str, error: &io::Error) -> StorageError {
        StorageError {
            operation,
            reason: format!("{}: {error}", self.root.join(path).display()),
        }
    }

    fn with_file<T>(
        &self,
        operation: &'static str,
        path: &str,
        create: bool,
        act: impl FnOnce(&File) -> io::Result<T>,
    ) -> Result<T, StorageError> {
        // The lock is kept: the place in the file that is read or written belongs to all.
        let mut open = self.open_files();
        let result = open.get(&self.root, path, create).and_then(|file| act(&file));
        result.map_err(|error| self.failed(operation, path, &error))
    }
}

impl Disk for FileDisk {
    fn share(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }

    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn list(&mut self, directory: &str) -> Result<Vec<Entry>, StorageError> {
        let failed = |error: io::Error| self.failed("listing", directory, &error);
        let full = self.root.join(directory);
        let read = match self.open_files().with_descriptor(|| fs::read_dir(&full)) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut entries = Vec::new();
        for entry in read {
            let entry = entry.map_err(failed)?;
            let metadata = entry.metadata().map_err(failed)?;
            // A name that is no text is none of ours.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry {
                    name,
                    is_directory: metadata.is_dir(),
                    len: metadata.len(),
                });
            }
        }
        Ok(entries)
    }

    fn len(&mut self, path: &str) -> Result<Option<u64>, StorageError> {
        match fs::metadata(self.root.join(path)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("reading the size", path, &error)),
        }
    }

    fn create_directory(&mut self, path: &str) -> Result<(), StorageError> {
        fs::create_dir_all(self.root.join(path))
            .map_err(|error| self.failed("creating a directory", path, &error))
    }

    fn write(&mut self, path: &str, at: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.with_file("writing", path, true, |mut file| {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)
        })
    }

    fn read(&mut self, path: &str, at: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        self.with_file("reading", path, false, |mut file| {
            let size = file.metadata()?.len();
            let there = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
            let mut bytes = Vec::with_capacity(len.min(there));
            file.seek(SeekFrom::Start(at))?;
            file.take(len.min(there) as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    }

    fn truncate(&mut self, path: &str, len: u64) -> Result<(), StorageError> {
        self.with_file("truncating", path, true, |file| file.set_len(len))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StorageError> {
        let mut open = self.open_files();
        open.close(from);
        open.close(to);
        fs::rename(self.root.join(from), self.root.join(to))
            .map_err(|error| self.failed("renaming", from, &error))
    }

    fn remove(&mut self, path: &str) -> Result<(), StorageError> {
        self.open_files().close(path);
        let full = self.root.join(path);
        let removed = match fs::symlink_metadata(&full) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&full),
            Ok(_) => fs::remove_file(&full),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("removing", path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Keeps the lock while it looks for the file, not while it syncs, so that nobody who uses the open ones waits.
    fn sync(&mut self, path: &str) -> Result<(), StorageError> {
        let full: PathBuf = match path {
            "" => self.root.to_path_buf(),
            path => self.root.join(path),
        };
        let sync = || match fs::metadata(&full)?.is_dir() {
            true => {
                let directory = self.open_files().with_descriptor(|| File::open(&full))?;
                directory.sync_all()?;
                self.open_files().keep(directory);
                Ok(())
            }
            false => {
                let file = self.open_files().get(&self.root, path, false)?;
                file.sync_data()
            }
        };
        match sync() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("syncing", path, &error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_dir::tests::Scratch;

    #[test]
    fn what_is_written_is_read() {
        let scratch = Scratch::new("written");
        let mut disk = FileDisk::new(scratch.path());
        disk.create_directory("d").unwrap();
        disk.write("d/f", 0, b"abc").unwrap();
        disk.write("d/f", 3, b"def").unwrap();
        assert_eq!(disk.read("d/f", 2, 3).unwrap(), b"cde");
        assert_eq!(disk.read("d/f", 4, 100).unwrap(), b"ef");
        assert_eq!(disk.read("d/f", 40, 100).unwrap(), b"");
        assert_eq!(disk.len("d/f").unwrap(), Some(6));
        disk.truncate("d/f", 1).unwrap();
        assert_eq!(disk.share().read("d/f", 0, 100).unwrap(), b"a");
    }

    #[test]
    fn what_is_not_there_is_listed_empty_removed_and_synced_but_not_read() {
        let scratch = Scratch::new("absent");
        let mut disk = FileDisk::new(scratch.path());
        assert_eq!(disk.list("d").unwrap(), []);
        assert_eq!(disk.len("f").unwrap(), None);
        disk.remove("f").unwrap();
        disk.sync("f").unwrap();
        let error = disk.read("f", 0, 1).unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
    }

    #[test]
    fn a_renamed_directory_takes_its_open_files_along() {
        let scratch = Scratch::new("renamed");
        let mut disk = FileDisk::new(scratch.path());
        disk.create_directory("a").unwrap();
        disk.create_directory("ab").unwrap();
        disk.write("a/f", 0, b"1").unwrap();
        disk.write("ab/f", 0, b"2").unwrap();
        disk.rename("a", "c").unwrap();
        assert_eq!(disk.read("c/f", 0, 1).unwrap(), b"1");
        assert_eq!(disk.read("ab/f", 0, 1).unwrap(), b"2");
        assert!(disk.read("a/f", 0, 1).is_err());
    }

    #[test]
    fn more_files_than_may_be_open_are_written() {
        let scratch = Scratch::new("many");
        let mut disk = FileDisk::new(scratch.path());
        for round in 0..2u64 {
            for number in 0..LARGEST_OPEN + 10 {
                disk.write(&format!("f{number}"), round, b"x").unwrap();
            }
        }
        assert_eq!(disk.read("f0", 0, 10).unwrap(), b"xx");
        assert!(disk.open_files().by_path.len() <= LARGEST_OPEN);
    }

    #[test]
    fn a_file_and_the_directory_itself_are_synced() {
        let scratch = Scratch::new("synced");
        let mut disk = FileDisk::new(scratch.path());
        disk.write("f", 0, b"1").unwrap();
        disk.sync("f").unwrap();
        disk.sync("").unwrap();
    }
}
