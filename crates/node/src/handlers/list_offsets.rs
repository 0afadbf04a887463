//! ListOffsets: the earliest, the latest, the newest offset, and offsets by timestamp.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kohort_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::context::{Call, Cx, Outcome};
use crate::log::{Search, Wanted};

// Kafka: ListOffsetsRequest
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

// Kafka: ReplicaManager.fetchOffset
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: ListOffsetsRequest) -> Outcome {
    let mut seen = BTreeSet::new();
    let mut duplicates = BTreeSet::new();
    for topic in &request.topics {
        for wanted in &topic.partitions {
            let partition = (topic.name.as_str(), wanted.partition_index);
            if !seen.insert(partition) {
                duplicates.insert(partition);
            }
        }
    }
    let mut search = Search::default();
    let mut topics = Vec::new();
    for topic in &request.topics {
        let mut partitions = Vec::new();
        for wanted in &topic.partitions {
            let number = wanted.partition_index;
            let result = match duplicates.contains(&(topic.name.as_str(), number)) {
                true => Err(ErrorCode::InvalidRequest),
                false => find(cx, call, &topic.name, wanted, &mut search),
            };
            partitions.push(result.unwrap_or_else(|code| failed(number, code)));
        }
        topics.push(ListOffsetsTopicResponse {
            name: topic.name.clone(),
            partitions,
        });
    }
    ListOffsetsResponse {
        topics,
        ..Default::default()
    }
    .into()
}

// Kafka: ListOffsetsRequest.getErrorResponse
pub(super) fn refuse(request: &ListOffsetsRequest, code: ErrorCode) -> ListOffsetsResponse {
    let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name.clone(),
        partitions: topic
            .partitions
            .iter()
            .map(|wanted| failed(wanted.partition_index, code))
            .collect(),
    });
    ListOffsetsResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

fn find(
    cx: &mut Cx<'_>,
    call: &Call,
    topic: &str,
    wanted: &ListOffsetsPartition,
    search: &mut Search,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    // Kafka: ReplicaManager.timestampMinSupportedVersion
    let first_version = match wanted.timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        other if other < EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 0,
    };
    if call.version < first_version {
        return Err(ErrorCode::UnsupportedVersion);
    }
    let (partition, _) = cx.topics.led_by(call.broker, topic, wanted.partition_index)?;
    partition.log.check_epoch(wanted.current_leader_epoch)?;
    let target = match wanted.timestamp {
        LATEST => Wanted::Latest,
        EARLIEST | EARLIEST_LOCAL => Wanted::Earliest,
        MAX_TIMESTAMP => Wanted::MaxTimestamp,
        // There is no remote storage.
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return Ok(failed(wanted.partition_index, ErrorCode::None)),
        timestamp => Wanted::AtOrAfter(timestamp),
    };
    // Clients ask again for what is not available yet, and for that alone.
    // Kafka: OffsetFetcherUtils.handleListOffsetResponse; ReplicaManager.fetchOffset: which code in which version
    if matches!(target, Wanted::MaxTimestamp | Wanted::AtOrAfter(_)) && search.is_spent() {
        return Err(match call.version {
            ..5 => ErrorCode::LeaderNotAvailable,
            _ => ErrorCode::OffsetNotAvailable,
        });
    }
    let found = match partition.log.find(target, search) {
        Ok(found) => found,
        Err(error) => return Err(cx.storage_failed(topic, &error)),
    };
    let mut response = failed(wanted.partition_index, ErrorCode::None);
    if let Some(found) = found {
        response.timestamp = found.timestamp;
        response.offset = found.offset;
        if call.version >= 4 {
            response.leader_epoch = found.leader_epoch;
        }
    }
    Ok(response)
}

fn failed(partition: i32, code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse {
        partition_index: partition,
        error_code: code.code(),
        ..Default::default()
    }
}
