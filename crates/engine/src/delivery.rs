//! The caller's side of a consumer: what was fetched and not yet handed out, and the positions of what was.
//!
//! [`Delivery`] is a plain struct that lives with the one who polls. It takes what the engine tells ([`ToCaller`]), hands out
//! records to a [`Sink`] ([`Delivery::hand_out`]), and reports progress ([`Delivery::progress`], [`Delivery::report`]). Checksums
//! and decompression happen here, once a batch. No channel, lock, clock, or allocation per record is involved.
//!
//! What does not live here: what is fetched and when ([`crate::consumer`]), and what a record means to the user (`kohort`).
//!
//! # How a poll goes
//!
//! 1. Give each waiting [`ToCaller`] to [`Delivery::accept`]; do what it says is [`Due`], in that order.
//! 2. [`Delivery::hand_out`]. If there is nothing, send [`Delivery::progress`] if there is any, wait for the next [`ToCaller`], and
//!    begin again.
//! 3. Send [`Delivery::progress`] if there is any; hand out what was taken.

mod fetched;
mod memory;
mod opening;
mod portion;
mod queue;
mod report;
mod table;
mod taken;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_records::Decompressor;

use crate::consumer::{
    CallbackKind, Change, ConsumerConfig, InHand, IsolationLevel, PollError, Position, PositionReset,
    Progress, Reset, Seek, SeekTo, SlotId, ToCaller,
};
pub use memory::HeldUp;
use memory::Memory;
pub use portion::{Portion, Sink};
use queue::Queue;
pub use table::NotAssigned;
use table::Table;
pub use taken::{Taken, TakenChunk};

/// What is left to do for the one who polls, after [`Delivery::accept`]. In order, and only inside of a poll, an unsubscribe or
/// a close: keep it until then.
#[derive(Debug, Clone, PartialEq)]
pub enum Due {
    /// Run the rebalance listener, then tell [`Event::ListenerDone`](crate::consumer::Event::ListenerDone).
    Callback {
        /// The name of this call.
        step: u64,
        /// Which method.
        kind: CallbackKind,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// Send [`Delivery::report`] with this step.
    Report {
        /// What the report answers.
        step: u64,
    },
    /// Fail with this error.
    Fail(PollError),
    /// Nothing to do: what the call of this name would revoke is lost. [`Due::enqueue`] has changed it.
    BecameLost {
        /// The name of the call.
        step: u64,
    },
}

impl Due {
    /// Puts this behind what is due already, and changes that where this says so.
    pub fn enqueue(self, due: &mut VecDeque<Self>) {
        let Self::BecameLost { step: lost } = self else {
            return due.push_back(self);
        };
        for waiting in due {
            if let Self::Callback { step, kind, .. } = waiting
                && *step == lost
            {
                *kind = CallbackKind::Lost;
            }
        }
    }
}

/// The caller's side of a consumer; see the [module](self).
///
/// ```
/// use kohort_engine::client::ClientConfig;
/// use kohort_engine::consumer::{Change, ConsumerConfig, Position, SeekTo};
/// use kohort_engine::delivery::Delivery;
/// use kohort_groups::TopicPartition;
///
/// let mut delivery = Delivery::new(&ConsumerConfig::new(ClientConfig::new([("localhost".into(), 9092)])));
/// let partition = TopicPartition::new("orders", 0);
/// let change = delivery.assign(&[partition.clone()]);
/// assert!(matches!(change, Change::Assign { .. })); // for the engine
/// let seek = delivery.seek(&partition, SeekTo::Position(Position::new(7)))?; // for the engine, too
/// assert_eq!(delivery.position(&partition)?, Some(Position::new(7)));
/// assert!(delivery.take(500)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Delivery {
    table: Table,
    /// Positions that the policy decided, until they are taken.
    resets: Vec<PositionReset>,
    /// The topics that match the pattern.
    subscribed: Vec<Arc<str>>,
    queue: Queue,
    check_crcs: bool,
    read_committed: bool,
    largest_batch: usize,
    memory: Memory,
    /// `kohort.memory.budget`.
    budget: u64,
    /// Handing out ended before a batch that may not be decompressed yet.
    is_stopped: bool,
    decompressor: Decompressor,
    /// What was handed out last.
    in_hand: Vec<InHand>,
    low_water: u64,
    report_after: u64,
    unreported: u64,
}

impl Delivery {
    /// The most bytes that one batch may hold when decompressed, unless the memory budget is larger.
    const LARGEST_BATCH: u64 = 256 << 20;

    /// An empty delivery for a consumer with this configuration.
    pub fn new(config: &ConsumerConfig) -> Self {
        let largest_batch = config.memory_budget.max(Self::LARGEST_BATCH);
        let memory = Memory::new();
        Self {
            table: Table::default(),
            resets: Vec::new(),
            subscribed: Vec::new(),
            queue: Queue::default(),
            check_crcs: config.check_crcs,
            read_committed: config.isolation_level == IsolationLevel::ReadCommitted,
            largest_batch: usize::try_from(largest_batch).unwrap_or(usize::MAX),
            decompressor: memory.decompressor(),
            memory,
            in_hand: Vec::new(),
            budget: config.memory_budget,
            is_stopped: false,
            low_water: config.low_water(),
            report_after: config.low_water().min(config.memory_budget / 4),
            unreported: config.unreported(),
        }
    }

    /// Takes what the engine tells; gives what is left to do for the one who polls.
    pub fn accept(&mut self, told: ToCaller) -> Option<Due> {
        match told {
            ToCaller::Subscribed(topics) => self.subscribed = topics,
            ToCaller::Partitions { removed, added } => {
                for slot in removed {
                    self.table.remove(slot);
                    self.queue.discard(slot, &mut self.table);
                }
                for (slot, partition) in added {
                    self.table.insert(slot, partition);
                }
            }
            ToCaller::Suspended(slots) => {
                for slot in slots {
                    if let Some(entry) = self.table.get_mut(slot) {
                        entry.suspended = true;
                    }
                    self.queue.discard(slot, &mut self.table);
                }
            }
            ToCaller::Positions(positions) => {
                for new in positions {
                    let Some(entry) = self.table.get_mut(new.slot) else {
                        continue;
                    };
                    if new.epoch.seeks != entry.epoch.seeks || new.epoch < entry.epoch {
                        continue;
                    }
                    let jumped = new.epoch != entry.epoch;
                    entry.epoch = new.epoch;
                    entry.position = new.position;
                    if let (Some(Reset { cause, from }), Some(to)) = (new.reset, new.position) {
                        self.resets.push(PositionReset {
                            partition: TopicPartition::clone(&entry.partition),
                            cause,
                            from,
                            to: to.offset,
                        });
                    }
                    if jumped {
                        self.queue.discard(new.slot, &mut self.table);
                    }
                }
            }
            ToCaller::Batches(fetched) => {
                let bytes = fetched.iter().map(|it| it.records.len() as u64).sum();
                let block = self.memory.block(bytes);
                for batches in fetched {
                    self.queue.push_batches(batches, &block, &mut self.table);
                }
            }
            ToCaller::Halted(halt) => self.queue.push_halt(halt, &self.table),
            ToCaller::Callback {
                step,
                kind,
                partitions,
            } => {
                return Some(Due::Callback {
                    step,
                    kind,
                    partitions,
                });
            }
            ToCaller::BecameLost { step } => return Some(Due::BecameLost { step }),
            ToCaller::ProgressWanted { step } => return Some(Due::Report { step }),
            ToCaller::Failed(error) => return Some(Due::Fail(error)),
            // For the one who polls alone.
            ToCaller::PollLate(_) => {}
        }
        None
    }

    /// The listener has given these partitions up: they are assigned no more, although the engine's word of it is still on its way.
    /// Else a commit of all that was consumed could take them along into the next generation, in which they are another member's.
    // Kafka: ConsumerCoordinator.onJoinPrepare changes the assignment right after the listener ran
    pub fn give_up(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Ok(slot) = self.table.slot(partition) {
                self.table.remove(slot);
                self.queue.discard(slot, &mut self.table);
            }
        }
    }

    /// Replaces the manual assignment by these partitions, and gives the change for the engine. Partitions that were assigned
    /// already keep their position and what is buffered for them.
    // Kafka: SubscriptionState.assignFromUser
    pub fn assign(&mut self, partitions: &[TopicPartition]) -> Change {
        let (removed, added) = self.table.assign(partitions);
        for slot in &removed {
            self.queue.discard(*slot, &mut self.table);
        }
        Change::Assign { removed, added }
    }

    /// Jumps to another position, in effect at once: nothing fetched before is handed out. Gives the change for the engine.
    ///
    /// # Errors
    ///
    /// [`NotAssigned`] when the partition is not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, to: SeekTo) -> Result<Seek, NotAssigned> {
        let slot = self.table.slot(partition)?;
        let entry = self.table.entry(partition)?;
        entry.epoch = entry.epoch.after_seek();
        entry.position = match to {
            SeekTo::Position(position) => Some(position),
            SeekTo::Beginning | SeekTo::End => None,
        };
        let epoch = entry.epoch;
        self.queue.discard(slot, &mut self.table);
        Ok(Seek { slot, epoch, to })
    }

    /// Stops handing out records of the partition; what is buffered is kept. Gives the slot for the engine
    /// ([`Change::Pause`]).
    ///
    /// # Errors
    ///
    /// [`NotAssigned`] when the partition is not assigned.
    pub fn pause(&mut self, partition: &TopicPartition) -> Result<SlotId, NotAssigned> {
        let slot = self.table.slot(partition)?;
        self.table.entry(partition)?.paused = true;
        Ok(slot)
    }

    /// The reverse of [`Delivery::pause`]. Gives the slot for the engine ([`Change::Resume`]).
    ///
    /// # Errors
    ///
    /// [`NotAssigned`] when the partition is not assigned.
    pub fn resume(&mut self, partition: &TopicPartition) -> Result<SlotId, NotAssigned> {
        let slot = self.table.slot(partition)?;
        self.table.entry(partition)?.paused = false;
        self.queue.readmit(slot);
        Ok(slot)
    }

    /// The positions that `auto.offset.reset` decided since the last call, in order. Take them after each [`Delivery::accept`].
    pub fn take_resets(&mut self) -> Vec<PositionReset> {
        core::mem::take(&mut self.resets)
    }

    /// The topics that matched the pattern when the engine looked last, in order; empty before it has looked.
    pub fn subscribed(&self) -> &[Arc<str>] {
        &self.subscribed
    }

    /// Another pattern is subscribed to, or none: what matched the last one is no more.
    pub fn forget_subscribed(&mut self) {
        self.subscribed.clear();
    }

    /// The assigned partitions that are paused, in order.
    pub fn paused(&self) -> impl Iterator<Item = &Arc<TopicPartition>> {
        self.table
            .iter()
            .filter(|(_, entry)| entry.paused)
            .map(|(_, entry)| &entry.partition)
    }

    /// The assigned partitions, in order. Those that are being revoked are among them until the listener has run.
    pub fn assignment(&self) -> impl Iterator<Item = &Arc<TopicPartition>> {
        self.table.iter().map(|(_, entry)| &entry.partition)
    }

    /// The slot of an assigned partition.
    ///
    /// # Errors
    ///
    /// [`NotAssigned`] when the partition is not assigned.
    pub fn slot(&self, partition: &TopicPartition) -> Result<SlotId, NotAssigned> {
        self.table.slot(partition)
    }

    /// The offset after the last record handed out; `None` while no position is known.
    ///
    /// # Errors
    ///
    /// [`NotAssigned`] when the partition is not assigned.
    pub fn position(&self, partition: &TopicPartition) -> Result<Option<Position>, NotAssigned> {
        Ok(self.table.peek(partition)?.position)
    }

    /// What a commit without offsets commits: the position of each assigned partition that has one.
    // Kafka: SubscriptionState.allConsumed
    pub fn consumed(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let consumed = self.table.iter().filter_map(|(_, entry)| {
            let position = entry.position?;
            let committed = OffsetAndMetadata {
                leader_epoch: position.leader_epoch,
                ..OffsetAndMetadata::new(position.offset)
            };
            Some((TopicPartition::clone(&entry.partition), committed))
        });
        consumed.collect()
    }

    /// How many records are after the position, as far as fetches told: up to the high watermark, or with `read_committed` to
    /// the last stable offset. `None` while that or the position is not known, and for a partition that is not assigned.
    // Kafka: SubscriptionState.partitionLag
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let entry = self.table.peek(partition).ok()?;
        let end = if self.read_committed {
            entry.last_stable_offset
        } else {
            entry.high_watermark
        };
        Some(end?.saturating_sub(entry.position?.offset).max(0))
    }

    /// Whether something is buffered, be it for a paused partition.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The report that is due, if one is: some partition's buffer ran low, a [`Halt`](crate::consumer::Halt) was reached, or
    /// there was nothing to take and records handed out earlier were dropped, or more than a little was taken.
    pub fn progress(&mut self) -> Option<Progress> {
        self.table
            .is_report_due(self.report_after)
            .then(|| self.report(None))
    }

    /// What was consumed since the last report, whether due or not. `answers` is the step of [`Due::Report`].
    pub fn report(&mut self, answers: Option<u64>) -> Progress {
        let held = self.held();
        self.table.report(answers, held)
    }
}
