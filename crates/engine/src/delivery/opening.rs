//! Handing records out: the front of the queue is drained before the next item's turn, each batch is checked and opened once.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_records::{Batch, Compression, ControlRecord, Decompressor, Tally};

use super::Delivery;
use super::fetched::{Content, Open, Run, Unreadable};
use super::portion::{Portion, Sink, known_epoch};
use super::taken::Taken;
use crate::consumer::{InHand, PollError, Position, Seek, SeekTo};

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
    /// As [`Delivery::hand_out`], into what keeps the batches.
    ///
    /// # Errors
    ///
    /// As `hand_out`.
    pub fn take(&mut self, max: usize) -> Result<Taken, PollError> {
        let mut taken = Taken::default();
        self.hand_out(max, &mut taken)?;
        Ok(taken)
    }

    /// Hands out up to `max` records, in the order in which they were fetched: what one fetch brought for one partition is
    /// handed out before the next partition's turn, so no partition waits for more than what is buffered of the others. Gives
    /// their number.
    ///
    /// The positions move behind the records that the sink takes, and up to one that it does not.
    ///
    /// # Errors
    ///
    /// The error of one partition, once everything before it was handed out by earlier calls. The position stays. An
    /// unreadable batch gives the same error at each call until the caller seeks, or pauses the partition.
    // Kafka: FetchCollector.collectFetch
    pub fn hand_out(&mut self, max: usize, sink: &mut dyn Sink) -> Result<usize, PollError> {
        let mut count = 0;
        self.is_stopped = false;
        self.in_hand.clear();
        while count < max {
            let is_full = self.is_full_of_decompressed();
            let Some(front) = self.queue.front_mut() else {
                break;
            };
            let slot = front.slot;
            let Some(entry) = self.table.entries.get_mut(&slot) else {
                self.queue.pop_front(&mut self.table, self.low_water);
                continue;
            };
            if entry.paused {
                self.queue.set_front_aside(&self.table, &self.memory);
                continue;
            }
            let run = match &mut front.content {
                Content::Batches(run) => run,
                Content::Halt(_) if count > 0 => break,
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
            let mut opening = Opening {
                check_crcs: self.check_crcs,
                read_committed: self.read_committed,
                largest_batch: self.largest_batch,
                is_full,
                share: &entry.share,
                decompressor: &mut self.decompressor,
            };
            let mut is_over = false;
            let turn = match run.ready(position, &mut opening) {
                Ok((open, pinned)) => {
                    let first = position.offset;
                    let mut portion = Portion::new(&entry.partition, open, max - count);
                    if self
                        .table
                        .shares
                        .are_tight(self.budget, self.table.buffered + pinned)
                    {
                        portion.copy_out(&self.memory, &entry.share);
                    }
                    let flow = sink.take(&mut portion);
                    // A sink that takes nothing would be offered the same again and again.
                    is_over = flow.is_break() || portion.taken() == 0;
                    count += portion.taken();
                    if let Some(next) = portion.next_position() {
                        let last = next.offset - 1;
                        *position = next;
                        note(&mut self.in_hand, InHand { slot, first, last });
                    }
                    if let Some(stopped_at) = portion.stopped_at().filter(|at| *at > position.offset) {
                        *position = Position {
                            offset: stopped_at,
                            leader_epoch: portion.leader_epoch(),
                        };
                    }
                    run.close_drained(position);
                    Turn::More
                }
                Err(turn) => turn,
            };
            let drained = core::mem::take(&mut run.to_free);
            self.table.free(slot, drained, self.low_water);
            match turn {
                Turn::More if is_over => return Ok(count),
                Turn::More => {}
                Turn::Drained => self.queue.pop_front(&mut self.table, self.low_water),
                Turn::Full => {
                    self.is_stopped = true;
                    break;
                }
                Turn::Unreadable(_) if count > 0 => break,
                Turn::Unreadable(unreadable) => return Err(self.unreadable(slot, unreadable)),
            }
        }
        if count == 0 {
            // The caller is about to wait: what it gave free must not keep the engine from asking for more.
            let held = self.held();
            self.table.ran_dry(held, self.unreported);
        }
        Ok(count)
    }

    /// Takes back what the last [`Delivery::hand_out`] handed out, as nobody has it: it ended by a panic. The positions are what they
    /// were before, and records from there on are fetched again. Gives the jumps for the engine.
    pub fn take_back(&mut self) -> Vec<Seek> {
        let mut seeks: Vec<Seek> = Vec::new();
        for InHand { slot, first, .. } in core::mem::take(&mut self.in_hand) {
            if seeks.iter().any(|seek| seek.slot == slot) {
                continue;
            }
            let Some(partition) = self.table.get(slot).map(|entry| Arc::clone(&entry.partition)) else {
                continue;
            };
            seeks.extend(self.seek(&partition, SeekTo::Position(Position::new(first))));
        }
        seeks
    }

    /// What the last [`Delivery::hand_out`] handed out of each partition: runs of offsets in the order of the records, those of
    /// one partition that follow each other as one.
    pub fn in_hand(&self) -> &[InHand] {
        &self.in_hand
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
}

fn note(in_hand: &mut Vec<InHand>, run: InHand) {
    match in_hand.last_mut() {
        Some(before) if before.slot == run.slot => before.last = run.last,
        _ => in_hand.push(run),
    }
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
    /// Makes sure that a batch with a record is open; or says why there is none. `position` moves over what is not handed out. Gives
    /// what is [pinned](Self::pinned), too.
    fn ready(
        &mut self,
        position: &mut Position,
        opening: &mut Opening<'_>,
    ) -> Result<(&mut Open, u64), Turn> {
        loop {
            self.close_drained(position);
            if self.open.is_some() || self.unreadable.is_some() {
                break;
            }
            let at = self.batches.position();
            match self.batches.next() {
                None => break,
                Some(Ok(batch)) if opening.is_full && is_compressed(&batch) => {
                    self.batches.rewind(at);
                    return Err(Turn::Full);
                }
                Some(Ok(batch)) => self.open_batch(&batch, at, position, opening),
                Some(Err(error)) => {
                    self.unreadable = Some(Unreadable {
                        error,
                        next_offset: None,
                    });
                }
            }
        }
        let pinned = self.pinned();
        match (&mut self.open, &self.unreadable) {
            (Some(open), _) => Ok((open, pinned)),
            (None, Some(unreadable)) => Err(Turn::Unreadable(unreadable.clone())),
            (None, None) => Err(Turn::Drained),
        }
    }

    /// A batch is done. The bytes are counted free later, so that a panic in between forgets none.
    fn drain(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.drained += bytes;
        self.to_free += bytes;
    }

    /// Bytes that are in memory, and not buffered, because this is still in the queue.
    fn pinned(&self) -> u64 {
        let decompressed = self.open.as_ref().filter(|open| open.is_decompressed);
        let decompressed = decompressed.map_or(0, |open| open.batch.size() as u64);
        (self.drained - self.to_free).saturating_add(decompressed)
    }

    /// Gives the open batch free as soon as its last record is taken.
    fn close_drained(&mut self, position: &mut Position) {
        let is_drained = |open: &mut Open| open.cursor.index() >= open.batch.len();
        let Some(open) = self.open.take_if(is_drained) else {
            return;
        };
        self.drain(open.size);
        move_to(
            position,
            open.batch.next_offset(),
            open.batch.partition_leader_epoch(),
        );
        self.unreadable = open.cut;
    }

    /// Gives the open batch's memory free before its end; it is opened again when its turn comes.
    pub(super) fn close_early(&mut self) {
        if let Some(open) = self.open.take() {
            self.batches.rewind(open.at);
        }
    }

    fn open_batch(&mut self, batch: &Batch, at: usize, position: &mut Position, opening: &mut Opening<'_>) {
        let size = batch.size() as u64;
        // A marker below the position still ends its producer's transaction.
        if batch.next_offset() <= position.offset && !batch.is_control() {
            self.drain(size);
            return;
        }
        if let Err(unreadable) = self.try_open(batch, at, position, opening) {
            self.unreadable = Some(unreadable);
        }
    }

    // Kafka: CompletedFetch.nextFetchedRecord
    fn try_open(
        &mut self,
        batch: &Batch,
        at: usize,
        position: &mut Position,
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
            move_to(position, batch.next_offset(), batch.partition_leader_epoch());
            self.drain(size);
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
            at,
            size,
            is_decompressed: is_compressed(batch),
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

fn move_to(position: &mut Position, offset: i64, leader_epoch: i32) {
    if offset > position.offset {
        *position = Position {
            offset,
            leader_epoch: known_epoch(leader_epoch),
        };
    }
}
