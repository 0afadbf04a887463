//! LeaveGroup: members leave their group.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;

// Kafka: KafkaApis.handleLeaveGroupRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: LeaveGroupRequest) -> Outcome {
    cx.ask_coordinator(call, request.into(), Rest::Nothing)
}

pub(super) fn refuse(_request: &LeaveGroupRequest, code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
