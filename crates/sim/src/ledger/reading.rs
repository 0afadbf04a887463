//! What a member owns it goes on reading, whatever its group is doing (I2): how long a member sits in its polls with nothing to
//! do although a partition that it owns has records. It is measured in fair weather, and in any when the last fault
//! is past; else a connection may be the reason.

use core::time::Duration;
use std::collections::BTreeMap;

use kohort_groups::TopicPartition;
use kohort_machine::Instant;

use super::{Ledger, ReaderNo};

/// Since when there is something to read, and since when somebody could.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// How long a reader may wait; `None` when nobody measures.
    bound: Option<Duration>,
    /// When a record came to be there, of those that are not processed.
    there: BTreeMap<TopicPartition, BTreeMap<i64, Instant>>,
    /// When a reader last had something else to do than to wait.
    busy: BTreeMap<ReaderNo, Instant>,
}

impl Ledger {
    /// From now on no reader may wait longer than this for what is there.
    pub(crate) fn measure_reading(&mut self, bound: Duration) {
        self.reading.bound = Some(bound);
    }

    /// As [`Self::measure_reading`], for what is there, too; nothing when it is measured already.
    pub(crate) fn measure_reading_from(&mut self, now: Instant, bound: Duration) {
        if self.reading.bound.is_some() {
            return;
        }
        self.reading.bound = Some(bound);
        self.reading.there.clear();
        for (partition, log) in &self.logs {
            let there = (log.processed..log.end()).map(|offset| (offset, now));
            self.reading.there.insert(partition.clone(), there.collect());
        }
    }

    /// Things go wrong again that keep readers waiting.
    pub(crate) fn stop_measuring(&mut self) {
        self.reading = Reading::default();
    }

    /// A record can be read.
    pub(crate) fn readable(&mut self, now: Instant, partition: &TopicPartition, offset: i64) {
        if self.reading.bound.is_none() {
            return;
        }
        let processed = self.logs.get(partition).map_or(0, |log| log.processed);
        match self.reading.there.get_mut(partition) {
            Some(there) => {
                there.retain(|offset, _| *offset >= processed);
                there.entry(offset).or_insert(now);
            }
            None => {
                let there = BTreeMap::from([(offset, now)]);
                self.reading.there.insert(partition.clone(), there);
            }
        }
    }

    /// A reader was not waiting until now: it had records in hand, its listener ran, it did something else.
    pub(crate) fn was_busy(&mut self, now: Instant, reader: ReaderNo) {
        if self.reading.bound.is_some() {
            self.reading.busy.insert(reader, now);
        }
    }

    /// These partitions need not be read any more: they are paused, or about to be given up.
    pub(crate) fn stops<'a>(
        &mut self,
        reader: ReaderNo,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) {
        for partition in partitions {
            if let Some(held) = self.held(reader, partition) {
                held.wanted_since = None;
            }
        }
    }

    /// A partition that was paused is to be read again.
    pub(crate) fn goes_on(&mut self, now: Instant, reader: ReaderNo, partition: &TopicPartition) {
        if let Some(held) = self.held(reader, partition) {
            held.wanted_since = Some(now);
        }
    }

    /// A poll of this reader ends, or brings something: nothing that it has read before may have waited for too long.
    pub(crate) fn waited(&mut self, now: Instant, reader: ReaderNo) {
        let Some(bound) = self.reading.bound else { return };
        let busy = *self.reading.busy.entry(reader).or_insert(now);
        let mut broken = Vec::new();
        for (partition, held) in self.all_held(reader) {
            let there = self.reading.there.get(partition);
            if let (Some(next), Some(wanted)) = (held.next, held.wanted_since)
                && let Some(there) = there.and_then(|there| there.get(&next))
            {
                let waited = now.saturating_since(busy.max(wanted).max(*there));
                if waited > bound {
                    broken.push(format!(
                        "m{reader} owns {partition} and is not handed out @{next}, which is there for {waited:?}"
                    ));
                }
            }
        }
        for what in broken {
            self.break_rule("I2", what);
        }
    }
}
