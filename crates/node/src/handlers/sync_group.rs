//! SyncGroup: a member asks for its assignment; the answer comes when the leader's is stored.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;

// Kafka: KafkaApis.handleSyncGroupRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: SyncGroupRequest) -> Outcome {
    cx.ask_coordinator(call, request.into(), Rest::Nothing)
}

pub(super) fn refuse(_request: &SyncGroupRequest, code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
