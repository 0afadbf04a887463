//! Names of topics: which may be, and which are the broker's own.

/// The topic that holds the offsets and groups.
pub(crate) const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// The topic that holds the journal of rebalances. Kafka has no such topic.
pub(crate) const REBALANCES: &str = "__kohort_rebalances";

/// The longest name of a topic.
// Kafka: Topic.MAX_NAME_LENGTH
const MAX_NAME_LENGTH: usize = 249;

/// Whether a topic of this name is the broker's own.
// Kafka: Topic.INTERNAL_TOPICS
pub(crate) fn is_internal(name: &str) -> bool {
    matches!(
        name,
        CONSUMER_OFFSETS | "__transaction_state" | "__share_group_state" | REBALANCES
    )
}

/// Whether a topic may have this name.
// Kafka: Topic.validate
pub(crate) fn is_valid_name(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() <= MAX_NAME_LENGTH
        && name.chars().all(is_legal)
}

/// Whether two names differ only in `.` and `_`, which Kafka's metrics do not tell apart.
// Kafka: Topic.hasCollision
pub(crate) fn collide(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && a.bytes()
            .zip(b.bytes())
            .all(|(a, b)| a == b || matches!((a, b), (b'.', b'_') | (b'_', b'.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_letters_digits_dots_underscores_and_hyphens() {
        assert!(is_valid_name("a.B_9-c"));
        for name in ["", ".", "..", "a b", "ä", "a/b"] {
            assert!(!is_valid_name(name), "{name:?}");
        }
        assert!(is_valid_name(&"a".repeat(249)));
        assert!(!is_valid_name(&"a".repeat(250)));
    }

    #[test]
    fn names_collide_when_only_dots_and_underscores_differ() {
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a-b"));
    }
}
