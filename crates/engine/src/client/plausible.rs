//! What no broker can mean, whatever it says: left out of an answer as it comes in, so that nobody who reads it has to look.
//! What is wrong only beside a request (unasked partitions, others left out) is for those who asked.

use kohort_protocol::ResponseBody;

/// Partitions are numbered from 0, and each is there once.
pub(super) fn without_impossible(mut body: ResponseBody) -> ResponseBody {
    if let ResponseBody::Metadata(metadata) = &mut body {
        for topic in &mut metadata.topics {
            topic
                .partitions
                .retain(|partition| partition.partition_index >= 0);
            topic
                .partitions
                .sort_by_key(|partition| partition.partition_index);
            topic
                .partitions
                .dedup_by_key(|partition| partition.partition_index);
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use kohort_protocol::messages::MetadataResponse;
    use kohort_protocol::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};

    use super::*;

    #[test]
    fn partitions_below_zero_and_those_that_come_again_are_left_out_of_metadata() {
        let partition = |(partition_index, leader_id)| MetadataResponsePartition {
            partition_index,
            leader_id,
            ..Default::default()
        };
        let sent = [(1, 7), (-1, 7), (0, 8), (i32::MIN, 7), (1, 9)];
        let topic = MetadataResponseTopic {
            partitions: sent.map(partition).into(),
            ..Default::default()
        };
        let metadata = MetadataResponse {
            topics: [topic].into(),
            ..Default::default()
        };
        let ResponseBody::Metadata(left) = without_impossible(metadata.into()) else {
            unreachable!("it is metadata still");
        };
        let left: Vec<_> = left.topics[0]
            .partitions
            .iter()
            .map(|it| (it.partition_index, it.leader_id))
            .collect();
        assert_eq!(left, [(0, 8), (1, 7)]);
    }
}
