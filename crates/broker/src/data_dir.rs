//! The directory of a broker that keeps its logs: locked while it is used, and marked with the cluster it belongs to, as
//! Kafka does. What is in the logs is the node's.

mod held;
mod lock;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::file_disk::FileDisk;

/// The file that is locked.
// Kafka: LogManager.LOCK_FILE_NAME
const LOCK: &str = ".lock";
/// The file that says whose directory it is.
// Kafka: MetaPropertiesEnsemble.META_PROPERTIES_NAME
const META_PROPERTIES: &str = "meta.properties";
/// How long a start waits for a broker of this process that is ending: it syncs its logs meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a data directory is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another broker uses it: one of Kafka's, or an embedded one of this process or another.
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
    /// It holds the logs of another node.
    #[error("the data directory {path} belongs to the node {found}, not to {wanted}")]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// The `node.id` of its logs.
        found: i32,
        /// The `node.id` that was asked for.
        wanted: i32,
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

/// Whose logs a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) cluster_id: String,
    /// Of several brokers the first one's.
    pub(crate) node_id: i32,
}

/// Whose logs a directory is to hold; whoever's they are, where nothing is said.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) cluster_id: Option<&'a str>,
    pub(crate) node_id: Option<i32>,
}

impl Wanted<'_> {
    /// Whose logs they are where nobody has said so yet.
    pub(crate) fn or(&self, default: Owner) -> Owner {
        Owner {
            cluster_id: self.cluster_id.map_or(default.cluster_id, str::to_owned),
            node_id: self.node_id.unwrap_or(default.node_id),
        }
    }
}

/// A directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Held, not read: the lock goes when it is closed, also when the process is killed.
    _lock: File,
    /// Dropped after the lock: who waits for the directory finds it free.
    _held: watch::Sender<()>,
}

impl DataDir {
    /// Takes a directory, which is created when it is not there, for a broker that ends when `stop` says so or is closed. A broker
    /// of this process that has it and is ending is waited for. When dropped, nothing is taken.
    pub(crate) async fn take(path: &Path, stop: watch::Receiver<bool>) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(failed)?;
        let directory = fs::canonicalize(path).map_err(failed)?;
        // Who ends for longer than that has it still, as the lock says.
        let _ = timeout(PATIENCE, held::left(&directory)).await;
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false);
        let file = file.open(path.join(LOCK)).map_err(failed)?;
        match lock::try_lock(&file).map_err(failed)? {
            true => Ok(Self {
                path: path.to_owned(),
                _lock: file,
                _held: held::note(&directory, stop),
            }),
            false => Err(DataDirError::InUse {
                path: path.to_owned(),
            }),
        }
    }

    /// The files in it.
    pub(crate) fn disk(&self) -> FileDisk {
        FileDisk::new(&self.path)
    }

    /// Whose logs are here. A new directory is marked with what is `wanted`, or with the default.
    // Kafka: MetaPropertiesEnsemble.verify
    pub(crate) fn owner(&self, wanted: &Wanted<'_>, default: Owner) -> Result<Owner, DataDirError> {
        let file = self.path.join(META_PROPERTIES);
        let failed = |source| DataDirError::Io {
            path: self.path.clone(),
            source,
        };
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let owner = wanted.or(default);
                self.mark(&file, &owner).map_err(failed)?;
                return Ok(owner);
            }
            Err(error) => return Err(failed(error)),
        };
        let found = |key: &str| {
            text.lines()
                .find_map(|line| line.trim().strip_prefix(key))
                .map(str::trim)
        };
        let owner = Owner {
            cluster_id: found("cluster.id=").map_or(default.cluster_id, str::to_owned),
            // Kafka: MetaPropertiesVersion: version 0 has broker.id
            node_id: match found("node.id=")
                .or_else(|| found("broker.id="))
                .map(str::parse::<i32>)
            {
                None => default.node_id,
                Some(Ok(id)) if id >= 0 => id,
                Some(_) => {
                    return Err(self.unreadable(&format_args!("{META_PROPERTIES} has no sound node.id")));
                }
            },
        };
        match (wanted.cluster_id, wanted.node_id) {
            (Some(wanted), _) if wanted != owner.cluster_id => Err(DataDirError::OtherCluster {
                path: self.path.clone(),
                found: owner.cluster_id,
                wanted: wanted.to_owned(),
            }),
            (_, Some(wanted)) if wanted != owner.node_id => Err(DataDirError::OtherNode {
                path: self.path.clone(),
                found: owner.node_id,
                wanted,
            }),
            _ => Ok(owner),
        }
    }

    fn mark(&self, file: &Path, owner: &Owner) -> io::Result<()> {
        let draft = self.path.join(format!("{META_PROPERTIES}.tmp"));
        let Owner { cluster_id, node_id } = owner;
        // Kafka: MetaProperties, version 1
        fs::write(
            &draft,
            format!("version=1\ncluster.id={cluster_id}\nnode.id={node_id}\n"),
        )?;
        File::open(&draft)?.sync_all()?;
        fs::rename(&draft, file)
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
    use std::future::ready;
    use std::pin::pin;

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

    /// Takes a directory for a broker that ends when the other half is dropped.
    pub(crate) async fn take(scratch: &Scratch) -> (Result<DataDir, DataDirError>, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        (DataDir::take(scratch.path(), stopped).await, stop)
    }

    #[tokio::test]
    async fn a_directory_is_taken_once() {
        let scratch = Scratch::new("lock");
        let (first, _stop) = take(&scratch).await;
        let error = take(&scratch).await.0.unwrap_err();
        assert!(matches!(error, DataDirError::InUse { .. }));
        assert_eq!(error.to_string().lines().count(), 1);
        drop(first.unwrap());
        take(&scratch).await.0.unwrap();
    }

    #[tokio::test]
    async fn a_directory_whose_broker_is_ending_is_waited_for() {
        let scratch = Scratch::new("ending");
        let (first, stop) = take(&scratch).await;
        drop(stop);
        let mut second = pin!(take(&scratch));
        tokio::select! {
            biased;
            _ = &mut second => panic!("the first one has it still"),
            () = ready(()) => {}
        }
        drop(first.unwrap());
        second.await.0.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_does_not_come_to_its_end_is_not_waited_for_for_ever() {
        let scratch = Scratch::new("never-ending");
        let (first, stop) = take(&scratch).await;
        stop.send_replace(true);
        let error = take(&scratch).await.0.unwrap_err();
        assert!(matches!(error, DataDirError::InUse { .. }));
        drop(first.unwrap());
    }

    #[tokio::test]
    async fn a_directory_keeps_its_cluster_and_its_node() {
        let scratch = Scratch::new("owner");
        let (dir, _stop) = take(&scratch).await;
        let dir = dir.unwrap();
        let owner = |cluster_id, node_id| {
            let default = Owner {
                cluster_id: "default".into(),
                node_id: 0,
            };
            dir.owner(&Wanted { cluster_id, node_id }, default)
        };
        let first = owner(Some("a"), Some(3)).unwrap();
        assert_eq!((first.cluster_id.as_str(), first.node_id), ("a", 3));
        assert_eq!(owner(None, None).unwrap(), first);
        let error = owner(Some("b"), None).unwrap_err();
        assert!(matches!(error, DataDirError::OtherCluster { .. }));
        let error = owner(None, Some(4)).unwrap_err();
        assert!(matches!(
            error,
            DataDirError::OtherNode {
                found: 3,
                wanted: 4,
                ..
            }
        ));
    }

    #[tokio::test]
    async fn a_node_id_that_is_none_is_told() {
        let scratch = Scratch::new("node-id");
        let (dir, _stop) = take(&scratch).await;
        fs::write(scratch.path().join(META_PROPERTIES), "cluster.id=a\nnode.id=x\n").unwrap();
        let default = Owner {
            cluster_id: "default".into(),
            node_id: 0,
        };
        let error = dir.unwrap().owner(&Wanted::default(), default).unwrap_err();
        assert!(error.to_string().contains("node.id"), "{error}");
    }
}
