//! The known key that is most like an unknown one. Which keys there are is not known here.

/// The candidate with the smallest edit distance to `key`; the first one wins a tie, and an empty list gives `""`.
pub(crate) fn nearest<'a>(key: &str, candidates: impl IntoIterator<Item = &'a str>) -> &'a str {
    candidates
        .into_iter()
        .min_by_key(|candidate| distance(key, candidate))
        .unwrap_or("")
}

/// Levenshtein's distance in characters; the text is capped so that a hostile key costs little.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(128).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, cb) in b.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (ca, cell) in a.iter().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(*ca != cb);
            diagonal = *cell;
            left = cost.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_insertions_deletions_and_substitutions() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("group.id", "group.id"), 0);
    }

    #[test]
    fn a_mistyped_key_finds_its_neighbour() {
        let keys = ["group.id", "group.instance.id", "session.timeout.ms"];
        assert_eq!(nearest("groupid", keys), "group.id");
        assert_eq!(nearest("session.timeout", keys), "session.timeout.ms");
    }
}
