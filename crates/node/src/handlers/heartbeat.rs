//! Heartbeat: a member of a group says that it is alive.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;

// Kafka: KafkaApis.handleHeartbeatRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: HeartbeatRequest) -> Outcome {
    cx.ask_coordinator(call, request.into(), Rest::Nothing)
}

pub(super) fn refuse(_request: &HeartbeatRequest, code: ErrorCode) -> HeartbeatResponse {
    HeartbeatResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
