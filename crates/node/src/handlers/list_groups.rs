//! ListGroups: the groups that the broker asked coordinates.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;

// Kafka: KafkaApis.handleListGroupsRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: ListGroupsRequest) -> Outcome {
    cx.ask_coordinator(call, request.into(), Rest::Nothing)
}

pub(super) fn refuse(_request: &ListGroupsRequest, code: ErrorCode) -> ListGroupsResponse {
    ListGroupsResponse {
        error_code: code.code(),
        ..Default::default()
    }
}
