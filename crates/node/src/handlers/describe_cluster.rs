//! DescribeCluster: the brokers and the controller.

use alloc::string::ToString;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::describe_cluster::DescribeClusterBroker;
use kohort_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::metadata::CLUSTER_OPERATIONS;
use crate::context::{Call, Cx, Outcome};

/// `endpoint_type` of a client that asks brokers.
// Kafka: EndpointType.BROKER
const BROKERS: i8 = 1;

// Kafka: AuthHelper.computeDescribeClusterResponse
pub(super) fn handle(cx: &Cx<'_>, _call: &Call, request: DescribeClusterRequest) -> Outcome {
    if request.endpoint_type != BROKERS {
        return refuse(&request, ErrorCode::MismatchedEndpointType).into();
    }
    let brokers = cx.cluster.brokers.iter().map(|broker| DescribeClusterBroker {
        broker_id: broker.id,
        host: broker.host.clone(),
        port: i32::from(broker.port),
        rack: broker.rack.clone(),
        ..Default::default()
    });
    let mut response = DescribeClusterResponse {
        cluster_id: cx.cluster.id.clone(),
        controller_id: cx.cluster.controller(),
        brokers: brokers.collect(),
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    response.into()
}

pub(super) fn refuse(_request: &DescribeClusterRequest, code: ErrorCode) -> DescribeClusterResponse {
    DescribeClusterResponse {
        error_code: code.code(),
        error_message: Some(code.to_string()),
        ..Default::default()
    }
}
