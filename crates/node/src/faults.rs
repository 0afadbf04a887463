//! Faults on purpose: the next requests of an API fail, wait, vanish, or their replies are lost or changed. For tests of
//! clients.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use kohort_machine::Prng;
use kohort_protocol::{ApiKey, ErrorCode};

/// The length that a reply begins with, in bytes.
const PREFIX: usize = 4;
/// Length and correlation id.
const HEAD: usize = 8;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is answered with this error and not carried out.
    Fail(ErrorCode),
    /// It is carried out after this time.
    Delay(Duration),
    /// It is neither carried out nor answered; the connection stays open.
    Drop,
    /// It is carried out; of its reply only this many bytes are written (with the length prefix), then the connection is
    /// closed.
    Cut {
        /// Bytes of the reply that are written.
        after: usize,
    },
    /// It is carried out, and its reply is changed. The connection stays open.
    Lie(Lie),
}

/// How a reply is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// Its correlation id is larger by this much.
    CorrelationId {
        /// How much larger; it wraps around.
        by: i32,
    },
    /// It is written twice.
    Twice,
    /// Its body ends after this many bytes; the length before it fits.
    Short {
        /// Bytes of the reply after the correlation id.
        body: usize,
    },
    /// The length before it is another than it has.
    Length {
        /// The length that is announced, in bytes.
        announced: i32,
    },
    /// Some bytes of its body are others.
    Noise {
        /// Decides which bytes, and what they become.
        seed: u64,
        /// How many bytes at most.
        bytes: u32,
    },
}

/// What a fault makes of an encoded reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoil {
    Cut { after: usize },
    Lie(Lie),
}

impl Spoil {
    /// The reply, with its length, as it is written instead.
    pub(crate) fn apply(self, segments: Vec<Bytes>) -> Vec<Bytes> {
        let mut reply = BytesMut::from(&segments.concat()[..]);
        match self {
            Self::Cut { after } => reply.truncate(after),
            Self::Lie(Lie::CorrelationId { by }) => {
                if let Some(id) = reply.get_mut(PREFIX..).and_then(|rest| rest.first_chunk_mut()) {
                    *id = i32::from_be_bytes(*id).wrapping_add(by).to_be_bytes();
                }
            }
            Self::Lie(Lie::Twice) => {
                let once = reply.clone();
                reply.extend_from_slice(&once);
            }
            Self::Lie(Lie::Short { body }) => {
                reply.truncate(HEAD.saturating_add(body));
                let len = i32::try_from(reply.len().saturating_sub(PREFIX)).unwrap_or(i32::MAX);
                announce(&mut reply, len);
            }
            Self::Lie(Lie::Length { announced }) => announce(&mut reply, announced),
            Self::Lie(Lie::Noise { seed, bytes }) => {
                let mut prng = Prng::from_seed(seed);
                let body = reply.get_mut(HEAD..).unwrap_or_default();
                for _ in 0..bytes {
                    let at = usize::try_from(prng.below(body.len().max(1) as u64)).unwrap_or(0);
                    let becomes = prng.next_u64().to_le_bytes().first().copied().unwrap_or(0);
                    if let Some(byte) = body.get_mut(at) {
                        *byte = becomes;
                    }
                }
            }
        }
        alloc::vec![reply.freeze()]
    }
}

fn announce(reply: &mut BytesMut, len: i32) {
    if let Some(prefix) = reply.first_chunk_mut() {
        *prefix = len.to_be_bytes();
    }
}

/// A fault for the next requests of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultRule {
    /// The API; `None` for any.
    pub api: Option<ApiKey>,
    /// How many requests are let through before.
    pub skip: u32,
    /// How many requests it is for.
    pub times: u32,
    /// What happens to them.
    pub fault: Fault,
}

impl FaultRule {
    /// `fault` for the next request of `api`.
    pub fn next(api: ApiKey, fault: Fault) -> Self {
        Self {
            api: Some(api),
            skip: 0,
            times: 1,
            fault,
        }
    }
}

/// The faults that are not used up, in the order they were injected.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    rules: VecDeque<FaultRule>,
}

impl Faults {
    pub(crate) fn inject(&mut self, rule: FaultRule) {
        if rule.times > 0 {
            self.rules.push_back(rule);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault for a request of `api`: that of the oldest rule which is for it.
    pub(crate) fn poll_fault(&mut self, api: ApiKey) -> Option<Fault> {
        let index = self
            .rules
            .iter()
            .position(|rule| rule.api.is_none_or(|wanted| wanted == api))?;
        let rule = self.rules.get_mut(index)?;
        if rule.skip > 0 {
            rule.skip = rule.skip.saturating_sub(1);
            return None;
        }
        let fault = rule.fault;
        rule.times = rule.times.saturating_sub(1);
        if rule.times == 0 {
            self.rules.remove(index);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_its_api_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.inject(FaultRule {
            api: Some(ApiKey::Fetch),
            skip: 1,
            times: 2,
            fault: Fault::Drop,
        });
        assert_eq!(faults.poll_fault(ApiKey::Produce), None);
        let hits: alloc::vec::Vec<_> = (0..4)
            .map(|_| faults.poll_fault(ApiKey::Fetch).is_some())
            .collect();
        assert_eq!(hits, [false, true, true, false]);
    }

    #[test]
    fn a_lie_changes_what_it_says_and_nothing_else() {
        let reply = || {
            alloc::vec![
                Bytes::from_static(&[0, 0, 0, 7, 0, 0]),
                Bytes::from_static(&[0, 9, 1, 2, 3])
            ]
        };
        let told = |lie| Spoil::Lie(lie).apply(reply()).concat();
        assert_eq!(
            told(Lie::CorrelationId { by: -10 }),
            [0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]
        );
        let whole = reply().concat();
        assert_eq!(told(Lie::Twice), [whole.clone(), whole.clone()].concat());
        assert_eq!(told(Lie::Short { body: 1 }), [0, 0, 0, 5, 0, 0, 0, 9, 1]);
        assert_eq!(told(Lie::Short { body: 99 }), whole);
        assert_eq!(
            told(Lie::Length { announced: -1 }),
            [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 1, 2, 3]
        );
        let noisy = told(Lie::Noise { seed: 1, bytes: 8 });
        assert_eq!((&noisy[..8], noisy.len()), (&whole[..8], whole.len()));
        assert_ne!(noisy, whole);
        assert_eq!(Spoil::Cut { after: 2 }.apply(reply()).concat(), [0, 0]);
    }

    #[test]
    fn faults_are_used_in_the_order_they_were_injected() {
        let mut faults = Faults::default();
        faults.inject(FaultRule::next(ApiKey::Fetch, Fault::Drop));
        faults.inject(FaultRule::next(ApiKey::Fetch, Fault::Cut { after: 3 }));
        assert_eq!(faults.poll_fault(ApiKey::Fetch), Some(Fault::Drop));
        assert_eq!(faults.poll_fault(ApiKey::Fetch), Some(Fault::Cut { after: 3 }));
        assert_eq!(faults.poll_fault(ApiKey::Fetch), None);
    }
}
