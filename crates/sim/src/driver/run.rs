//! What all tasks of a run share: the ledger, the story, the chances, and what was seen on cables and in logs.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kohort_machine::{Instant, Prng};
use kohort_node::ConnId;
use kohort_protocol::ApiKey;
use kohort_protocol::frame::{RequestPeek, peek_request};

use super::storage::Watch;
use crate::ledger::{Ledger, ReaderNo};
use crate::logs::Contents;
use crate::messages::{Client, Messages, Told};
use crate::story::Story;

/// What all tasks of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ledger: Ledger,
    pub(super) story: Story,
    pub(super) prng: Prng,
    pub(super) messages: Messages,
    /// What happened that can be seen from outside of the tasks: what cables brought, what applications and the outside did.
    pub(super) steps: u64,
    /// Records that were sent and are neither acknowledged nor given up.
    pub(super) unanswered: u64,
    /// The next commit of this member arrives late.
    pub(super) late_commit: Option<ReaderNo>,
    /// The requests that the broker got since the group is watched at rest.
    pub(super) watched: Option<BTreeMap<ApiKey, u64>>,
    /// What applications did wrong on purpose, and how often.
    pub(super) faults: BTreeMap<&'static str, u64>,
    /// Requests whose answers are not there, by cable and correlation.
    asked: BTreeMap<(ConnId, i32), RequestPeek>,
}

impl Shared {
    pub(super) fn new(ledger: Ledger, story: Story, prng: Prng, messages: Messages) -> Self {
        Self {
            ledger,
            story,
            prng,
            messages,
            steps: 0,
            unanswered: 0,
            late_commit: None,
            watched: None,
            faults: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }
}

/// A handle of what is shared.
#[derive(Debug, Clone)]
pub(super) struct Run {
    shared: Arc<Mutex<Shared>>,
    watch: Watch,
    start: tokio::time::Instant,
}

impl Run {
    pub(super) fn new(shared: Shared, watch: Watch) -> Self {
        Self {
            shared: Arc::new(Mutex::new(shared)),
            watch,
            start: tokio::time::Instant::now(),
        }
    }

    /// What is shared, which knows by then all that was written to the logs: nothing is judged before that.
    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.watch.take();
        if !seen.is_empty() {
            for (id, topic) in seen.topics {
                shared.messages.learn(id, topic);
            }
            Contents::read(seen.written).tell(self.now(), &mut shared.ledger);
        }
        shared
    }

    pub(super) fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        let now = self.now();
        self.lock().story.note(now, line);
    }

    /// An application does something wrong on purpose.
    pub(super) fn fault(&self, what: &'static str, detail: impl FnOnce() -> String) {
        self.note(|| format!("** {what} {}", detail()));
        let mut shared = self.lock();
        shared.steps += 1;
        *shared.faults.entry(what).or_default() += 1;
    }

    /// Something happened.
    pub(super) fn step(&self) {
        self.lock().steps += 1;
    }

    pub(super) fn below(&self, bound: u64) -> u64 {
        self.lock().prng.below(bound)
    }

    pub(super) fn chance(&self, numerator: u64, denominator: u64) -> bool {
        self.lock().prng.chance(numerator, denominator)
    }

    /// What a member has it has in the last generation that it was told of.
    pub(super) fn claim(&self, no: ReaderNo) {
        let now = self.now();
        let mut shared = self.lock();
        if let Some(generation) = shared.messages.generation_of(Client::Member(no)) {
            shared.ledger.claim(now, no, generation);
        }
    }

    /// A member sends this, without its length.
    pub(super) fn commit_leaves(&self, no: ReaderNo, bytes: &Bytes) {
        let shared = &mut *self.lock();
        if let Some(commit) = shared.messages.commit_of(bytes) {
            shared.ledger.commit_sent(no, &commit);
        }
    }

    /// A client sends this, without its length; for how long a cable keeps it when it is the commit that is to arrive late.
    pub(super) fn lateness(&self, client: Client, bytes: &Bytes) -> Option<Duration> {
        let mut shared = self.lock();
        let late = shared.late_commit.map(Client::Member);
        let is_commit = peek_request(bytes).is_ok_and(|peek| peek.key == ApiKey::OffsetCommit.code());
        if late != Some(client) || !is_commit {
            return None;
        }
        shared.late_commit = None;
        let millis = 200 + shared.prng.below(1_800);
        Some(Duration::from_millis(millis))
    }

    /// A cable brings the broker this request, without its length; what the broker is given.
    pub(super) fn request(&self, cable: ConnId, bytes: Bytes) -> Bytes {
        let now = self.now();
        let shared = &mut *self.lock();
        if let Ok(peek) = peek_request(&bytes) {
            shared.asked.insert((cable, peek.correlation_id), peek);
            if let (Some(watched), Some(api)) = (&mut shared.watched, ApiKey::from_i16(peek.key)) {
                *watched.entry(api).or_default() += 1;
            }
        }
        let told = Told {
            now,
            ledger: &mut shared.ledger,
            story: &mut shared.story,
        };
        shared.messages.request(told, cable, bytes)
    }

    /// The broker has sent this reply, without its length; what the cable brings to its client, if anything.
    pub(super) fn reply(&self, client: Client, cable: ConnId, bytes: Bytes) -> Option<Bytes> {
        let shared = &mut *self.lock();
        let correlation = bytes.first_chunk().map(|chunk| i32::from_be_bytes(*chunk));
        let asked = correlation.and_then(|number| shared.asked.remove(&(cable, number)));
        match asked {
            Some(asked) => shared
                .messages
                .reply(&mut shared.ledger, client, cable, &asked, bytes),
            None => Some(bytes),
        }
    }
}
