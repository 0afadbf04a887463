//! What the engine asked of the caller, and has no answer to yet: reports for a commit, calls of the listener, a sign of the
//! next poll.

use alloc::collections::BTreeMap;

use kohort_groups::TopicPartition;
use kohort_machine::Instant;

use super::{CallbackKind, ConsumerEngine, ToCaller};

/// Why the caller was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// For its positions, for the automatic commit of each interval.
    AutoCommit,
    /// For its positions, before partitions are revoked.
    BeforeRevoke,
    /// For its positions, before closing.
    BeforeClose,
    /// To run the listener.
    Listener,
    /// For a sign that it polls again, so that the member may go on.
    Poll,
}

/// Open questions to the caller, by step.
#[derive(Debug, Default)]
pub(super) struct Asks {
    open: BTreeMap<u64, Ask>,
    issued: u64,
}

impl Asks {
    fn open(&mut self, ask: Ask) -> u64 {
        let step = self.issued;
        self.issued += 1;
        self.open.insert(step, ask);
        step
    }

    fn has(&self, ask: Ask) -> bool {
        self.open.values().any(|open| *open == ask)
    }
}

impl ConsumerEngine {
    /// Asks for a report at the beginning of the next poll, unless one was asked for the same reason.
    pub(super) fn ask_report(&mut self, ask: Ask) {
        if !self.asks.has(ask) {
            let step = self.asks.open(ask);
            self.tell(ToCaller::ProgressWanted { step });
        }
    }

    pub(super) fn ask_listener(&mut self, kind: CallbackKind, partitions: alloc::vec::Vec<TopicPartition>) {
        let step = self.asks.open(Ask::Listener);
        self.tell(ToCaller::Callback {
            step,
            kind,
            partitions,
        });
    }

    pub(super) fn on_answer(&mut self, now: Instant, step: u64) {
        match self.asks.open.remove(&step) {
            Some(Ask::AutoCommit) => self.auto_commit(now),
            Some(Ask::BeforeRevoke) => self.commit_before_revoke(now),
            Some(Ask::BeforeClose) => self.commit_before_close(now),
            Some(Ask::Listener) => self.on_listener_done(now),
            Some(Ask::Poll) => self.on_polled_again(now),
            None => {}
        }
    }
}
