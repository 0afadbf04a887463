//! ApiVersions: which APIs this broker has, in which versions.

use alloc::vec::Vec;

use kohort_protocol::messages::api_versions::ApiVersion;
use kohort_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kohort_protocol::{ApiKey, ErrorCode};

use super::APIS;
use crate::context::{Call, Cx, Outcome};

pub(super) fn handle(_cx: &mut Cx<'_>, call: &Call, request: ApiVersionsRequest) -> Outcome {
    // Kafka: ApiVersionsRequest.isValid
    let is_valid = call.version < 3
        || (is_software_name(&request.client_software_name) && is_software_name(&request.client_software_version));
    if !is_valid {
        return refuse(&request, ErrorCode::InvalidRequest).into();
    }
    ApiVersionsResponse {
        api_keys: APIS.iter().filter_map(|api| advertised(*api)).collect(),
        ..Default::default()
    }
    .into()
}

pub(super) fn refuse(_request: &ApiVersionsRequest, code: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: code.code(),
        ..Default::default()
    }
}

/// The answer to a version that this broker does not have; it goes out as version 0.
// KIP-511; Kafka: ApiVersionsRequest.getErrorResponse
pub(crate) fn unsupported() -> Outcome {
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: advertised(ApiKey::ApiVersions).into_iter().collect(),
        ..Default::default()
    }
    .into()
}

fn advertised(api: ApiKey) -> Option<ApiVersion> {
    // Kafka says more than it understands in one case, for old clients: Produce from version 0.
    let range = api.served_versions()?;
    Some(ApiVersion {
        api_key: api.code(),
        min_version: range.min,
        max_version: range.max,
    })
}

// Kafka: ApiVersionsRequest.SOFTWARE_NAME_VERSION_PATTERN
fn is_software_name(name: &str) -> bool {
    let is_end = |c: &char| c.is_ascii_alphanumeric();
    let chars: Vec<char> = name.chars().collect();
    chars.first().is_some_and(is_end)
        && chars.last().is_some_and(is_end)
        && chars.iter().all(|c| is_end(c) || matches!(c, '-' | '.'))
}
