//! What an application looks up between polls, whether it waits for the answer or gives it up halfway. Answers that come are true.

use core::time::Duration;
use std::sync::atomic::Ordering;

use kohort::TopicPartition;
use tokio::time::timeout;

use super::application::Application;

/// So many records are read again when a member goes back to the first one.
const FEW: i64 = 50;

impl Application {
    /// Now and then it looks something up, until all is to come to rest.
    pub(super) async fn look_up(&mut self) {
        if self.wishes.calm.load(Ordering::Relaxed) || !self.run.chance(1, 12) {
            return;
        }
        let mine = self.consumer.assignment();
        let chosen = usize::try_from(self.run.below(mine.len() as u64)).unwrap_or(0);
        let Some(partition) = mine.get(chosen) else { return };
        let patience = match self.run.chance(1, 2) {
            true => Duration::from_millis(self.run.below(25)),
            false => Duration::from_secs(600),
        };
        let kind = self.run.below(6);
        if timeout(patience, self.ask(kind, partition)).await.is_err() {
            let no = self.no;
            self.run.fault("look-up dropped", || format!("{kind} of m{no}"));
        }
        let now = self.run.now();
        self.run.lock().ledger.was_busy(now, self.no);
    }

    async fn ask(&mut self, kind: u64, partition: &TopicPartition) {
        let before = self.run.lock().ledger.before_lookup(partition);
        let asked = [partition.clone()];
        // Those that time out tell nothing.
        match kind {
            0 => {
                if let Ok(told) = self.consumer.committed(asked).await {
                    let offset = told.get(partition).cloned().flatten().map(|it| it.offset);
                    self.run.lock().ledger.told_committed(partition, before, offset);
                }
            }
            1 => {
                if let Ok(told) = self.consumer.end_offsets(asked).await
                    && let Some(end) = told.get(partition)
                {
                    self.run.lock().ledger.told_end(partition, before, *end);
                }
            }
            2 => {
                if let Ok(told) = self.consumer.beginning_offsets(asked).await
                    && let Some(offset) = told.get(partition)
                {
                    self.run.lock().ledger.told_beginning(partition, *offset);
                }
            }
            3 => {
                let asked = asked.map(|partition| (partition, 0));
                if let Ok(told) = self.consumer.offsets_for_times(asked).await
                    && let Some(Some(found)) = told.get(partition)
                {
                    self.run.lock().ledger.told_beginning(partition, found.offset);
                    let next = self.run.lock().ledger.next_of(self.no, partition);
                    // It is not far back.
                    if next.is_some_and(|next| next < FEW) && !self.wishes.calm.load(Ordering::Relaxed) {
                        self.jump(partition, found.offset);
                    }
                }
            }
            4 => {
                if let Ok(offset) = self.consumer.position(partition).await {
                    self.run.lock().ledger.told_position(self.no, partition, offset);
                }
            }
            _ => {
                if let Ok(told) = self.consumer.partitions_for(partition.topic.clone()).await
                    && !told.iter().any(|it| it.partition == partition.partition)
                {
                    let what = format!(
                        "{partition} is assigned, and its topic has {} partitions",
                        told.len()
                    );
                    self.run.lock().ledger.break_rule("I8", what);
                }
            }
        }
    }
}
