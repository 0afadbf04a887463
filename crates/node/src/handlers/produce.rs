//! Produce: appends record batches.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kohort_protocol::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData, PartitionProduceResponse,
    TopicProduceResponse,
};
use kohort_protocol::messages::{ProduceRequest, ProduceResponse};
use kohort_protocol::{ErrorCode, Uuid, error_message};

use crate::context::{Call, Cx, Outcome};
use crate::interface::CloseReason;
use crate::log::{Opened, Origin, Rejection, one_batch};
use crate::topics::is_internal;

/// Who may write to internal topics.
// Kafka: KafkaApis.handleProduceRequest
const ADMIN_CLIENT: &str = "__admin_client";

/// How many records at fault the answer to one request names. Kafka names all; a request may hold a million small batches that
/// each decompress to thousands of such records.
const NAMED_RECORDS: usize = 10_000;

/// How many failures the line in the log names where a producer wants no answer.
const NAMED_FAILURES: usize = 10;

// Kafka: KafkaApis.handleProduceRequest, ReplicaManager.handleProduceAppend
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: ProduceRequest) -> Outcome {
    let mut responses = Vec::new();
    let mut failures = Failures::default();
    let mut records_left = NAMED_RECORDS;
    let mut moved = BTreeSet::new();
    let mut opened = Opened::default();
    for topic in &request.topic_data {
        let name = match topic.topic_id == Uuid::default() {
            true => Some(topic.name.as_str().into()),
            false => cx.topics.name_of(topic.topic_id),
        };
        let mut partitions = Vec::new();
        for data in &topic.partition_data {
            let result = match &name {
                Some(name) => {
                    let place = (responses.len(), partitions.len());
                    append(cx, call, &request, name, data, place, &mut opened)
                }
                None => Err(Rejection::new(ErrorCode::UnknownTopicId, "no topic has this id")),
            };
            let response = result.unwrap_or_else(|mut rejection| {
                failures.note(&topic.name, data.index, rejection.code);
                rejection.records.truncate(records_left);
                rejection.records.shrink_to_fit();
                records_left = records_left.saturating_sub(rejection.records.len());
                rejected(cx, name.as_deref(), data.index, rejection, &mut moved)
            });
            partitions.push(response);
        }
        responses.push(TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: partitions,
        });
    }
    if request.acks == 0 {
        // Closing is the only way to tell a producer that expects no reply.
        return match failures.count {
            0 => Outcome::Nothing,
            _ => Outcome::Close(CloseReason::UnacknowledgedProduce(failures.told())),
        };
    }
    let node_endpoints = match call.version >= 10 {
        true => endpoints(cx, &moved),
        false => Vec::new(),
    };
    ProduceResponse {
        responses,
        node_endpoints,
        ..Default::default()
    }
    .into()
}

/// What failed in a request, for the log.
#[derive(Default)]
struct Failures {
    named: Vec<String>,
    count: usize,
}

impl Failures {
    fn note(&mut self, topic: &str, index: i32, code: ErrorCode) {
        if self.count < NAMED_FAILURES {
            self.named.push(format!("{topic} [{index}]: {code}"));
        }
        self.count = self.count.saturating_add(1);
    }

    fn told(&self) -> String {
        let named = self.named.join(", ");
        match self.count.saturating_sub(self.named.len()) {
            0 => named,
            more => format!("{named}, and {more} more"),
        }
    }
}

// Kafka: ProduceRequest.getErrorResponse
pub(super) fn refuse(request: &ProduceRequest, code: ErrorCode) -> Outcome {
    if request.acks == 0 {
        return Outcome::Close(CloseReason::UnacknowledgedProduce(format!("{code}")));
    }
    let responses = request.topic_data.iter().map(|topic| TopicProduceResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partition_responses: topic
            .partition_data
            .iter()
            .map(|data| failed(data.index, code))
            .collect(),
    });
    ProduceResponse {
        responses: responses.collect(),
        ..Default::default()
    }
    .into()
}

fn append(
    cx: &mut Cx<'_>,
    call: &Call,
    request: &ProduceRequest,
    topic: &str,
    data: &PartitionProduceData,
    place: (usize, usize),
    opened: &mut Opened,
) -> Result<PartitionProduceResponse, Rejection> {
    let wall_ms = cx.wall_ms;
    let number = data.index;
    if cx.topics.get(topic).and_then(|topic| topic.partition(number)).is_none() {
        return Err(Rejection::new(
            ErrorCode::UnknownTopicOrPartition,
            "there is no such partition",
        ));
    }
    let batch = match &data.records {
        Some(records) => one_batch(records, call.version >= 7)?,
        None => return Err(Rejection::new(ErrorCode::InvalidRecord, "there are no records")),
    };
    // Kafka: ReplicaManager.isValidRequiredAcks
    if !matches!(request.acks, -1..=1) {
        return Err(Rejection::new(
            ErrorCode::InvalidRequiredAcks,
            "acks must be -1, 0 or 1",
        ));
    }
    // Kafka: ReplicaManager.appendToLocalLog
    if is_internal(topic) && call.client_id.as_deref() != Some(ADMIN_CLIENT) {
        return Err(Rejection::new(
            ErrorCode::InvalidTopicException,
            "clients may not write to internal topics",
        ));
    }
    if batch.is_transactional() {
        return Err(Rejection::new(
            ErrorCode::InvalidTxnState,
            "this broker has no transactions",
        ));
    }
    let (partition, config) = cx
        .topics
        .led_by(call.broker, topic, number)
        .map_err(|code| Rejection::new(code, "this broker does not lead the partition"))?;
    // Kafka: Partition.effectiveMinIsr: one replica is always enough for a partition that has one.
    let log_start_offset = partition.log.start_offset();
    let appended = partition
        .log
        .append(&batch, config, Origin::Client(opened), wall_ms)
        .map_err(|rejection| rejection.at(log_start_offset))?;
    let wait = cx.appended(topic, number, appended, batch.size());
    cx.reply_waits(wait, place.0, place.1);
    if batch.producer_id() >= 0 && !appended.is_duplicate {
        cx.watch_producers();
    }
    Ok(PartitionProduceResponse {
        index: number,
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time,
        log_start_offset,
        ..Default::default()
    })
}

fn rejected(
    cx: &Cx<'_>,
    topic: Option<&str>,
    index: i32,
    rejection: Rejection,
    moved: &mut BTreeSet<i32>,
) -> PartitionProduceResponse {
    let mut response = failed(index, rejection.code);
    response.log_start_offset = rejection.log_start_offset;
    response.error_message = error_message(rejection.message);
    let errors = rejection.records.into_iter().map(|(batch_index, message)| BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: error_message(message),
    });
    response.record_errors = errors.collect();
    let partition = topic
        .and_then(|topic| cx.topics.get(topic))
        .and_then(|topic| topic.partition(index));
    if let (ErrorCode::NotLeaderOrFollower, Some(partition)) = (rejection.code, partition) {
        moved.insert(partition.leader);
        response.current_leader = LeaderIdAndEpoch {
            leader_id: partition.leader,
            leader_epoch: partition.log.leader_epoch(),
        };
    }
    response
}

fn failed(index: i32, code: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: code.code(),
        base_offset: -1,
        ..Default::default()
    }
}

// KIP-951
fn endpoints(cx: &Cx<'_>, ids: &BTreeSet<i32>) -> Vec<NodeEndpoint> {
    let known = ids.iter().filter_map(|id| cx.cluster.broker(*id));
    known
        .map(|broker| NodeEndpoint {
            node_id: broker.id,
            host: String::from(broker.host.as_str()),
            port: i32::from(broker.port),
            rack: broker.rack.clone(),
        })
        .collect()
}
