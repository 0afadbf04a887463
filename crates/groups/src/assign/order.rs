//! The order of names in which Kafka's assignors serve members and topics.

use core::cmp::Ordering;

/// By UTF-16 units, as Java compares strings. Bytes of UTF-8 order the same, except that what lies beyond the Basic
/// Multilingual Plane (lead bytes from 0xF0) comes before U+E000 to U+FFFF (lead bytes 0xEE and 0xEF).
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let Some((a, b)) = a.bytes().zip(b.bytes()).find(|(a, b)| a != b) else {
        return a.len().cmp(&b.len());
    };
    match a >= 0xEE && b >= 0xEE {
        true => (a < 0xF0).cmp(&(b < 0xF0)).then(a.cmp(&b)),
        false => a.cmp(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_ordered_by_their_utf_16_units() {
        let names = [
            "",
            "a",
            "ab",
            "b",
            "\u{7f}",
            "\u{80}",
            "\u{7ff}",
            "\u{800}",
            "\u{d7ff}",
            "\u{e000}",
            "\u{ffff}",
            "\u{ff21}",
            "\u{10000}",
            "\u{1f600}",
            "\u{1f601}",
            "\u{10ffff}",
            "a\u{1f600}",
            "a\u{ff21}",
        ];
        for a in names {
            for b in names {
                assert_eq!(
                    compare(a, b),
                    a.encode_utf16().cmp(b.encode_utf16()),
                    "{a:?} {b:?}"
                );
            }
        }
    }
}
