//! What both halves read of requests and replies on their way between clients and broker: commits, for the ledger; and what a mutant
//! changes there.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kohort_groups::TopicPartition;
use kohort_groups::wire::consumer_protocol::{decode_assignment, encode_assignment};
use kohort_machine::{Instant, Prng};
use kohort_node::ConnId;
use kohort_protocol::frame::{self, RequestPeek};
use kohort_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, ResponseBody, Uuid};

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

    /// The broker has answered what was asked, without its length; what the client gets.
    pub(crate) fn reply(
        &mut self,
        ledger: &mut Ledger,
        client: Client,
        conn: ConnId,
        asked: &RequestPeek,
        bytes: Bytes,
    ) -> Bytes {
        let Some(api) = ApiKey::from_i16(asked.key) else {
            return bytes;
        };
        if !matches!(api, ApiKey::OffsetCommit | ApiKey::SyncGroup) && !self.reads_reply(api) {
            return bytes;
        }
        let Ok((correlation, body)) = frame::decode_response(bytes.clone(), api, asked.version) else {
            return bytes;
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
            return bytes;
        }
        let body = self.changed_reply(client, conn, api, body);
        match frame::encode_response(correlation, asked.version, &body) {
            Ok(frame) => frame.freeze().slice(4..),
            Err(_) => bytes,
        }
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

/// What mutants change.
impl Messages {
    /// Whether requests of this API have to be read.
    fn reads_request(&self, api: ApiKey) -> bool {
        // The ledger wants to know of each commit, and who is in which generation.
        let is_tampered_with = match self.mutant {
            Some(Mutant::GenerationFenceSkipped | Mutant::EpochNotBumped) => api == ApiKey::Heartbeat,
            Some(Mutant::SessionTimerNotArmed) => api == ApiKey::JoinGroup,
            _ => false,
        };
        is_tampered_with || matches!(api, ApiKey::OffsetCommit | ApiKey::SyncGroup)
    }

    fn changed_request(&self, ledger: &Ledger, mut body: RequestBody) -> RequestBody {
        match self.mutant {
            Some(Mutant::GenerationFenceSkipped) => {
                if let Some((member, generation)) = identity_of(&mut body)
                    && *generation >= 0
                    && ledger.is_member(member)
                {
                    *generation = (*generation).max(ledger.generation());
                }
            }
            Some(Mutant::EpochNotBumped) => {
                if let Some((_, generation)) = identity_of(&mut body)
                    && *generation >= 0
                {
                    *generation = self.generation;
                }
            }
            Some(Mutant::CommitOfOldMember) => {
                if let RequestBody::OffsetCommit(commit) = &mut body
                    && !ledger.is_member(&commit.member_id)
                    && let Some(member) = ledger.some_member()
                {
                    commit.member_id = member.to_string();
                    commit.group_instance_id = None;
                    commit.generation_id_or_member_epoch = ledger.generation();
                }
            }
            Some(Mutant::SessionTimerNotArmed) => {
                if let RequestBody::JoinGroup(join) = &mut body {
                    join.session_timeout_ms = 1_800_000;
                }
            }
            Some(Mutant::SharedTwice) => share_twice(&mut body),
            _ => {}
        }
        body
    }

    /// Whether replies of this API have to be read.
    fn reads_reply(&self, api: ApiKey) -> bool {
        match self.mutant {
            Some(Mutant::HeartbeatOfOldGeneration | Mutant::RebalanceWithoutCause) => {
                api == ApiKey::Heartbeat
            }
            Some(Mutant::EpochNotBumped) => api == ApiKey::JoinGroup,
            Some(Mutant::CommittedPlusOne | Mutant::CommittedForgotten) => api == ApiKey::OffsetFetch,
            Some(Mutant::OldConnectionBelieved) => !matches!(api, ApiKey::ApiVersions | ApiKey::Metadata),
            _ => false,
        }
    }

    fn changed_reply(
        &mut self,
        client: Client,
        conn: ConnId,
        api: ApiKey,
        mut body: ResponseBody,
    ) -> ResponseBody {
        if self.is(Mutant::OldConnectionBelieved) {
            return self.repeat(client, conn, api, body);
        }
        match (self.mutant, &mut body) {
            (Some(Mutant::HeartbeatOfOldGeneration), ResponseBody::Heartbeat(heartbeat)) => {
                heartbeat.error_code = 0;
            }
            (Some(Mutant::RebalanceWithoutCause), ResponseBody::Heartbeat(heartbeat))
                if self.prng.chance(1, 25) =>
            {
                heartbeat.error_code = ErrorCode::RebalanceInProgress.code();
            }
            (Some(Mutant::EpochNotBumped), ResponseBody::JoinGroup(join)) if join.generation_id >= 0 => {
                self.generation = join.generation_id;
                join.generation_id = 1;
            }
            (Some(mutant), ResponseBody::OffsetFetch(fetch)) => {
                let groups = fetch.groups.iter_mut().flat_map(|group| &mut group.topics);
                for partition in groups.flat_map(|topic| &mut topic.partitions) {
                    match mutant {
                        Mutant::CommittedPlusOne if partition.committed_offset >= 0 => {
                            partition.committed_offset += 1
                        }
                        Mutant::CommittedForgotten => partition.committed_offset = -1,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        body
    }

    /// The first answer of a new connection is the last one of the connection before.
    fn repeat(&mut self, client: Client, conn: ConnId, api: ApiKey, body: ResponseBody) -> ResponseBody {
        match self.answers.insert((client, api), (conn, body.clone())) {
            Some((before, old)) if before != conn => old,
            _ => body,
        }
    }
}

fn identity_of(body: &mut RequestBody) -> Option<(&str, &mut i32)> {
    match body {
        RequestBody::OffsetCommit(it) => Some((it.member_id.as_str(), &mut it.generation_id_or_member_epoch)),
        RequestBody::Heartbeat(it) => Some((it.member_id.as_str(), &mut it.generation_id)),
        RequestBody::SyncGroup(it) => Some((it.member_id.as_str(), &mut it.generation_id)),
        _ => None,
    }
}

fn share_twice(body: &mut RequestBody) {
    let RequestBody::SyncGroup(sync) = body else {
        return;
    };
    let decode = |bytes: &Bytes| decode_assignment(bytes.clone()).ok();
    let first = sync
        .assignments
        .iter()
        .find_map(|it| decode(&it.assignment)?.partitions.first().cloned());
    let Some(first) = first else { return };
    for share in &mut sync.assignments {
        if let Some(mut assignment) = decode(&share.assignment)
            && !assignment.partitions.contains(&first)
        {
            assignment.partitions.push(first.clone());
            if let Ok(bytes) = encode_assignment(&assignment) {
                share.assignment = bytes;
            }
        }
    }
}
