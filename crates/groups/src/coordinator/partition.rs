//! Which partition of `__consumer_offsets` a group lives on.

/// Java's hash of a string, over its UTF-16 units.
// Kafka: java.lang.String.hashCode
pub(super) fn java_hash(text: &str) -> i32 {
    let add = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    text.encode_utf16().fold(0, add)
}

/// The partition of `__consumer_offsets` for `group_id` when the topic has `partitions` of them (0 when it has none): the absolute
/// value of Java's hash of the id, modulo the count.
// Kafka: GroupCoordinatorService.partitionFor, Utils.abs: the smallest number, which has no absolute value, becomes 0
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    let hash = java_hash(group_id).checked_abs().unwrap_or(0);
    hash.checked_rem(partitions).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_lives_where_javas_string_hash_says() {
        // "abc".hashCode() is 97 * 31^2 + 98 * 31 + 99.
        assert_eq!(partition_for("abc", 50), 96_354 % 50);
        // "billing".hashCode() is -109829509; Kafka 4.3.1 keeps that group on partition 9.
        assert_eq!(partition_for("billing", 50), 9);
        assert_eq!(partition_for("", 50), 0);
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE, which Utils.abs makes 0.
        assert_eq!(partition_for("polygenelubricants", 50), 0);
    }

    #[test]
    fn characters_beyond_the_basic_plane_hash_as_two_utf_16_units() {
        // U+1F600 is D83D DE00: 0xD83D * 31 + 0xDE00 = 1772899.
        assert_eq!(partition_for("\u{1F600}", 50), 1_772_899 % 50);
    }

    #[test]
    fn a_topic_without_partitions_does_not_divide_by_zero() {
        assert_eq!(partition_for("abc", 0), 0);
    }
}
