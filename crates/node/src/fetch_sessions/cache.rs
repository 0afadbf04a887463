//! All sessions of a node: which a request belongs to, when one is given, and which gives way.

use alloc::collections::BTreeMap;
use core::time::Duration;

use kohort_machine::{Instant, Prng};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{FetchRequest, FetchResponse};

use super::session::Session;
use crate::cluster::BrokerId;

/// `session_epoch` of a request without, or at the end of, a session.
// Kafka: FetchMetadata.FINAL_EPOCH
const FINAL_EPOCH: i32 = -1;
/// `session_epoch` of a request that wants a session.
// Kafka: FetchMetadata.INITIAL_EPOCH
const INITIAL_EPOCH: i32 = 0;
/// The first version that names topics by id.
const TOPIC_IDS: i16 = 13;

/// How long a session must be unused before any other takes its place, and how old it must be before a larger one does.
// Kafka: KafkaBroker.MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS
const EVICTION: Duration = Duration::from_secs(120);

/// How many bytes all sessions together may take; beyond it clients read without a session.
const LARGEST: usize = 128 << 20;

/// What a request asks of the sessions.
// Kafka: FetchContext
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// None is used.
    Without,
    /// A new one is wanted.
    New,
    /// It continues one.
    Known {
        /// The session.
        id: i32,
        /// The epoch that the session has until the next request.
        epoch: i32,
    },
}

/// Who sends a request, when, and in which version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) now: Instant,
    /// The broker that was asked.
    pub(crate) broker: BrokerId,
    pub(crate) version: i16,
}

/// The sessions by id.
// Kafka: FetchSession.FetchSessionCache
#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    by_id: BTreeMap<i32, Session>,
    /// How many bytes all take together.
    weight: usize,
}

impl FetchSessions {
    /// Finds the session of a request, and puts all partitions of the session into the request.
    ///
    /// # Errors
    ///
    /// FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR: the answer to the request.
    // Kafka: FetchManager.newContext
    pub(crate) fn begin(&mut self, asker: Asker, request: &mut FetchRequest) -> Result<Asked, ErrorCode> {
        let Asker { now, broker, version } = asker;
        let id = request.session_id;
        let is_known = self
            .by_id
            .get(&id)
            .is_some_and(|session| session.broker == broker);
        if matches!(request.session_epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            if is_known {
                self.remove(id);
            }
            return Ok(match request.session_epoch {
                FINAL_EPOCH => Asked::Without,
                _ => Asked::New,
            });
        }
        let session = self
            .by_id
            .get_mut(&id)
            .filter(|_| is_known)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != (version >= TOPIC_IDS) {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        self.weight = self.weight.saturating_sub(session.weight);
        session.update(request);
        self.weight = self.weight.saturating_add(session.weight);
        session.size = session.len();
        if session.size == 0 {
            self.remove(id);
            return Ok(Asked::Without);
        }
        if self.weight > LARGEST {
            self.remove(id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        session.last_used = now;
        session.epoch = next_epoch(session.epoch);
        request.topics = session.topics();
        Ok(Asked::Known {
            id,
            epoch: session.epoch,
        })
    }

    /// Makes a response that of its session: a new session is made of it, a known one leaves in it what the client does not
    /// know yet. `slots` is how many sessions a broker may have.
    // Kafka: FetchContext.updateAndGenerateResponseData
    pub(crate) fn finish(
        &mut self,
        asker: Asker,
        slots: usize,
        asked: Asked,
        request: &FetchRequest,
        response: &mut FetchResponse,
        prng: &mut Prng,
    ) {
        let Asker { now, broker, version } = asker;
        match asked {
            Asked::Without => {}
            Asked::New => {
                let session = Session::new(now, broker, version >= TOPIC_IDS, request, &response.responses);
                if self.has_room(asker, slots, &session) {
                    let id = self.new_id(prng);
                    self.weight = self.weight.saturating_add(session.weight);
                    self.by_id.insert(id, session);
                    response.session_id = id;
                }
            }
            Asked::Known { id, epoch } => {
                response.session_id = id;
                match self.by_id.get_mut(&id) {
                    Some(session) if session.epoch == epoch => session.retain_news(&mut response.responses),
                    // Another request of the session came while this one waited.
                    Some(_) => {
                        response.error_code = ErrorCode::InvalidFetchSessionEpoch.code();
                        response.responses.clear();
                    }
                    // It gave way while the request waited; the client learns of it with its next request.
                    None => {}
                }
            }
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.weight = self.weight.saturating_sub(session.weight);
        }
    }

    /// Whether a new session may be added; another one gives way where it must.
    // Kafka: FetchSessionCacheShard.maybeCreateSession, tryEvict
    fn has_room(&mut self, asker: Asker, slots: usize, new: &Session) -> bool {
        let Asker { now, broker, .. } = asker;
        if self.weight.saturating_add(new.weight) > LARGEST {
            return false;
        }
        let of_broker = || {
            let all = self.by_id.iter();
            all.filter(move |(_, session)| session.broker == broker)
        };
        if of_broker().count() < slots {
            return true;
        }
        let is_stale = |session: &Session| now.saturating_since(session.last_used) > EVICTION;
        let stalest = of_broker()
            .min_by_key(|(id, session)| (session.last_used, **id))
            .filter(|(_, session)| is_stale(session));
        let is_old = |session: &Session| session.last_used.saturating_since(session.created) > EVICTION;
        let smallest = || {
            let old = of_broker().filter(|(_, session)| is_old(session));
            let smallest = old.min_by_key(|(id, session)| (session.size, **id));
            smallest.filter(|(_, session)| session.size < new.size)
        };
        let evicted = stalest.or_else(smallest).map(|(id, _)| *id);
        match evicted {
            Some(id) => {
                self.remove(id);
                true
            }
            None => false,
        }
    }

    /// A positive id that no session has.
    // Kafka: FetchSessionCacheShard.newSessionId
    fn new_id(&self, prng: &mut Prng) -> i32 {
        loop {
            let id = i32::try_from(prng.below(1 << 31)).unwrap_or(0);
            if id > 0 && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

// Kafka: FetchMetadata.nextEpoch
fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        ..0 => FINAL_EPOCH,
        i32::MAX => 1,
        _ => epoch.saturating_add(1),
    }
}
