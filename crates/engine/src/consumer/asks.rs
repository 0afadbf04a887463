//! What the engine asked of the caller, and has no answer to yet: reports for a commit, calls of the listener, a sign of the
//! next poll.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

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

    /// The report asked for last up to `step`, and all that were asked for before it: what is reported now is newer than what
    /// they wanted to know.
    fn take_reports(&mut self, step: u64) -> Vec<Ask> {
        let is_answered = |asked: &u64, ask: &mut Ask| *asked <= step && *ask != Ask::Listener;
        self.open
            .extract_if(.., is_answered)
            .map(|(_, ask)| ask)
            .collect()
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

    pub(super) fn ask_listener(&mut self, kind: CallbackKind, partitions: Vec<TopicPartition>) {
        let step = self.asks.open(Ask::Listener);
        self.tell(ToCaller::Callback {
            step,
            kind,
            partitions,
        });
    }

    /// The generation ended while the caller has not run the listener for what it revokes.
    // Kafka: ConsumerCoordinator.onJoinPrepare looks at the generation when it calls
    pub(super) fn listener_became_lost(&mut self) {
        let steps = self.asks.open.iter().filter(|(_, ask)| **ask == Ask::Listener);
        let steps: Vec<u64> = steps.map(|(step, _)| *step).collect();
        for step in steps {
            self.tell(ToCaller::BecameLost { step });
        }
    }

    /// The caller reported.
    pub(super) fn on_report(&mut self, now: Instant, step: u64) {
        for ask in self.asks.take_reports(step) {
            match ask {
                Ask::AutoCommit => self.auto_commit(now),
                Ask::BeforeRevoke => self.commit_before_revoke(now),
                Ask::BeforeClose => self.commit_before_close(now),
                Ask::Poll => self.on_polled_again(now),
                Ask::Listener => {}
            }
        }
    }

    /// The listener of this call ran.
    pub(super) fn on_called(&mut self, now: Instant, step: u64) {
        if self.asks.open.get(&step) == Some(&Ask::Listener) {
            self.asks.open.remove(&step);
            self.on_listener_done(now);
        }
    }
}
