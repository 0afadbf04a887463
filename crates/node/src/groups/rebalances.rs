//! The rebalance journal as an internal topic: one JSON record for each rebalance that ended, its key the group. Any client can read
//! it, and it outlives the process where the logs do. What a rebalance is, and its causes, are `kohort-groups`'; the form of a record
//! is in [`line`].

mod line;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::coordinator::Rebalance;
use kohort_protocol::ErrorCode;
use kohort_records::codec::Compression;
use kohort_records::{Batch, BatchBuilder};

use super::Groups;
use crate::context::Cx;
use crate::interface::Level;
use crate::log::{Origin, Rejection};
use crate::topics::REBALANCES;

use line::Line;

/// The setting that makes the topic.
const ENABLE: &str = "kohort.rebalances.topic.enable";

/// The topic has one partition.
const PARTITION: i32 = 0;

impl Groups {
    /// The last rebalances of a group, oldest first, and the one under way.
    pub(crate) fn rebalances(&self, now: kohort_machine::Instant, group_id: &str) -> Vec<Arc<Rebalance>> {
        let each = self.by_broker.values();
        each.flat_map(|coordinator| coordinator.rebalances(group_id, now))
            .collect()
    }
}

impl Cx<'_> {
    /// Writes a rebalance down. Nobody waits for it, and what fails is told in the log: a group works without its journal.
    pub(super) fn record_rebalance(&mut self, group_id: &str, rebalance: &Rebalance) {
        if !self.config.is_on(ENABLE) {
            return;
        }
        if self.topics.get(REBALANCES).is_none() && self.create_with_defaults(REBALANCES).is_err() {
            // The reason was logged.
            return;
        }
        let line = Line::of(group_id, rebalance);
        let written = match self.append_line(group_id, &line) {
            Err(rejection) if rejection.code == ErrorCode::MessageTooLarge => {
                self.append_line(group_id, &line.without_partitions())
            }
            other => other,
        };
        if let Err(rejection) = written {
            let message = format!(
                "{REBALANCES}: a rebalance of group {group_id} is missing: {}",
                rejection.message
            );
            self.log(Level::Warn, message);
        }
    }

    fn append_line(&mut self, group_id: &str, line: &Line<'_>) -> Result<(), Rejection> {
        let too_large = |reason: &str| Rejection::new(ErrorCode::MessageTooLarge, reason);
        let value = serde_json::to_vec(line).map_err(|_| too_large("it cannot be written as JSON"))?;
        let batch =
            build_batch(group_id, &value, self.wall_ms).ok_or_else(|| too_large("it is too large"))?;
        let wall_ms = self.wall_ms;
        // It is this machine's own topic: whichever of its brokers coordinates the group writes to it.
        let Some(topic) = self.topics.get_mut(REBALANCES) else {
            return Ok(());
        };
        let crate::topics::Topic {
            log_config,
            partitions,
            ..
        } = topic;
        let Some(partition) = partitions.first_mut() else {
            return Ok(());
        };
        let appended = partition
            .log
            .append(&batch, log_config, Origin::Coordinator, wall_ms)?;
        // Readers are woken when it is visible; nothing waits for it here.
        let _ = self.appended(REBALANCES, PARTITION, appended, batch.size());
        Ok(())
    }
}

fn build_batch(key: &str, value: &[u8], wall_ms: i64) -> Option<Batch> {
    let mut builder = BatchBuilder::new(Compression::None, None).ok()?;
    builder
        .append(wall_ms, Some(key.as_bytes()), Some(value), &[])
        .ok()?;
    Batch::decode(builder.build(0).ok()?, 0).ok().flatten()
}
