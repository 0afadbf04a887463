//! Names of topics: which may be, and which are the broker's own.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;

/// The topic that holds the offsets and groups.
pub(crate) const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// The topic that holds the journal of rebalances. Kafka has no such topic.
pub(crate) const REBALANCES: &str = "__kohort_rebalances";

/// The log in which Kafka's controllers have what there is in a cluster. Not a topic.
// Kafka: Topic.CLUSTER_METADATA_TOPIC_NAME
pub(crate) const CLUSTER_METADATA: &str = "__cluster_metadata";

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

/// Names of topics by what Kafka's metrics make of them, which do not tell `.` and `_` apart.
#[derive(Debug, Default)]
pub(super) struct Spellings(BTreeSet<(String, Arc<str>)>);

impl Spellings {
    pub(super) fn insert(&mut self, name: &Arc<str>) {
        self.0
            .extend(unified(name).map(|unified| (unified, name.clone())));
    }

    pub(super) fn remove(&mut self, name: &Arc<str>) {
        if let Some(unified) = unified(name) {
            self.0.remove(&(unified, name.clone()));
        }
    }

    /// Another name that differs from this one only in `.` and `_`.
    // Kafka: Topic.hasCollision
    pub(super) fn colliding(&self, name: &str) -> Option<&Arc<str>> {
        let unified = unified(name)?;
        let alike = self.0.range((unified.clone(), Arc::from(""))..);
        let mut alike = alike.take_while(|(other, _)| *other == unified);
        alike.find_map(|(_, other)| (**other != *name).then_some(other))
    }
}

/// The name with `_` for each `.`; `None` of one that has neither and collides with none.
// Kafka: Topic.unifyCollisionChars, Topic.hasCollisionChars
fn unified(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
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
        let names: [Arc<str>; 4] = ["a.b_c".into(), "a.b".into(), "a-b".into(), "ab".into()];
        let mut spellings = Spellings::default();
        for name in &names {
            spellings.insert(name);
        }
        assert_eq!(spellings.colliding("a_b.c"), Some(&names[0]));
        assert_eq!(spellings.colliding("a_b"), Some(&names[1]));
        for name in ["a.b_c", "a-b", "ab", "a.bc", "a_"] {
            assert_eq!(spellings.colliding(name), None, "{name}");
        }
        spellings.remove(&names[1]);
        assert_eq!(spellings.colliding("a_b"), None);
    }
}
