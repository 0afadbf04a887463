//! What mutants change of messages between clients and broker.

use bytes::Bytes;
use kohort_groups::wire::consumer_protocol::{decode_assignment, encode_assignment};
use kohort_node::ConnId;
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, ResponseBody};

use super::{Client, Messages};
use crate::ledger::Ledger;
use crate::mutants::Mutant;

impl Messages {
    /// Whether requests of this API have to be read.
    pub(super) fn reads_request(&self, api: ApiKey) -> bool {
        // The ledger wants to know of each commit, and who is in which generation.
        let is_tampered_with = match self.mutant {
            Some(Mutant::GenerationFenceSkipped | Mutant::EpochNotBumped) => api == ApiKey::Heartbeat,
            Some(Mutant::SessionTimerNotArmed) => api == ApiKey::JoinGroup,
            _ => false,
        };
        is_tampered_with || matches!(api, ApiKey::OffsetCommit | ApiKey::SyncGroup)
    }

    pub(super) fn changed_request(&self, ledger: &Ledger, mut body: RequestBody) -> RequestBody {
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
            Some(Mutant::CommitOneTooMany) => {
                if let RequestBody::OffsetCommit(commit) = &mut body {
                    let each = commit.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                    each.for_each(|partition| partition.committed_offset += 1);
                }
            }
            _ => {}
        }
        body
    }

    /// Whether replies of this API have to be read.
    pub(super) fn reads_reply(&self, api: ApiKey) -> bool {
        match self.mutant {
            Some(Mutant::HeartbeatOfOldGeneration | Mutant::RebalanceWithoutCause) => {
                api == ApiKey::Heartbeat
            }
            Some(Mutant::EpochNotBumped) => api == ApiKey::JoinGroup,
            Some(Mutant::CommittedPlusOne | Mutant::CommittedForgotten) => api == ApiKey::OffsetFetch,
            Some(Mutant::CommitRefusalLost) => api == ApiKey::OffsetCommit,
            Some(Mutant::OldConnectionBelieved | Mutant::ReplyLost) => {
                !matches!(api, ApiKey::ApiVersions | ApiKey::Metadata)
            }
            _ => false,
        }
    }

    pub(super) fn changed_reply(
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
            (Some(Mutant::CommitRefusalLost), ResponseBody::OffsetCommit(commit)) => {
                let each = commit.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
                each.for_each(|partition| partition.error_code = 0);
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
