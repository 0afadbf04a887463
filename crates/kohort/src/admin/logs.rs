//! The logs of partitions.

use kohort_engine::admin::{AdminCommand, AdminReply};
use kohort_engine::consumer::IsolationLevel;
use kohort_groups::TopicPartition;

use super::{Admin, AdminError, FoundOffset, OffsetSpec, RecordsToDelete, Results, answered};

impl Admin {
    /// Offsets of partitions by end or by time; `None` where no record is that young.
    ///
    /// Cancel safety: nothing is lost.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each partition has its own result.
    pub async fn list_offsets(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> Result<Results<TopicPartition, Option<FoundOffset>>, AdminError> {
        let command = AdminCommand::ListOffsets {
            partitions: partitions.into_iter().collect(),
            isolation: IsolationLevel::ReadUncommitted,
        };
        answered!(self.call(command).await?, AdminReply::OffsetsFound(results) => results)
    }

    /// Deletes the records before an offset; the result is the first offset that is still there.
    ///
    /// Cancel safety: what was sent is done all the same.
    ///
    /// # Errors
    /// When the network task is gone; otherwise each partition has its own result: OFFSET_OUT_OF_RANGE past the high watermark.
    pub async fn delete_records(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, RecordsToDelete)>,
    ) -> Result<Results<TopicPartition, i64>, AdminError> {
        let command = AdminCommand::DeleteRecords {
            partitions: partitions.into_iter().collect(),
        };
        answered!(self.call(command).await?, AdminReply::RecordsDeleted(results) => results)
    }
}
