//! The directory of a broker that keeps its logs: locked while it is used, and marked with the cluster it belongs to, as
//! Kafka does. What is in the logs is the node's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::file_disk::FileDisk;

/// The file that is locked.
// Kafka: LogManager.LOCK_FILE_NAME
const LOCK: &str = ".lock";
/// The file that says whose directory it is.
// Kafka: MetaPropertiesEnsemble.META_PROPERTIES_NAME
const META_PROPERTIES: &str = "meta.properties";

/// Why a data directory is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another broker uses it.
    #[error("the data directory {path} is in use by another broker")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It holds the logs of another cluster.
    #[error("the data directory {path} belongs to the cluster {found}, not to {wanted}")]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster of its logs.
        found: String,
        /// The cluster that was asked for.
        wanted: String,
    },
    /// The system does not let it be used.
    #[error("the data directory {path} cannot be used: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What it holds cannot be read.
    #[error("the data directory {path} cannot be opened: {reason}")]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held, not read: the lock goes when it is closed, also when the process is killed.
    _lock: File,
}

impl DataDir {
    /// Takes a directory, which is created when it is not there.
    pub(crate) fn take(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(failed)?;
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false);
        let lock = lock.open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// The files in it.
    pub(crate) fn disk(&self) -> FileDisk {
        FileDisk::new(&self.path)
    }

    /// The id of the cluster whose logs are here. A new directory is marked with `wanted`, or with `default`.
    pub(crate) fn cluster_id(&self, wanted: Option<&str>, default: &str) -> Result<String, DataDirError> {
        let file = self.path.join(META_PROPERTIES);
        let failed = |source| DataDirError::Io {
            path: self.path.clone(),
            source,
        };
        match fs::read_to_string(&file) {
            Ok(text) => {
                let found = text
                    .lines()
                    .find_map(|line| line.trim().strip_prefix("cluster.id="));
                let found = found.unwrap_or(default).trim();
                match wanted {
                    Some(wanted) if wanted != found => Err(DataDirError::OtherCluster {
                        path: self.path.clone(),
                        found: found.to_owned(),
                        wanted: wanted.to_owned(),
                    }),
                    _ => Ok(found.to_owned()),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = wanted.unwrap_or(default);
                let draft = self.path.join(format!("{META_PROPERTIES}.tmp"));
                // Kafka: MetaProperties, version 1
                fs::write(&draft, format!("version=1\ncluster.id={id}\nnode.id=0\n")).map_err(failed)?;
                File::open(&draft)
                    .and_then(|file| file.sync_all())
                    .map_err(failed)?;
                fs::rename(&draft, &file).map_err(failed)?;
                Ok(id.to_owned())
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) fn unreadable(&self, error: &dyn std::fmt::Display) -> DataDirError {
        DataDirError::Unreadable {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A directory of its own for one test, removed with it.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("kohort-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_directory_is_taken_once() {
        let scratch = Scratch::new("lock");
        let first = DataDir::take(scratch.path()).unwrap();
        let error = DataDir::take(scratch.path()).unwrap_err();
        assert!(matches!(error, DataDirError::InUse { .. }));
        assert_eq!(error.to_string().lines().count(), 1);
        drop(first);
        DataDir::take(scratch.path()).unwrap();
    }

    #[test]
    fn a_directory_keeps_its_cluster() {
        let scratch = Scratch::new("cluster");
        let dir = DataDir::take(scratch.path()).unwrap();
        assert_eq!(dir.cluster_id(Some("a"), "default").unwrap(), "a");
        assert_eq!(dir.cluster_id(None, "default").unwrap(), "a");
        let error = dir.cluster_id(Some("b"), "default").unwrap_err();
        assert!(matches!(error, DataDirError::OtherCluster { .. }));
    }
}
