//! What the sticky assignors add to a member's subscription. Java writes the same bytes.
//!
//! `sticky`: an array of topics, each a string and an array of partitions, then the generation in which they were assigned
//! (version 1; version 0 ends before it). `cooperative-sticky`: the generation alone; what is owned stands in the subscription.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::claims::NO_GENERATION;
use crate::TopicPartition;

/// What a member of a sticky group says that it was assigned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) topics: Vec<SaidTopic<'a>>,
    pub(super) generation: i32,
}

/// The partitions of one topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SaidTopic<'a> {
    pub(super) name: &'a str,
    /// As they came: four bytes each.
    bytes: &'a [u8],
}

impl SaidTopic<'_> {
    pub(super) fn partitions(&self) -> impl Iterator<Item = i32> {
        self.bytes.chunks_exact(4).map(|mut bytes| bytes.get_i32())
    }
}

// Kafka: StickyAssignor.serializeTopicPartitionAssignment
pub(super) fn encode_sticky(partitions: &[TopicPartition], generation: i32) -> Bytes {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        // Names are at most 249 bytes long; what did not fit into a string of the protocol could not be read back.
        if i16::try_from(topic.len()).is_ok() {
            by_topic.entry(topic).or_default().push(*partition);
        }
    }
    let mut bytes = BytesMut::new();
    bytes.put_i32(by_topic.len() as i32);
    for (topic, partitions) in by_topic {
        bytes.put_i16(topic.len() as i16);
        bytes.put_slice(topic.as_bytes());
        bytes.put_i32(partitions.len() as i32);
        for partition in partitions {
            bytes.put_i32(partition);
        }
    }
    bytes.put_i32(generation);
    bytes.freeze()
}

/// What cannot be read counts as nothing said, and what follows the end is ignored.
// Kafka: StickyAssignor.deserializeTopicPartitionAssignment
pub(super) fn decode_sticky(bytes: &Bytes) -> Option<Said<'_>> {
    let mut rest: &[u8] = bytes;
    let count = usize::try_from(rest.try_get_i32().ok()?).ok()?;
    // A topic takes six bytes at least.
    let mut topics = Vec::with_capacity(count.min(rest.len() / 6));
    for _ in 0..count {
        let len = usize::try_from(rest.try_get_i16().ok()?).ok()?;
        let (name, after) = rest.split_at_checked(len)?;
        rest = after;
        let partitions = usize::try_from(rest.try_get_i32().ok()?).ok()?;
        let (bytes, after) = rest.split_at_checked(partitions.checked_mul(4)?)?;
        rest = after;
        topics.push(SaidTopic {
            name: core::str::from_utf8(name).ok()?,
            bytes,
        });
    }
    Some(Said {
        topics,
        generation: rest.try_get_i32().unwrap_or(NO_GENERATION),
    })
}

// Kafka: CooperativeStickyAssignor.subscriptionUserData
pub(super) fn encode_generation(generation: Option<i32>) -> Bytes {
    Bytes::copy_from_slice(&generation.unwrap_or(NO_GENERATION).to_be_bytes())
}

pub(super) fn decode_generation(bytes: &Bytes) -> Option<i32> {
    let mut bytes: &[u8] = bytes;
    bytes.try_get_i32().ok()
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use std::string::ToString;

    use super::*;

    #[rustfmt::skip]
    const STICKY: &[u8] = &[
        0, 0, 0, 2,
            0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3,
            0, 1, b'b', 0, 0, 0, 1, 0, 0, 0, 7,
        0, 0, 0, 5,
    ];

    fn read(bytes: &'static [u8]) -> Option<(Vec<std::string::String>, i32)> {
        let bytes = Bytes::from_static(bytes);
        let said = decode_sticky(&bytes)?;
        let partitions = said.topics.iter().flat_map(|topic| {
            topic
                .partitions()
                .map(|partition| TopicPartition::new(topic.name, partition).to_string())
        });
        Some((partitions.collect(), said.generation))
    }

    #[test]
    fn what_was_assigned_is_written_by_topic_with_its_generation() {
        let partitions =
            [("a", 0), ("b", 7), ("a", 3)].map(|(topic, number)| TopicPartition::new(topic, number));
        assert_eq!(encode_sticky(&partitions, 5), STICKY);
        assert_eq!(
            read(STICKY),
            Some((vec!["a-0".into(), "a-3".into(), "b-7".into()], 5))
        );
    }

    #[test]
    fn the_older_version_ends_before_the_generation() {
        let older = &STICKY[..STICKY.len() - 4];
        assert_eq!(read(older).expect("version 0").1, NO_GENERATION);
    }

    #[test]
    fn what_cannot_be_read_is_nothing_said() {
        for cut in 0..STICKY.len() - 4 {
            assert_eq!(read(&STICKY[..cut]), None, "{cut}");
        }
        for hostile in [
            &[0x7f, 0xff, 0xff, 0xff][..],
            &[0xff, 0xff, 0xff, 0xff],
            &[0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff],
            &[0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 0],
        ] {
            assert_eq!(read(hostile), None, "{hostile:?}");
        }
    }

    #[test]
    fn a_generation_is_four_bytes_and_minus_one_is_none() {
        assert_eq!(encode_generation(None), [0xff; 4][..]);
        assert_eq!(encode_generation(Some(258)), [0, 0, 1, 2][..]);
        assert_eq!(decode_generation(&Bytes::from_static(&[0, 0, 1, 2])), Some(258));
        assert_eq!(decode_generation(&Bytes::from_static(&[0, 0, 1])), None);
    }
}
