//! A disk in memory for tests and simulations: it tears writes, fails and loses power as it is told, and does the same
//! again with the same seed.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kohort_machine::Prng;

use super::disk::{Disk, Entry};
use super::storage::StorageError;

/// A file: its bytes, and what is on the medium.
#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct State {
    files: Vec<File>,
    /// The entries as the process sees them: files by number, directories without.
    entries: BTreeMap<String, Option<usize>>,
    /// The entries on the medium.
    synced: BTreeMap<String, Option<usize>>,
    /// How many bytes more fit, if that is bounded.
    room: Option<u64>,
    /// How many more operations that change something are done before all fail, if that is bounded.
    fuel: Option<u64>,
    fails_sync: bool,
    syncs: u64,
}

/// A disk in memory. All its handles show the same files.
///
/// ```
/// use kohort_node::log::Disk;
/// use kohort_node::log::testing::MemoryDisk;
///
/// let mut disk = MemoryDisk::default();
/// disk.write("file", 0, b"kept")?;
/// disk.sync("file")?;
/// disk.sync("")?;
/// disk.write("file", 4, b" lost")?;
/// disk.lose_power(1);
/// assert!(disk.read("file", 0, 100)?.starts_with(b"kept"));
/// # Ok::<(), kohort_node::log::StorageError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

impl MemoryDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another disk with what this one holds now.
    pub fn copy(&self) -> Self {
        Self {
            state: Arc::new(Mutex::new(self.state().clone())),
        }
    }

    /// How many bytes more fit; `None` for no bound. A write that does not fit writes what does, and fails.
    pub fn set_room(&self, room: Option<u64>) {
        self.state().room = room;
    }

    /// How many more operations that change something are done; then all fail, the first of them after a part. `None` for no
    /// bound.
    pub fn set_fuel(&self, fuel: Option<u64>) {
        self.state().fuel = fuel;
    }

    /// Whether syncs fail.
    pub fn set_fails_sync(&self, fails: bool) {
        self.state().fails_sync = fails;
    }

    /// How often something was synced.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// The machine loses power: what was not synced is gone, or is there in part, as `seed` decides. The entries of a
    /// directory that was not synced are those of its last sync.
    pub fn lose_power(&self, seed: u64) {
        let mut prng = Prng::from_seed(seed);
        let mut state = self.state();
        state.entries = state.synced.clone();
        for file in &mut state.files {
            let mut kept = file.synced.clone();
            let is_appended = file.bytes.len() > kept.len() && file.bytes.starts_with(&kept);
            if is_appended && prng.chance(2, 3) {
                let more = file.bytes.len().saturating_sub(kept.len());
                let part = usize::try_from(prng.below(more as u64 + 1)).unwrap_or(0);
                let torn = file.bytes.get(kept.len()..kept.len().saturating_add(part));
                kept.extend_from_slice(torn.unwrap_or_default());
                if prng.chance(1, 4) {
                    // The length came to the medium, the bytes did not.
                    let zeros = usize::try_from(prng.below(100)).unwrap_or(0);
                    kept.resize(kept.len().saturating_add(zeros), 0);
                }
            }
            file.bytes.clone_from(&kept);
            file.synced = kept;
        }
        state.room = None;
        state.fuel = None;
        state.fails_sync = false;
    }

    /// Changes a byte of a file, as a medium that is damaged.
    pub fn damage(&self, path: &str, at: usize) {
        let mut state = self.state();
        if let Some(Some(number)) = state.entries.get(path).copied()
            && let Some(byte) = state
                .files
                .get_mut(number)
                .and_then(|file| file.bytes.get_mut(at))
        {
            *byte ^= 0x55;
        }
    }

    /// The paths of all files and directories.
    pub fn paths(&self) -> Vec<String> {
        self.state().entries.keys().cloned().collect()
    }
}

fn failed(operation: &'static str, path: &str, reason: &str) -> StorageError {
    StorageError {
        operation,
        reason: format!("{path}: {reason}"),
    }
}

impl State {
    /// Takes the fuel of one operation.
    fn burn(&mut self, operation: &'static str, path: &str) -> Result<(), StorageError> {
        match self.fuel.as_mut() {
            Some(0) => Err(failed(operation, path, "the disk is out of order")),
            Some(fuel) => {
                *fuel = fuel.saturating_sub(1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn file(&mut self, path: &str) -> Option<&mut File> {
        let number = (*self.entries.get(path)?)?;
        self.files.get_mut(number)
    }

    fn below<'a>(entries: &'a BTreeMap<String, Option<usize>>, path: &str) -> Vec<&'a String> {
        let prefix = format!("{path}/");
        let below = |entry: &&String| *entry == path || entry.starts_with(&prefix);
        entries.keys().filter(below).collect()
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Disk for MemoryDisk {
    fn share(&self) -> Box<dyn Disk> {
        Box::new(self.clone())
    }

    fn location(&self) -> String {
        "memory".to_string()
    }

    fn list(&mut self, directory: &str) -> Result<Vec<Entry>, StorageError> {
        let state = self.state();
        let here = state
            .entries
            .iter()
            .filter(|(path, _)| parent(path) == directory && !path.is_empty());
        let entries = here.map(|(path, number)| Entry {
            name: path.rsplit('/').next().unwrap_or_default().to_string(),
            is_directory: number.is_none(),
            len: number
                .and_then(|number| state.files.get(number))
                .map_or(0, |file| file.bytes.len() as u64),
        });
        Ok(entries.collect())
    }

    fn len(&mut self, path: &str) -> Result<Option<u64>, StorageError> {
        Ok(self.state().file(path).map(|file| file.bytes.len() as u64))
    }

    fn create_directory(&mut self, path: &str) -> Result<(), StorageError> {
        let mut state = self.state();
        state.burn("creating a directory", path)?;
        state.entries.entry(path.to_string()).or_insert(None);
        Ok(())
    }

    fn write(&mut self, path: &str, at: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let mut state = self.state();
        let burnt = state.burn("writing", path);
        let fits = match (&burnt, state.room) {
            (Err(_), _) => bytes.len() / 2,
            (Ok(()), Some(room)) => bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)),
            (Ok(()), None) => bytes.len(),
        };
        if let Some(room) = state.room.as_mut() {
            *room = room.saturating_sub(fits as u64);
        }
        if state.file(path).is_none() {
            let number = state.files.len();
            state.files.push(File::default());
            state.entries.insert(path.to_string(), Some(number));
        }
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        if let Some(file) = state.file(path) {
            assert!(at <= file.bytes.len(), "{path} is written behind its end");
            let end = at.saturating_add(fits);
            if file.bytes.len() < end {
                file.bytes.resize(end, 0);
            }
            if let (Some(to), Some(from)) = (file.bytes.get_mut(at..end), bytes.get(..fits)) {
                to.copy_from_slice(from);
            }
        }
        burnt?;
        match fits == bytes.len() {
            true => Ok(()),
            false => Err(failed("writing", path, "no space left on the disk")),
        }
    }

    fn read(&mut self, path: &str, at: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let mut state = self.state();
        let Some(file) = state.file(path) else {
            return Err(failed("reading", path, "no such file"));
        };
        let start = usize::try_from(at).unwrap_or(usize::MAX).min(file.bytes.len());
        let end = start.saturating_add(len).min(file.bytes.len());
        Ok(file.bytes.get(start..end).unwrap_or_default().to_vec())
    }

    fn truncate(&mut self, path: &str, len: u64) -> Result<(), StorageError> {
        let mut state = self.state();
        state.burn("truncating", path)?;
        let mut freed = 0;
        if let Some(file) = state.file(path) {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            freed = file.bytes.len().saturating_sub(len);
            file.bytes.truncate(len);
        }
        if let Some(room) = state.room.as_mut() {
            *room = room.saturating_add(freed as u64);
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), StorageError> {
        let mut state = self.state();
        state.burn("renaming", from)?;
        if !state.entries.contains_key(from) {
            return Err(failed("renaming", from, "no such file"));
        }
        let moved: Vec<String> = State::below(&state.entries, from).into_iter().cloned().collect();
        for path in moved {
            if let (Some(number), Some(rest)) = (state.entries.remove(&path), path.strip_prefix(from)) {
                state.entries.insert(format!("{to}{rest}"), number);
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), StorageError> {
        let mut state = self.state();
        state.burn("removing", path)?;
        let removed: Vec<String> = State::below(&state.entries, path).into_iter().cloned().collect();
        for path in removed {
            state.entries.remove(&path);
        }
        Ok(())
    }

    fn sync(&mut self, path: &str) -> Result<(), StorageError> {
        let mut state = self.state();
        if state.fails_sync {
            return Err(failed("syncing", path, "the medium failed"));
        }
        state.burn("syncing", path)?;
        state.syncs = state.syncs.saturating_add(1);
        if let Some(file) = state.file(path) {
            file.synced.clone_from(&file.bytes);
            return Ok(());
        }
        if !path.is_empty() && !state.entries.contains_key(path) {
            return Ok(());
        }
        // The entries of a directory, not what is in the directories in it.
        let State { entries, synced, .. } = &mut *state;
        let gone: Vec<String> = synced
            .keys()
            .filter(|entry| parent(entry) == path && !entries.contains_key(*entry))
            .cloned()
            .collect();
        for entry in gone {
            for below in State::below(synced, &entry)
                .into_iter()
                .cloned()
                .collect::<Vec<_>>()
            {
                synced.remove(&below);
            }
        }
        let here = entries.iter().filter(|(entry, _)| parent(entry) == path);
        for (entry, number) in here
            .map(|(entry, number)| (entry.clone(), *number))
            .collect::<Vec<_>>()
        {
            synced.insert(entry, number);
        }
        Ok(())
    }
}
