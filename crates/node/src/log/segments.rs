//! When a segment of a log ends, and which segments are removed: Kafka's rules over what is known of each segment. They hold
//! for logs in memory, too, where segments are nothing else than this.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::config::LogConfig;

/// What is known of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFacts {
    /// The offset at which it begins.
    pub base_offset: i64,
    /// The bytes of its batches.
    pub bytes: u64,
    /// The greatest timestamp of its first batch, in milliseconds since the epoch.
    pub first_timestamp: Option<i64>,
    /// The greatest timestamp of all its batches; -1 for none.
    pub max_timestamp: i64,
    /// When it was created, if that is known.
    pub created_ms: Option<i64>,
}

/// What is about to be appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming {
    pub(crate) bytes: usize,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp: i64,
}

/// The segments of a log, oldest first; the last is appended to.
#[derive(Debug)]
pub(crate) struct Segments {
    all: VecDeque<SegmentFacts>,
}

impl Segments {
    /// The segments that a medium found. Their age, where only that tells it, counts from now.
    pub(crate) fn new(found: Vec<SegmentFacts>, wall_ms: i64) -> Self {
        let all = found.into_iter().map(|mut segment| {
            segment.created_ms.get_or_insert(wall_ms);
            segment
        });
        Self { all: all.collect() }
    }

    pub(crate) fn first_offset(&self) -> Option<i64> {
        self.all.front().map(|segment| segment.base_offset)
    }

    /// Whether the last segment must end before `incoming`.
    // Kafka: LogSegment.shouldRoll
    pub(crate) fn must_roll(
        &self,
        incoming: Incoming,
        is_index_full: bool,
        config: &LogConfig,
        wall_ms: i64,
    ) -> bool {
        let Some(active) = self.all.back() else {
            return true;
        };
        if active.bytes == 0 {
            return false;
        }
        let waited = match active.first_timestamp {
            Some(first) if first >= 0 => incoming.max_timestamp.saturating_sub(first),
            _ => wall_ms.saturating_sub(active.created_ms.unwrap_or(wall_ms)),
        };
        active.bytes.saturating_add(incoming.bytes as u64) > config.segment_bytes
            || waited > config.segment_ms
            || is_index_full
            || incoming.last_offset.saturating_sub(active.base_offset) > i64::from(i32::MAX)
    }

    pub(crate) fn roll(&mut self, base_offset: i64, wall_ms: i64) {
        if self
            .all
            .back()
            .is_none_or(|active| active.base_offset < base_offset)
        {
            self.all.push_back(SegmentFacts {
                base_offset,
                bytes: 0,
                first_timestamp: None,
                max_timestamp: -1,
                created_ms: Some(wall_ms),
            });
        }
    }

    pub(crate) fn appended(&mut self, incoming: Incoming) {
        if let Some(active) = self.all.back_mut() {
            active.bytes = active.bytes.saturating_add(incoming.bytes as u64);
            active.first_timestamp.get_or_insert(incoming.max_timestamp);
            active.max_timestamp = active.max_timestamp.max(incoming.max_timestamp);
        }
    }

    /// The offset before which all is removed by `retention.bytes` and `retention.ms`, of a log that ends at `end`; `None` when
    /// nothing is. It is `end` when the last segment is too old, too.
    // Kafka: UnifiedLog.deleteOldSegments, deletableSegments
    pub(crate) fn expired(&self, config: &LogConfig, end: i64, wall_ms: i64) -> Option<i64> {
        if !config.is_deleted {
            return None;
        }
        let total = self.total_bytes();
        let by_size = u64::try_from(config.retention_bytes).map_or(0, |kept| {
            let mut excess = total.saturating_sub(kept);
            let fits = |segment: &&SegmentFacts| match excess.checked_sub(segment.bytes) {
                Some(left) => {
                    excess = left;
                    true
                }
                None => false,
            };
            match total > kept {
                true => self.all.iter().take_while(fits).count(),
                false => 0,
            }
        });
        let by_age = match config.retention_ms {
            ..0 => 0,
            kept => {
                let is_old = |segment: &&SegmentFacts| {
                    let newest = match segment.max_timestamp {
                        ..0 => segment.created_ms.unwrap_or(wall_ms),
                        timestamp => timestamp,
                    };
                    wall_ms.saturating_sub(newest) > kept
                };
                self.all.iter().take_while(is_old).count()
            }
        };
        let removed = by_size.max(by_age);
        match self.all.get(removed) {
            Some(kept) => (removed > 0).then_some(kept.base_offset),
            // An empty last segment stays.
            None => self
                .all
                .back()
                .filter(|last| last.bytes > 0)
                .map(|_| end)
                .or_else(|| {
                    self.all
                        .back()
                        .filter(|_| removed > 1)
                        .map(|last| last.base_offset)
                }),
        }
    }

    /// Forgets the segments that lie wholly below `offset`.
    pub(crate) fn remove_before(&mut self, offset: i64) {
        while self.all.get(1).is_some_and(|next| next.base_offset <= offset) {
            self.all.pop_front();
        }
    }

    /// The bytes of all segments.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.all
            .iter()
            .fold(0, |sum, segment| sum.saturating_add(segment.bytes))
    }

    /// Whether any record is left that may grow too old.
    pub(crate) fn has_bytes(&self) -> bool {
        self.all.iter().any(|segment| segment.bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, TopicConfig};

    const NOW: i64 = 1_000_000;

    fn config(settings: &[(&str, &str)]) -> LogConfig {
        let mut topic = TopicConfig::default();
        for (key, value) in settings {
            topic.set(key, value).expect("a known key");
        }
        topic.log_config(&Config::default())
    }

    fn incoming(last_offset: i64, bytes: usize, max_timestamp: i64) -> Incoming {
        Incoming {
            bytes,
            last_offset,
            max_timestamp,
        }
    }

    /// Segments of 100 bytes each, with ten offsets and one timestamp.
    fn segments(timestamps: &[i64]) -> Segments {
        let mut segments = Segments::new(Vec::new(), NOW);
        for (base, timestamp) in (0i64..).step_by(10).zip(timestamps) {
            segments.roll(base, NOW);
            segments.appended(incoming(base + 9, 100, *timestamp));
        }
        segments
    }

    #[test]
    fn a_segment_ends_before_it_grows_beyond_its_bytes() {
        let config = config(&[("segment.bytes", "1048576")]);
        let mut segments = segments(&[1]);
        let rest = (1 << 20) - 100;
        assert!(!segments.must_roll(incoming(10, rest, 1), false, &config, NOW));
        assert!(segments.must_roll(incoming(10, rest + 1, 1), false, &config, NOW));
        segments.roll(10, NOW);
        assert!(
            !segments.must_roll(incoming(10, 2 << 20, 1), false, &config, NOW),
            "it is empty"
        );
    }

    #[test]
    fn a_segment_ends_when_its_first_timestamp_is_segment_ms_older() {
        let config = config(&[("segment.ms", "1000")]);
        let by_records = segments(&[5000]);
        assert!(!by_records.must_roll(incoming(10, 1, 6000), false, &config, NOW));
        assert!(by_records.must_roll(incoming(10, 1, 6001), false, &config, NOW));
        // Without timestamps the age of the segment counts.
        let by_age = segments(&[-1]);
        assert!(!by_age.must_roll(incoming(10, 1, -1), false, &config, NOW + 1000));
        assert!(by_age.must_roll(incoming(10, 1, -1), false, &config, NOW + 1001));
    }

    #[test]
    fn a_segment_ends_when_its_index_is_full_or_its_offsets_do_not_fit() {
        let config = config(&[]);
        let segments = segments(&[1]);
        assert!(segments.must_roll(incoming(10, 1, 1), true, &config, NOW));
        let far = i64::from(i32::MAX);
        assert!(!segments.must_roll(incoming(far, 1, 1), false, &config, NOW));
        assert!(segments.must_roll(incoming(far + 1, 1, 1), false, &config, NOW));
    }

    #[test]
    fn the_oldest_segments_go_while_the_rest_has_at_least_retention_bytes() {
        let expired = |bytes: &str| {
            segments(&[1, 1, 1]).expired(
                &config(&[("retention.bytes", bytes), ("retention.ms", "-1")]),
                30,
                NOW,
            )
        };
        assert_eq!(expired("-1"), None);
        assert_eq!(expired("300"), None);
        assert_eq!(expired("201"), None);
        assert_eq!(expired("200"), Some(10));
        assert_eq!(expired("0"), Some(30));
    }

    #[test]
    fn segments_whose_newest_record_is_older_than_retention_ms_go() {
        let config = config(&[("retention.ms", "1000")]);
        let expired = |timestamps: &[i64]| segments(timestamps).expired(&config, 30, NOW);
        assert_eq!(expired(&[1, NOW - 1001, NOW - 1000]), Some(20));
        // Kafka: an old segment behind a newer one waits for it.
        assert_eq!(expired(&[NOW, 1, 1]), None);
        // The last one, too.
        assert_eq!(expired(&[1, 1, 1]), Some(30));
    }

    #[test]
    fn an_empty_last_segment_stays() {
        let mut segments = segments(&[1]);
        let config = config(&[("retention.ms", "0")]);
        assert_eq!(segments.expired(&config, 10, NOW), Some(10));
        segments.roll(10, NOW);
        segments.remove_before(10);
        assert_eq!(segments.first_offset(), Some(10));
        assert_eq!(segments.expired(&config, 10, NOW + 5), None);
    }

    #[test]
    fn nothing_is_removed_from_a_topic_that_is_compacted_only() {
        let config = config(&[("cleanup.policy", "compact"), ("retention.ms", "0")]);
        assert_eq!(segments(&[1, 1]).expired(&config, 20, NOW), None);
    }
}
