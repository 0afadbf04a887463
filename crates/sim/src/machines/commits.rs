//! When and how an application commits what it has processed.

use std::collections::BTreeMap;

use kohort_engine::consumer::{Command, CommitMode};
use kohort_groups::{OffsetAndMetadata, TopicPartition};

use super::application::{Around, State};
use super::member::Member;
use crate::plan::{CommitStyle, PATIENCE};

impl Member {
    /// The application is done with what it has in hand, and commits or does not.
    pub(super) fn finish_processing(&mut self, cx: &mut Around<'_>) {
        let partly = self.all_but_the_last();
        for (partition, from, to) in core::mem::take(&mut self.in_hand) {
            cx.ledger.processed(&partition, from, to);
        }
        let mut offsets = self.delivery.consumed();
        if let Some(offsets) = cx.tamper.commits_older(cx.prng, self.no, &offsets)
            && self.commits != CommitStyle::Auto
        {
            let mode = CommitMode::Async;
            self.command(cx.now, Command::Commit { offsets, mode });
        }
        let commits = match self.commits {
            CommitStyle::Auto => None,
            CommitStyle::Sync => Some(CommitMode::Sync { timeout: PATIENCE }),
            CommitStyle::Async => Some(CommitMode::Async),
            CommitStyle::Mixed => match cx.prng.below(4) {
                0 => Some(CommitMode::Sync { timeout: PATIENCE }),
                1 => Some(CommitMode::Async),
                _ => None,
            },
            CommitStyle::Both => match cx.prng.below(8) {
                0 => Some(CommitMode::Sync { timeout: PATIENCE }),
                1 => Some(CommitMode::Async),
                2 => {
                    let (offsets, mode) = (partly, CommitMode::Async);
                    self.command(cx.now, Command::Commit { offsets, mode });
                    Some(CommitMode::Async)
                }
                3 => {
                    offsets = partly;
                    Some(CommitMode::Sync { timeout: PATIENCE })
                }
                _ => None,
            },
        };
        match commits {
            Some(mode) if !offsets.is_empty() => {
                let token = self.command(cx.now, Command::Commit { offsets, mode });
                if matches!(mode, CommitMode::Sync { .. }) {
                    self.state = State::Committing { token };
                    return;
                }
            }
            _ => {}
        }
        self.after_commit(cx);
    }

    /// What is in hand, but for the last record of each partition.
    fn all_but_the_last(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let mut last: BTreeMap<&TopicPartition, i64> = BTreeMap::new();
        for (partition, from, to) in &self.in_hand {
            last.insert(partition, (to - 1).max(*from));
        }
        let offset =
            |(partition, offset): (&TopicPartition, i64)| (partition.clone(), OffsetAndMetadata::new(offset));
        last.into_iter().map(offset).collect()
    }
}
