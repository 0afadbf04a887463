//! What a group committed, asked over a raw connection. The rules of commits are in `tests/`.

use kohort_protocol::messages::OffsetFetchRequest;
use kohort_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponsePartitions,
};

use crate::Wire;

/// What the group committed of partition 0; offset -1 when that is nothing.
///
/// # Panics
/// When the group has an error, or the answer leaves the partition out.
pub async fn committed(wire: &mut Wire, group: &str, topic: &str) -> OffsetFetchResponsePartitions {
    let topics = vec![OffsetFetchRequestTopics {
        name: topic.to_owned(),
        partition_indexes: vec![0],
        ..Default::default()
    }];
    let asked = OffsetFetchRequestGroup {
        group_id: group.to_owned(),
        topics: Some(topics),
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![asked],
        ..OffsetFetchRequest::default()
    };
    let mut group = wire.call(9, request).await.groups.remove(0);
    assert_eq!(group.error_code, 0);
    group.topics.remove(0).partitions.remove(0)
}
