//! FindCoordinator: the broker that leads the group's partition of `__consumer_offsets`, which is created when it is first
//! needed.

use alloc::string::{String, ToString};

use kohort_protocol::{ErrorCode, error_message};
use kohort_protocol::messages::find_coordinator::Coordinator;
use kohort_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use super::once::once;
use crate::context::{Call, Cx, Outcome};
use crate::topics::CONSUMER_OFFSETS;

/// The first version that asks for several keys at once.
// Kafka: FindCoordinatorRequest.MIN_BATCHED_VERSION
const BATCH: i16 = 4;
/// `key_type` of a group.
// Kafka: CoordinatorType.GROUP
const GROUP: i8 = 0;

// Kafka: KafkaApis.handleFindCoordinatorRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, mut request: FindCoordinatorRequest) -> Outcome {
    if call.version >= BATCH {
        once(&mut request.coordinator_keys, Clone::clone);
        let keys = request.coordinator_keys.iter();
        return FindCoordinatorResponse {
            coordinators: keys.map(|key| find(cx, request.key_type, key)).collect(),
            ..Default::default()
        }
        .into();
    }
    let found = find(cx, request.key_type, &request.key);
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(request: &FindCoordinatorRequest, code: ErrorCode) -> FindCoordinatorResponse {
    // Versions that ask for several keys have an error for each, and none for all.
    if !request.coordinator_keys.is_empty() {
        let keys = request.coordinator_keys.iter();
        return FindCoordinatorResponse {
            coordinators: keys.map(|key| failed(key, code, code.to_string())).collect(),
            ..Default::default()
        };
    }
    FindCoordinatorResponse {
        error_code: code.code(),
        error_message: Some(code.to_string()),
        node_id: -1,
        port: -1,
        ..Default::default()
    }
}

// Kafka: KafkaApis.getCoordinator
fn find(cx: &mut Cx<'_>, key_type: i8, key: &str) -> Coordinator {
    if key_type != GROUP {
        let message = "This broker coordinates groups only.";
        return failed(key, ErrorCode::InvalidRequest, message.to_string());
    }
    if cx.topics.get(CONSUMER_OFFSETS).is_none()
        && let Err(code) = cx.create_with_defaults(CONSUMER_OFFSETS)
    {
        return failed(key, ErrorCode::CoordinatorNotAvailable, code.to_string());
    }
    let leader = cx.coordinator_of(key);
    match leader.and_then(|id| cx.cluster.broker(id)) {
        Some(broker) => Coordinator {
            key: key.to_string(),
            node_id: broker.id,
            host: broker.host.clone(),
            port: i32::from(broker.port),
            ..Default::default()
        },
        None => {
            let code = ErrorCode::CoordinatorNotAvailable;
            failed(key, code, code.to_string())
        }
    }
}

fn failed(key: &str, code: ErrorCode, message: String) -> Coordinator {
    Coordinator {
        key: key.to_string(),
        node_id: -1,
        port: -1,
        error_code: code.code(),
        error_message: error_message(message),
        ..Default::default()
    }
}
