//! The argument of `-o`: where to begin reading a partition, and where to stop.

use std::str::FromStr;

use crate::time;

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
    /// The first record whose timestamp is this or later, ms since 1970; the end if there is none.
    Since(i64),
}

/// One `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Where to begin.
    Start(StartOffset),
    /// Before the first record whose timestamp is this or later, ms since 1970.
    Stop(i64),
}

/// What several `-o` say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bounds {
    /// Where to begin, if it is said.
    pub(crate) start: Option<StartOffset>,
    /// Where to stop, if it is said.
    pub(crate) stop: Option<i64>,
}

impl Bounds {
    /// Takes each side at most once.
    pub(crate) fn of(given: &[Bound]) -> Result<Self, String> {
        let mut bounds = Self::default();
        for bound in given {
            let is_first = match bound {
                Bound::Start(start) => bounds.start.replace(*start).is_none(),
                Bound::Stop(stop) => bounds.stop.replace(*stop).is_none(),
            };
            if !is_first {
                return Err(
                    "-o is given twice; it may be repeated only to begin at one place and to stop at another (e@TIME)"
                        .to_owned(),
                );
            }
        }
        Ok(bounds)
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(since) = text.strip_prefix("s@") {
            return timestamp(since).map(|since| Self::Start(StartOffset::Since(since)));
        }
        if let Some(stop) = text.strip_prefix("e@") {
            return timestamp(stop).map(Self::Stop);
        }
        text.parse().map(Self::Start)
    }
}

fn timestamp(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(millis @ 0..) => Ok(millis),
        Ok(_) => Err("a timestamp is not below 0".to_owned()),
        Err(_) => time::parse(text).ok_or_else(|| {
            "expected milliseconds since 1970 or a time such as 2026-11-24T21:00:00Z after the @".to_owned()
        }),
    }
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
            Err(_) => Err(
                "expected beginning, end, stored, an offset, -N for the last N, s@TIME to begin at, or e@TIME to stop at"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_offsets_tails_and_times_are_told_apart() {
        for (text, start) in [
            ("beginning", StartOffset::Beginning),
            ("end", StartOffset::End),
            ("stored", StartOffset::Stored),
            ("0", StartOffset::At(0)),
            ("42", StartOffset::At(42)),
            ("-7", StartOffset::Last(7)),
            ("s@1500", StartOffset::Since(1500)),
            ("s@1970-01-01T00:00:01.5Z", StartOffset::Since(1500)),
        ] {
            assert_eq!(text.parse(), Ok(Bound::Start(start)), "{text}");
        }
        assert_eq!("e@1500".parse(), Ok(Bound::Stop(1500)));
        for text in ["seven", "-9223372036854775808", "s@", "e@-1", "s@soon", "x@5"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_has_one_start_and_one_stop() {
        let (start, stop) = (Bound::Start(StartOffset::Since(1)), Bound::Stop(2));
        assert_eq!(
            Bounds::of(&[stop, start]),
            Ok(Bounds {
                start: Some(StartOffset::Since(1)),
                stop: Some(2)
            })
        );
        assert!(Bounds::of(&[start, start]).is_err() && Bounds::of(&[stop, stop]).is_err());
    }
}
