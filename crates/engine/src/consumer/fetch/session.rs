//! Fetch sessions (KIP-227): each broker remembers what it was asked for, so that the next Fetch names only what is different,
//! and the answer only what has news. How that looks on the wire is in `request`.
//!
//! A session begins with a Fetch that names everything. Whatever goes wrong after that (a broken connection, an answer that does
//! not fit), the next Fetch names everything again and ends the session that was.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::asked::{Asked, AskedTopics};
use crate::consumer::SlotId;

/// The epoch of a Fetch that begins a session.
// Kafka: FetchMetadata.INITIAL_EPOCH
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a Fetch that ends one and begins none.
// Kafka: FetchMetadata.FINAL_EPOCH
const FINAL_EPOCH: i32 = -1;

/// The sessions of all brokers that gave one.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_node: BTreeMap<i32, Session>,
}

#[derive(Debug)]
struct Session {
    id: i32,
    /// Of the next Fetch.
    epoch: i32,
    known: Known,
}

/// How one Fetch continues, or begins, a session.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// 0 when there is none.
    pub(super) session_id: i32,
    pub(super) epoch: i32,
    /// What the broker knows; nothing if all is to be named.
    pub(super) known: Option<Known>,
}

/// What a broker was asked for the last time.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) topics: Arc<AskedTopics>,
    pub(super) partition_max_bytes: i32,
}

/// What was said of a session in an answer without an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    /// 0 when there is none.
    pub(super) session_id: i32,
    /// Whether the answer has what it must have, and nothing that it must not have.
    pub(super) fits: bool,
}

impl Sessions {
    /// How to ask a broker for these.
    // Kafka: FetchSessionHandler.Builder.build
    pub(super) fn step(&self, node: i32, topics: &AskedTopics) -> Step {
        let Some(session) = self.by_node.get(&node) else {
            return Step {
                session_id: 0,
                epoch: INITIAL_EPOCH,
                known: None,
            };
        };
        let continues = session.epoch != INITIAL_EPOCH && continues(&session.known.topics, topics);
        Step {
            session_id: session.id,
            epoch: if continues { session.epoch } else { INITIAL_EPOCH },
            known: continues.then(|| session.known.clone()),
        }
    }

    /// The broker answered a Fetch that took this step and asked for this.
    // Kafka: FetchSessionHandler.handleResponse
    pub(super) fn answered(&mut self, node: i32, step: &Step, now: Known, said: Said) {
        let is_full = step.known.is_none();
        if said.session_id == 0 {
            self.by_node.remove(&node);
        } else if said.fits && (is_full || said.session_id == step.session_id) {
            let session = Session {
                id: said.session_id,
                epoch: epoch_after(step.epoch),
                known: now,
            };
            self.by_node.insert(node, session);
        } else {
            self.restart(node);
        }
    }

    /// What the broker knows now is not sure: the next Fetch begins a new session, and ends this one.
    // Kafka: FetchMetadata.nextCloseExistingAttemptNew
    pub(super) fn restart(&mut self, node: i32) {
        if let Some(session) = self.by_node.get_mut(&node) {
            session.epoch = INITIAL_EPOCH;
            session.known.topics = Arc::default();
        }
    }

    /// The broker has no such session.
    pub(super) fn forget(&mut self, node: i32) {
        self.by_node.remove(&node);
    }

    /// Forgets all; by broker, how to tell it that its session is over.
    // Kafka: FetchSessionHandler.notifyClose, FetchMetadata.nextCloseExisting
    pub(super) fn end(&mut self) -> impl Iterator<Item = (i32, Step)> {
        let sessions = core::mem::take(&mut self.by_node).into_iter();
        sessions.map(|(node, session)| {
            let step = Step {
                session_id: session.id,
                epoch: FINAL_EPOCH,
                known: None,
            };
            (node, step)
        })
    }

    /// Forgets those of brokers that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(i32) -> bool) {
        self.by_node.retain(|node, _| is_there(*node));
    }
}

/// Whether a session that knows `known` can be asked for `topics` by naming what is different. A partition that was assigned anew
/// in between needs all that the broker has to say of it, and a topic that was made anew is another one.
fn continues(known: &AskedTopics, topics: &AskedTopics) -> bool {
    topics.topics().iter().all(|topic| {
        let Some(old) = known.by_name(&topic.name) else {
            return true;
        };
        let is_same = |(number, asked): (&i32, &Asked)| {
            let old = old.partitions.get(number);
            old.is_none_or(|old| old.slot == asked.slot)
        };
        old.id == topic.id && topic.partitions.iter().all(is_same)
    })
}

// Kafka: FetchMetadata.nextEpoch
fn epoch_after(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

/// Which partitions an answer has had.
#[derive(Debug)]
pub(super) struct Answered {
    partitions: BTreeSet<SlotId>,
    /// Whether all that were asked for must come.
    is_full: bool,
    has_unasked: bool,
}

impl Answered {
    /// Nothing so far of the answer to that step: the first has all that was asked for, the others only what has news.
    pub(super) fn to(step: &Step) -> Self {
        Self {
            partitions: BTreeSet::new(),
            is_full: step.known.is_none(),
            has_unasked: false,
        }
    }

    /// Whether it is the first that the answer says of that partition.
    pub(super) fn note(&mut self, asked: &Asked) -> bool {
        self.partitions.insert(asked.slot)
    }

    pub(super) fn note_unasked(&mut self) {
        self.has_unasked = true;
    }

    /// Whether the answer has what it must have of these, and nothing else.
    // Kafka: FetchSessionHandler.verifyFullFetchResponsePartitions, verifyIncrementalFetchResponsePartitions
    pub(super) fn fits(&self, topics: &AskedTopics) -> bool {
        let mut asked = topics.partitions();
        !self.has_unasked && (!self.is_full || asked.all(|asked| self.partitions.contains(&asked.slot)))
    }
}
