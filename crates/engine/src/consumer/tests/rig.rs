//! A consumer for tests: the engine, the caller's side, and a small broker that serves logs from memory.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use kohort_groups::member::Rebalance;
use kohort_groups::wire::consumer_protocol::encode_assignment;
use kohort_groups::{Assignment, TopicPartition};
use kohort_machine::Token;
use kohort_protocol::messages::fetch::{FetchableTopicResponse, PartitionData};
use kohort_protocol::messages::join_group::JoinGroupResponseMember;
use kohort_protocol::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kohort_protocol::messages::metadata::MetadataResponsePartition;
use kohort_protocol::messages::offset_commit::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use kohort_protocol::messages::{
    FetchRequest, FetchResponse, HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse,
    ListOffsetsRequest, ListOffsetsResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest,
    OffsetFetchResponse, SyncGroupResponse,
};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, ResponseBody, Uuid};
use kohort_records::{BatchBuilder, Compression};

use crate::client::ClientConfig;
use crate::client::testing::{Arrived, Driven, Network};
use crate::consumer::{
    Action, CallbackKind, Change, Command, CommandError, CommandReply, ConsumerConfig, ConsumerEngine, Event,
    FailedCommit, GroupConfig, InHand, LatePoll, PollError, RebalanceBegan, SeekTo,
};
use crate::delivery::{Delivery, Due, Taken};

use super::session::Session;

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// What a broker that lies makes of an answer.
pub(super) type Lie = fn(&mut ResponseBody);

/// One partition on the broker: batches by base offset, each with its count of records.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) start: i64,
    pub(super) batches: Vec<(i64, i64, Bytes)>,
}

impl Log {
    pub(super) fn end(&self) -> i64 {
        self.batches
            .last()
            .map_or(self.start, |(base, count, _)| base + count)
    }

    /// Appends a batch of `count` records of `size` bytes.
    pub(super) fn append(&mut self, count: i64, size: usize) {
        let base = self.end();
        let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
        let value = vec![b'v'; size];
        for offset in base..base + count {
            builder.append(offset, None, Some(&value), &[]).unwrap();
        }
        self.batches.push((base, count, builder.build(base).unwrap()));
    }

    fn read(&self, from: i64, max: usize) -> Result<Bytes, ErrorCode> {
        if from < self.start || from > self.end() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let mut out = BytesMut::new();
        for (_, _, batch) in self.batches.iter().filter(|(base, count, _)| base + count > from) {
            if !out.is_empty() && out.len() + batch.len() > max {
                break;
            }
            out.extend_from_slice(batch);
        }
        Ok(out.freeze())
    }
}

/// A consumer and its broker.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) driven: Driven<ConsumerEngine>,
    pub(super) delivery: Delivery,
    pub(super) logs: BTreeMap<(&'static str, i32), Log>,
    pub(super) committed: BTreeMap<(Arc<str>, i32), i64>,
    /// Answers to commands.
    pub(super) replies: BTreeMap<Token, Result<CommandReply, CommandError>>,
    /// Tokens in the order in which they were answered.
    pub(super) answered: Vec<Token>,
    /// Calls of the listener.
    pub(super) calls: Vec<(CallbackKind, Vec<i32>)>,
    /// What is left to do in the next poll.
    dues: VecDeque<Due>,
    /// Answered to the next requests of an API instead of the truth.
    pub(super) refuse: BTreeMap<ApiKey, VecDeque<ErrorCode>>,
    /// What the broker makes of so many of its next answers.
    pub(super) lie: Option<(u32, Lie)>,
    /// The broker's fetch session, if it gives any.
    pub(super) session: Option<Session>,
    /// APIs whose requests wait.
    pub(super) hold: Vec<ApiKey>,
    /// Requests served, in order.
    pub(super) served: Vec<ApiKey>,
    pub(super) generation: i32,
    /// What another member that leads assigns in the next rounds; this one leads when there is none left.
    pub(super) shares: VecDeque<Vec<i32>>,
    /// What each OffsetCommit wrote of `t`.
    pub(super) commits: Vec<Vec<(i32, i64)>>,
    /// Of which partitions of `t` the committed offset was asked for.
    pub(super) looked_up: Vec<i32>,
    /// Rebalances that began.
    pub(super) rebalances_begun: Vec<RebalanceBegan>,
    /// Rebalances that ended.
    pub(super) rebalances: Vec<Rebalance>,
    /// Automatic commits that failed.
    pub(super) failed_commits: Vec<FailedCommit>,
    /// What the user keeps, when it keeps anything.
    pub(super) kept: Option<Vec<Taken>>,
    /// What the pattern of the subscription matches.
    pub(super) pattern: fn(&str) -> bool,
    /// What the application's own assignor is asked and told.
    pub(super) own_assignor: Vec<Action>,
    /// What the last poll handed out.
    in_hand: Vec<InHand>,
    /// Polls that did not come in time.
    pub(super) late: Vec<LatePoll>,
    polls: u64,
    tokens: u64,
}

impl Rig {
    /// A consumer of one broker that has topic `t` with two partitions of ten records each.
    pub(super) fn new(configure: impl FnOnce(&mut ConsumerConfig)) -> Self {
        Self::with_brokers(1, configure)
    }

    pub(super) fn with_brokers(brokers: i32, configure: impl FnOnce(&mut ConsumerConfig)) -> Self {
        let mut config = ConsumerConfig::new(ClientConfig::new([("kafka".into(), 9001)]));
        configure(&mut config);
        let mut logs = BTreeMap::new();
        for partition in 0..2 {
            let mut log = Log::default();
            for _ in 0..2 {
                log.append(5, 10);
            }
            logs.insert(("t", partition), log);
        }
        logs.insert(("u", 0), Log::default());
        let delivery = Delivery::new(&config);
        let engine = ConsumerEngine::new(config, 7, 1_700_000_000_000).unwrap();
        Self {
            driven: Driven::new(engine, Network::with_cluster(brokers, &[("t", 2), ("u", 1)])),
            delivery,
            logs,
            committed: BTreeMap::new(),
            replies: BTreeMap::new(),
            answered: Vec::new(),
            calls: Vec::new(),
            dues: VecDeque::new(),
            refuse: BTreeMap::new(),
            lie: None,
            session: None,
            hold: Vec::new(),
            served: Vec::new(),
            generation: 0,
            shares: VecDeque::new(),
            commits: Vec::new(),
            looked_up: Vec::new(),
            rebalances_begun: Vec::new(),
            rebalances: Vec::new(),
            failed_commits: Vec::new(),
            kept: None,
            pattern: |_| true,
            own_assignor: Vec::new(),
            in_hand: Vec::new(),
            late: Vec::new(),
            polls: 0,
            tokens: 0,
        }
    }

    /// As [`Rig::new`] in group `g`.
    pub(super) fn in_group(configure: impl FnOnce(&mut ConsumerConfig)) -> Self {
        Self::new(|config| {
            config.group = Some(GroupConfig::new("g"));
            configure(config);
        })
    }

    pub(super) fn event(&mut self, event: Event) {
        let actions = self.driven.step(event);
        self.absorb(actions);
        self.serve();
    }

    pub(super) fn change(&mut self, change: Change) {
        self.event(Event::Change(Box::new(change)));
    }

    pub(super) fn command(&mut self, command: Command) -> Token {
        let token = Token(self.tokens);
        self.tokens += 1;
        self.event(Event::Command {
            token,
            command: Box::new(command),
        });
        token
    }

    pub(super) fn assign(&mut self, partitions: &[i32]) {
        let partitions: Vec<_> = partitions.iter().map(|p| of_t(*p)).collect();
        let change = self.delivery.assign(&partitions);
        self.change(change);
    }

    pub(super) fn subscribe(&mut self) {
        self.change(Change::Subscribe {
            topics: vec!["t".into()],
        });
        self.begin_polling();
    }

    /// The first thing that a poll does after a subscription, which counts from then on.
    pub(super) fn begin_polling(&mut self) {
        let first = self.dues.pop_front();
        let Some(Due::Report { step }) = first else {
            panic!("{first:?}");
        };
        self.report(step);
    }

    fn report(&mut self, step: u64) {
        let report = self.delivery.report(Some(step));
        self.event(Event::Progress(Box::new(report)));
    }

    pub(super) fn seek(&mut self, partition: i32, to: SeekTo) {
        let seek = self.delivery.seek(&of_t(partition), to).unwrap();
        self.change(Change::Seek(vec![seek]));
    }

    pub(super) fn advance(&mut self, by: Duration) {
        // In small steps, so that the broker answers in time.
        let step = by.min(Duration::from_millis(50));
        let end = self.driven.now() + by;
        while self.driven.now() < end {
            let actions = self.driven.advance(step.min(end - self.driven.now()));
            self.absorb(actions);
            self.serve();
        }
    }

    fn absorb(&mut self, actions: Vec<Action>) {
        let mut more = VecDeque::from(actions);
        while let Some(action) = more.pop_front() {
            match action {
                Action::ToCaller(told) => {
                    if let Some(due) = self.delivery.accept(*told) {
                        due.enqueue(&mut self.dues);
                    }
                }
                Action::Reply { token, result } => {
                    self.answered.push(token);
                    let old = self.replies.insert(token, *result);
                    assert!(old.is_none(), "{token:?} is answered twice");
                }
                Action::ReadPollCounter => {
                    let polls = self.polls;
                    let in_hand = self.in_hand.clone();
                    let event = Event::PollCounter {
                        polls,
                        inside: false,
                        in_hand,
                    };
                    more.extend(self.driven.step(event));
                }
                Action::MatchTopics(question) => {
                    let verdict = |topic: Arc<str>| {
                        let matches = (self.pattern)(&topic);
                        (topic, matches)
                    };
                    let event = Event::TopicsMatched {
                        step: question.step,
                        verdicts: question.topics.into_iter().map(verdict).collect(),
                    };
                    more.extend(self.driven.step(event));
                }
                Action::Describe(_) | Action::OnAssignment(_) | Action::Compute(_) => {
                    self.own_assignor.push(action);
                }
                Action::RebalanceBegan(began) => self.rebalances_begun.push(*began),
                Action::Rebalanced(rebalance) => self.rebalances.push(*rebalance),
                Action::PollLate(late) => self.late.push(*late),
                Action::CommitFailed(failed) => self.failed_commits.push(*failed),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Polls once, without waiting: partition and offset of each record.
    pub(super) fn poll(&mut self) -> Result<Vec<(i32, i64)>, PollError> {
        self.poll_max(500)
    }

    pub(super) fn poll_max(&mut self, max: usize) -> Result<Vec<(i32, i64)>, PollError> {
        self.polls += 1;
        self.do_due()?;
        let taken = self.delivery.take(max);
        if let Some(progress) = self.delivery.progress() {
            self.event(Event::Progress(Box::new(progress)));
        }
        let of_chunk = |chunk: &crate::delivery::TakenChunk| {
            let number = chunk.partition().partition;
            chunk
                .records()
                .iter()
                .map(|record| (number, record.offset))
                .collect::<Vec<_>>()
        };
        let taken = taken?;
        self.in_hand = taken.in_hand().collect();
        let records = taken.chunks().flat_map(of_chunk).collect();
        if let Some(kept) = &mut self.kept {
            kept.push(taken);
        }
        Ok(records)
    }

    /// Polls until nothing more comes, not even when `fetch.max.wait.ms` has passed.
    pub(super) fn poll_all(&mut self) -> Vec<(i32, i64)> {
        let mut all = Vec::new();
        let mut empty = 0;
        while empty < 3 {
            let some = self.poll().unwrap();
            if some.is_empty() {
                empty += 1;
                self.expire_fetches();
            }
            all.extend(some);
        }
        all
    }

    /// Does what is due inside of a poll, an unsubscribe or a close.
    pub(super) fn do_due(&mut self) -> Result<(), PollError> {
        while let Some(due) = self.dues.pop_front() {
            match due {
                Due::Callback {
                    step,
                    kind,
                    partitions,
                } => {
                    self.calls
                        .push((kind, partitions.iter().map(|p| p.partition).collect()));
                    self.event(Event::ListenerDone { step });
                }
                Due::Report { step } => self.report(step),
                Due::Fail(error) => return Err(error),
                Due::BecameLost { .. } => {}
            }
        }
        Ok(())
    }

    pub(super) fn next_due(&self) -> Option<&Due> {
        self.dues.front()
    }

    /// Answers what waits, but for APIs on hold and fetches that find nothing.
    pub(super) fn serve(&mut self) {
        while self.serve_one() {}
    }

    /// Answers one request; whether there was one.
    pub(super) fn serve_one(&mut self) -> bool {
        let waiting: Vec<Arrived> = self.driven.network.waiting().cloned().collect();
        let hold = self.hold.clone();
        let mut wanted = waiting.iter().filter(|it| !hold.contains(&it.body.api_key()));
        let Some((arrived, mut answer)) = wanted.find_map(|it| Some((it.clone(), self.answer_to(it)?)))
        else {
            return false;
        };
        self.take_exact(&arrived);
        self.served.push(arrived.body.api_key());
        if let (Some(session), RequestBody::Fetch(request), ResponseBody::Fetch(response)) =
            (&mut self.session, &arrived.body, &mut answer)
        {
            session.answered(request, response);
        }
        if let Some((left @ 1.., lie)) = &mut self.lie {
            *left -= 1;
            lie(&mut answer);
        }
        let actions = self.driven.answer(&arrived, answer);
        self.absorb(actions);
        true
    }

    fn take_exact(&mut self, wanted: &Arrived) {
        let api = wanted.body.api_key();
        let mut others = Vec::new();
        while let Some(taken) = self.driven.network.take(api) {
            if taken == *wanted {
                break;
            }
            others.push(taken);
        }
        self.driven.network.put_back(others);
    }

    fn answer_to(&mut self, arrived: &Arrived) -> Option<ResponseBody> {
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
    fn fetched(&self, request: &FetchRequest, refusal: Option<ErrorCode>) -> Option<FetchResponse> {
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

    pub(super) fn refuse(&mut self, api: ApiKey, codes: &[ErrorCode]) {
        self.refuse.entry(api).or_default().extend(codes);
    }

    /// Topic `t` gets one partition more, of five records, led by the first broker.
    pub(super) fn add_partition(&mut self) {
        let metadata = self.driven.network.metadata.as_mut().unwrap();
        let partitions = &mut metadata.topics[0].partitions;
        let number = i32::try_from(partitions.len()).unwrap();
        partitions.push(MetadataResponsePartition {
            partition_index: number,
            leader_id: 1,
            ..Default::default()
        });
        let mut log = Log::default();
        log.append(5, 10);
        self.logs.insert(("t", number), log);
    }

    /// `fetch.max.wait.ms` passes: the fetches that wait are answered with what there is.
    pub(super) fn expire_fetches(&mut self) {
        let is_fetch = |it: &&Arrived| it.body.api_key() == ApiKey::Fetch;
        for _ in 0..self.driven.network.waiting().filter(is_fetch).count() {
            let arrived = self.driven.expect(ApiKey::Fetch);
            let RequestBody::Fetch(request) = &arrived.body else {
                return;
            };
            let whole = self
                .session
                .as_ref()
                .map_or(Ok((**request).clone()), |it| it.expand(request));
            let mut whole = whole.expect("the session is known");
            whole.min_bytes = 0;
            let mut answer = self.fetched(&whole, None).unwrap();
            if let Some(session) = &mut self.session {
                session.answered(request, &mut answer);
            }
            let actions = self.driven.answer(&arrived, answer);
            self.absorb(actions);
        }
        self.serve();
    }

    /// Answers a request that was taken out.
    pub(super) fn answer_with(&mut self, arrived: &Arrived, body: impl Into<ResponseBody>) {
        let actions = self.driven.answer(arrived, body);
        self.absorb(actions);
        self.serve();
    }

    /// How many requests of this API were served.
    pub(super) fn count(&self, api: ApiKey) -> usize {
        self.served.iter().filter(|served| **served == api).count()
    }

    pub(super) fn committed(&self, partition: i32) -> Option<i64> {
        self.committed.get(&("t".to_string().into(), partition)).copied()
    }

    /// The Fetch that waits on the broker.
    pub(super) fn waiting_fetch(&self) -> Option<FetchRequest> {
        self.driven
            .network
            .waiting()
            .find_map(|arrived| match &arrived.body {
                RequestBody::Fetch(request) => Some(FetchRequest::clone(request)),
                _ => None,
            })
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

/// Partition `number` of `t`.
pub(super) fn of_t(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

/// Partition and offset of each record from `from` up to `to`.
pub(super) fn records(partition: i32, from: i64, to: i64) -> Vec<(i32, i64)> {
    (from..to).map(|offset| (partition, offset)).collect()
}
