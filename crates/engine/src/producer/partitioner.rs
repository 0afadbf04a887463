//! Which partition a record goes to when its sender names none: by the key, as Java does, else one partition after another.

use alloc::vec::Vec;

use kohort_machine::Prng;

use crate::client::Topic;

/// Kafka's 32-bit MurmurHash2 of `bytes`, with Kafka's seed.
///
/// ```
/// use kohort_engine::producer::murmur2;
///
/// assert_eq!(murmur2(b"foobar"), -790332482);
/// ```
// Kafka: Utils.murmur2
pub fn murmur2(bytes: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // The hash takes the length modulo 2^32; Java's lengths fit.
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    hash.cast_signed()
}

/// The partition of a key in a topic of `partitions` partitions; 0 when there are none.
///
/// ```
/// use kohort_engine::producer::partition_for_key;
///
/// assert_eq!(partition_for_key(b"abc", 7), 4);
/// ```
// Kafka: BuiltInPartitioner.partitionForKey
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX)
        .checked_rem(partitions)
        .unwrap_or_default()
}

/// Keeps records without a key on one partition until a batch's worth of bytes went there, then chooses another by chance.
// KIP-480, KIP-794, Kafka: BuiltInPartitioner
#[derive(Debug, Default)]
pub(super) struct Sticky {
    current: Option<i32>,
    /// Bytes given to `current` since it was chosen.
    produced: usize,
}

impl Sticky {
    pub(super) fn partition(
        &mut self,
        topic: &Topic,
        size: usize,
        batch_size: usize,
        prng: &mut Prng,
    ) -> i32 {
        let current = self
            .current
            .filter(|current| self.produced < batch_size && topic.partitions.contains_key(current));
        let partition = match current {
            Some(current) => current,
            None => {
                self.produced = 0;
                choose(topic, prng)
            }
        };
        self.current = Some(partition);
        self.produced = self.produced.saturating_add(size);
        partition
    }
}

/// One of the partitions that have a leader; one of all when none has.
fn choose(topic: &Topic, prng: &mut Prng) -> i32 {
    let led = topic
        .partitions
        .iter()
        .filter(|(_, partition)| partition.leader.is_some());
    let mut of: Vec<i32> = led.map(|(index, _)| *index).collect();
    if of.is_empty() {
        of.extend(topic.partitions.keys());
    }
    of.get(prng.index(of.len())).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::collections::BTreeSet;

    use super::*;
    use crate::client::Partition;

    /// What Kafka 4.3.1's `Utils.murmur2` and `BuiltInPartitioner.partitionForKey(key, 7)` say.
    const VECTORS: [(&[u8], i32, i32); 11] = [
        (b"", 275_646_681, 2),
        (b"a", -1_563_381_124, 5),
        (b"ab", 316_155_434, 0),
        (b"abc", 479_470_107, 4),
        (b"abcd", -1_323_649_548, 5),
        (b"abcde", 461_995_741, 4),
        (b"21", -973_932_308, 3),
        (b"foobar", -790_332_482, 0),
        (b"a-little-bit-long-string", -985_981_536, 1),
        (b"a-little-bit-longer-string", -1_486_304_829, 0),
        (
            b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
            3,
        ),
    ];

    #[test]
    fn keys_hash_as_in_java() {
        for (key, hash, partition) in VECTORS {
            assert_eq!(murmur2(key), hash, "{key:?}");
            assert_eq!(partition_for_key(key, 7), partition, "{key:?}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(murmur2(&all), -1_948_347_274);
    }

    #[test]
    fn two_thousand_keys_of_all_lengths_and_bytes_hash_as_in_java() {
        let (mut state, mut digest) = (12_345u64, 0i64);
        for n in 0..2000 {
            let mut next = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            let key: Vec<u8> = (0..n % 67).map(|_| next()).collect();
            digest = digest.wrapping_mul(31).wrapping_add(i64::from(murmur2(&key)));
        }
        // Made by the same loop over Kafka 4.3.1's Utils.murmur2.
        assert_eq!(digest, -4_365_295_836_073_630_281);
    }

    fn topic(leaders: &[Option<i32>]) -> Topic {
        let partition = |(index, leader): (usize, &Option<i32>)| {
            let leader = *leader;
            (
                index as i32,
                Partition {
                    leader,
                    ..Default::default()
                },
            )
        };
        Topic {
            name: "t".into(),
            id: None,
            is_internal: false,
            error: None,
            partitions: leaders.iter().enumerate().map(partition).collect(),
        }
    }

    #[test]
    fn records_without_a_key_stay_on_a_partition_for_a_batch() {
        let (topic, mut prng) = (topic(&[Some(1); 8]), Prng::from_seed(1));
        let mut sticky = Sticky::default();
        let chosen: Vec<i32> = (0..400)
            .map(|_| sticky.partition(&topic, 100, 1000, &mut prng))
            .collect();
        for run in chosen.chunks(10) {
            assert!(run.iter().all(|partition| *partition == run[0]), "{run:?}");
        }
        assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 8);
    }

    #[test]
    fn partitions_without_a_leader_are_passed_over() {
        let (topic, mut prng) = (topic(&[None, Some(1), None]), Prng::from_seed(1));
        let mut sticky = Sticky::default();
        assert!((0..100).all(|_| sticky.partition(&topic, 1000, 1000, &mut prng) == 1));
    }

    #[test]
    fn a_topic_without_any_leader_still_has_a_partition_for_the_record() {
        let (topic, mut prng) = (topic(&[None, None]), Prng::from_seed(1));
        assert!((0..2).contains(&Sticky::default().partition(&topic, 1, 1000, &mut prng)));
    }

    #[test]
    fn a_partition_that_is_gone_is_not_kept() {
        let mut prng = Prng::from_seed(1);
        let mut sticky = Sticky {
            current: Some(9),
            produced: 0,
        };
        let topic = topic(&[Some(1)]);
        assert_eq!(sticky.partition(&topic, 1, 1000, &mut prng), 0);
        let empty = Topic {
            partitions: BTreeMap::new(),
            ..topic
        };
        assert_eq!(sticky.partition(&empty, 1, 1000, &mut prng), 0);
    }
}
