//! The engine's table of assigned partitions: where each is read next, and whether it may be. Nothing is sent from here.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::{OffsetAndMetadata, TopicPartition};
use kohort_machine::Instant;

use crate::client::Cluster;

use super::{FetchEpoch, OffsetSpec, Position, Reset, Seek, SeekTo, SlotId};

/// Where a partition is read next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// Not known: the committed offset is asked for, then the reset policy.
    Initial,
    /// Not known: this end of the log, or this time, is asked for.
    Reset(OffsetSpec),
    /// Known: the next fetch begins here.
    At(Position),
    /// A fetch found batches that cannot be split after here. The caller gets there in time; only a seek helps.
    Stuck,
}

/// Who leads a partition, as the newest metadata has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leader {
    pub(super) node: i32,
    pub(super) epoch: Option<i32>,
}

/// One assigned partition.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) partition: Arc<TopicPartition>,
    /// As of the last [`Partitions::find_leaders`].
    pub(super) leader: Option<Leader>,
    pub(super) epoch: FetchEpoch,
    pub(super) place: Place,
    /// Why the place is a reset, if the policy decided that.
    pub(super) reset: Option<Reset>,
    /// A halt is on its way to the caller; nothing is fetched before it is reached.
    pub(super) halted: bool,
    pub(super) paused: bool,
    /// About to be revoked.
    pub(super) suspended: bool,
    /// The listener has not yet taken it.
    pub(super) untaken: bool,
    /// The listener asks where it begins, before it has taken it.
    pub(super) wanted: bool,
    /// After the last record handed out, as far as reported.
    pub(super) consumed: Option<Position>,
    /// Bytes with the caller, as far as reported.
    pub(super) buffered: u64,
    /// The end of the log for this reader, as the last fetch had it.
    pub(super) end: Option<i64>,
    /// When it brought data last, as a count of all answers that did: those that brought none lately are asked for first.
    pub(super) served: u64,
    /// Not to be asked for before.
    pub(super) not_before: Instant,
    /// Whether a request for its position is under way.
    pub(super) asked: bool,
    /// Answers in a row that had something to say and brought no record: that an end of the log moved, or that the position is
    /// beyond it.
    pub(super) barren: u32,
}

impl Assigned {
    fn new(partition: Arc<TopicPartition>, untaken: bool) -> Self {
        Self {
            partition,
            leader: None,
            epoch: FetchEpoch::default(),
            place: Place::Initial,
            reset: None,
            halted: false,
            paused: false,
            suspended: false,
            untaken,
            wanted: false,
            consumed: None,
            buffered: 0,
            end: None,
            served: 0,
            not_before: Instant::ZERO,
            asked: false,
            barren: 0,
        }
    }

    /// Where to fetch, if it may be fetched but for what is buffered.
    // Kafka: SubscriptionState.isFetchable
    pub(super) fn fetchable_at(&self) -> Option<Position> {
        match self.place {
            Place::At(position) if !(self.halted || self.paused || self.suspended || self.untaken) => {
                Some(position)
            }
            _ => None,
        }
    }

    /// Whether it waits for nothing but its leader.
    pub(super) fn needs_leader(&self) -> bool {
        self.fetchable_at().is_some() || (self.is_lost() && matches!(self.place, Place::Reset(_)))
    }

    /// Whether its position has to be looked for: the committed one not before the listener ran, which may commit, or find that
    /// it is late.
    // Kafka: ConsumerCoordinator.poll runs the listener before refreshCommittedOffsetsIfNeeded; KafkaConsumer.position asks at once
    pub(super) fn is_lost(&self) -> bool {
        let may_look = match self.place {
            Place::Initial => !self.untaken || self.wanted,
            Place::Reset(_) => true,
            Place::At(_) | Place::Stuck => false,
        };
        // A listener that is about to lose it may ask where it is.
        may_look && !self.halted && (!self.suspended || self.wanted)
    }
}

/// All assigned partitions.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    entries: BTreeMap<SlotId, Assigned>,
    /// Assignments by the group so far: their slots are even.
    issued: u64,
    /// Bytes with the caller, of all partitions.
    buffered: u64,
    /// Partitions whose position has to be looked for.
    lost: BTreeSet<SlotId>,
    /// The version of the metadata that all leaders are of.
    led_as_of: Option<u64>,
}

impl Partitions {
    /// Adds what the group assigned; not fetched before [`Partitions::take`].
    pub(super) fn add_of_group(&mut self, partition: TopicPartition) -> (SlotId, Arc<TopicPartition>) {
        let slot = SlotId(self.issued * 2);
        self.issued += 1;
        let partition = Arc::new(partition);
        self.insert(slot, Assigned::new(Arc::clone(&partition), true));
        (slot, partition)
    }

    /// Adds what the caller assigned.
    pub(super) fn add(&mut self, slot: SlotId, partition: Arc<TopicPartition>) {
        self.insert(slot, Assigned::new(partition, false));
    }

    fn insert(&mut self, slot: SlotId, assigned: Assigned) {
        self.lost.insert(slot);
        self.entries.insert(slot, assigned);
        self.led_as_of = None;
    }

    /// Looks leaders up, if there is newer metadata or a new partition: the look-up is too slow for each event.
    pub(super) fn find_leaders(&mut self, cluster: &Cluster) {
        if self.led_as_of == Some(cluster.version()) {
            return;
        }
        self.led_as_of = Some(cluster.version());
        for assigned in self.entries.values_mut() {
            let (topic, number) = (&assigned.partition.topic, assigned.partition.partition);
            assigned.leader = cluster.leader(topic, number).map(|node| Leader {
                node,
                epoch: cluster.partition(topic, number).and_then(|it| it.leader_epoch),
            });
        }
    }

    pub(super) fn remove(&mut self, slot: SlotId) {
        self.lost.remove(&slot);
        if let Some(assigned) = self.entries.remove(&slot) {
            self.buffered = self.buffered.saturating_sub(assigned.buffered);
        }
    }

    pub(super) fn get(&self, slot: SlotId) -> Option<&Assigned> {
        self.entries.get(&slot)
    }

    /// For changes that leave the place as it is; for those see [`Partitions::move_to`].
    pub(super) fn get_mut(&mut self, slot: SlotId) -> Option<&mut Assigned> {
        self.entries.get_mut(&slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SlotId, &Assigned)> {
        self.entries.iter().map(|(slot, assigned)| (*slot, assigned))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SlotId, &mut Assigned)> {
        self.entries.iter_mut().map(|(slot, assigned)| (*slot, assigned))
    }

    pub(super) fn slots(&self) -> Vec<SlotId> {
        self.entries.keys().copied().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Slots whose position has to be looked for, and is not being looked for.
    pub(super) fn lost(&self) -> impl Iterator<Item = (SlotId, &Assigned)> {
        let lost = self
            .lost
            .iter()
            .filter_map(|slot| Some((*slot, self.entries.get(slot)?)));
        lost.filter(|(_, assigned)| assigned.is_lost() && !assigned.asked)
    }

    /// Bytes with the caller, of all partitions.
    pub(super) fn buffered(&self) -> u64 {
        self.buffered
    }

    pub(super) fn add_buffered(&mut self, slot: SlotId, bytes: u64) {
        if let Some(assigned) = self.entries.get_mut(&slot) {
            assigned.buffered = assigned.buffered.saturating_add(bytes);
            self.buffered = self.buffered.saturating_add(bytes);
        }
    }

    pub(super) fn free_buffered(&mut self, slot: SlotId, bytes: u64) {
        if let Some(assigned) = self.entries.get_mut(&slot) {
            let bytes = bytes.min(assigned.buffered);
            assigned.buffered -= bytes;
            self.buffered = self.buffered.saturating_sub(bytes);
        }
    }

    /// Moves a partition to another place.
    pub(super) fn move_to(&mut self, slot: SlotId, place: Place) {
        let Some(assigned) = self.entries.get_mut(&slot) else {
            return;
        };
        assigned.place = place;
        match place {
            Place::Initial | Place::Reset(_) => {
                self.lost.insert(slot);
            }
            Place::At(_) | Place::Stuck => {
                self.lost.remove(&slot);
            }
        }
    }

    /// The caller sought; false for a slot that is gone.
    pub(super) fn seek(&mut self, seek: Seek) -> bool {
        let Some(assigned) = self.entries.get_mut(&seek.slot) else {
            return false;
        };
        assigned.epoch = seek.epoch;
        assigned.reset = None;
        assigned.halted = false;
        assigned.asked = false;
        assigned.not_before = Instant::ZERO;
        assigned.barren = 0;
        let (place, consumed) = match seek.to {
            SeekTo::Position(position) => (Place::At(position), Some(position)),
            SeekTo::Beginning => (Place::Reset(OffsetSpec::Earliest), None),
            SeekTo::End => (Place::Reset(OffsetSpec::Latest), None),
        };
        assigned.consumed = consumed;
        self.move_to(seek.slot, place);
        true
    }

    /// What an automatic commit commits, of all partitions or of these.
    // Kafka: SubscriptionState.allConsumed
    pub(super) fn consumed(&self, only: Option<&[SlotId]>) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let is_wanted = |slot: &SlotId| only.is_none_or(|only| only.contains(slot));
        let wanted = self.entries.iter().filter(|(slot, _)| is_wanted(slot));
        let consumed = wanted.filter_map(|(_, assigned)| {
            let position = assigned.consumed?;
            let committed = OffsetAndMetadata {
                leader_epoch: position.leader_epoch,
                ..OffsetAndMetadata::new(position.offset)
            };
            Some((TopicPartition::clone(&assigned.partition), committed))
        });
        consumed.collect()
    }

    /// The topics of all partitions.
    pub(super) fn topics(&self) -> BTreeSet<Arc<str>> {
        self.entries
            .values()
            .map(|assigned| Arc::clone(&assigned.partition.topic))
            .collect()
    }
}

/// Items by topic and partition, in order.
pub(super) fn by_topic<T>(
    items: impl IntoIterator<Item = (TopicPartition, T)>,
) -> BTreeMap<Arc<str>, Vec<(i32, T)>> {
    let mut topics: BTreeMap<Arc<str>, Vec<(i32, T)>> = BTreeMap::new();
    for (partition, item) in items {
        topics
            .entry(partition.topic)
            .or_default()
            .push((partition.partition, item));
    }
    topics
}
