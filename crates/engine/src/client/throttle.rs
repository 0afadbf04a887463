//! How long a broker asked us to be silent (KIP-219).

use core::time::Duration;

use kohort_protocol::ResponseBody;

/// The time for which nothing more may be sent on the connection that this answer came on. Older versions than those named
/// here are throttled by the broker itself, before it answers.
// Kafka: AbstractResponse.shouldClientThrottle and its overrides
pub(super) fn throttle_time(body: &ResponseBody, version: i16) -> Duration {
    let (since, ms) = match body {
        ResponseBody::Produce(it) => (6, it.throttle_time_ms),
        ResponseBody::Fetch(it) => (8, it.throttle_time_ms),
        ResponseBody::ListOffsets(it) => (3, it.throttle_time_ms),
        ResponseBody::Metadata(it) => (6, it.throttle_time_ms),
        ResponseBody::OffsetCommit(it) => (4, it.throttle_time_ms),
        ResponseBody::OffsetFetch(it) => (4, it.throttle_time_ms),
        ResponseBody::FindCoordinator(it) => (2, it.throttle_time_ms),
        ResponseBody::JoinGroup(it) => (3, it.throttle_time_ms),
        ResponseBody::Heartbeat(it) => (2, it.throttle_time_ms),
        ResponseBody::LeaveGroup(it) => (2, it.throttle_time_ms),
        ResponseBody::SyncGroup(it) => (2, it.throttle_time_ms),
        ResponseBody::DescribeGroups(it) => (2, it.throttle_time_ms),
        ResponseBody::ListGroups(it) => (2, it.throttle_time_ms),
        ResponseBody::CreateTopics(it) => (3, it.throttle_time_ms),
        ResponseBody::DeleteTopics(it) => (2, it.throttle_time_ms),
        ResponseBody::CreatePartitions(it) => (1, it.throttle_time_ms),
        ResponseBody::ConsumerGroupHeartbeat(it) => (0, it.throttle_time_ms),
        _ => return Duration::ZERO,
    };
    match u64::try_from(ms) {
        Ok(ms) if version >= since => Duration::from_millis(ms),
        _ => Duration::ZERO,
    }
}
