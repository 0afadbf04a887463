//! Opens the segments of a log as they were left: finishes what a process that died left half done, cuts torn tails off,
//! rebuilds indexes. What is read of the batches for other purposes is not read here.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_records::{Batch, BatchError};

use super::head::{Head, Walk};
use super::index::{self, Indexed, OFFSET_ENTRY, TIME_ENTRY, TimedOffset};
use super::names::{Kind, Stage, parse_segment_file};
use super::segment::Segment;
use crate::config::LogConfig;
use crate::log::disk::Disk;
use crate::log::storage::StorageError;

/// How many bytes are read at once when batches are checked.
const CHECKED_AT_ONCE: usize = 1 << 20;

/// What is known before a log is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Whether the process that wrote the log ended in order.
    pub(super) is_clean: bool,
    /// Everything below this offset was synced.
    pub(super) recovery_point: i64,
    /// Where the log begins, if it is not where its first segment begins.
    pub(super) start_offset: i64,
}

/// Segments as they were found, and what was done to them.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) segments: Vec<Segment>,
    /// Lines for the operator.
    pub(super) notes: Vec<String>,
    /// Whether a file or the directory was changed and is not synced.
    pub(super) is_changed: bool,
}

/// Opens the segments of a directory; at least one.
// Kafka: LogLoader.load
pub(super) fn recover(
    disk: &mut dyn Disk,
    directory: &str,
    known: Known,
    config: &LogConfig,
) -> Result<Recovered, StorageError> {
    let mut recovered = Recovered::default();
    let mut found = tidy(disk, directory, &mut recovered)?;
    let ends: Vec<i64> = found.keys().copied().skip(1).chain([i64::MAX]).collect();
    let last = found.keys().next_back().copied();
    let mut expected = i64::MIN;
    for (base_offset, end) in found.keys().copied().zip(ends).collect::<Vec<_>>() {
        let mut segment = Segment::new(directory, base_offset);
        segment.len = found.remove(&base_offset).unwrap_or_default();
        let is_last = Some(base_offset) == last;
        let is_trusted = known.is_clean || end <= known.recovery_point;
        let is_sound = is_trusted && load(disk, &mut segment, is_last)?;
        let cut = if is_sound {
            if !is_last {
                segment.next_offset = end;
            }
            None
        } else {
            if is_trusted {
                recovered.notes.push(format!(
                    "{}: an index is missing or does not fit; the indexes are built again",
                    segment.log_path
                ));
            }
            recovered.is_changed = true;
            rebuild(disk, &mut segment, expected, config, is_trusted)?
        };
        expected = segment.next_offset;
        recovered.segments.push(segment);
        if let Some(bytes) = cut {
            recovered.notes.push(format!(
                "{directory}: {bytes} bytes behind offset {expected} are no whole batches and are cut off"
            ));
            break;
        }
    }
    // What comes after a cut was never acknowledged as durable.
    for base_offset in found.into_keys() {
        let segment = Segment::new(directory, base_offset);
        recovered.notes.push(format!(
            "{directory}: the segment at offset {base_offset} comes after the cut and is removed"
        ));
        for path in [&segment.log_path, &segment.index_path, &segment.time_path] {
            disk.remove(path)?;
        }
        recovered.is_changed = true;
    }
    // Kafka: LogLoader.recoverLog: a log that ends before its start begins anew there.
    if recovered
        .segments
        .last()
        .is_some_and(|last| last.next_offset < known.start_offset)
    {
        recovered.notes.push(format!(
            "{directory}: all segments end before offset {}, where the log begins; they are removed",
            known.start_offset
        ));
        for segment in recovered.segments.drain(..) {
            for path in [&segment.log_path, &segment.index_path, &segment.time_path] {
                disk.remove(path)?;
            }
        }
    }
    if recovered.segments.is_empty() {
        let segment = Segment::new(directory, known.start_offset.max(0));
        segment.create(disk)?;
        recovered.segments.push(segment);
        recovered.is_changed = true;
    }
    Ok(recovered)
}

/// Finishes what was begun, removes what is not needed, and gives the segments with their sizes.
// Kafka: LogLoader.removeTempFilesAndCollectSwapFiles, loadSegmentFiles
fn tidy(
    disk: &mut dyn Disk,
    directory: &str,
    recovered: &mut Recovered,
) -> Result<BTreeMap<i64, u64>, StorageError> {
    let mut logs = BTreeMap::new();
    let mut swaps = Vec::new();
    let mut others = Vec::new();
    for entry in disk.list(directory)? {
        let path = format!("{directory}/{}", entry.name);
        match parse_segment_file(&entry.name) {
            Some((base, Kind::Log, Stage::Final)) => {
                logs.insert(base, entry.len);
            }
            Some((base, Kind::Log, Stage::Swap)) => swaps.push((base, path, entry.len)),
            Some((_, _, Stage::Swap | Stage::Leftover)) => {
                disk.remove(&path)?;
                recovered.is_changed = true;
            }
            Some((base, Kind::Index | Kind::TimeIndex, Stage::Final)) => others.push((base, path)),
            _ => {}
        }
    }
    for (base, path, len) in swaps {
        let proper = Segment::new(directory, base);
        // The swapped segment holds what those up to its last offset held.
        let mut walk = Walk::new(&path, 0, len);
        let mut next_offset = base;
        while let Some((_, head)) = walk.next(disk)? {
            next_offset = head.last_offset.saturating_add(1);
        }
        let replaced: Vec<i64> = logs
            .range(base..next_offset.max(base))
            .map(|(base, _)| *base)
            .collect();
        for replaced in replaced {
            let old = Segment::new(directory, replaced);
            for path in [&old.log_path, &old.index_path, &old.time_path] {
                disk.remove(path)?;
            }
            logs.remove(&replaced);
        }
        disk.remove(&proper.index_path)?;
        disk.remove(&proper.time_path)?;
        disk.rename(&path, &proper.log_path)?;
        logs.insert(base, len);
        recovered.is_changed = true;
    }
    for (base, path) in others {
        if !logs.contains_key(&base) {
            disk.remove(&path)?;
            recovered.is_changed = true;
        }
    }
    Ok(logs)
}

/// Reads the state of a segment from its indexes; false when they are missing or wrong.
// Kafka: LogSegment.sanityCheck, OffsetIndex.sanityCheck, TimeIndex.sanityCheck
fn load(disk: &mut dyn Disk, segment: &mut Segment, is_last: bool) -> Result<bool, StorageError> {
    let (Some(offsets), Some(times)) = (
        entries(disk, &segment.index_path, OFFSET_ENTRY)?,
        entries(disk, &segment.time_path, TIME_ENTRY)?,
    ) else {
        return Ok(false);
    };
    let last_offset = match last_entry(disk, &segment.index_path, OFFSET_ENTRY, offsets)? {
        Some(bytes) => index::read_offset_entry(&bytes),
        None => Some((0, 0)),
    };
    let last_time = match last_entry(disk, &segment.time_path, TIME_ENTRY, times)? {
        Some(bytes) => match index::read_time_entry(&bytes) {
            Some((timestamp, relative)) if relative >= 0 => Some(TimedOffset {
                timestamp,
                offset: segment.base_offset.saturating_add(relative),
            }),
            _ => return Ok(false),
        },
        None => None,
    };
    let Some((relative, position)) = last_offset else {
        return Ok(false);
    };
    if relative < 0 || (offsets > 0 && relative == 0) || position > segment.len {
        return Ok(false);
    }
    segment.indexed = Indexed::existing(segment.base_offset, offsets, times, last_time);
    let first = Walk::new(&segment.log_path, 0, segment.len).next(disk)?;
    segment.first_timestamp = first.map(|(_, head)| head.max_timestamp);
    // Behind the last entry lies little; of a segment that is not the last, only the greatest time is wanted.
    let mut walk = Walk::new(&segment.log_path, position, segment.len);
    let mut next_offset = segment.base_offset;
    while let Some((_, head)) = walk.next(disk)? {
        if head.base_offset < next_offset {
            return Ok(false);
        }
        segment.indexed.skip(&head);
        next_offset = head.last_offset.saturating_add(1);
    }
    if walk.position() != segment.len {
        return Ok(false);
    }
    segment.next_offset = next_offset;
    // A segment that is complete has the entry of its greatest time; another may have lost it.
    Ok(is_last || segment.indexed.add_time().is_none())
}

/// How many entries an index has; `None` when it is not there or not a number of entries.
fn entries(disk: &mut dyn Disk, path: &str, entry_bytes: usize) -> Result<Option<u64>, StorageError> {
    let found = disk.len(path)?;
    Ok(found
        .filter(|len| len.is_multiple_of(entry_bytes as u64))
        .map(|len| len / entry_bytes as u64))
}

fn last_entry(
    disk: &mut dyn Disk,
    path: &str,
    entry_bytes: usize,
    count: u64,
) -> Result<Option<Vec<u8>>, StorageError> {
    match count.checked_sub(1) {
        Some(last) => disk
            .read(path, last.saturating_mul(entry_bytes as u64), entry_bytes)
            .map(Some),
        None => Ok(None),
    }
}

/// Reads a segment through, checks each batch, and writes the indexes anew. The file is cut off at the first batch that is not
/// whole; gives how many bytes were cut. One that was synced is not cut: what is behind was acknowledged, so somebody has to
/// decide.
// Kafka: LogSegment.recover
fn rebuild(
    disk: &mut dyn Disk,
    segment: &mut Segment,
    expected: i64,
    config: &LogConfig,
    is_trusted: bool,
) -> Result<Option<u64>, StorageError> {
    let (mut offsets, mut times) = (Vec::new(), Vec::new());
    let mut indexed = Indexed::new(segment.base_offset);
    let mut next_offset = segment.base_offset;
    let mut first_timestamp = None;
    let mut position = 0u64;
    let mut floor = expected.max(segment.base_offset);
    'file: while position < segment.len {
        let block = Bytes::from(read_from_batch(disk, segment, position)?);
        let mut at = 0;
        loop {
            let batch = match Batch::decode(block.clone(), at) {
                Ok(Some(batch)) => batch,
                Ok(None) if at > 0 => break,
                Err(BatchError::UnsupportedMagic { magic: 0..2, .. })
                    if position == 0 && is_old_message(&block) =>
                {
                    return Err(StorageError {
                        operation: "opening a log",
                        reason: format!(
                            "{} has messages of a format before Kafka 0.11, which this broker does not read",
                            segment.log_path
                        ),
                    });
                }
                Ok(None) | Err(_) => break 'file,
            };
            if batch.base_offset() < floor || batch.verify_crc().is_err() {
                break 'file;
            }
            let head = Head {
                base_offset: batch.base_offset(),
                last_offset: batch.last_offset(),
                max_timestamp: batch.max_timestamp(),
                size: batch.size(),
            };
            let additions = indexed.add(&head, position, config.index_interval_bytes);
            offsets.extend(additions.offset.into_iter().flatten());
            times.extend(additions.time.into_iter().flatten());
            first_timestamp.get_or_insert(head.max_timestamp);
            next_offset = batch.next_offset();
            floor = next_offset;
            at = at.saturating_add(head.size);
            position = position.saturating_add(head.size as u64);
        }
    }
    times.extend(indexed.add_time().into_iter().flatten());
    let cut = segment.len.saturating_sub(position);
    if cut > 0 && is_trusted {
        return Err(StorageError {
            operation: "opening a log",
            reason: format!(
                "{}/{} is damaged at byte {position}, although it was synced; restore the file, or cut it there to go on without \
                 what is behind",
                disk.location(),
                segment.log_path
            ),
        });
    }
    if cut > 0 {
        disk.truncate(&segment.log_path, position)?;
    }
    for (path, bytes) in [(&segment.index_path, &offsets), (&segment.time_path, &times)] {
        disk.remove(path)?;
        disk.write(path, 0, bytes)?;
    }
    segment.len = position;
    segment.indexed = indexed;
    segment.next_offset = next_offset;
    segment.first_timestamp = first_timestamp;
    Ok((cut > 0).then_some(cut))
}

/// Whether bytes that claim an old format are a whole message, and not the torn beginning of a batch with zeros behind it.
fn is_old_message(bytes: &[u8]) -> bool {
    let length = bytes.get(8..12).and_then(|length| length.try_into().ok());
    let length = length.and_then(|length| usize::try_from(i32::from_be_bytes(length)).ok());
    let message = length.and_then(|length| bytes.get(17..length.saturating_add(12)));
    message.is_some_and(|message| message.iter().any(|byte| *byte != 0))
}

/// Bytes from the beginning of a batch on: the whole batch, if it is whole, and more.
fn read_from_batch(disk: &mut dyn Disk, segment: &Segment, position: u64) -> Result<Vec<u8>, StorageError> {
    let left = usize::try_from(segment.len.saturating_sub(position)).unwrap_or(usize::MAX);
    let block = disk.read(&segment.log_path, position, CHECKED_AT_ONCE.min(left))?;
    match Head::read(&block) {
        Some(head) if head.size > block.len() && head.size <= left => {
            disk.read(&segment.log_path, position, head.size)
        }
        _ => Ok(block),
    }
}
