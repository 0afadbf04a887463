//! Fetch: reads batches, or waits for them. Where a fetch waits is [`crate::purgatory`]; sessions are in
//! [`crate::fetch_sessions`].

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::Instant;
use kohort_protocol::messages::fetch::{
    EpochEndOffset, FetchPartition, FetchTopic, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint,
    PartitionData,
};
use kohort_protocol::messages::{FetchRequest, FetchResponse};
use kohort_protocol::{ErrorCode, ResponseBody};

use crate::context::{Call, Cx, Outcome, Wake};
use crate::fetch_sessions::{Asked, Asker};
use crate::node::Timer;
use crate::purgatory::ParkedFetch;

/// `isolation_level` of a consumer that reads committed records only.
const READ_COMMITTED: i8 = 1;

/// How many bytes of records an answer may have, however many are not yet read.
const RECORDS_AT_LEAST: usize = 1 << 20;

// Kafka: KafkaApis.handleFetchRequest, ReplicaManager.fetchMessages
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, mut request: FetchRequest) -> Outcome {
    let session = match cx.fetch_sessions.begin(asker(cx.now, call), &mut request) {
        Ok(session) => session,
        Err(code) => return refuse(&request, code).into(),
    };
    // The session has done so; a fetch that waits need not hold them.
    request.forgotten_topics_data = Vec::new();
    let reading = read_all(cx, call, &request);
    let min_bytes = min_bytes(cx, &request);
    let may_wait = request.max_wait_ms > 0 && reading.available < min_bytes && !reading.must_answer;
    let room = may_wait.then(|| cx.purgatory.in_the_way(&request)).flatten();
    let Some(in_the_way) = room else {
        return finish(cx, call, session, &request, reading.response).into();
    };
    cx.wakes
        .extend(in_the_way.into_iter().map(|conn| Wake::Crowded { conn }));
    let wait = Duration::from_millis(u64::from(request.max_wait_ms.unsigned_abs()));
    cx.timers.set(Timer::Fetch(call.conn), cx.now + wait);
    cx.purgatory.park(ParkedFetch {
        call: call.clone(),
        missing: min_bytes.saturating_sub(reading.available),
        watched: reading.watched,
        request: Box::new(request),
        session,
    });
    Outcome::Later
}

/// The answer to a fetch that has waited.
pub(crate) fn answer(cx: &mut Cx<'_>, parked: &ParkedFetch) -> ResponseBody {
    let reading = read_all(cx, &parked.call, &parked.request);
    finish(cx, &parked.call, parked.session, &parked.request, reading.response).into()
}

fn finish(
    cx: &mut Cx<'_>,
    call: &Call,
    session: Asked,
    request: &FetchRequest,
    mut response: FetchResponse,
) -> FetchResponse {
    let slots = cx.config.size("max.incremental.fetch.session.cache.slots");
    let asker = asker(cx.now, call);
    cx.fetch_sessions
        .finish(asker, slots, session, request, &mut response, cx.prng);
    response
}

/// How many bytes of an answer are records, if it is one to Fetch.
pub(crate) fn records_of(answer: &ResponseBody) -> usize {
    match answer {
        ResponseBody::Fetch(response) => {
            let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
            let records = partitions.filter_map(|partition| partition.records.as_ref());
            records.map(Bytes::len).sum()
        }
        _ => 0,
    }
}

fn asker(now: Instant, call: &Call) -> Asker {
    Asker {
        now,
        broker: call.broker,
        version: call.version,
    }
}

// Kafka: FetchRequest.getErrorResponse
pub(super) fn refuse(request: &FetchRequest, code: ErrorCode) -> FetchResponse {
    let topics = request
        .topics
        .iter()
        .filter(|_| !code.is_of_fetch_session());
    let responses = topics.map(|topic| FetchableTopicResponse {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| failed(wanted.partition, code))
            .collect(),
    });
    FetchResponse {
        error_code: code.code(),
        responses: responses.collect(),
        ..Default::default()
    }
}

/// What reading gave.
struct Reading {
    response: FetchResponse,
    /// Bytes that wait in the partitions, up to the limit of each.
    available: u64,
    /// Whether something else than data has to be told.
    must_answer: bool,
    watched: Vec<([u8; 16], i32)>,
}

/// What may still be read for one request.
struct Budget {
    left: usize,
    /// Until something was read, one batch may exceed all limits, so that the client makes progress.
    at_least_one: bool,
}

// Kafka: ReplicaManager.readFromLog
fn read_all(cx: &mut Cx<'_>, call: &Call, request: &FetchRequest) -> Reading {
    let mut budget = Budget {
        left: cx
            .records_room
            .map_or(usize::MAX, |room| room.max(RECORDS_AT_LEAST))
            .min(max_bytes(cx, request)),
        at_least_one: true,
    };
    let mut reading = Reading {
        response: FetchResponse::default(),
        available: 0,
        must_answer: false,
        watched: Vec::new(),
    };
    let mut moved = BTreeSet::new();
    // What does not exist is told behind all others, and does not keep a fetch of others from waiting.
    let mut unknown = Vec::new();
    let mut has_known = false;
    for topic in &request.topics {
        let name = name_of(cx, call, topic);
        let found = name.as_ref().and_then(|name| cx.topics.get(name));
        let id = found.map_or(topic.topic_id, |found| found.id);
        let count = found.map_or(0, |found| found.partitions.len());
        for wanted in &topic.partitions {
            reading.watched.push((id.0, wanted.partition));
            let is_there = usize::try_from(wanted.partition).is_ok_and(|number| number < count);
            let name = match &name {
                Some(name) if is_there => name,
                Some(_) => {
                    unknown.push((topic, failed(wanted.partition, ErrorCode::UnknownTopicOrPartition)));
                    continue;
                }
                None => {
                    unknown.push((topic, failed(wanted.partition, ErrorCode::UnknownTopicId)));
                    continue;
                }
            };
            has_known = true;
            let data = match read(cx, call, name, wanted, &mut budget) {
                Ok(part) => {
                    reading.available = reading.available.saturating_add(part.available);
                    reading.must_answer |= part.data.diverging_epoch != EpochEndOffset::default();
                    part.data
                }
                Err(code) => {
                    reading.must_answer = true;
                    let mut data = failed(wanted.partition, code);
                    if call.version >= 16 {
                        data.current_leader = leader(cx, name, wanted.partition, code);
                        moved.insert(data.current_leader.leader_id);
                    }
                    data
                }
            };
            let data = isolated(data, request.isolation_level);
            push(&mut reading.response.responses, topic, data);
        }
    }
    for (topic, data) in unknown {
        let data = isolated(data, request.isolation_level);
        push(&mut reading.response.responses, topic, data);
    }
    reading.must_answer |= !has_known;
    reading.response.node_endpoints = endpoints(cx, &moved);
    reading
}

// Kafka: FetchResponse.toMessage: a topic's partitions are together where they follow each other
fn push(responses: &mut Vec<FetchableTopicResponse>, topic: &FetchTopic, data: PartitionData) {
    let is_same =
        |last: &&mut FetchableTopicResponse| last.topic == topic.topic && last.topic_id == topic.topic_id;
    match responses.last_mut().filter(is_same) {
        Some(last) => last.partitions.push(data),
        None => responses.push(FetchableTopicResponse {
            topic: topic.topic.clone(),
            topic_id: topic.topic_id,
            partitions: Vec::from([data]),
        }),
    }
}

fn name_of(cx: &Cx<'_>, call: &Call, topic: &FetchTopic) -> Option<Arc<str>> {
    match call.version {
        ..=12 => Some(topic.topic.as_str().into()),
        _ => cx.topics.name_of(topic.topic_id),
    }
}

/// One partition's part of the answer.
struct Part {
    data: PartitionData,
    available: u64,
}

// Kafka: Partition.fetchRecords, Partition.readRecords
fn read(
    cx: &mut Cx<'_>,
    call: &Call,
    topic: &str,
    wanted: &FetchPartition,
    budget: &mut Budget,
) -> Result<Part, ErrorCode> {
    let (partition, _) = cx.topics.led_by(call.broker, topic, wanted.partition)?;
    let log = &mut partition.log;
    log.check_epoch(wanted.current_leader_epoch)?;
    let mut data = PartitionData {
        partition_index: wanted.partition,
        high_watermark: log.high_watermark(),
        last_stable_offset: log.high_watermark(),
        log_start_offset: log.start_offset(),
        preferred_read_replica: -1,
        records: Some(Bytes::new()),
        ..Default::default()
    };
    if wanted.last_fetched_epoch >= 0 {
        let (epoch, end_offset) = log
            .end_of_epoch(wanted.last_fetched_epoch)
            .ok_or(ErrorCode::OffsetOutOfRange)?;
        if epoch < wanted.last_fetched_epoch || end_offset < wanted.fetch_offset {
            data.diverging_epoch = EpochEndOffset { epoch, end_offset };
            return Ok(Part { data, available: 0 });
        }
    }
    if !log.has_position(wanted.fetch_offset) {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let partition_max = usize::try_from(wanted.partition_max_bytes).unwrap_or(0);
    let limit = partition_max.min(budget.left);
    let available = log.bytes_from(wanted.fetch_offset).min(partition_max as u64);
    let records = log.read(wanted.fetch_offset, limit, budget.at_least_one);
    match records {
        Ok(records) => {
            budget.left = budget.left.saturating_sub(records.len());
            budget.at_least_one &= records.is_empty();
            let available = available.max(records.len() as u64);
            data.records = Some(records);
            Ok(Part { data, available })
        }
        Err(error) => {
            let code = cx.storage_failed(topic, &error);
            // Kafka: KafkaApis.maybeDownConvertStorageError
            Err(match call.version {
                ..=5 => ErrorCode::NotLeaderOrFollower,
                _ => code,
            })
        }
    }
}

/// Kafka lists aborted transactions for read_committed, and for partitions that it does not know; this broker has none.
fn isolated(mut data: PartitionData, isolation_level: i8) -> PartitionData {
    let is_unknown = matches!(
        ErrorCode::from_code(data.error_code),
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId
    );
    data.aborted_transactions = (isolation_level == READ_COMMITTED || is_unknown).then(Vec::new);
    data
}

fn failed(partition: i32, code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: partition,
        error_code: code.code(),
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        preferred_read_replica: -1,
        records: Some(Bytes::new()),
        ..Default::default()
    }
}

// KIP-951
fn leader(cx: &Cx<'_>, topic: &str, partition: i32, code: ErrorCode) -> LeaderIdAndEpoch {
    let topic = cx.topics.get(topic);
    let partition = topic.and_then(|topic| topic.partition(partition));
    match (code, partition) {
        (ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch, Some(partition)) => LeaderIdAndEpoch {
            leader_id: partition.leader,
            leader_epoch: partition.log.leader_epoch(),
        },
        _ => LeaderIdAndEpoch::default(),
    }
}

fn endpoints(cx: &Cx<'_>, ids: &BTreeSet<i32>) -> Vec<NodeEndpoint> {
    let known = ids.iter().filter_map(|id| cx.cluster.broker(*id));
    known
        .map(|broker| NodeEndpoint {
            node_id: broker.id,
            host: broker.host.clone(),
            port: i32::from(broker.port),
            rack: broker.rack.clone(),
        })
        .collect()
}

fn max_bytes(cx: &Cx<'_>, request: &FetchRequest) -> usize {
    let wanted = usize::try_from(request.max_bytes).unwrap_or(0);
    wanted.min(cx.config.size("fetch.max.bytes"))
}

fn min_bytes(cx: &Cx<'_>, request: &FetchRequest) -> u64 {
    let wanted = u64::try_from(request.min_bytes).unwrap_or(0);
    wanted.min(max_bytes(cx, request) as u64)
}
