//! How much of a log is on the medium, and what readers may see of it. When something is synced is Kafka's
//! `flush.messages` and `flush.ms`; the syncing itself is the driver's work.

use alloc::string::String;
use alloc::vec::Vec;

use crate::config::LogConfig;

/// A sync that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flight {
    /// Everything below this offset is on the medium when it succeeds.
    pub(crate) upto: i64,
    /// The bytes of the batches that it makes visible.
    bytes: usize,
    pub(crate) paths: Vec<String>,
}

/// The state of one log.
#[derive(Debug)]
pub(super) struct Flush {
    /// Whether the medium has anything to sync.
    is_lasting: bool,
    /// Everything below is on the medium.
    synced: i64,
    /// Everything below may be read.
    high_watermark: i64,
    /// Records appended since the last sync was begun.
    records: u64,
    /// Bytes appended since then that are held back from readers.
    held_bytes: usize,
    is_wanted: bool,
    is_in_flight: bool,
    /// Why a sync failed: what was written since the last one may be lost.
    failure: Option<String>,
}

impl Flush {
    /// Of a log that was opened, and ends at `end`.
    pub(super) fn new(is_lasting: bool, end: i64) -> Self {
        Self {
            is_lasting,
            synced: end,
            high_watermark: end,
            records: 0,
            held_bytes: 0,
            is_wanted: false,
            is_in_flight: false,
            failure: None,
        }
    }

    pub(super) fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    pub(super) fn synced(&self) -> i64 {
        self.synced
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Records were appended, up to `end`.
    // Kafka: UnifiedLog.append (flush.messages)
    pub(super) fn appended(&mut self, records: u64, bytes: usize, end: i64, config: &LogConfig) {
        if !self.is_lasting {
            self.synced = end;
            self.high_watermark = end;
            return;
        }
        self.records = self.records.saturating_add(records);
        self.is_wanted |= self.records >= config.flush_messages;
        if config.acknowledges_synced() {
            self.held_bytes = self.held_bytes.saturating_add(bytes);
        } else {
            self.high_watermark = end;
        }
    }

    /// The next sync begins as soon as none is in flight.
    pub(super) fn want(&mut self) {
        self.is_wanted = self.is_lasting;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted && !self.is_in_flight && self.failure.is_none()
    }

    /// Begins a sync of `paths`, which makes all up to `end` last.
    pub(super) fn begin(&mut self, end: i64, paths: Vec<String>) -> Flight {
        self.is_wanted = false;
        self.is_in_flight = true;
        self.records = 0;
        Flight {
            upto: end,
            bytes: core::mem::take(&mut self.held_bytes),
            paths,
        }
    }

    /// A sync ended; gives how many bytes readers see now that they did not see before.
    pub(super) fn ended(&mut self, flight: &Flight, result: Result<(), String>) -> usize {
        self.is_in_flight = false;
        match result {
            Ok(()) => {
                self.synced = self.synced.max(flight.upto);
                let is_new = flight.upto > self.high_watermark;
                self.high_watermark = self.high_watermark.max(flight.upto);
                if is_new { flight.bytes } else { 0 }
            }
            Err(reason) => {
                self.failure = Some(reason);
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, TopicConfig};

    fn config(settings: &[(&str, &str)]) -> LogConfig {
        let mut topic = TopicConfig::default();
        for (key, value) in settings {
            topic.set(key, value).expect("a known key");
        }
        topic.log_config(&Config::default())
    }

    #[test]
    fn with_a_sync_for_each_append_readers_see_what_is_synced() {
        let config = config(&[("flush.messages", "1")]);
        let mut flush = Flush::new(true, 0);
        flush.appended(3, 100, 3, &config);
        assert!(flush.is_wanted());
        let flight = flush.begin(3, Vec::new());
        // More comes while the sync is in flight: it is the next one's.
        flush.appended(1, 10, 4, &config);
        assert!(!flush.is_wanted());
        assert_eq!((flush.high_watermark(), flush.synced()), (0, 0));
        assert_eq!(flush.ended(&flight, Ok(())), 100);
        assert_eq!((flush.high_watermark(), flush.synced()), (3, 3));
        assert!(flush.is_wanted());
    }

    #[test]
    fn without_it_readers_see_what_is_written() {
        let mut flush = Flush::new(true, 0);
        flush.appended(3, 100, 3, &config(&[]));
        assert!(!flush.is_wanted());
        assert_eq!((flush.high_watermark(), flush.synced()), (3, 0));
        flush.want();
        let flight = flush.begin(3, Vec::new());
        assert_eq!(flush.ended(&flight, Ok(())), 0);
        assert_eq!(flush.synced(), 3);
    }

    #[test]
    fn flush_messages_counts_records_since_the_last_sync() {
        let config = config(&[("flush.messages", "5")]);
        let mut flush = Flush::new(true, 0);
        flush.appended(4, 1, 4, &config);
        assert!(!flush.is_wanted());
        flush.appended(1, 1, 5, &config);
        assert!(flush.is_wanted());
    }

    #[test]
    fn after_a_sync_that_failed_none_is_begun() {
        // A later fsync would succeed although the pages were dropped.
        let config = config(&[("flush.messages", "1")]);
        let mut flush = Flush::new(true, 0);
        flush.appended(1, 1, 1, &config);
        let flight = flush.begin(1, Vec::new());
        flush.ended(&flight, Err("no".into()));
        flush.appended(1, 1, 2, &config);
        assert!(!flush.is_wanted());
        assert_eq!((flush.high_watermark(), flush.failure()), (0, Some("no")));
    }

    #[test]
    fn a_log_in_memory_has_nothing_to_sync() {
        let mut flush = Flush::new(false, 0);
        flush.appended(1, 1, 1, &config(&[("flush.messages", "1")]));
        flush.want();
        assert!(!flush.is_wanted());
        assert_eq!((flush.high_watermark(), flush.synced()), (1, 1));
    }
}
