//! What each reader was assigned, and what it was handed out: one owner within a generation (I1), nothing after a revocation or from
//! before a seek (I5), nothing left out (I4), the right beginning (I3).

use std::collections::{BTreeMap, BTreeSet};

use kohort_groups::TopicPartition;
use kohort_machine::Instant;

use super::{Ledger, ReaderNo};

/// A partition in the hands of a reader.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// The offset that comes next; `None` before the first record.
    pub(super) next: Option<i64>,
    /// What was committed when the reader got it.
    pub(super) floor: Option<i64>,
    /// The reader sought to `next`.
    is_sought: bool,
    /// Since when it is to be read; `None` while it is paused or about to be given up.
    pub(super) wanted_since: Option<Instant>,
}

/// All readers that live.
#[derive(Debug, Default)]
pub(super) struct Readers {
    held: BTreeMap<ReaderNo, BTreeMap<TopicPartition, Held>>,
    /// Who was assigned a partition in a generation.
    claims: BTreeMap<(i32, TopicPartition), ReaderNo>,
    /// Static members that are gone. A close that was dropped may still take what it was assigned, for a moment, in the generation
    /// in which the next one in their place goes on.
    gone_statics: BTreeSet<ReaderNo>,
    /// What was committed when a reader got what it has given up since it was last told of resets.
    past_floors: BTreeMap<ReaderNo, Vec<(TopicPartition, Option<i64>)>>,
    /// The last assignment or revocation.
    pub(super) last_change: Instant,
    pub(super) handed_out: u64,
}

impl Ledger {
    /// The listener of a reader hears of an assignment; what is left of an earlier one stays.
    pub(crate) fn assigned(
        &mut self,
        now: Instant,
        reader: ReaderNo,
        generation: Option<i32>,
        added: &[TopicPartition],
    ) {
        self.readers.last_change = now;
        for partition in added {
            self.begin_floor(reader, partition);
            let held = Held {
                next: None,
                floor: self.committed(partition),
                is_sought: false,
                wanted_since: Some(now),
            };
            let all = self.readers.held.entry(reader).or_default();
            if all.insert(partition.clone(), held).is_some() {
                let what = format!("m{reader} is assigned {partition}, which was not revoked before");
                self.break_rule("I5", what);
            }
        }
        if let Some(generation) = generation {
            self.claim(now, reader, generation);
        }
    }

    pub(super) fn held(&mut self, reader: ReaderNo, partition: &TopicPartition) -> Option<&mut Held> {
        self.readers.held.get_mut(&reader)?.get_mut(partition)
    }

    pub(super) fn all_held(&self, reader: ReaderNo) -> impl Iterator<Item = (&TopicPartition, &Held)> {
        self.readers.held.get(&reader).into_iter().flatten()
    }

    /// What a reader owns it owns in this generation.
    pub(crate) fn claim(&mut self, now: Instant, reader: ReaderNo, generation: i32) {
        let all = self.readers.held.get(&reader).into_iter().flatten();
        let mut broken = Vec::new();
        for (partition, _) in all {
            let claim = (generation, partition.clone());
            let share = self.coordinator.share(&claim);
            let owner = match self.readers.gone_statics.contains(&reader) {
                true => reader,
                false => *self.readers.claims.entry(claim).or_insert(reader),
            };
            if owner != reader {
                broken.push(format!(
                    "{partition} is m{owner}'s and m{reader}'s in generation {generation} at {now:?}"
                ));
            }
            if let Some(owner) = share.filter(|owner| *owner != reader) {
                broken.push(format!(
                    "m{reader} has {partition} in generation {generation} at {now:?}, whose leader gave it to m{owner}"
                ));
            }
        }
        for what in broken {
            self.break_rule("I1", what);
        }
    }

    /// The listener of a reader hears that these are revoked or lost.
    pub(crate) fn given_up(&mut self, now: Instant, reader: ReaderNo, partitions: &[TopicPartition]) {
        self.readers.last_change = now;
        if let Some(all) = self.readers.held.get_mut(&reader) {
            let past = self.readers.past_floors.entry(reader).or_default();
            all.retain(|partition, held| {
                let stays = !partitions.contains(partition);
                if !stays {
                    past.push((partition.clone(), held.floor));
                }
                stays
            });
        }
    }

    /// A reader jumps.
    pub(crate) fn sought(&mut self, now: Instant, reader: ReaderNo, partition: &TopicPartition, offset: i64) {
        if let Some(held) = self.held(reader, partition) {
            let is_back = held.next.is_none_or(|next| offset < next);
            held.next = Some(offset);
            held.is_sought = true;
            held.wanted_since = held.wanted_since.map(|_| now);
            if is_back {
                self.lower_floor(reader, partition, offset);
            }
        }
    }

    /// A reader learns where `auto.offset.reset` decided since it was asked last. Logs lose nothing here, so no position is reset to
    /// before what was committed. Since then a partition may have been given up and come back.
    pub(crate) fn was_reset(&mut self, reader: ReaderNo, resets: &[(TopicPartition, i64)]) {
        let past = self.readers.past_floors.remove(&reader).unwrap_or_default();
        for (partition, offset) in resets {
            let held = self.held(reader, partition).map(|held| held.floor);
            let past = past.iter().filter(|(given_up, _)| given_up == partition);
            let lowest = past.map(|(_, floor)| *floor).chain(held).min().flatten();
            if let Some(floor) = lowest.filter(|floor| offset < floor) {
                let what = format!(
                    "m{reader} is reset to {offset} of {partition}, though {floor} was committed before"
                );
                self.break_rule("I3", what);
            }
        }
    }

    /// A reader is handed out a record.
    pub(crate) fn handed_out(&mut self, reader: ReaderNo, partition: &TopicPartition, offset: i64, id: u64) {
        self.readers.handed_out += 1;
        self.comes(reader, partition, offset, id, offset + 1);
    }

    /// A reader is told of a record that it cannot take: it is the next one, and stays so.
    pub(crate) fn refused(&mut self, reader: ReaderNo, partition: &TopicPartition, offset: i64, id: u64) {
        self.comes(reader, partition, offset, id, offset);
    }

    /// It is this record's turn; then it is that of the one at `after`.
    fn comes(&mut self, reader: ReaderNo, partition: &TopicPartition, offset: i64, id: u64, after: i64) {
        let committed = self.committed(partition);
        let log = self.logs.entry(partition.clone()).or_default();
        let written = *log.ids.entry(offset).or_insert(id);
        let end = log.end();
        let all = self.readers.held.get_mut(&reader);
        let Some(held) = all.and_then(|all| all.get_mut(partition)) else {
            let what = format!("m{reader} was handed out {partition}@{offset}, which it does not own");
            return self.break_rule("I5", what);
        };
        let before = held.clone();
        held.next = Some(after);
        held.is_sought = false;
        if written != id {
            let what = format!("{partition}@{offset} is record {written}, and m{reader} read record {id}");
            self.break_rule("I6", what);
        }
        match before.next {
            Some(next) if offset > next => {
                let what = format!("m{reader} was handed out {partition}@{offset} where {next} is next");
                self.break_rule("I4", what);
            }
            Some(next) if offset < next => {
                let sought = if before.is_sought { " after a seek" } else { "" };
                let what =
                    format!("m{reader} was handed out {partition}@{offset} where {next} is next{sought}");
                self.break_rule("I5", what);
            }
            Some(_) => {}
            None => {
                let (floor, ceiling) = (before.floor.unwrap_or(0), committed.unwrap_or(0));
                if offset < floor {
                    let what = format!(
                        "m{reader} begins {partition} at {offset}, though {floor} was committed before"
                    );
                    self.break_rule("I3", what);
                }
                if offset > ceiling.max(floor) {
                    let what =
                        format!("m{reader} begins {partition} at {offset}; committed is {committed:?}");
                    self.break_rule("I4", what);
                }
            }
        }
        debug_assert!(offset < end, "the log was read further than it is known");
    }

    /// A reader is gone, without a word. The next one in the place of a static member goes on in the same generation.
    pub(crate) fn gone(&mut self, reader: ReaderNo, is_static: bool) {
        self.readers.held.remove(&reader);
        self.readers.past_floors.remove(&reader);
        if is_static {
            self.readers.gone_statics.insert(reader);
            self.readers.claims.retain(|_, owner| *owner != reader);
        }
    }

    /// What a reader owns.
    pub(crate) fn holds(&self, reader: ReaderNo) -> impl Iterator<Item = &TopicPartition> {
        self.readers
            .held
            .get(&reader)
            .into_iter()
            .flat_map(BTreeMap::keys)
    }

    /// The offset that a reader is handed out next, once it was handed out one.
    pub(crate) fn next_of(&self, reader: ReaderNo, partition: &TopicPartition) -> Option<i64> {
        self.readers.held.get(&reader)?.get(partition)?.next
    }

    /// How many records were handed out.
    pub(crate) fn records_handed_out(&self) -> u64 {
        self.readers.handed_out
    }
}
