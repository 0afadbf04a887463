//! What members ask to commit, in the order in which they send it: nobody takes back what it has committed itself (I3), be it
//! automatically, explicitly, or by both. What the network makes of that order is not looked at here.

use std::collections::BTreeMap;

use kohort_groups::TopicPartition;

use super::{CommitRequest, Ledger, ReaderNo};

/// What the commits of a reader may not fall below.
#[derive(Debug, Clone, Copy)]
struct Floor {
    /// The generation that it was known in last; what is sent late in an older one the coordinator refuses.
    generation: i32,
    offset: i64,
    /// The reader sought back since: what it had asked for before may be sent after that, so it counts no more.
    is_loose: bool,
}

/// The floors of all readers. They outlive the reader, whose last commit may be sent when it is gone.
#[derive(Debug, Default)]
pub(super) struct Sent {
    floors: BTreeMap<(ReaderNo, TopicPartition), Floor>,
}

impl Ledger {
    /// A reader begins where was committed.
    pub(super) fn begin_floor(&mut self, reader: ReaderNo, partition: &TopicPartition) {
        let floor = Floor {
            generation: self.generation(),
            offset: self.committed(partition).unwrap_or(0),
            is_loose: false,
        };
        self.sent.floors.insert((reader, partition.clone()), floor);
    }

    /// A reader seeks back to here.
    pub(super) fn lower_floor(&mut self, reader: ReaderNo, partition: &TopicPartition, offset: i64) {
        if let Some(floor) = self.sent.floors.get_mut(&(reader, partition.clone())) {
            floor.offset = floor.offset.min(offset);
            floor.is_loose = true;
        }
    }

    /// A reader sends this.
    pub(crate) fn commit_sent(&mut self, reader: ReaderNo, request: &CommitRequest) {
        let mut broken = Vec::new();
        for (partition, offset) in &request.offsets {
            let Some(floor) = self.sent.floors.get_mut(&(reader, partition.clone())) else {
                continue;
            };
            if request.generation < floor.generation {
                continue;
            }
            floor.generation = request.generation;
            if *offset < floor.offset {
                let before = floor.offset;
                broken.push(format!(
                    "m{reader} takes back its commit of {partition}@{before}: it asks for @{offset}"
                ));
            } else if !floor.is_loose {
                floor.offset = *offset;
            }
        }
        for what in broken {
            self.break_rule("I3", what);
        }
    }
}
