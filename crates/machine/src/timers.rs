//! One timer table per machine: named timers in a heap by time. Setting a timer again moves it; there is no callback.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::{Deadline, Instant};

/// Named timers, ordered by time; equal times fire in the order they were set.
///
/// `K` is the machine's timer enum, each variant documented with "When to …".
#[derive(Debug, Clone)]
pub struct Timers<K> {
    by_key: BTreeMap<K, (Instant, u64)>,
    by_time: BTreeSet<(Instant, u64, K)>,
    next_sequence: u64,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_time: BTreeSet::new(),
            next_sequence: 0,
        }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// No timer armed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Arms `key` at `at`; an armed one is moved.
    pub fn set(&mut self, key: K, at: Instant) {
        self.cancel(&key);
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.by_key.insert(key.clone(), (at, sequence));
        self.by_time.insert((at, sequence, key));
    }

    /// Arms `key` at `at` unless it is armed for an earlier time.
    pub fn set_no_later(&mut self, key: K, at: Instant) {
        match self.at(&key) {
            Some(armed) if armed <= at => {}
            _ => self.set(key, at),
        }
    }

    /// Disarms `key`; nothing happens when it is not armed.
    pub fn cancel(&mut self, key: &K) {
        if let Some((at, sequence)) = self.by_key.remove(key) {
            self.by_time.remove(&(at, sequence, key.clone()));
        }
    }

    /// When `key` fires, if it is armed.
    pub fn at(&self, key: &K) -> Option<Instant> {
        self.by_key.get(key).map(|(at, _)| *at)
    }

    /// Whether `key` is armed.
    pub fn is_set(&self, key: &K) -> bool {
        self.by_key.contains_key(key)
    }

    /// Disarms and returns the first timer with `at <= now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.by_time.first()?.0 > now {
            return None;
        }
        let (_, _, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// The first armed timer.
    pub fn next(&self) -> Option<(Instant, &K)> {
        self.by_time.first().map(|(at, _, key)| (*at, key))
    }

    /// The first armed timer as a [`Deadline`], named by `name`.
    pub fn next_deadline(&self, name: impl FnOnce(&K) -> &'static str) -> Option<Deadline> {
        self.next().map(|(at, key)| Deadline { at, timer: name(key) })
    }

    /// Disarms every timer for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.by_key.retain(|key, _| keep(key));
        let by_key = &self.by_key;
        self.by_time.retain(|(_, _, key)| by_key.contains_key(key));
    }

    /// Disarms all.
    pub fn clear(&mut self) {
        self.by_key.clear();
        self.by_time.clear();
    }

    /// How many timers are armed.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_by_time_and_then_in_the_order_they_were_set() {
        let mut timers = Timers::new();
        timers.set("b", Instant::from_millis(2));
        timers.set("c", Instant::from_millis(1));
        timers.set("a", Instant::from_millis(2));
        let now = Instant::from_millis(2);
        assert_eq!(timers.pop_due(now), Some("c"));
        assert_eq!(timers.pop_due(now), Some("b"));
        assert_eq!(timers.pop_due(now), Some("a"));
        assert_eq!(timers.pop_due(now), None);
    }

    #[test]
    fn setting_an_armed_timer_moves_it() {
        let mut timers = Timers::new();
        timers.set("a", Instant::from_millis(1));
        timers.set("a", Instant::from_millis(5));
        assert_eq!(timers.pop_due(Instant::from_millis(4)), None);
        assert_eq!(timers.len(), 1);
        assert_eq!(timers.pop_due(Instant::from_millis(5)), Some("a"));
    }

    #[test]
    fn a_timer_that_may_not_be_later_keeps_its_earlier_time() {
        let mut timers = Timers::new();
        timers.set("a", Instant::from_millis(3));
        timers.set_no_later("a", Instant::from_millis(9));
        assert_eq!(timers.at(&"a"), Some(Instant::from_millis(3)));
        timers.set_no_later("a", Instant::from_millis(1));
        assert_eq!(timers.at(&"a"), Some(Instant::from_millis(1)));
    }

    #[test]
    fn a_cancelled_timer_does_not_fire() {
        let mut timers = Timers::new();
        timers.set("a", Instant::from_millis(1));
        timers.cancel(&"a");
        timers.cancel(&"never set");
        assert_eq!(timers.pop_due(Instant::MAX), None);
        assert!(timers.is_empty());
    }

    #[test]
    fn retain_disarms_in_both_orders() {
        let mut timers = Timers::new();
        timers.set(1, Instant::from_millis(1));
        timers.set(2, Instant::from_millis(2));
        timers.retain(|key| *key == 2);
        assert_eq!(timers.next(), Some((Instant::from_millis(2), &2)));
        assert_eq!(timers.len(), 1);
    }
}
