//! JoinGroup: a member joins its group; the answer comes when the join phase ends.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;

// Kafka: KafkaApis.handleJoinGroupRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: JoinGroupRequest) -> Outcome {
    cx.ask_coordinator(call, request.into(), Rest::Nothing)
}

pub(super) fn refuse(_request: &JoinGroupRequest, code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
