//! Files as logs need them: the border between the layout of a log on disk ([`super::segmented`]) and the system that keeps
//! the files. No rule of Kafka lives here, and no path outside of one directory: paths are relative to it, with `/`.
//!
//! # The contract
//!
//! * What is written can be read at once and outlives the process; only what was synced outlives the machine. A new, renamed
//!   or removed entry outlives the machine once its directory was synced.
//! * A write that fails may have written a part.
//! * Nothing waits for the medium but [`Disk::sync`], which is called at the start and at the end only. While a node
//!   runs, it asks for a [`DiskTask`], which the driver carries out elsewhere.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::storage::StorageError;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: String,
    /// Whether it is a directory itself.
    pub is_directory: bool,
    /// How many bytes a file has.
    pub len: u64,
}

/// Files in one directory, and in the directories in it.
pub trait Disk: Send {
    /// Another handle of the same files.
    fn share(&self) -> Box<dyn Disk>;

    /// What an operator calls it: the path of the directory.
    fn location(&self) -> String;

    /// The entries of a directory, in any order; `""` is the directory itself. None when it is not there.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn list(&mut self, directory: &str) -> Result<Vec<Entry>, StorageError>;

    /// How many bytes a file has; `None` when it is not there.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn len(&mut self, path: &str) -> Result<Option<u64>, StorageError>;

    /// Creates a directory, unless it is there.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn create_directory(&mut self, path: &str) -> Result<(), StorageError>;

    /// Writes at byte `at`, which is not behind the end; a file that is not there is created.
    ///
    /// # Errors
    ///
    /// When the medium fails; a part of the bytes may then have been written.
    fn write(&mut self, path: &str, at: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Up to `len` bytes from byte `at` on; fewer only at the end of the file.
    ///
    /// # Errors
    ///
    /// When the medium fails or the file is not there.
    fn read(&mut self, path: &str, at: u64, len: usize) -> Result<Vec<u8>, StorageError>;

    /// Cuts a file off after `len` bytes.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn truncate(&mut self, path: &str, len: u64) -> Result<(), StorageError>;

    /// Gives a file or directory another name, in the place of what has that name.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), StorageError>;

    /// Removes a file, or a directory with all that is in it; what is not there is removed.
    ///
    /// # Errors
    ///
    /// When the medium fails.
    fn remove(&mut self, path: &str) -> Result<(), StorageError>;

    /// Waits until a file's bytes, or a directory's entries, are on the medium. What is not there is synced.
    ///
    /// # Errors
    ///
    /// When the medium fails. What was written since the last sync may then be lost, whatever a later sync says.
    fn sync(&mut self, path: &str) -> Result<(), StorageError>;
}

/// Work on files that may take long, which the driver of a node carries out beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskTask {
    /// [`Disk::sync`] of each path, in this order.
    Sync(Vec<String>),
    /// [`Disk::remove`] of each path.
    Remove(Vec<String>),
}

impl DiskTask {
    /// Carries the task out; this waits for the medium.
    ///
    /// # Errors
    ///
    /// The first failure; what comes after it is not done.
    pub fn carry_out(&self, disk: &mut dyn Disk) -> Result<(), StorageError> {
        match self {
            Self::Sync(paths) => paths.iter().try_for_each(|path| disk.sync(path)),
            Self::Remove(paths) => paths.iter().try_for_each(|path| disk.remove(path)),
        }
    }
}
