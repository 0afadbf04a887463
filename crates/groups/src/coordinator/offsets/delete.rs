//! OffsetDelete, DeleteGroups, and the offsets of deleted topics.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Token;

use super::{is_same_topic, tombstone};
use crate::coordinator::classic::Classic;
use crate::coordinator::cx::Cx;
use crate::coordinator::gather::PartOf;
use crate::coordinator::group::Group;
use crate::coordinator::work::{Then, Work, Write, outcomes};
use crate::coordinator::{CoordinatorRecord, DeleteOffsetsRequest, GroupResponse, Refusal, TopicId};

impl Group {
    /// Offsets of topics that members read stay.
    // Kafka: OffsetMetadataManager.deleteOffsets, ClassicGroup.validateOffsetDelete
    pub(in crate::coordinator) fn handle_delete_offsets(
        &self,
        cx: &mut Cx,
        token: Token,
        request: DeleteOffsetsRequest,
    ) -> Option<Write> {
        let classic = match &self.classic {
            Some(classic) if classic.is_empty() || classic.is_of_consumers() => classic,
            other => {
                let refusal = missing_or_busy(other.as_ref());
                return self.refuse(cx, Work::DeleteOffsets(token, request), refusal);
            }
        };
        let mut records = Vec::new();
        let mut topics = Vec::new();
        for topic in request.topics {
            let outcome = if classic.is_subscribed_to(&topic.name) {
                Err(Refusal::GroupSubscribedToTopic)
            } else {
                let committed = |partition: &&i32| self.offsets.get(&topic.name, **partition).is_some();
                let partitions = topic.partitions.iter().filter(committed);
                records.extend(partitions.map(|&partition| tombstone(&self.id, &topic.name, partition)));
                Ok(())
            };
            topics.extend(outcomes(Vec::from([topic]), |partition| (partition, outcome)));
        }
        if records.is_empty() {
            cx.reply(token, GroupResponse::DeleteOffsets(Ok(topics)));
            return None;
        }
        let then = Then::OffsetsDeleted(token, topics);
        Some(Write { records, then })
    }

    /// Deletes the group with its offsets, when it is empty.
    // Kafka: GroupCoordinatorShard.deleteGroups, ClassicGroup.validateDeleteGroup
    pub(in crate::coordinator) fn handle_delete(&self, cx: &mut Cx, of: PartOf) -> Option<Write> {
        if !self.classic.as_ref().is_some_and(Classic::is_empty) {
            return self.refuse(cx, Work::Delete(of), missing_or_busy(self.classic.as_ref()));
        }
        let each = self.offsets.iter();
        let mut records: Vec<_> = each
            .map(|(topic, number, _)| tombstone(&self.id, topic, number))
            .collect();
        records.push(self.group_tombstone());
        let then = Then::Deleted(of);
        Some(Write { records, then })
    }

    // Kafka: OffsetMetadataManager.onTopicsDeleted
    pub(in crate::coordinator) fn forget_topics(&self, topics: &[(Arc<str>, TopicId)]) -> Option<Write> {
        let gone = topics.iter().flat_map(|(topic, id)| {
            let stored = self.offsets.of_topic(topic);
            let gone = stored.filter(|(_, stored)| is_same_topic(stored.topic_id, Some(*id)));
            gone.map(move |(number, _)| tombstone(&self.id, topic, number))
        });
        let records: Vec<_> = gone.collect();
        let then = Then::Nothing;
        (!records.is_empty()).then_some(Write { records, then })
    }

    pub(super) fn group_tombstone(&self) -> CoordinatorRecord {
        CoordinatorRecord::Group {
            group_id: self.id.clone(),
            value: None,
        }
    }
}

fn missing_or_busy(classic: Option<&Classic>) -> Refusal {
    match classic {
        None => Refusal::GroupIdNotFound,
        Some(_) => Refusal::NonEmptyGroup,
    }
}
