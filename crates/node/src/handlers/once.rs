//! What one request asks for twice is answered once: otherwise a small request costs a large answer.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Keeps the first of each that `key` says to be the same.
pub(super) fn once<T, K: Ord>(asked: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = BTreeSet::new();
    asked.retain(|each| seen.insert(key(each)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_is_kept() {
        let mut asked = Vec::from([("a", 1), ("b", 2), ("a", 3)]);
        once(&mut asked, |(name, _)| *name);
        assert_eq!(asked, [("a", 1), ("b", 2)]);
    }
}
