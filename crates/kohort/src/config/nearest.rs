//! The known key that is most like an unknown one. Which keys there are is not known here.

/// How many characters of a key count: no setting's name is longer, and a column of the table fits into one word.
const LONGEST: usize = 64;

/// The candidate with the smallest edit distance to `key`; the first one wins a tie, and an empty list gives `""`. What `key` has
/// beyond 64 characters is left out, so that a hostile one costs little.
pub(crate) fn nearest<'a>(key: &str, candidates: impl IntoIterator<Item = &'a str>) -> &'a str {
    let key = Pattern::new(key);
    candidates
        .into_iter()
        .min_by_key(|candidate| key.distance(candidate))
        .unwrap_or("")
}

/// A text of which the distance to many others is wanted. G. Myers, "A fast bit-vector algorithm for approximate string matching
/// based on dynamic programming" (1999), for the distance between whole texts: each bit of a word is a cell of a column.
struct Pattern {
    /// By ASCII character, where it stands. Names of settings are ASCII, so other characters equal nothing.
    places: [u64; 128],
    len: usize,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let mut pattern = Self {
            places: [0; 128],
            len: 0,
        };
        for character in text.chars().take(LONGEST) {
            if let Some(places) = pattern.places.get_mut(character as usize) {
                *places |= 1 << pattern.len;
            }
            pattern.len += 1;
        }
        pattern
    }

    /// Levenshtein's distance in characters.
    fn distance(&self, other: &str) -> usize {
        if self.len == 0 {
            return other.chars().count();
        }
        let last = 1 << (self.len - 1);
        let mut distance = self.len;
        // Where a cell is by one more, or by one less, than the cell above it.
        let (mut more, mut less) = (u64::MAX, 0_u64);
        for character in other.chars() {
            let equal = self.places.get(character as usize).copied().unwrap_or(0);
            let diagonal = ((equal & more).wrapping_add(more) ^ more) | equal | less;
            // The same to the left.
            let more_left = less | !(diagonal | more);
            let less_left = more & diagonal;
            distance += usize::from(more_left & last != 0);
            distance -= usize::from(less_left & last != 0);
            let more_left = more_left << 1 | 1;
            let less_left = less_left << 1;
            more = less_left | !(diagonal | more_left);
            less = more_left & diagonal;
        }
        distance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &str, b: &str) -> usize {
        Pattern::new(a).distance(b)
    }

    /// By the recurrence that defines it.
    fn defined(a: &[u8], b: &[u8]) -> usize {
        match (a, b) {
            ([], rest) | (rest, []) => rest.len(),
            ([x, a @ ..], [y, b @ ..]) if x == y => defined(a, b),
            ([_, a_rest @ ..], [_, b_rest @ ..]) => {
                1 + defined(a_rest, b)
                    .min(defined(a, b_rest))
                    .min(defined(a_rest, b_rest))
            }
        }
    }

    #[test]
    fn the_distance_is_the_one_that_the_recurrence_defines() {
        let mut state = 1_u32;
        let mut text = || -> String {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 24
            };
            (0..next() % 7)
                .map(|_| char::from(b'a' + (next() % 3) as u8))
                .collect()
        };
        for _ in 0..2_000 {
            let (a, b) = (text(), text());
            assert_eq!(
                distance(&a, &b),
                defined(a.as_bytes(), b.as_bytes()),
                "{a:?} {b:?}"
            );
        }
    }

    #[test]
    fn texts_as_long_as_a_word_and_longer_and_of_other_characters_have_a_distance() {
        let long = "x".repeat(LONGEST);
        assert_eq!(distance(&long, &long), 0);
        assert_eq!(distance(&long, ""), LONGEST);
        assert_eq!(distance(&"x".repeat(1_000), &long), 0);
        assert_eq!(distance("\u{e4}\u{7f}b", "ab"), 2);
    }

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
