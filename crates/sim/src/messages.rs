//! What both halves read of requests and replies on their way between clients and broker: commits and shares, for the ledger. What
//! mutants change there is in [`tamper`].

mod tamper;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kohort_groups::TopicPartition;
use kohort_machine::{Instant, Prng};
use kohort_node::ConnId;
use kohort_protocol::frame::{self, RequestPeek};
use kohort_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use kohort_protocol::{ApiKey, RequestBody, ResponseBody, Uuid};

use crate::ledger::{CommitRequest, Ledger};
use crate::mutants::Mutant;
use crate::story::Story;

/// A client: a member or a producer, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    Member(usize),
    Producer(usize),
}

/// What is told of one thing on its way.
pub(crate) struct Told<'a> {
    pub(crate) now: Instant,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) story: &'a mut Story,
}

/// What is known of messages on their way.
#[derive(Debug)]
pub(crate) struct Messages {
    mutant: Option<Mutant>,
    prng: Prng,
    /// Topics by their ids, which newer messages name them by.
    names: BTreeMap<[u8; 16], Arc<str>>,
    /// What commits would store whose answers are not there, by connection and correlation.
    commits: BTreeMap<(ConnId, i32), Vec<(TopicPartition, i64)>>,
    /// Generations of SyncGroup requests whose answers are not there, by connection and correlation.
    syncs: BTreeMap<(ConnId, i32), i32>,
    /// The last generation whose assignment a client was sent.
    joined: BTreeMap<Client, i32>,
    /// The generation that the coordinator told last: the mutant's.
    generation: i32,
    /// The last answer to each client, by API, and on which connection it came.
    answers: BTreeMap<(Client, ApiKey), (ConnId, ResponseBody)>,
}

impl Messages {
    pub(crate) fn new(mutant: Option<Mutant>, seed: u64) -> Self {
        Self {
            mutant,
            prng: Prng::from_seed(seed),
            names: BTreeMap::new(),
            commits: BTreeMap::new(),
            syncs: BTreeMap::new(),
            joined: BTreeMap::new(),
            generation: 0,
            answers: BTreeMap::new(),
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// A topic has this id.
    pub(crate) fn learn(&mut self, id: [u8; 16], topic: Arc<str>) {
        self.names.insert(id, topic);
    }

    /// A topic's name, which newer messages tell by its id.
    fn name_of(&self, name: &str, id: Uuid) -> Arc<str> {
        let known = self.names.get(&id.0).filter(|_| name.is_empty());
        known.map_or_else(|| Arc::from(name), Arc::clone)
    }

    /// The broker is about to be given this request, without its length; what it is given.
    pub(crate) fn request(&mut self, told: Told<'_>, conn: ConnId, bytes: Bytes) -> Bytes {
        let api = frame::peek_request(&bytes).ok();
        let api = api.and_then(|peek| ApiKey::from_i16(peek.key));
        if !api.is_some_and(|api| self.reads_request(api)) {
            return bytes;
        }
        let Ok((header, body)) = frame::decode_request(bytes.clone()) else {
            return bytes;
        };
        if let RequestBody::OffsetCommit(commit) = &body {
            let request = self.commit(commit);
            told.story.note(told.now, || {
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
            self.commits
                .insert((conn, header.correlation_id), request.offsets.clone());
            told.ledger.commit_requested(request);
        }
        if let RequestBody::SyncGroup(sync) = &body {
            self.syncs
                .insert((conn, header.correlation_id), sync.generation_id);
        }
        if self.mutant.is_none() {
            return bytes;
        }
        let version = header.request_api_version;
        let body = self.changed_request(told.ledger, body);
        match frame::encode_request(&header, version, &body) {
            Ok(frame) => frame.freeze().slice(4..),
            Err(_) => bytes,
        }
    }

    /// The commit that a client sends, without its length, if it is one.
    pub(crate) fn commit_of(&self, bytes: &Bytes) -> Option<CommitRequest> {
        let peek = frame::peek_request(bytes).ok()?;
        if peek.key != ApiKey::OffsetCommit.code() {
            return None;
        }
        match frame::decode_request(bytes.clone()) {
            Ok((_, RequestBody::OffsetCommit(commit))) => Some(self.commit(&commit)),
            _ => None,
        }
    }

    /// The last generation whose assignment a client was sent.
    pub(crate) fn generation_of(&self, client: Client) -> Option<i32> {
        self.joined.get(&client).copied()
    }

    fn commit(&self, commit: &OffsetCommitRequest) -> CommitRequest {
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
        CommitRequest {
            member_id: commit.member_id.clone(),
            generation: commit.generation_id_or_member_epoch,
            offsets: each.collect(),
        }
    }

    /// The broker has answered what was asked, without its length; what the client gets, if anything.
    pub(crate) fn reply(
        &mut self,
        ledger: &mut Ledger,
        client: Client,
        conn: ConnId,
        asked: &RequestPeek,
        bytes: Bytes,
    ) -> Option<Bytes> {
        let Some(api) = ApiKey::from_i16(asked.key) else {
            return Some(bytes);
        };
        if !matches!(api, ApiKey::OffsetCommit | ApiKey::SyncGroup) && !self.reads_reply(api) {
            return Some(bytes);
        }
        let Ok((correlation, body)) = frame::decode_response(bytes.clone(), api, asked.version) else {
            return Some(bytes);
        };
        if let ResponseBody::OffsetCommit(commit) = &body {
            let asked = self.commits.remove(&(conn, correlation)).unwrap_or_default();
            ledger.commit_acknowledged(self.stored(commit, asked));
        }
        if let ResponseBody::SyncGroup(sync) = &body
            && let Some(generation) = self.syncs.remove(&(conn, correlation))
            && sync.error_code == 0
        {
            self.joined.insert(client, generation);
        }
        if !self.reads_reply(api) {
            return Some(bytes);
        }
        if self.is(Mutant::ReplyLost) && self.prng.chance(1, 40) {
            return None;
        }
        let body = self.changed_reply(client, conn, api, body);
        Some(match frame::encode_response(correlation, asked.version, &body) {
            Ok(frame) => frame.freeze().slice(4..),
            Err(_) => bytes,
        })
    }

    /// What of a commit was not refused.
    fn stored(
        &self,
        commit: &OffsetCommitResponse,
        mut asked: Vec<(TopicPartition, i64)>,
    ) -> Vec<(TopicPartition, i64)> {
        let refused = |partition: &TopicPartition| {
            let is_its = |name: &str, id| *self.name_of(name, id) == *partition.topic;
            let topics = commit
                .topics
                .iter()
                .filter(|topic| is_its(&topic.name, topic.topic_id));
            let mut each = topics.flat_map(|topic| &topic.partitions);
            each.any(|it| it.partition_index == partition.partition && it.error_code != 0)
        };
        asked.retain(|(partition, _)| !refused(partition));
        asked
    }
}
