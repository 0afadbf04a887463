//! ListPartitionReassignments: none. A partition has one replica here, which never moves by itself.

use alloc::string::ToString;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use crate::context::{Call, Cx, Outcome};

// Kafka: ReplicationControlManager.listPartitionReassignments
pub(super) fn handle(_cx: &Cx<'_>, _call: &Call, _request: ListPartitionReassignmentsRequest) -> Outcome {
    ListPartitionReassignmentsResponse::default().into()
}

pub(super) fn refuse(
    _request: &ListPartitionReassignmentsRequest,
    code: ErrorCode,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse {
        error_code: code.code(),
        error_message: Some(code.to_string()),
        ..Default::default()
    }
}
