//! The broker's disk: a disk in memory that loses power, whose log files are watched as they are written. So the simulation knows
//! what is in the logs without asking the broker.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use kohort_node::log::testing::MemoryDisk;
use kohort_node::log::{Disk, Entry, StorageError};

use crate::logs::Written;
use crate::mutants::Mutant;

/// A handle of the watched disk.
#[derive(Debug, Clone)]
pub(crate) struct WatchedDisk {
    disk: MemoryDisk,
    written: Arc<Mutex<Vec<Written>>>,
    mutant: Option<Mutant>,
}

/// The directory of a log file; `None` for any other file.
fn log_of(path: &str) -> Option<&str> {
    let (directory, file) = path.rsplit_once('/')?;
    file.ends_with(".log").then_some(directory)
}

impl WatchedDisk {
    pub(crate) fn new(mutant: Option<Mutant>) -> Self {
        Self {
            disk: MemoryDisk::default(),
            written: Arc::default(),
            mutant,
        }
    }

    /// What was written to logs since the last call.
    pub(crate) fn take_written(&self) -> Vec<Written> {
        core::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn lose_power(&self, seed: u64) {
        self.disk.lose_power(seed);
    }

    /// All that is in the logs, by directory.
    pub(crate) fn logs(&mut self) -> Vec<Written> {
        let mut logs = Vec::new();
        for path in self.disk.paths() {
            let Some(log) = log_of(&path) else { continue };
            if let Ok(bytes) = self.disk.read(&path, 0, usize::MAX) {
                logs.push(Written {
                    log: log.to_owned(),
                    bytes: bytes.into(),
                });
            }
        }
        logs
    }
}

impl Disk for WatchedDisk {
    fn share(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }

    fn location(&self) -> String {
        self.disk.location()
    }

    fn list(&mut self, directory: &str) -> Result<Vec<Entry>, StorageError> {
        self.disk.list(directory)
    }

    fn len(&mut self, path: &str) -> Result<Option<u64>, StorageError> {
        self.disk.len(path)
    }

    fn create_directory(&mut self, path: &str) -> Result<(), StorageError> {
        self.disk.create_directory(path)
    }

    fn write(&mut self, path: &str, at: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let at = match self.mutant {
            // As a file that is opened for appending behaves.
            Some(Mutant::TornTailNotCut) if log_of(path).is_some() => self.disk.len(path)?.unwrap_or(at),
            _ => at,
        };
        self.disk.write(path, at, bytes)?;
        if let Some(log) = log_of(path)
            && !bytes.is_empty()
        {
            let written = Written {
                log: log.to_owned(),
                bytes: Bytes::copy_from_slice(bytes),
            };
            self.written
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(written);
        }
        Ok(())
    }

    fn read(&mut self, path: &str, at: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        self.disk.read(path, at, len)
    }

    fn truncate(&mut self, path: &str, len: u64) -> Result<(), StorageError> {
        match self.mutant {
            Some(Mutant::TornTailNotCut) if log_of(path).is_some() => Ok(()),
            _ => self.disk.truncate(path, len),
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StorageError> {
        self.disk.rename(from, to)
    }

    fn remove(&mut self, path: &str) -> Result<(), StorageError> {
        self.disk.remove(path)
    }

    fn sync(&mut self, path: &str) -> Result<(), StorageError> {
        match self.mutant {
            Some(Mutant::SyncNotDone) => Ok(()),
            _ => self.disk.sync(path),
        }
    }
}
