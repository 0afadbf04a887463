//! The argument of `-o`: where to begin reading a partition.

use std::str::FromStr;

/// Where to begin reading a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartOffset {
    /// The first record that is there.
    Beginning,
    /// Only records written from now on.
    End,
    /// What the group committed.
    Stored,
    /// This offset.
    At(i64),
    /// So many records before the end.
    Last(i64),
}

impl FromStr for StartOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "beginning" | "earliest" => return Ok(Self::Beginning),
            "end" | "latest" => return Ok(Self::End),
            "stored" => return Ok(Self::Stored),
            _ => {}
        }
        match text.parse::<i64>() {
            Ok(offset) if text.starts_with('-') => offset
                .checked_neg()
                .map(Self::Last)
                .ok_or_else(|| "too small".to_owned()),
            Ok(offset) => Ok(Self::At(offset)),
            Err(_) => Err("expected beginning, end, stored, an offset, or -N for the last N".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_offsets_and_tails_are_told_apart() {
        for (text, start) in [
            ("beginning", StartOffset::Beginning),
            ("end", StartOffset::End),
            ("stored", StartOffset::Stored),
            ("0", StartOffset::At(0)),
            ("42", StartOffset::At(42)),
            ("-7", StartOffset::Last(7)),
        ] {
            assert_eq!(text.parse(), Ok(start), "{text}");
        }
        assert!("seven".parse::<StartOffset>().is_err());
        assert!("-9223372036854775808".parse::<StartOffset>().is_err());
    }
}
