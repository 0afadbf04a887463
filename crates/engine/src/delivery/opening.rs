//! Taking records: the front of the queue is drained before the next item's turn, each batch is checked and opened once.

use alloc::boxed::Box;
use alloc::sync::Arc;

use kohort_records::{Batch, Compression, ControlRecord, Decompressor, Tally};

use super::Delivery;
use super::fetched::{Content, Fetched, Open, Run, Unreadable};
use super::table::Entry;
use super::taken::{Taken, TakenChunk};
use crate::consumer::{PollError, Position};

/// What became of the front of the queue.
enum Turn {
    /// It has more.
    More,
    /// It is drained.
    Drained,
    /// It cannot be read on.
    Unreadable(Unreadable),
    /// No further batch may be decompressed before others are dropped.
    Full,
}

impl Delivery {
    /// Takes up to `max` records, in the order in which they were fetched: what one fetch brought for one partition is
    /// handed out before the next partition's turn, so no partition waits for more than what is buffered of the others.
    ///
    /// The positions move behind the records taken.
    ///
    /// # Errors
    ///
    /// The error of one partition, once everything before it was handed out by earlier calls. The position stays. An
    /// unreadable batch gives the same error at each call until the caller seeks, or pauses the partition.
    // Kafka: FetchCollector.collectFetch
    pub fn take(&mut self, max: usize) -> Result<Taken, PollError> {
        let mut taken = Taken::within(core::mem::take(&mut self.spare));
        self.is_stopped = false;
        while taken.len() < max {
            let is_full = self.is_full_of_decompressed();
            let Some(front) = self.queue.front_mut() else {
                break;
            };
            let slot = front.slot;
            let Some(entry) = self.table.get_mut(slot) else {
                self.queue.pop_front(&mut self.table, self.low_water);
                continue;
            };
            if entry.paused {
                self.queue.set_front_aside(&self.table, &self.memory);
                continue;
            }
            let run = match &mut front.content {
                Content::Batches(run) => run,
                Content::Halt(_) if !taken.is_empty() => break,
                Content::Halt(error) => {
                    let (error, epoch) = (error.take(), front.epoch);
                    self.queue.pop_front(&mut self.table, self.low_water);
                    self.table.reached.push((slot, epoch));
                    match error {
                        Some(error) => return Err(error),
                        None => continue,
                    }
                }
            };
            let Some(position) = &mut entry.position else {
                // The position is looked for, so what is buffered is of an older one.
                self.queue.pop_front(&mut self.table, self.low_water);
                continue;
            };
            let held = run.held;
            let mut opening = Opening {
                check_crcs: self.check_crcs,
                read_committed: self.read_committed,
                largest_batch: self.largest_batch,
                is_full,
                share: &entry.share,
                decompressor: &mut self.decompressor,
            };
            let turn = match run.ready(position, &mut taken, &mut opening) {
                Some(turn) => turn,
                None => {
                    let before = *position;
                    take_open(run, entry, max - taken.len(), slot, before, &mut taken);
                    run.close_drained(entry, &mut taken);
                    Turn::More
                }
            };
            let given_free = held - run.held;
            match turn {
                Turn::More => self.table.free(slot, given_free, self.low_water),
                Turn::Drained => {
                    self.table.free(slot, given_free, self.low_water);
                    self.queue.pop_front(&mut self.table, self.low_water);
                }
                Turn::Full => {
                    self.table.free(slot, given_free, self.low_water);
                    self.is_stopped = true;
                    break;
                }
                Turn::Unreadable(unreadable) => {
                    self.table.free(slot, given_free, self.low_water);
                    if !taken.is_empty() {
                        break;
                    }
                    return Err(self.unreadable(slot, unreadable));
                }
            }
        }
        if taken.is_empty() {
            // The caller is about to wait: what it gave free must not keep the engine from asking for more.
            let held = self.held();
            self.table.ran_dry(held);
        }
        Ok(taken)
    }

    /// Drops what was taken; the next take uses its memory.
    pub fn reuse(&mut self, taken: Taken) {
        self.spare = taken.into_spare();
    }

    #[cold]
    fn unreadable(&self, slot: crate::consumer::SlotId, unreadable: Unreadable) -> PollError {
        let entry = self.table.get(slot);
        PollError::UnreadableBatch {
            partition: entry.map_or_else(
                || kohort_groups::TopicPartition::new("", -1),
                |entry| (*entry.partition).clone(),
            ),
            offset: entry
                .and_then(|entry| entry.position)
                .map_or(-1, |position| position.offset),
            next_offset: unreadable.next_offset,
            error: unreadable.error,
        }
    }

    /// Takes back the end of what [`Delivery::take`] gave: `chunk`, from the record at `from_offset` on. The next take begins
    /// with that record. For a record that cannot be handed out: give back the chunks after it, the last one first, then its
    /// own. A chunk whose partition was revoked or sought meanwhile is dropped.
    pub fn put_back(&mut self, chunk: TakenChunk, from_offset: i64) {
        let Some(entry) = self.table.get_mut(chunk.slot) else {
            return;
        };
        if entry.epoch != chunk.epoch {
            return;
        }
        let batch = chunk.chunk.batch().clone();
        let mut cursor = chunk.chunk.start();
        batch.skip_to(&mut cursor, from_offset);
        entry.position = Some(Position {
            offset: from_offset.max(chunk.before.offset),
            leader_epoch: chunk.before.leader_epoch,
        });
        // The rest of the batch may still be open.
        if let Some(Fetched {
            slot,
            content: Content::Batches(run),
            ..
        }) = self.queue.front_mut()
            && *slot == chunk.slot
            && let Some(open) = &mut run.open
            && open.batch.base_offset() == batch.base_offset()
        {
            open.cursor = cursor;
            return;
        }
        let open = Open {
            batch,
            cursor,
            at: chunk.source.is_some().then_some(0),
            source: chunk.source,
            size: 0,
            cut: None,
        };
        self.queue.push_front(Fetched {
            slot: chunk.slot,
            epoch: chunk.epoch,
            content: Content::Batches(Box::new(Run::of_open(open))),
        });
    }
}

/// Hands out of the open batch.
fn take_open(
    run: &mut Run,
    entry: &mut Entry,
    max: usize,
    slot: crate::consumer::SlotId,
    before: Position,
    taken: &mut Taken,
) {
    let Some(open) = &mut run.open else {
        return;
    };
    let chunk = open.batch.take(&mut open.cursor, max);
    if chunk.is_empty() {
        return;
    }
    let leader_epoch = known_epoch(open.batch.partition_leader_epoch());
    entry.position = Some(Position {
        offset: chunk.next_offset(),
        leader_epoch,
    });
    taken.push(TakenChunk {
        partition: Arc::clone(&entry.partition),
        slot,
        epoch: entry.epoch,
        chunk,
        source: open.source.clone(),
        before,
        leader_epoch,
    });
}

fn known_epoch(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

/// What opening a batch needs beside the batch.
struct Opening<'a> {
    check_crcs: bool,
    read_committed: bool,
    largest_batch: usize,
    /// Whether no further batch may be decompressed.
    is_full: bool,
    share: &'a Tally,
    decompressor: &'a mut Decompressor,
}

impl Run {
    fn of_open(open: Open) -> Self {
        let source = open.source.as_ref();
        let is_alone = source.is_none();
        let mut batches =
            kohort_records::batches(source.map(|batch| batch.bytes().clone()).unwrap_or_default());
        batches.next();
        Self {
            batches,
            open: Some(open),
            unreadable: None,
            held: 0,
            is_alone,
            aborted: None,
        }
    }

    /// Makes sure that a batch with a record is open, and gives `None`; or says why there is none. `position` moves over what is
    /// not handed out.
    fn ready(
        &mut self,
        position: &mut Position,
        taken: &mut Taken,
        opening: &mut Opening<'_>,
    ) -> Option<Turn> {
        loop {
            if let Some(open) = &mut self.open {
                if open.cursor.index() < open.batch.len() {
                    return None;
                }
                self.close_batch(position, taken);
            }
            if let Some(unreadable) = &self.unreadable {
                return Some(Turn::Unreadable(unreadable.clone()));
            }
            let at = self.batches.position();
            match self.batches.next() {
                None => return Some(Turn::Drained),
                Some(Ok(batch)) if opening.is_full && is_compressed(&batch) => {
                    self.batches.rewind(at);
                    return Some(Turn::Full);
                }
                Some(Ok(batch)) => self.open_batch(&batch, at, position, taken, opening),
                Some(Err(error)) => {
                    self.unreadable = Some(Unreadable {
                        error,
                        next_offset: None,
                    });
                }
            }
        }
    }

    /// Gives the open batch free as soon as its last record is taken.
    fn close_drained(&mut self, entry: &mut Entry, taken: &mut Taken) {
        if let (Some(open), Some(position)) = (&self.open, &mut entry.position)
            && open.cursor.index() >= open.batch.len()
        {
            self.close_batch(position, taken);
        }
    }

    /// The open batch is done.
    fn close_batch(&mut self, position: &mut Position, taken: &mut Taken) {
        let Some(open) = self.open.take() else {
            return;
        };
        self.held = self.held.saturating_sub(open.size);
        move_to(
            position,
            open.batch.next_offset(),
            open.batch.partition_leader_epoch(),
            taken,
        );
        self.unreadable = open.cut;
    }

    /// Gives the open batch's memory free before its end; it is opened again when its turn comes. One that was put back and
    /// never was compressed is nowhere else, and stays.
    pub(super) fn close_early(&mut self) {
        if let Some(open) = self.open.take_if(|open| open.at.is_some())
            && let Some(at) = open.at
        {
            self.batches.rewind(at);
        }
    }

    fn open_batch(
        &mut self,
        batch: &Batch,
        at: usize,
        position: &mut Position,
        taken: &mut Taken,
        opening: &mut Opening<'_>,
    ) {
        let size = batch.size() as u64;
        // A marker below the position still ends its producer's transaction.
        if batch.next_offset() <= position.offset && !batch.is_control() {
            self.held = self.held.saturating_sub(size);
            return;
        }
        if let Err(unreadable) = self.try_open(batch, at, position, taken, opening) {
            self.unreadable = Some(unreadable);
        }
    }

    // Kafka: CompletedFetch.nextFetchedRecord
    fn try_open(
        &mut self,
        batch: &Batch,
        at: usize,
        position: &mut Position,
        taken: &mut Taken,
        opening: &mut Opening<'_>,
    ) -> Result<(), Unreadable> {
        let size = batch.size() as u64;
        let unreadable = |error| Unreadable {
            error,
            next_offset: Some(batch.next_offset()),
        };
        if opening.check_crcs {
            batch.verify_crc().map_err(unreadable)?;
        }
        let mut skip = batch.is_control();
        if opening.read_committed
            && batch.producer_id() >= 0
            && let Some(aborted) = &mut self.aborted
        {
            aborted.reach(batch.last_offset());
            if batch.is_control() {
                if is_abort_marker(batch, opening).map_err(unreadable)? {
                    aborted.end(batch.producer_id());
                }
            } else {
                skip |= batch.is_transactional() && aborted.contains(batch.producer_id());
            }
        }
        if skip {
            move_to(
                position,
                batch.next_offset(),
                batch.partition_leader_epoch(),
                taken,
            );
            self.held = self.held.saturating_sub(size);
            return Ok(());
        }
        if is_compressed(batch) {
            opening.decompressor.charge(opening.share);
        }
        let (open, cut) = batch
            .open_prefix(opening.decompressor, opening.largest_batch)
            .map_err(unreadable)?;
        let mut cursor = open.cursor();
        if open.base_offset() < position.offset {
            open.skip_to(&mut cursor, position.offset);
        }
        self.open = Some(Open {
            batch: open,
            cursor,
            at: Some(at),
            source: is_compressed(batch).then(|| Arc::new(batch.clone())),
            size,
            cut: cut.map(unreadable),
        });
        Ok(())
    }
}

fn is_compressed(batch: &Batch) -> bool {
    !matches!(batch.compression(), Ok(Compression::None)) && !batch.is_control()
}

fn is_abort_marker(batch: &Batch, opening: &mut Opening<'_>) -> Result<bool, kohort_records::BatchError> {
    let open = batch.open_with(opening.decompressor, opening.largest_batch)?;
    let marker = open.iter().next().map(|record| ControlRecord::decode(&record));
    Ok(matches!(marker, Some(Ok(ControlRecord::Abort { .. }))))
}

fn move_to(position: &mut Position, offset: i64, leader_epoch: i32, taken: &mut Taken) {
    if offset > position.offset {
        *position = Position {
            offset,
            leader_epoch: known_epoch(leader_epoch),
        };
        taken.advance();
    }
}
