//! When and how an application commits what it has processed.

use core::time::Duration;

use kohort::consumer::CommitError;
use kohort::{OffsetAndMetadata, TopicPartition};
use tokio::time::timeout;

use super::application::Application;
use super::tamper::Read;
use crate::plan::{CommitStyle, PATIENCE};

/// Offsets to commit.
type Offsets = Vec<(TopicPartition, OffsetAndMetadata)>;

/// What is processed of the records of one poll, but for the last one of each partition.
pub(super) fn all_but_the_last(reads: &[Read]) -> Offsets {
    let mut offsets: Offsets = Vec::new();
    for read in reads {
        let offset = OffsetAndMetadata::new(read.offset);
        match offsets.iter_mut().find(|it| it.0 == read.partition) {
            Some(last) => last.1 = offset,
            None => offsets.push((read.partition.clone(), offset)),
        }
    }
    offsets
}

impl Application {
    /// `done` was processed since the commit before, and of that `partly` may be committed first.
    pub(super) async fn commit(&mut self, done: Offsets, partly: Offsets) {
        let kind = match self.commits {
            CommitStyle::Auto => return,
            CommitStyle::Sync => 0,
            CommitStyle::Async => 1,
            CommitStyle::Mixed => self.run.below(4),
            CommitStyle::Both => self.run.below(8),
        };
        if let Some(older) = self.border.commits_older(&self.run, &done) {
            self.commit_async(Some(older));
        }
        let result = match kind {
            0 if let Some(offsets) = self.border.commits(&done) => {
                self.consumer.commit_sync_offsets(offsets).await
            }
            0 if self.run.chance(1, 8) => {
                let patience = Duration::from_millis(self.run.below(20));
                match timeout(patience, self.consumer.commit_sync()).await {
                    Ok(result) => result,
                    Err(_) => return,
                }
            }
            0 if !done.is_empty() && self.run.chance(1, 4) => {
                self.consumer.commit_sync_offsets(done.clone()).await
            }
            0 => self.consumer.commit_sync_timeout(PATIENCE).await,
            1 => return self.commit_async(None),
            // The others are of those who commit by themselves what is committed automatically, too.
            4 => return self.commit_async(Some(done)),
            5 => {
                self.commit_async(Some(partly));
                return self.commit_async(Some(done));
            }
            6 => {
                let patience = Duration::from_millis(self.run.below(20));
                match timeout(patience, self.consumer.commit_sync_offsets(partly)).await {
                    Ok(Err(error)) => Err(error),
                    // What is stored is less than what is done.
                    Ok(Ok(())) | Err(_) => return,
                }
            }
            _ => return,
        };
        self.run.step();
        match result {
            Ok(()) => self.run.lock().ledger.commit_known(&done),
            Err(error) => self.run.note(|| format!("m{} commit: {error}", self.no)),
        }
    }

    /// Of these, or of all that is consumed.
    fn commit_async(&mut self, offsets: Option<Offsets>) {
        let run = self.run.clone();
        let learn = move |offsets: &[(TopicPartition, OffsetAndMetadata)],
                          result: Result<(), CommitError>| {
            if result.is_ok() {
                run.lock().ledger.commit_known(offsets);
            }
        };
        match offsets {
            Some(offsets) => self.consumer.commit_async_offsets(offsets, learn),
            None => self.consumer.commit_async_with(learn),
        }
    }
}
