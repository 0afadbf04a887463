//! The bytes in which members tell each other subscriptions and assignments. To the coordinator they are opaque, except that
//! it looks at the subscribed topics before it lets offsets expire.
//!
//! Newer versions than the newest known are read as that one, as Java does. Bytes come from other members: every length is
//! checked against what is there.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, consumer_protocol_assignment,
    consumer_protocol_subscription, decode_versioned, encode_versioned,
};
use kohort_protocol::{DecodeError, EncodeError, Message};

use crate::{Assignment, Subscription, TopicPartition};

/// The generation of a subscription without one.
// Kafka: ConsumerPartitionAssignor.DEFAULT_GENERATION
const NO_GENERATION: i32 = -1;

/// A subscription in the newest version. The `group_instance_id` travels beside it.
///
/// # Errors
///
/// When a string is too long for the protocol.
// Kafka: ConsumerProtocol.serializeSubscription
pub fn encode_subscription(subscription: &Subscription) -> Result<Bytes, EncodeError> {
    encode_subscription_in(subscription, ConsumerProtocolSubscription::MAX_VERSION)
}

/// A subscription in `version`; what the version lacks is left out.
///
/// # Errors
///
/// As [`encode_subscription`]; and when there is no such version.
pub fn encode_subscription_in(subscription: &Subscription, version: i16) -> Result<Bytes, EncodeError> {
    let topics: BTreeSet<&Arc<str>> = subscription.topics.iter().collect();
    let owned: BTreeSet<&TopicPartition> = subscription.owned.iter().collect();
    let mut by_topic: Vec<consumer_protocol_subscription::TopicPartition> = Vec::new();
    for TopicPartition { topic, partition } in owned {
        match by_topic.last_mut().filter(|last| *last.topic == **topic) {
            Some(last) => last.partitions.push(*partition),
            None => by_topic.push(consumer_protocol_subscription::TopicPartition {
                topic: topic.to_string(),
                partitions: [*partition].into(),
            }),
        }
    }
    let message = ConsumerProtocolSubscription {
        topics: topics.into_iter().map(|topic| topic.to_string()).collect(),
        user_data: subscription.user_data.clone(),
        owned_partitions: by_topic,
        generation_id: subscription.generation.unwrap_or(NO_GENERATION),
        rack_id: subscription.rack.as_deref().map(String::from),
    };
    encode_versioned(&message, version)
}

/// What another member subscribes to. An empty rack is none.
///
/// # Errors
///
/// When the bytes are no subscription.
// Kafka: ConsumerProtocol.deserializeSubscription
pub fn decode_subscription(bytes: Bytes) -> Result<Subscription, DecodeError> {
    let (_, message): (_, ConsumerProtocolSubscription) = decode_versioned(bytes)?;
    let owned = message.owned_partitions.into_iter().flat_map(|of| {
        let topic: Arc<str> = of.topic.into();
        of.partitions
            .into_iter()
            .map(move |partition| TopicPartition::new(topic.clone(), partition))
    });
    Ok(Subscription {
        topics: message.topics.into_iter().map(Arc::from).collect(),
        user_data: message.user_data,
        owned: owned.collect(),
        generation: (message.generation_id >= 0).then_some(message.generation_id),
        rack: message.rack_id.filter(|rack| !rack.is_empty()).map(Arc::from),
        group_instance_id: None,
    })
}

/// An assignment in the newest version.
///
/// # Errors
///
/// When a string is too long for the protocol.
// Kafka: ConsumerProtocol.serializeAssignment
pub fn encode_assignment(assignment: &Assignment) -> Result<Bytes, EncodeError> {
    let mut partitions: Vec<&TopicPartition> = assignment.partitions.iter().collect();
    partitions.sort();
    let mut by_topic: Vec<consumer_protocol_assignment::TopicPartition> = Vec::new();
    for TopicPartition { topic, partition } in partitions {
        match by_topic.last_mut().filter(|last| *last.topic == **topic) {
            Some(last) => last.partitions.push(*partition),
            None => by_topic.push(consumer_protocol_assignment::TopicPartition {
                topic: topic.to_string(),
                partitions: [*partition].into(),
            }),
        }
    }
    let message = ConsumerProtocolAssignment {
        assigned_partitions: by_topic,
        user_data: assignment.user_data.clone(),
    };
    encode_versioned(&message, ConsumerProtocolAssignment::MAX_VERSION)
}

/// What the leader assigned.
///
/// # Errors
///
/// When the bytes are no assignment; none at all are not one either: then the leader forgot the member.
// Kafka: ConsumerProtocol.deserializeAssignment
pub fn decode_assignment(bytes: Bytes) -> Result<Assignment, DecodeError> {
    let (_, message): (_, ConsumerProtocolAssignment) = decode_versioned(bytes)?;
    let partitions = message.assigned_partitions.into_iter().flat_map(|of| {
        let topic: Arc<str> = of.topic.into();
        of.partitions
            .into_iter()
            .map(move |partition| TopicPartition::new(topic.clone(), partition))
    });
    Ok(Assignment {
        partitions: partitions.collect(),
        user_data: message.user_data,
    })
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    fn subscription() -> Subscription {
        Subscription {
            topics: vec!["a".into(), "b".into()],
            user_data: Some(Bytes::from_static(b"xy")),
            owned: vec![
                TopicPartition::new("a", 0),
                TopicPartition::new("a", 1),
                TopicPartition::new("b", 7),
            ],
            generation: Some(4),
            rack: Some("r".into()),
            group_instance_id: None,
        }
    }

    // What Kafka's ConsumerProtocol.serializeSubscription 4.3.1 writes follows from the schema: version, topics, user data,
    // owned partitions, generation, rack.
    #[rustfmt::skip]
    const SUBSCRIPTION: &[u8] = &[
        0, 3,
        0, 0, 0, 2, 0, 1, b'a', 0, 1, b'b',
        0, 0, 0, 2, b'x', b'y',
        0, 0, 0, 2,
            0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1,
            0, 1, b'b', 0, 0, 0, 1, 0, 0, 0, 7,
        0, 0, 0, 4,
        0, 1, b'r',
    ];

    #[test]
    fn a_subscription_is_written_sorted_and_in_the_newest_version() {
        let mut unsorted = subscription();
        unsorted.topics.reverse();
        unsorted.owned.reverse();
        assert_eq!(
            encode_subscription(&unsorted).expect("short strings"),
            SUBSCRIPTION
        );
    }

    #[test]
    fn a_subscription_is_read_back() {
        assert_eq!(
            decode_subscription(Bytes::from_static(SUBSCRIPTION)),
            Ok(subscription())
        );
    }

    #[test]
    fn older_versions_lack_what_came_later() {
        let read = |version| {
            let bytes = encode_subscription_in(&subscription(), version).expect("the version exists");
            decode_subscription(bytes).expect("just written")
        };
        assert_eq!(read(2).rack, None);
        assert_eq!((read(1).generation, read(1).owned.len()), (None, 3));
        assert_eq!((read(0).owned.len(), read(0).topics.len()), (0, 2));
        assert!(encode_subscription_in(&subscription(), 4).is_err());
    }

    #[test]
    fn a_newer_version_is_read_as_the_newest_known() {
        let newer = [&[0, 77], &SUBSCRIPTION[2..], b"what comes later"].concat();
        assert_eq!(decode_subscription(newer.into()), Ok(subscription()));
    }

    #[test]
    fn an_assignment_is_written_and_read_back() {
        let assignment = Assignment {
            partitions: vec![TopicPartition::new("a", 1), TopicPartition::new("a", 0)],
            user_data: None,
        };
        let bytes = encode_assignment(&assignment).expect("short strings");
        #[rustfmt::skip]
        let expected: &[u8] = &[
            0, 3,
            0, 0, 0, 1, 0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1,
            0xff, 0xff, 0xff, 0xff,
        ];
        assert_eq!(bytes, expected);
        let read = decode_assignment(bytes).expect("just written");
        assert_eq!(
            read.partitions,
            [TopicPartition::new("a", 0), TopicPartition::new("a", 1)]
        );
    }

    #[test]
    fn no_assignment_at_all_is_an_error() {
        assert!(decode_assignment(Bytes::new()).is_err());
    }

    #[test]
    fn hostile_bytes_are_errors() {
        for cut in 0..SUBSCRIPTION.len() {
            let cut = Bytes::from_static(&SUBSCRIPTION[..cut]);
            assert!(decode_subscription(cut.clone()).is_err());
            let _ = decode_assignment(cut);
        }
        for position in 0..SUBSCRIPTION.len() {
            for byte in [0, 0x7f, 0x80, 0xff] {
                let mut bytes = SUBSCRIPTION.to_vec();
                bytes[position] = byte;
                let _ = decode_subscription(bytes.clone().into());
                let _ = decode_assignment(bytes.into());
            }
        }
        let endless = Bytes::from_static(&[0, 0, 0x7f, 0xff, 0xff, 0xff]);
        assert!(decode_subscription(endless.clone()).is_err());
        assert!(decode_assignment(endless).is_err());
    }
}
