//! What the listener of a member tells the ledger, and that it takes its time.

use core::time::Duration;

use kohort::TopicPartition;
use kohort::consumer::{CallbackResult, RebalanceContext, RebalanceListener};
use tokio::time::sleep;

use super::run::Run;
use super::tamper::Border;

/// The listener of a member.
pub(super) struct Listener {
    pub(super) no: usize,
    pub(super) run: Run,
    pub(super) border: Border,
    pub(super) commits: bool,
}

impl Listener {
    fn hear(&self, what: &str, partitions: &[TopicPartition]) {
        self.run.step();
        self.run.note(|| {
            let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            format!("m{} {what} {}", self.no, names.join(" "))
        });
    }

    async fn dawdle(&self) {
        let millis = self.run.below(40);
        sleep(Duration::from_millis(millis)).await;
    }
}

impl RebalanceListener for Listener {
    async fn assigned(
        &mut self,
        _: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        self.dawdle().await;
        self.hear("assigned", partitions);
        let now = self.run.now();
        for _ in 0..self.border.times_assigned() {
            self.run.lock().ledger.assigned(now, self.no, None, partitions);
        }
        self.run.claim(self.no);
        Ok(())
    }

    async fn revoked(
        &mut self,
        context: &mut RebalanceContext<'_>,
        partitions: &[TopicPartition],
    ) -> CallbackResult {
        if !self.border.hears_revoked(partitions) {
            return Ok(());
        }
        self.hear("revoked", partitions);
        let now = self.run.now();
        self.run.lock().ledger.given_up(now, self.no, partitions);
        if self.commits && self.run.chance(1, 2) {
            let offsets = context.consumed();
            let result = context.commit_sync().await;
            if result.is_ok() {
                self.run.lock().ledger.commit_known(&offsets);
            }
        }
        self.dawdle().await;
        let now = self.run.now();
        self.run.lock().ledger.was_busy(now, self.no);
        Ok(())
    }

    async fn lost(&mut self, _: &mut RebalanceContext<'_>, partitions: &[TopicPartition]) -> CallbackResult {
        self.hear("lost", partitions);
        let now = self.run.now();
        self.run.lock().ledger.given_up(now, self.no, partitions);
        Ok(())
    }
}
