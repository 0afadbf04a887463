//! All connections of a client: at most one per peer and purpose, and what is remembered of those that failed.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use kohort_machine::{Backoff, Instant, Prng};

use super::link::{Link, LinkKey, Peer};
use super::net::LinkId;
use super::target::LinkPurpose;

/// Failures in a row of one peer and purpose.
#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    not_before: Instant,
}

#[derive(Debug)]
pub(super) struct Links {
    by_id: BTreeMap<LinkId, Link>,
    by_key: BTreeMap<LinkKey, LinkId>,
    troubles: BTreeMap<LinkKey, Trouble>,
    next_id: u64,
    reconnect: Backoff,
    setup: Backoff,
}

impl Links {
    pub(super) fn new(reconnect: Backoff, setup: Backoff) -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_key: BTreeMap::new(),
            troubles: BTreeMap::new(),
            next_id: 0,
            reconnect,
            setup,
        }
    }

    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn find(&self, key: LinkKey) -> Option<(LinkId, &Link)> {
        let id = *self.by_key.get(&key)?;
        Some((id, self.by_id.get(&id)?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.by_id.iter().map(|(id, link)| (*id, link))
    }

    /// Whether `key` failed so lately that it must not be tried again yet.
    pub(super) fn is_backing_off(&self, key: LinkKey, now: Instant) -> bool {
        self.troubles
            .get(&key)
            .is_some_and(|trouble| trouble.not_before > now)
    }

    /// Adds a link that is to be connected; returns its id and when to give the attempt up.
    pub(super) fn open(
        &mut self,
        now: Instant,
        key: LinkKey,
        host: String,
        port: u16,
        prng: &mut Prng,
    ) -> (LinkId, Instant) {
        let id = LinkId(self.next_id);
        self.next_id += 1;
        self.by_id.insert(id, Link::new(key, host, port, now));
        self.by_key.insert(key, id);
        // Kafka: ClusterConnectionStates.updateConnectionSetupTimeout
        let failures = self.failures(key);
        (id, now + self.setup.delay(failures.saturating_add(1), prng))
    }

    /// Failures in a row of `key`.
    pub(super) fn failures(&self, key: LinkKey) -> u32 {
        self.troubles.get(&key).map_or(0, |trouble| trouble.failures)
    }

    /// The handshake succeeded: earlier failures are forgotten.
    pub(super) fn forgive(&mut self, key: LinkKey) {
        self.troubles.remove(&key);
    }

    pub(super) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let link = self.by_id.remove(&id)?;
        if self.by_key.get(&link.key) == Some(&id) {
            self.by_key.remove(&link.key);
        }
        Some(link)
    }

    pub(super) fn remove_all(&mut self) -> Vec<LinkId> {
        self.by_key.clear();
        core::mem::take(&mut self.by_id).into_keys().collect()
    }

    /// Remembers a failure; returns when `key` may be tried again.
    // Kafka: ClusterConnectionStates.updateReconnectBackoff
    pub(super) fn blame(&mut self, now: Instant, key: LinkKey, prng: &mut Prng) -> Instant {
        let trouble = self.troubles.entry(key).or_default();
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.not_before = now + self.reconnect.delay(trouble.failures, prng);
        trouble.not_before
    }

    /// A bootstrap connection turned out to lead to this broker's advertised address: it is that broker's from now on.
    pub(super) fn adopt(&mut self, node: i32, host: &str, port: u16) {
        let key = LinkKey {
            peer: Peer::Node(node),
            purpose: LinkPurpose::Control,
        };
        if self.by_key.contains_key(&key) {
            return;
        }
        let found = self.by_id.iter_mut().find(|(_, link)| {
            matches!(link.key.peer, Peer::Bootstrap(_)) && link.host == host && link.port == port
        });
        if let Some((id, link)) = found {
            self.by_key.remove(&link.key);
            link.key = key;
            self.by_key.insert(key, *id);
        }
    }
}
