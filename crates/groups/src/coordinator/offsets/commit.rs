//! OffsetCommit.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Token;

use crate::coordinator::classic::{Classic, StateKind};
use crate::coordinator::cx::Cx;
use crate::coordinator::group::Group;
use crate::coordinator::work::{Then, Work, Write, outcomes};
use crate::coordinator::{
    CommitOffsetsRequest, CommittedPartition, CoordinatorRecord, GroupResponse, Refusal, StoredOffset,
    TopicPartitions, UNKNOWN_MEMBER_ID,
};

impl Group {
    /// Checks the committer, then each partition; what may be committed is stored before it is answered.
    // Kafka: OffsetMetadataManager.commitOffset
    pub(in crate::coordinator) fn handle_commit_offsets(
        &mut self,
        cx: &mut Cx,
        token: Token,
        request: CommitOffsetsRequest,
    ) -> Option<Write> {
        if let Err(refusal) = self.validate_commit(cx, &request) {
            return self.refuse(cx, Work::CommitOffsets(token, request), refusal);
        }
        let now_ms = cx.wall_ms();
        let expire_timestamp_ms = request.retention_ms.map(|millis| now_ms.saturating_add(millis));
        let is_too_long = |committed: &CommittedPartition| {
            // Java counts UTF-16 units, whatever the key's name says.
            committed.offset.metadata.encode_utf16().count() > cx.config.offset_metadata_max
        };
        let record = |topic: &TopicPartitions<CommittedPartition>, committed: &CommittedPartition| {
            CoordinatorRecord::Offset {
                group_id: self.id.clone(),
                topic: topic.name.clone(),
                partition: committed.partition,
                value: Some(StoredOffset {
                    offset: committed.offset.clone(),
                    commit_timestamp_ms: now_ms,
                    expire_timestamp_ms,
                    topic_id: topic.id,
                }),
            }
        };
        let records: Vec<_> = request
            .topics
            .iter()
            .flat_map(|topic| {
                let fitting = topic
                    .partitions
                    .iter()
                    .filter(|committed| !is_too_long(committed));
                fitting.map(|committed| record(topic, committed))
            })
            .collect();
        let topics = outcomes(request.topics, |committed| {
            let outcome = if is_too_long(&committed) {
                Err(Refusal::OffsetMetadataTooLarge)
            } else {
                Ok(())
            };
            (committed.partition, outcome)
        });
        if records.is_empty() {
            cx.reply(token, GroupResponse::CommitOffsets(topics));
            return None;
        }
        let then = Then::Committed(token, topics);
        Some(Write { records, then })
    }

    /// A client that is no member may commit to a group that is not there, which makes it.
    // Kafka: OffsetMetadataManager.validateOffsetCommit
    fn validate_commit(&mut self, cx: &mut Cx, request: &CommitOffsetsRequest) -> Result<(), Refusal> {
        let classic = match &mut self.classic {
            Some(classic) => classic,
            None if request.generation < 0 => self
                .classic
                .insert(Classic::new(Arc::clone(&self.id), cx.wall_ms())),
            None if request.names_missing_group => return Err(Refusal::GroupIdNotFound),
            None => return Err(Refusal::IllegalGeneration),
        };
        classic.validate_commit(request)?;
        if matches!(classic.kind(), StateKind::Stable | StateKind::PreparingRebalance) {
            classic.extend_session(cx, &request.member_id);
        }
        Ok(())
    }
}

impl Classic {
    // Kafka: ClassicGroup.validateOffsetCommit
    fn validate_commit(&self, request: &CommitOffsetsRequest) -> Result<(), Refusal> {
        if request.generation < 0 && self.is_empty() {
            return Ok(());
        }
        let instance = request.group_instance_id.as_deref();
        let is_anonymous =
            request.generation < 0 && &*request.member_id == UNKNOWN_MEMBER_ID && instance.is_none();
        if is_anonymous {
            return Err(Refusal::UnknownMemberId);
        }
        self.validate_member(&request.member_id, instance)?;
        if request.generation != self.generation() {
            Err(Refusal::IllegalGeneration)
        } else if self.kind() == StateKind::CompletingRebalance {
            Err(Refusal::RebalanceInProgress)
        } else {
            Ok(())
        }
    }
}
