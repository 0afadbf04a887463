//! The directory of all logs: which partitions it holds, and the checkpoints they share.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::Uuid;

use super::checkpoint::{self, read_text, replace, replace_synced};
use super::log::SegmentedLog;
use super::names::{aside, is_deleted, parse_partition_directory, partition_directory};
use super::recovery::{Known, recover};
use crate::config::LogConfig;
use crate::log::disk::Disk;
use crate::log::storage::{LogName, Point, Storage, StorageError, StoredLog};

/// Says that the process that wrote the logs ended in order.
// Kafka: CleanShutdownFileHandler
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// The file of a partition's directory that has the topic's id.
const PARTITION_METADATA: &str = "partition.metadata";

/// Keeps logs in Kafka's layout.
pub struct SegmentStorage {
    disk: Box<dyn Disk>,
    is_clean: bool,
    recovery_points: Points,
    start_offsets: Points,
    /// What acknowledgements rest on.
    changed: Vec<String>,
    changed_points: Vec<String>,
    garbage: Vec<String>,
}

/// A checkpoint of offsets by directory.
#[derive(Debug, Default)]
struct Points {
    offsets: BTreeMap<String, i64>,
    /// Whether the file says something else.
    is_stale: bool,
}

impl Points {
    fn get(&self, directory: &str) -> i64 {
        self.offsets.get(directory).copied().unwrap_or(0)
    }

    fn forget(&mut self, directory: &str) {
        self.is_stale |= self.offsets.remove(directory).is_some();
    }
}

impl core::fmt::Debug for SegmentStorage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SegmentStorage")
            .field("is_clean", &self.is_clean)
            .finish_non_exhaustive()
    }
}

impl SegmentStorage {
    /// The logs on a disk. From now on the directory counts as left without being closed, until [`Storage::close`].
    ///
    /// # Errors
    ///
    /// When the disk fails.
    // Kafka: LogManager.loadLogs
    pub fn new(mut disk: Box<dyn Disk>) -> Result<Self, StorageError> {
        let is_clean = disk.len(CLEAN_SHUTDOWN)?.is_some();
        if is_clean {
            disk.remove(CLEAN_SHUTDOWN)?;
            disk.sync("")?;
        }
        let garbage = disk.list("")?.into_iter();
        let garbage = garbage.filter(|entry| entry.is_directory && is_deleted(&entry.name));
        let mut offsets = |point| {
            let text = read_text(disk.as_mut(), file_of(point));
            let offsets = text.as_deref().and_then(checkpoint::parse_offsets);
            Points {
                offsets: offsets.unwrap_or_default(),
                is_stale: false,
            }
        };
        Ok(Self {
            is_clean,
            recovery_points: offsets(Point::Recovery),
            start_offsets: offsets(Point::Start),
            changed: Vec::new(),
            changed_points: Vec::new(),
            garbage: garbage.map(|entry| entry.name).collect(),
            disk,
        })
    }

    /// Whether the process that wrote the logs ended in order.
    pub fn is_clean(&self) -> bool {
        self.is_clean
    }

    fn topic_id(&mut self, directory: &str) -> Option<Uuid> {
        let text = read_text(self.disk.as_mut(), &format!("{directory}/{PARTITION_METADATA}"))?;
        checkpoint::parse_partition_metadata(&text)
    }

    fn put_aside(&mut self, name: &LogName, why: &str) -> Result<String, StorageError> {
        let directory = partition_directory(&name.topic, name.partition);
        // A topic that is created and deleted again has another id.
        let mut unique = String::new();
        for byte in name.topic_id {
            unique.push_str(&format!("{byte:02x}"));
        }
        let new_name = aside(&directory, &unique, why);
        self.disk.rename(&directory, &new_name)?;
        self.changed.push(String::new());
        self.forget_points(&directory);
        Ok(new_name)
    }

    /// What was kept of a directory is not true of the next one of its name.
    fn forget_points(&mut self, directory: &str) {
        self.recovery_points.forget(directory);
        self.start_offsets.forget(directory);
    }

    fn points(&mut self, point: Point) -> &mut Points {
        match point {
            Point::Recovery => &mut self.recovery_points,
            Point::Start => &mut self.start_offsets,
        }
    }

    fn write_points(&mut self, point: Point) -> Result<(), StorageError> {
        let text = checkpoint::offsets_to_text(&self.points(point).offsets);
        let file = file_of(point);
        match point {
            // Without a recovery point more is looked through, that is all.
            Point::Recovery => replace(self.disk.as_mut(), file, &text)?,
            Point::Start => replace_synced(self.disk.as_mut(), file, &text)?,
        }
        self.points(point).is_stale = false;
        Ok(())
    }
}

fn file_of(point: Point) -> &'static str {
    match point {
        Point::Recovery => "recovery-point-offset-checkpoint",
        Point::Start => "log-start-offset-checkpoint",
    }
}

/// Directories after what is in them, each once.
fn in_order(mut paths: Vec<String>) -> Vec<String> {
    paths.sort_by_key(|path| (path.is_empty(), path.clone()));
    paths.dedup();
    paths
}

impl Storage for SegmentStorage {
    fn open(&mut self, name: &LogName, config: &LogConfig) -> Result<Box<dyn StoredLog>, StorageError> {
        let directory = partition_directory(&name.topic, name.partition);
        let metadata = format!("{directory}/{PARTITION_METADATA}");
        match self.topic_id(&directory) {
            Some(id) if id.0 == name.topic_id => {}
            Some(id) => {
                return Err(StorageError {
                    operation: "opening a log",
                    reason: format!(
                        "{directory} belongs to the topic with the id {id}, not to that with the id {}",
                        Uuid(name.topic_id)
                    ),
                });
            }
            None => {
                if self.disk.list(&directory)?.is_empty() {
                    self.forget_points(&directory);
                }
                for point in [Point::Recovery, Point::Start] {
                    // Before the directory is there: what the files say of its name is of an earlier one.
                    if self.points(point).is_stale {
                        self.write_points(point)?;
                        self.changed.push(file_of(point).to_string());
                    }
                }
                self.disk.create_directory(&directory)?;
                let text = checkpoint::partition_metadata_to_text(Uuid(name.topic_id));
                replace(self.disk.as_mut(), &metadata, &text)?;
                self.changed.extend([metadata, directory.clone(), String::new()]);
            }
        }
        let known = Known {
            is_clean: self.is_clean,
            recovery_point: self.recovery_points.get(&directory),
            start_offset: self.start_offsets.get(&directory),
        };
        let recovered = recover(self.disk.as_mut(), &directory, known, config)?;
        let disk = self.disk.share();
        Ok(Box::new(SegmentedLog::new(
            disk,
            directory,
            known.start_offset,
            recovered,
        )))
    }

    fn remove(&mut self, name: &LogName) -> Result<(), StorageError> {
        let found = self.topic_id(&partition_directory(&name.topic, name.partition));
        if found.is_some_and(|id| id.0 != name.topic_id) {
            // It is another's, which has the name; its own was never there.
            return Ok(());
        }
        let removed = self.put_aside(name, "delete")?;
        self.garbage.push(removed);
        Ok(())
    }

    fn location(&self) -> String {
        self.disk.location()
    }

    fn is_lasting(&self) -> bool {
        true
    }

    fn found(&mut self) -> Result<Vec<LogName>, StorageError> {
        let mut found = Vec::new();
        for entry in self.disk.list("")? {
            if !entry.is_directory {
                continue;
            }
            let Some((topic, partition)) = parse_partition_directory(&entry.name) else {
                continue;
            };
            found.push(LogName {
                topic: topic.into(),
                topic_id: self.topic_id(&entry.name).unwrap_or_default().0,
                partition,
            });
        }
        found.sort();
        Ok(found)
    }

    fn set_aside(&mut self, name: &LogName) -> Result<(), StorageError> {
        self.put_aside(name, "stray").map(drop)
    }

    fn keep(&mut self, point: Point, offsets: &[(LogName, i64)]) -> Result<(), StorageError> {
        let by_directory: BTreeMap<String, i64> = offsets
            .iter()
            .map(|(name, offset)| (partition_directory(&name.topic, name.partition), *offset))
            .collect();
        let kept = self.points(point);
        if !kept.is_stale && kept.offsets == by_directory {
            return Ok(());
        }
        kept.offsets = by_directory;
        kept.is_stale = true;
        self.write_points(point)?;
        self.changed_points
            .extend([file_of(point).to_string(), String::new()]);
        Ok(())
    }

    fn take_unsynced(&mut self) -> Vec<String> {
        in_order(core::mem::take(&mut self.changed))
    }

    fn take_unsynced_points(&mut self) -> Vec<String> {
        in_order(core::mem::take(&mut self.changed_points))
    }

    fn take_garbage(&mut self) -> Vec<String> {
        core::mem::take(&mut self.garbage)
    }

    fn sync(&mut self, paths: &[String]) -> Result<(), StorageError> {
        paths.iter().try_for_each(|path| self.disk.sync(path))
    }

    fn close(&mut self, epoch: i64) -> Result<(), StorageError> {
        let text = format!("{{\"version\":0,\"brokerEpoch\":{epoch}}}");
        self.disk.write(CLEAN_SHUTDOWN, 0, text.as_bytes())?;
        self.disk.sync(CLEAN_SHUTDOWN)?;
        self.disk.sync("")
    }
}
