//! DescribeGroups: state and members of classic groups.

use alloc::string::String;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::describe_groups::DescribedGroup;
use kohort_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::once::once;
use crate::context::{Call, Cx, Outcome};
use crate::groups::Rest;

// Kafka: KafkaApis.handleDescribeGroupsRequest
pub(super) fn handle(cx: &mut Cx<'_>, call: &Call, mut request: DescribeGroupsRequest) -> Outcome {
    once(&mut request.groups, String::clone);
    let rest = match request.include_authorized_operations {
        true => Rest::Operations,
        false => Rest::Nothing,
    };
    cx.ask_coordinator(call, request.into(), rest)
}

pub(super) fn refuse(request: &DescribeGroupsRequest, code: ErrorCode) -> DescribeGroupsResponse {
    let groups = request.groups.iter().map(|group_id| DescribedGroup {
        group_id: group_id.clone(),
        error_code: code.code(),
        ..Default::default()
    });
    DescribeGroupsResponse {
        groups: groups.collect(),
        ..Default::default()
    }
}
