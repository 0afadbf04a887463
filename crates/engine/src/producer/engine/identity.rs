//! Where the producer id comes from, and what is done when sequences have a gap: the epoch is raised, and the partition begins
//! anew with sequence 0 (KIP-360). The sequences themselves live in `sequences`.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::sync::Arc;

use kohort_machine::Instant;
use kohort_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use kohort_protocol::{ErrorCode, ResponseBody};

use super::{ProducerEngine, Slot, Timer};
use crate::client::{Reply, RequestFailure, RequestId, Target};
use crate::producer::accumulator::Batch;
use crate::producer::error::{NoProducerId, SendError};
use crate::producer::sequences::{Idempotence, Identity};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Off,
    /// It is asked for with the first record, from this time on.
    Wanted {
        not_before: Instant,
    },
    Asked(RequestId),
    Known(Identity),
}

/// The producer id, and the partitions whose sequences are in doubt.
#[derive(Debug)]
pub(super) struct ProducerIds {
    state: State,
    /// Attempts in a row that gave none.
    failures: u32,
    last_failure: Option<Arc<str>>,
    /// Partitions with a gap: they begin anew.
    broken: BTreeSet<Slot>,
    /// Partitions of which a batch was given up that may be in the log all the same.
    unresolved: BTreeSet<Slot>,
}

impl ProducerIds {
    pub(super) fn new(is_idempotent: bool) -> Self {
        let wanted = State::Wanted {
            not_before: Instant::ZERO,
        };
        Self {
            state: if is_idempotent { wanted } else { State::Off },
            failures: 0,
            last_failure: None,
            broken: BTreeSet::new(),
            unresolved: BTreeSet::new(),
        }
    }

    pub(super) fn idempotence(&self) -> Idempotence {
        match self.state {
            State::Off => Idempotence::Off,
            State::Wanted { .. } | State::Asked(_) => Idempotence::Waiting,
            State::Known(identity) => Idempotence::On(identity),
        }
    }

    pub(super) fn note_unresolved(&mut self, slot: Slot) {
        self.unresolved.insert(slot);
    }

    /// Why there is no id yet, if records wait for one.
    pub(super) fn last_failure(&self) -> Option<Arc<str>> {
        self.last_failure.clone()
    }
}

impl ProducerEngine {
    /// Asks for a producer id when records wait for one.
    // Kafka: TransactionManager.bumpIdempotentEpochAndResetIdIfNeeded
    pub(super) fn ask_for_id(&mut self, now: Instant) {
        let State::Wanted { not_before } = self.ids.state else {
            return;
        };
        if self.unanswered.is_empty() || self.is_closed {
            return;
        }
        if not_before > now {
            return self.timers.set(Timer::Identity, not_before);
        }
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let timeout = self.config.client.request_timeout;
        let id = self.client.request(now, Target::Any, request.into(), timeout);
        self.ids.state = State::Asked(id);
    }

    // Kafka: TransactionManager.InitProducerIdHandler
    pub(super) fn on_id(&mut self, now: Instant, reply: Reply) {
        if self.ids.state != State::Asked(reply.id) {
            return;
        }
        match identity(reply.result) {
            Ok(identity) => {
                self.ids.failures = 0;
                self.ids.last_failure = None;
                self.ids.state = State::Known(identity);
                self.restart_broken(now, identity);
                self.hurry();
            }
            Err((reason, is_retriable)) => {
                self.ids.failures = self.ids.failures.saturating_add(1);
                let not_before = now + self.backoff.delay(self.ids.failures, &mut self.prng);
                self.ids.state = State::Wanted { not_before };
                let error = SendError::NoProducerId { reason };
                self.ids.last_failure = Some(error.to_string().into());
                if !is_retriable {
                    self.fail_all(&error);
                }
            }
        }
    }

    /// Whether a batch that got this error is sent again. An error of the sequences is, always: where there is a gap, the
    /// partition begins anew first.
    // Kafka: TransactionManager.canRetry
    pub(super) fn can_retry(
        &mut self,
        slot: Slot,
        batch: &Batch,
        error: ErrorCode,
        log_start_offset: i64,
    ) -> bool {
        let (Some(stamp), Some(accumulator)) = (batch.stamp, self.accumulators.get(slot.0)) else {
            return error.is_retriable();
        };
        let is_broken = match error {
            ErrorCode::OutOfOrderSequenceNumber => accumulator.sequences.is_gap(stamp, batch.is_rewritten()),
            ErrorCode::UnknownProducerId => log_start_offset >= 0 && !batch.is_rewritten(),
            _ => return error.is_retriable(),
        };
        if is_broken {
            self.ids.broken.insert(slot);
        }
        true
    }

    /// A batch failed for good and is not in the log: those after it have the wrong sequences.
    // Kafka: TransactionManager.handleFailedBatch
    pub(super) fn break_sequences(&mut self, slot: Slot, batch: &Batch) {
        if batch.stamp.is_some() {
            self.ids.broken.insert(slot);
        }
    }

    /// A batch is given up that may be in the log all the same.
    pub(super) fn give_up(&mut self, slot: Slot, batch: Batch, error: &SendError) {
        if let (Some(stamp), Some(accumulator)) = (batch.stamp, self.accumulators.get_mut(slot.0)) {
            accumulator.sequences.mark_unresolved(stamp);
            self.ids.note_unresolved(slot);
        }
        self.fail_batch(batch, error);
    }

    /// Looks at partitions in doubt, and lets broken ones begin anew with another epoch.
    pub(super) fn mend_sequences(&mut self, now: Instant) {
        for slot in core::mem::take(&mut self.ids.unresolved) {
            let Some(accumulator) = self.accumulators.get_mut(slot.0) else {
                continue;
            };
            if !accumulator.is_drained() {
                self.ids.unresolved.insert(slot);
            } else if accumulator.sequences.resolve() {
                self.watch(now, slot);
            } else {
                self.ids.broken.insert(slot);
            }
        }
        let State::Known(identity) = self.ids.state else {
            return;
        };
        if self.ids.broken.is_empty() {
            return;
        }
        match identity.epoch.checked_add(1) {
            Some(epoch) => {
                let identity = Identity { epoch, ..identity };
                self.ids.state = State::Known(identity);
                self.restart_broken(now, identity);
            }
            None => {
                self.ids.state = State::Wanted { not_before: now };
                self.ask_for_id(now);
            }
        }
    }

    fn restart_broken(&mut self, now: Instant, identity: Identity) {
        for slot in core::mem::take(&mut self.ids.broken) {
            if let Some(accumulator) = self.accumulators.get_mut(slot.0) {
                accumulator.restart(identity);
            }
            self.ids.unresolved.remove(&slot);
            self.watch(now, slot);
        }
    }
}

/// What a response says, or why there is none and whether asking again may help.
fn identity(result: Result<ResponseBody, RequestFailure>) -> Result<Identity, (NoProducerId, bool)> {
    let response = match result {
        Ok(body) => InitProducerIdResponse::try_from(body).unwrap_or_default(),
        Err(failure) => {
            let is_retriable = failure.is_retriable();
            return Err((NoProducerId::Failed(failure), is_retriable));
        }
    };
    let error = ErrorCode::from_code(response.error_code);
    if error.is_error() {
        return Err((NoProducerId::Refused(error), error.is_retriable()));
    }
    let (id, epoch) = (response.producer_id, response.producer_epoch);
    match id >= 0 && epoch >= 0 {
        true => Ok(Identity { id, epoch }),
        false => Err((NoProducerId::Refused(ErrorCode::UnknownServerError), true)),
    }
}
