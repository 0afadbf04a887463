//! One file per API, each with two functions: `handle` carries a request out, `refuse` makes the reply that says one error
//! for all it asks. This file only lists the APIs.
//!
//! To add an API, write its file and add a line to the list below: it is then advertised, decoded and dispatched.

use kohort_protocol::{ApiKey, ErrorCode, RequestBody, VersionRange};

use crate::context::{Call, Cx, Outcome};
use crate::interface::CloseReason;

mod broker_configs;
mod once;

macro_rules! apis {
    ($($api:ident => $module:ident,)*) => {
        $(mod $module;)*

        /// The APIs that this broker has.
        const APIS: &[ApiKey] = &[$(ApiKey::$api),*];

        /// Carries a request out.
        pub(crate) fn dispatch(cx: &mut Cx<'_>, call: &Call, body: RequestBody) -> Outcome {
            match body {
                $(RequestBody::$api(request) => $module::handle(cx, call, *request),)*
                other => Outcome::Close(CloseReason::UnknownApi(other.api_key().code())),
            }
        }

        /// Says one error for all that a request asks.
        pub(crate) fn refuse(body: &RequestBody, code: ErrorCode) -> Outcome {
            match body {
                $(RequestBody::$api(request) => $module::refuse(request, code).into(),)*
                other => Outcome::Close(CloseReason::UnknownApi(other.api_key().code())),
            }
        }
    };
}

apis! {
    Produce => produce,
    Fetch => fetch,
    ListOffsets => list_offsets,
    Metadata => metadata,
    OffsetCommit => offset_commit,
    OffsetFetch => offset_fetch,
    FindCoordinator => find_coordinator,
    JoinGroup => join_group,
    Heartbeat => heartbeat,
    LeaveGroup => leave_group,
    SyncGroup => sync_group,
    DescribeGroups => describe_groups,
    ListGroups => list_groups,
    ApiVersions => api_versions,
    CreateTopics => create_topics,
    DeleteTopics => delete_topics,
    DeleteRecords => delete_records,
    InitProducerId => init_producer_id,
    OffsetForLeaderEpoch => offset_for_leader_epoch,
    DescribeConfigs => describe_configs,
    AlterConfigs => alter_configs,
    DescribeLogDirs => describe_log_dirs,
    CreatePartitions => create_partitions,
    DeleteGroups => delete_groups,
    IncrementalAlterConfigs => incremental_alter_configs,
    ListPartitionReassignments => list_partition_reassignments,
    OffsetDelete => offset_delete,
    DescribeCluster => describe_cluster,
    DescribeProducers => describe_producers,
    DescribeTopicPartitions => describe_topic_partitions,
}

pub(crate) use api_versions::unsupported as unsupported_api_versions;
pub(crate) use fetch::{answer as answer_fetch, records_of};

/// The versions of an API that this broker understands; `None` when it does not have the API.
pub(crate) fn versions(api: ApiKey) -> Option<VersionRange> {
    APIS.contains(&api).then(|| api.supported_versions()).flatten()
}
