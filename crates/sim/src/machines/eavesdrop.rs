//! What is read of requests and replies on their way: commits, for the ledger, and what the mutant changes.

use std::sync::Arc;

use bytes::Bytes;
use kohort_groups::TopicPartition;
use kohort_node::ConnId;
use kohort_protocol::{ApiKey, RequestBody, ResponseBody, Uuid, frame};

use super::world::World;
use crate::ledger::CommitRequest;

impl World {
    /// A topic's name, which newer messages tell by its id.
    fn name_of(&self, name: &str, id: Uuid) -> Arc<str> {
        let known = self.topic_ids.get(&id.0).filter(|_| name.is_empty());
        known.map_or_else(|| Arc::from(name), Arc::clone)
    }

    /// Reads a request for the ledger and the mutant.
    pub(super) fn pass_request(&mut self, conn: ConnId, bytes: Bytes) -> Bytes {
        let Ok((header, body)) = frame::decode_request(bytes.clone()) else {
            return bytes;
        };
        if let RequestBody::OffsetCommit(commit) = &body {
            let each = commit.topics.iter().flat_map(|topic| {
                let name = self.name_of(&topic.name, topic.topic_id);
                let each = topic.partitions.iter();
                each.map(move |it| {
                    (
                        TopicPartition::new(Arc::clone(&name), it.partition_index),
                        it.committed_offset,
                    )
                })
            });
            let request = CommitRequest {
                member_id: commit.member_id.clone(),
                generation: commit.generation_id_or_member_epoch,
                offsets: each.collect(),
            };
            self.story.note(self.now, || {
                let each = request.offsets.iter();
                let each: Vec<String> = each
                    .map(|(partition, offset)| format!("{partition}@{offset}"))
                    .collect();
                format!(
                    "broker: commit in {} of {}: {}",
                    request.generation,
                    request.member_id,
                    each.join(" ")
                )
            });
            self.commits_in_work.insert(conn, request.offsets.clone());
            self.ledger.commit_requested(request);
        }
        if self.tamper.mutant.is_none() {
            return bytes;
        }
        let version = header.request_api_version;
        let body = self.tamper.request(&self.ledger, body);
        match frame::encode_request(&header, version, &body) {
            Ok(frame) => frame.freeze().slice(4..),
            Err(_) => bytes,
        }
    }

    /// Reads a reply for the ledger and the mutant.
    pub(super) fn pass_reply(&mut self, conn: ConnId, bytes: Bytes) -> Bytes {
        let Some(connection) = self.network.get_mut(conn) else {
            return bytes;
        };
        let client = connection.client;
        let Some(asked) = connection.in_work.take() else {
            return bytes;
        };
        let Some(api) = ApiKey::from_i16(asked.key) else {
            return bytes;
        };
        if api != ApiKey::OffsetCommit && !self.tamper.reads_reply(api) {
            return bytes;
        }
        let Ok((correlation, body)) = frame::decode_response(bytes.clone(), api, asked.version) else {
            return bytes;
        };
        if let ResponseBody::OffsetCommit(commit) = &body {
            let asked = self.commits_in_work.remove(&conn).unwrap_or_default();
            let refused = |partition: &TopicPartition| {
                let is_its = |name: &str, id| *self.name_of(name, id) == *partition.topic;
                let topics = commit
                    .topics
                    .iter()
                    .filter(|topic| is_its(&topic.name, topic.topic_id));
                let mut each = topics.flat_map(|topic| &topic.partitions);
                each.any(|it| it.partition_index == partition.partition && it.error_code != 0)
            };
            let stored: Vec<_> = asked
                .into_iter()
                .filter(|(partition, _)| !refused(partition))
                .collect();
            self.ledger.commit_acknowledged(stored);
        }
        if !self.tamper.reads_reply(api) {
            return bytes;
        }
        let body = self.tamper.reply(client, conn, api, body);
        match frame::encode_response(correlation, asked.version, &body) {
            Ok(frame) => frame.freeze().slice(4..),
            Err(_) => bytes,
        }
    }
}
