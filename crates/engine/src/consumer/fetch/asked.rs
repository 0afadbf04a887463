//! What one Fetch asks for, by topic, to be found again by what its answer names.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_protocol::Uuid;

use crate::consumer::partitions::{Assigned, Place};
use crate::consumer::{FetchEpoch, Position, SlotId};

/// One partition that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) slot: SlotId,
    pub(super) epoch: FetchEpoch,
    pub(super) position: Position,
    pub(super) leader_epoch: Option<i32>,
    pub(super) served: u64,
}

impl Asked {
    /// Whether the partition is still where it was when it was asked for.
    pub(super) fn is_current(&self, assigned: &Assigned) -> bool {
        let is_there = matches!(assigned.place, Place::At(at) if at.offset == self.position.offset);
        is_there && assigned.epoch == self.epoch && !assigned.suspended && !assigned.halted
    }
}

#[derive(Debug)]
pub(super) struct AskedTopic {
    pub(super) name: Arc<str>,
    pub(super) id: Option<Uuid>,
    pub(super) partitions: BTreeMap<i32, Asked>,
    /// The partitions in the order asked for.
    pub(super) order: Vec<i32>,
}

/// All that one Fetch asks for.
#[derive(Debug, Default)]
pub(super) struct AskedTopics {
    topics: Vec<AskedTopic>,
    by_name: BTreeMap<Arc<str>, usize>,
    by_id: BTreeMap<Uuid, usize>,
}

impl AskedTopics {
    /// Adds a partition behind the others. `id` is asked once a topic.
    pub(super) fn push(
        &mut self,
        name: Arc<str>,
        partition: i32,
        asked: Asked,
        id: impl FnOnce(&str) -> Option<Uuid>,
    ) {
        let index = self.by_name.get(&name).copied().unwrap_or_else(|| {
            let (index, id) = (self.topics.len(), id(&name));
            self.by_name.insert(Arc::clone(&name), index);
            self.by_id.extend(id.map(|id| (id, index)));
            self.topics.push(AskedTopic {
                name,
                id,
                partitions: BTreeMap::new(),
                order: Vec::new(),
            });
            index
        });
        if let Some(topic) = self.topics.get_mut(index) {
            topic.partitions.insert(partition, asked);
            topic.order.push(partition);
        }
    }

    pub(super) fn topics(&self) -> &[AskedTopic] {
        &self.topics
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = &Asked> {
        self.topics.iter().flat_map(|topic| topic.partitions.values())
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&AskedTopic> {
        self.topics.get(*self.by_name.get(name)?)
    }

    /// The topic that an answer names: by its name, or else by its id.
    pub(super) fn answered(&self, name: &str, id: Uuid) -> Option<&AskedTopic> {
        match name.is_empty() {
            false => self.by_name(name),
            true => self.topics.get(*self.by_id.get(&id)?),
        }
    }
}
