//! A poll that does not come within `max.poll.interval.ms`: what the log and the refused commit say of it.

use core::fmt;
use core::time::Duration;

use kohort_groups::TopicPartition;

/// The consumer was not polled for `max.poll.interval.ms`, so its member left the group (a static one
/// stopped its heartbeats, and is a member until its session ends): what it was busy with, and for how long.
///
/// It is in the log (`warn`) when it happens, and in
/// [`CommitError::PollIntervalExceeded`](super::CommitError::PollIntervalExceeded) when a commit comes too late. The next `poll`
/// runs the listener's `lost` and joins again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatePoll {
    /// How long the consumer had not been polled when its member left.
    pub idle: Duration,
    /// `max.poll.interval.ms`.
    pub interval: Duration,
    /// Records that the last poll had handed out, at most 16 runs of them.
    pub in_hand: Vec<InHand>,
    /// How many runs of records the last poll had handed out that are not in [`in_hand`](Self::in_hand).
    pub more_runs: usize,
    /// How many records the last poll had handed out, in all runs.
    pub records: usize,
}

/// Records of one partition that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InHand {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the first record.
    pub first_offset: i64,
    /// The offset of the last record.
    pub last_offset: i64,
}

impl fmt::Display for InHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}..={}",
            self.partition, self.first_offset, self.last_offset
        )
    }
}

impl fmt::Display for LatePoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the consumer is out of its group because it was not polled for {:?} (max.poll.interval.ms is {:?})",
            self.idle, self.interval
        )?;
        for (at, run) in self.in_hand.iter().enumerate() {
            let before = if at == 0 { ", with " } else { ", " };
            write!(f, "{before}{run}")?;
        }
        if self.more_runs > 0 {
            let before = if self.in_hand.is_empty() {
                ", with "
            } else {
                " and "
            };
            let runs = if self.more_runs == 1 { "run" } else { "runs" };
            write!(f, "{before}{} more {runs} of records", self.more_runs)?;
        }
        if self.records > 0 {
            let records = if self.records == 1 { "record" } else { "records" };
            write!(f, " in hand, {} {records} in all", self.records)?;
        }
        f.write_str("; lower max.poll.records, or raise max.poll.interval.ms")
    }
}

impl From<kohort_engine::consumer::LatePoll> for LatePoll {
    fn from(late: kohort_engine::consumer::LatePoll) -> Self {
        let in_hand = late.in_hand.into_iter();
        let in_hand = in_hand.map(|(partition, first_offset, last_offset)| InHand {
            partition,
            first_offset,
            last_offset,
        });
        Self {
            idle: late.idle,
            interval: late.interval,
            in_hand: in_hand.collect(),
            more_runs: late.more_runs,
            records: late.records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late(more_runs: usize, records: usize) -> LatePoll {
        LatePoll {
            idle: Duration::from_secs(301),
            interval: Duration::from_secs(300),
            in_hand: vec![
                InHand {
                    partition: TopicPartition::new("orders", 3),
                    first_offset: 100,
                    last_offset: 599,
                },
                InHand {
                    partition: TopicPartition::new("orders", 4),
                    first_offset: 7,
                    last_offset: 7,
                },
            ],
            more_runs,
            records,
        }
    }

    #[test]
    fn the_text_says_what_was_in_hand_for_how_long_and_what_to_do() {
        assert_eq!(
            late(0, 499).to_string(),
            "the consumer is out of its group because it was not polled for 301s (max.poll.interval.ms is 300s), with orders-3 \
             100..=599, orders-4 7..=7 in hand, 499 records in all; lower max.poll.records, or raise max.poll.interval.ms"
        );
    }

    #[test]
    fn the_text_says_how_many_more_there_were_than_it_names() {
        assert!(
            late(3, 570)
                .to_string()
                .contains("orders-4 7..=7 and 3 more runs of records in hand, 570 records in all;")
        );
        let nothing = LatePoll {
            in_hand: vec![],
            ..late(0, 0)
        };
        assert!(
            nothing
                .to_string()
                .ends_with("is 300s); lower max.poll.records, or raise max.poll.interval.ms")
        );
    }
}
