//! DeleteGroups: empty groups go, and their committed offsets with them.

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::delete_groups::DeletableGroupResult;
use kohort_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;

// Kafka: KafkaApis.handleDeleteGroupsRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, request: DeleteGroupsRequest) -> Outcome {
    cx.ask_coordinator(call, request.into(), Rest::Nothing)
}

pub(super) fn refuse(request: &DeleteGroupsRequest, code: ErrorCode) -> DeleteGroupsResponse {
    let results = request.groups_names.iter().map(|name| DeletableGroupResult {
        group_id: name.clone(),
        error_code: code.code(),
    });
    DeleteGroupsResponse {
        results: results.collect(),
        ..Default::default()
    }
}
