//! What the rig's broker answers.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::Assignment;
use kohort_groups::wire::consumer_protocol::encode_assignment;
use kohort_protocol::messages::fetch::{FetchableTopicResponse, PartitionData};
use kohort_protocol::messages::join_group::JoinGroupResponseMember;
use kohort_protocol::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kohort_protocol::messages::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kohort_protocol::messages::{
    FetchRequest, FetchResponse, HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse,
    ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse, SyncGroupResponse,
};
use kohort_protocol::{ErrorCode, RequestBody, ResponseBody, Uuid};

use super::{Rig, of_t};
use crate::client::testing::Arrived;

impl Rig {
    pub(super) fn answer_to(&mut self, arrived: &Arrived) -> Option<ResponseBody> {
        let api = arrived.body.api_key();
        let refusal = self.refuse.get(&api).and_then(|queue| queue.front().copied());
        let answer = match &arrived.body {
            RequestBody::Fetch(request) => match self.session.as_ref().map(|it| it.expand(request)) {
                None => self.fetched(request, refusal)?.into(),
                Some(Ok(whole)) => self.fetched(&whole, refusal)?.into(),
                Some(Err(code)) => FetchResponse {
                    error_code: code.code(),
                    ..Default::default()
                }
                .into(),
            },
            RequestBody::ListOffsets(request) => self.listed(request, refusal).into(),
            RequestBody::OffsetFetch(request) => self.offsets(request, refusal).into(),
            RequestBody::OffsetCommit(request) => self.commit(request, refusal).into(),
            RequestBody::JoinGroup(request) => {
                self.generation += 1;
                let member_id = alloc::string::String::from("m");
                let members = vec![JoinGroupResponseMember {
                    member_id: member_id.clone(),
                    metadata: request.protocols[0].metadata.clone(),
                    ..Default::default()
                }];
                let leads = self.shares.is_empty();
                JoinGroupResponse {
                    generation_id: self.generation,
                    protocol_type: Some("consumer".into()),
                    protocol_name: Some(request.protocols[0].name.clone()),
                    leader: if leads { member_id.clone() } else { "other".into() },
                    members: if leads { members } else { vec![] },
                    member_id,
                    ..Default::default()
                }
                .into()
            }
            RequestBody::SyncGroup(request) => SyncGroupResponse {
                protocol_type: Some("consumer".into()),
                protocol_name: request.protocol_name.clone(),
                assignment: match self.shares.pop_front() {
                    Some(share) => assignment(&share),
                    None => request.assignments[0].assignment.clone(),
                },
                ..Default::default()
            }
            .into(),
            RequestBody::Heartbeat(_) => HeartbeatResponse {
                error_code: refusal.map_or(0, ErrorCode::code),
                ..Default::default()
            }
            .into(),
            RequestBody::LeaveGroup(_) => LeaveGroupResponse::default().into(),
            _ => return None,
        };
        if let Some(queue) = self.refuse.get_mut(&api) {
            queue.pop_front();
        }
        Some(answer)
    }

    /// A topic by its name, or else by its id.
    fn name_of(&self, name: &str, id: Uuid) -> &'static str {
        let metadata = self.driven.network.metadata.iter().flat_map(|it| &it.topics);
        let by_id = metadata
            .filter(|it| it.topic_id == id)
            .find_map(|it| it.name.as_deref());
        let name = if name.is_empty() { by_id.unwrap() } else { name };
        self.logs.keys().find(|(known, _)| *known == name).unwrap().0
    }

    /// What a broker would answer now; nothing while it would wait.
    pub(super) fn fetched(
        &self,
        request: &FetchRequest,
        refusal: Option<ErrorCode>,
    ) -> Option<FetchResponse> {
        let mut response = FetchResponse::default();
        let mut bytes = 0;
        let mut has_error = false;
        for topic in &request.topics {
            let name = self.name_of(&topic.topic, topic.topic_id);
            let mut partitions = Vec::new();
            for asked in &topic.partitions {
                let log = &self.logs[&(name, asked.partition)];
                let max = usize::try_from(asked.partition_max_bytes).unwrap();
                let read = match refusal {
                    Some(code) => Err(code),
                    None => log.read(asked.fetch_offset, max),
                };
                has_error |= read.is_err();
                let over = bytes > 0 && bytes >= usize::try_from(request.max_bytes).unwrap();
                let records = read.clone().ok().filter(|_| !over).unwrap_or_default();
                bytes += records.len();
                partitions.push(PartitionData {
                    partition_index: asked.partition,
                    error_code: read.err().map_or(0, ErrorCode::code),
                    high_watermark: log.end(),
                    last_stable_offset: log.end(),
                    log_start_offset: log.start,
                    records: Some(records),
                    ..Default::default()
                });
            }
            response.responses.push(FetchableTopicResponse {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        (bytes >= usize::try_from(request.min_bytes).unwrap() || has_error).then_some(response)
    }

    fn listed(&self, request: &ListOffsetsRequest, refusal: Option<ErrorCode>) -> ListOffsetsResponse {
        let topic = |topic: &kohort_protocol::messages::list_offsets::ListOffsetsTopic| {
            let partition = |asked: &kohort_protocol::messages::list_offsets::ListOffsetsPartition| {
                let log = &self.logs[&(self.name_of(&topic.name, Uuid::ZERO), asked.partition_index)];
                let (offset, timestamp) = match asked.timestamp {
                    -2 => (log.start, -1),
                    -1 => (log.end(), -1),
                    // A record's timestamp is its offset.
                    wanted if wanted < log.end() => (wanted.max(log.start), wanted.max(log.start)),
                    _ => (-1, -1),
                };
                ListOffsetsPartitionResponse {
                    partition_index: asked.partition_index,
                    error_code: refusal.map_or(0, ErrorCode::code),
                    offset,
                    timestamp,
                    ..Default::default()
                }
            };
            ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions: topic.partitions.iter().map(partition).collect(),
            }
        };
        ListOffsetsResponse {
            topics: request.topics.iter().map(topic).collect(),
            ..Default::default()
        }
    }

    fn offsets(&mut self, request: &OffsetFetchRequest, refusal: Option<ErrorCode>) -> OffsetFetchResponse {
        let group = &request.groups[0];
        let asked = group.topics.iter().flatten();
        self.looked_up
            .extend(asked.flat_map(|topic| topic.partition_indexes.iter()));
        let topics = group.topics.as_ref().unwrap().iter().map(|topic| {
            let name: Arc<str> = self.name_of(&topic.name, topic.topic_id).into();
            let partitions = topic
                .partition_indexes
                .iter()
                .map(|index| OffsetFetchResponsePartitions {
                    partition_index: *index,
                    committed_offset: self.committed.get(&(name.clone(), *index)).copied().unwrap_or(-1),
                    ..Default::default()
                });
            OffsetFetchResponseTopics {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions: partitions.collect(),
            }
        });
        OffsetFetchResponse {
            groups: vec![OffsetFetchResponseGroup {
                group_id: group.group_id.clone(),
                topics: if refusal.is_some() {
                    vec![]
                } else {
                    topics.collect()
                },
                error_code: refusal.map_or(0, ErrorCode::code),
            }],
            ..Default::default()
        }
    }

    fn commit(&mut self, request: &OffsetCommitRequest, refusal: Option<ErrorCode>) -> OffsetCommitResponse {
        let mut response = OffsetCommitResponse::default();
        let mut written = Vec::new();
        for topic in &request.topics {
            let name: Arc<str> = self.name_of(&topic.name, topic.topic_id).into();
            let mut partitions = Vec::new();
            for committed in &topic.partitions {
                if refusal.is_none() {
                    written.push((committed.partition_index, committed.committed_offset));
                    let key = (name.clone(), committed.partition_index);
                    self.committed.insert(key, committed.committed_offset);
                }
                partitions.push(OffsetCommitResponsePartition {
                    partition_index: committed.partition_index,
                    error_code: refusal.map_or(0, ErrorCode::code),
                });
            }
            response.topics.push(OffsetCommitResponseTopic {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        self.commits.push(written);
        response
    }
}

/// These partitions of `t`, as a leader assigns them.
fn assignment(numbers: &[i32]) -> Bytes {
    let assignment = Assignment {
        partitions: numbers.iter().map(|number| of_t(*number)).collect(),
        user_data: None,
    };
    encode_assignment(&assignment).unwrap()
}
