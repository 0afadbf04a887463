//! Faults on purpose: the next requests of an API fail, wait, vanish, or lose their reply. For tests of clients.

use alloc::collections::VecDeque;
use core::time::Duration;

use kohort_protocol::{ApiKey, ErrorCode};

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
    fn faults_are_used_in_the_order_they_were_injected() {
        let mut faults = Faults::default();
        faults.inject(FaultRule::next(ApiKey::Fetch, Fault::Drop));
        faults.inject(FaultRule::next(ApiKey::Fetch, Fault::Cut { after: 3 }));
        assert_eq!(faults.poll_fault(ApiKey::Fetch), Some(Fault::Drop));
        assert_eq!(faults.poll_fault(ApiKey::Fetch), Some(Fault::Cut { after: 3 }));
        assert_eq!(faults.poll_fault(ApiKey::Fetch), None);
    }
}
