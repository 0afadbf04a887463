//! Fetches that wait for data: listed per partition, woken by what is appended, expired by a timer each. How a fetch is
//! answered is in [`crate::handlers`].

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use kohort_protocol::messages::FetchRequest;

use crate::context::{Call, Wake};
use crate::fetch_sessions::Asked;
use crate::interface::ConnId;

/// How many topics and partitions all waiting fetches together may name; beyond it those that name most are answered, with what
/// there is. What is named twice counts twice, and a topic without partitions counts: each takes memory while the fetch waits.
const LARGEST_WATCH: usize = 1 << 20;

/// So many bytes of a topic's name count as another topic. (Names of topics that are there have 249 at most.)
const BYTES_OF_NAME: usize = 128;

/// A partition as waiting fetches name it.
type Watched = ([u8; 16], i32);

/// A fetch that waits.
#[derive(Debug)]
pub(crate) struct ParkedFetch {
    pub(crate) call: Call,
    pub(crate) request: Box<FetchRequest>,
    pub(crate) session: Asked,
    /// Bytes that it still needs before it is answered.
    pub(crate) missing: u64,
    pub(crate) watched: Vec<Watched>,
}

/// How many topics and partitions a request names.
fn named(request: &FetchRequest) -> usize {
    let each = request.topics.iter().map(|topic| {
        let names = 1 + topic.topic.len() / BYTES_OF_NAME;
        topic.partitions.len().saturating_add(names)
    });
    each.sum()
}

/// All fetches that wait: at most one of a connection, since a connection has one request at a time.
#[derive(Debug, Default)]
pub(crate) struct Purgatory {
    parked: BTreeMap<ConnId, ParkedFetch>,
    watchers: BTreeMap<Watched, BTreeSet<ConnId>>,
    /// How much each fetch names, so that the largest is found.
    by_size: BTreeSet<(usize, ConnId)>,
    /// How many topics and partitions the fetches name together.
    named: usize,
}

impl Purgatory {
    /// Which fetches must be answered so that this one may wait, largest first: none that names as little as this one, so that
    /// those who name little wait in peace. `None` when it may not wait itself.
    pub(crate) fn in_the_way(&self, request: &FetchRequest) -> Option<Vec<ConnId>> {
        let own = named(request);
        let mut all = self.named.saturating_add(own);
        let mut conns = Vec::new();
        for (size, conn) in self.by_size.iter().rev() {
            if all <= LARGEST_WATCH || *size <= own {
                break;
            }
            all = all.saturating_sub(*size);
            conns.push(*conn);
        }
        (all <= LARGEST_WATCH).then_some(conns)
    }

    pub(crate) fn park(&mut self, fetch: ParkedFetch) {
        let conn = fetch.call.conn;
        let size = named(&fetch.request);
        self.named = self.named.saturating_add(size);
        self.by_size.insert((size, conn));
        for watched in &fetch.watched {
            self.watchers.entry(*watched).or_default().insert(conn);
        }
        self.parked.insert(conn, fetch);
    }

    /// Takes the fetch of a connection out, if it has one here.
    pub(crate) fn unpark(&mut self, conn: ConnId) -> Option<ParkedFetch> {
        let fetch = self.parked.remove(&conn)?;
        let size = named(&fetch.request);
        self.named = self.named.saturating_sub(size);
        self.by_size.remove(&(size, conn));
        for watched in &fetch.watched {
            if let Some(watchers) = self.watchers.get_mut(watched) {
                watchers.remove(&conn);
                if watchers.is_empty() {
                    self.watchers.remove(watched);
                }
            }
        }
        Some(fetch)
    }

    /// The connections whose fetches are complete after `wake`.
    pub(crate) fn completed_by(&mut self, wake: Wake) -> Vec<ConnId> {
        match wake {
            Wake::Appended {
                topic_id,
                partition,
                bytes,
            } => {
                let Some(watchers) = self.watchers.get(&(topic_id, partition)) else {
                    return Vec::new();
                };
                let mut complete = Vec::new();
                for conn in watchers {
                    if let Some(fetch) = self.parked.get_mut(conn) {
                        fetch.missing = fetch.missing.saturating_sub(bytes as u64);
                        complete.extend((fetch.missing == 0).then_some(*conn));
                    }
                }
                complete
            }
            Wake::Crowded { conn } => self
                .parked
                .contains_key(&conn)
                .then_some(conn)
                .into_iter()
                .collect(),
            Wake::Changed { topic_id } => {
                let partitions = self.watchers.range((topic_id, i32::MIN)..=(topic_id, i32::MAX));
                let conns: BTreeSet<ConnId> = partitions
                    .flat_map(|(_, watchers)| watchers.iter().copied())
                    .collect();
                conns.into_iter().collect()
            }
        }
    }

    /// How many fetches wait.
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }
}
