//! The names of Kafka's files and directories.

use alloc::format;
use alloc::string::String;

/// What a file of a partition's directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Index,
    TimeIndex,
    /// A snapshot of producers or an index of aborted transactions: Kafka's, not ours.
    Other,
}

/// What stands behind a file's proper name while it is being replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// In use.
    Final,
    /// Complete, and about to take the place of segments that were cleaned.
    Swap,
    /// To be removed.
    Leftover,
}

/// The path of a segment's file.
// Kafka: LogFileUtils.filenamePrefixFromOffset
pub(super) fn segment_file(directory: &str, base_offset: i64, extension: &str) -> String {
    format!("{directory}/{base_offset:020}.{extension}")
}

/// The directory of a partition.
// Kafka: UnifiedLog.logDirName
pub(super) fn partition_directory(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The topic and partition of a directory's name; `None` for a name that is none, or marked for removal.
// Kafka: LocalLog.parseTopicPartitionName
pub(super) fn parse_partition_directory(name: &str) -> Option<(&str, i32)> {
    if is_set_aside(name) {
        return None;
    }
    let (topic, partition) = name.rsplit_once('-')?;
    if !crate::topics::is_valid_name(topic) {
        return None;
    }
    let number: i32 = partition.parse().ok()?;
    (number >= 0 && partition_directory(topic, number) == name).then_some((topic, number))
}

/// Whether a directory is marked for removal.
pub(super) fn is_deleted(name: &str) -> bool {
    name.ends_with("-delete") && name.contains('.')
}

/// Whether a directory is no log any more: marked for removal, or set aside because no topic has it.
pub(super) fn is_set_aside(name: &str) -> bool {
    is_deleted(name) || (name.ends_with("-stray") && name.contains('.'))
}

/// The name under which a partition's directory waits for its removal (`delete`) or for an operator (`stray`).
// Kafka: LocalLog.logDeleteDirName, logStrayDirName
pub(super) fn aside(directory: &str, unique: &str, why: &str) -> String {
    let suffix = format!(".{unique}-{why}");
    // Kafka: at most 255 characters, the longest name of a file.
    let kept = 255usize.saturating_sub(suffix.len()).min(directory.len());
    format!("{}{suffix}", directory.get(..kept).unwrap_or_default())
}

/// What a file in a partition's directory is: the segment's base offset, its kind and stage.
pub(super) fn parse_segment_file(name: &str) -> Option<(i64, Kind, Stage)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.len() < 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let base_offset: i64 = digits.parse().ok()?;
    let mut parts = rest.split('.');
    let kind = match parts.next()? {
        "log" => Kind::Log,
        "index" => Kind::Index,
        "timeindex" => Kind::TimeIndex,
        "snapshot" | "txnindex" => Kind::Other,
        _ => return None,
    };
    let stage = match parts.next() {
        None => Stage::Final,
        Some("swap") => Stage::Swap,
        // A snapshot that is to be removed has a unique part before `deleted`.
        Some(_) => Stage::Leftover,
    };
    Some((base_offset, kind, stage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segments_name_is_its_base_offset_in_twenty_digits() {
        assert_eq!(segment_file("t-0", 42, "log"), "t-0/00000000000000000042.log");
        assert_eq!(
            parse_segment_file("00000000000000000042.timeindex"),
            Some((42, Kind::TimeIndex, Stage::Final))
        );
    }

    #[test]
    fn unfinished_and_removed_files_are_told_from_those_in_use() {
        let stage = |name| parse_segment_file(name).map(|(_, _, stage)| stage);
        assert_eq!(stage("00000000000000000000.log.deleted"), Some(Stage::Leftover));
        assert_eq!(stage("00000000000000000000.log.cleaned"), Some(Stage::Leftover));
        assert_eq!(stage("00000000000000000000.log.swap"), Some(Stage::Swap));
        assert_eq!(stage("leader-epoch-checkpoint"), None);
        assert_eq!(stage("partition.metadata"), None);
    }

    #[test]
    fn a_directory_is_read_as_topic_and_partition() {
        assert_eq!(parse_partition_directory("a-b-12"), Some(("a-b", 12)));
        for name in ["a", "a-", "a-b", "a-01", "-1", "a-0.f00-delete", "lost+found"] {
            assert_eq!(parse_partition_directory(name), None, "{name}");
        }
    }

    #[test]
    fn the_name_of_what_is_removed_fits_a_file_name() {
        let long = "a".repeat(249) + "-10000";
        let name = aside(&long, "0123456789abcdef", "delete");
        assert!(name.len() <= 255 && is_deleted(&name));
    }
}
