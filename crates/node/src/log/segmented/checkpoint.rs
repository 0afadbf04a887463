//! Kafka's small text files: offset checkpoints, the leader epochs of a partition, a partition's topic id.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kohort_protocol::Uuid;

use crate::log::disk::Disk;
use crate::log::storage::StorageError;

/// No checkpoint is read beyond this many bytes.
const LARGEST: usize = 64 << 20;

/// The text of a checkpoint: version 0, the number of lines, the lines.
// Kafka: CheckpointFile.write
fn to_text(lines: &[String]) -> String {
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// The lines of a checkpoint; `None` when it is not whole.
// Kafka: CheckpointFile.read
fn lines_of(text: &str) -> Option<Vec<&str>> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    let lines: Vec<&str> = lines.collect();
    (lines.len() == count && text.ends_with('\n')).then_some(lines)
}

/// The whole text of a file; `None` when it is not there or no text.
pub(super) fn read_text(disk: &mut dyn Disk, path: &str) -> Option<String> {
    String::from_utf8(disk.read(path, 0, LARGEST).ok()?).ok()
}

/// Writes a file in one step: a process that dies leaves the old one or the new one.
pub(super) fn replace(disk: &mut dyn Disk, path: &str, text: &str) -> Result<(), StorageError> {
    let draft = format!("{path}.tmp");
    disk.remove(&draft)?;
    disk.write(&draft, 0, text.as_bytes())?;
    disk.rename(&draft, path)
}

/// As [`replace`], and a machine that loses power leaves one of them, too. Waits for the medium.
// Kafka: CheckpointFile.write
pub(super) fn replace_synced(disk: &mut dyn Disk, path: &str, text: &str) -> Result<(), StorageError> {
    let draft = format!("{path}.tmp");
    disk.remove(&draft)?;
    disk.write(&draft, 0, text.as_bytes())?;
    disk.sync(&draft)?;
    disk.rename(&draft, path)
}

/// Offsets by directory of the partition, as `recovery-point-offset-checkpoint` has them.
// Kafka: OffsetCheckpointFile
pub(super) fn offsets_to_text(offsets: &BTreeMap<String, i64>) -> String {
    let lines: Vec<String> = offsets
        .iter()
        .filter_map(|(directory, offset)| {
            let (topic, partition) = directory.rsplit_once('-')?;
            Some(format!("{topic} {partition} {offset}"))
        })
        .collect();
    to_text(&lines)
}

pub(super) fn parse_offsets(text: &str) -> Option<BTreeMap<String, i64>> {
    let mut offsets = BTreeMap::new();
    for line in lines_of(text)? {
        let mut words = line.split_whitespace();
        let (topic, partition) = (words.next()?, words.next()?);
        let offset: i64 = words.next()?.parse().ok()?;
        offsets.insert(format!("{topic}-{partition}"), offset);
    }
    Some(offsets)
}

/// Each leader epoch with its first offset.
// Kafka: LeaderEpochCheckpointFile
pub(super) fn epochs_to_text(epochs: &[(i32, i64)]) -> String {
    let lines: Vec<String> = epochs
        .iter()
        .map(|(epoch, start)| format!("{epoch} {start}"))
        .collect();
    to_text(&lines)
}

pub(super) fn parse_epochs(text: &str) -> Option<Vec<(i32, i64)>> {
    let mut epochs: Vec<(i32, i64)> = Vec::new();
    for line in lines_of(text)? {
        let (epoch, start) = line.split_once(' ')?;
        let entry = (epoch.parse().ok()?, start.trim().parse().ok()?);
        if epochs
            .last()
            .is_some_and(|last| last.0 >= entry.0 || last.1 >= entry.1)
        {
            return None;
        }
        epochs.push(entry);
    }
    Some(epochs)
}

/// `partition.metadata`.
// Kafka: PartitionMetadataFile
pub(super) fn partition_metadata_to_text(topic_id: Uuid) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

pub(super) fn parse_partition_metadata(text: &str) -> Option<Uuid> {
    let line = text.lines().find_map(|line| line.strip_prefix("topic_id:"))?;
    line.trim().to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_as_they_were_written() {
        let offsets: BTreeMap<String, i64> = [("a-b-0".to_string(), 5), ("t-12".to_string(), 0)].into();
        let text = offsets_to_text(&offsets);
        assert_eq!(text, "0\n2\na-b 0 5\nt 12 0\n");
        assert_eq!(parse_offsets(&text), Some(offsets));
    }

    #[test]
    fn a_checkpoint_that_is_not_whole_is_none() {
        for text in ["", "0", "0\n2\na 0 5\n", "0\n1\na 0 5", "1\n0\n", "0\n1\na 0 x\n"] {
            assert_eq!(parse_offsets(text), None, "{text:?}");
        }
    }

    #[test]
    fn epochs_ascend_or_are_none() {
        assert_eq!(
            parse_epochs("0\n2\n0 0\n2 17\n"),
            Some([(0, 0), (2, 17)].to_vec())
        );
        assert_eq!(parse_epochs("0\n2\n2 0\n1 17\n"), None);
        assert_eq!(epochs_to_text(&[(0, 0), (2, 17)]), "0\n2\n0 0\n2 17\n");
    }

    #[test]
    fn a_topic_id_is_read_as_kafka_writes_it() {
        let id = Uuid([7; 16]);
        assert_eq!(
            parse_partition_metadata(&partition_metadata_to_text(id)),
            Some(id)
        );
        assert_eq!(parse_partition_metadata("version: 0\n"), None);
    }
}
