//! The list of all messages, for tests that treat all alike.

/// A vector of `$any::<M>()` for every message `M` of the crate.
macro_rules! all_messages {
    ($any:ident) => {
        all_messages! { $any
        messages:
            ProduceRequest ProduceResponse FetchRequest FetchResponse ListOffsetsRequest ListOffsetsResponse
            MetadataRequest MetadataResponse OffsetCommitRequest OffsetCommitResponse OffsetFetchRequest
            OffsetFetchResponse FindCoordinatorRequest FindCoordinatorResponse JoinGroupRequest JoinGroupResponse
            HeartbeatRequest HeartbeatResponse LeaveGroupRequest LeaveGroupResponse SyncGroupRequest
            SyncGroupResponse DescribeGroupsRequest DescribeGroupsResponse ListGroupsRequest ListGroupsResponse
            ApiVersionsRequest ApiVersionsResponse CreateTopicsRequest CreateTopicsResponse DeleteTopicsRequest
            DeleteTopicsResponse DeleteRecordsRequest DeleteRecordsResponse InitProducerIdRequest
            InitProducerIdResponse OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse DescribeConfigsRequest
            DescribeConfigsResponse CreatePartitionsRequest CreatePartitionsResponse DeleteGroupsRequest
            DeleteGroupsResponse IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse OffsetDeleteRequest
            OffsetDeleteResponse DescribeClusterRequest DescribeClusterResponse ConsumerGroupHeartbeatRequest
            ConsumerGroupHeartbeatResponse ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse
            DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse AlterConfigsRequest AlterConfigsResponse
            DescribeLogDirsRequest DescribeLogDirsResponse ListPartitionReassignmentsRequest
            ListPartitionReassignmentsResponse DescribeProducersRequest DescribeProducersResponse RequestHeader
            ResponseHeader;
        consumer_protocol: ConsumerProtocolAssignment ConsumerProtocolSubscription;
        group_records:
            LegacyOffsetCommitKey LegacyOffsetCommitValue OffsetCommitKey OffsetCommitValue GroupMetadataKey
            GroupMetadataValue ConsumerGroupMetadataKey ConsumerGroupMetadataValue
            ConsumerGroupPartitionMetadataKey ConsumerGroupPartitionMetadataValue ConsumerGroupMemberMetadataKey
            ConsumerGroupMemberMetadataValue ConsumerGroupTargetAssignmentMetadataKey
            ConsumerGroupTargetAssignmentMetadataValue ConsumerGroupTargetAssignmentMemberKey
            ConsumerGroupTargetAssignmentMemberValue ConsumerGroupCurrentMemberAssignmentKey
            ConsumerGroupCurrentMemberAssignmentValue ConsumerGroupRegularExpressionKey
            ConsumerGroupRegularExpressionValue;
        }
    };
    ($any:ident $($module:ident: $($message:ident)+;)+) => {
        vec![$($($any::<kohort_protocol::$module::$message>(),)+)+]
    };
}
pub(crate) use all_messages;
