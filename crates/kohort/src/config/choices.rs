//! Settings that choose one of a few named values, with Kafka's spelling. What a choice does lives where it is done.

use core::fmt;
use core::time::Duration;

/// `auto.offset.reset`: where to start reading a partition that has no committed offset, or whose offset is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AutoOffsetReset {
    /// The first record that is there.
    Earliest,
    /// The next record that is written.
    #[default]
    Latest,
    /// Nowhere: `poll` returns an error that names the partition.
    None,
    /// The first record that is at most this old (KIP-1106).
    ByDuration(Duration),
}

impl AutoOffsetReset {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "earliest" => Some(Self::Earliest),
            "latest" => Some(Self::Latest),
            "none" => Some(Self::None),
            lower => lower
                .strip_prefix("by_duration:")
                .and_then(iso_duration)
                .map(Self::ByDuration),
        }
    }
}

impl fmt::Display for AutoOffsetReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::None => f.write_str("none"),
            Self::ByDuration(d) => write!(f, "by_duration:PT{}S", d.as_secs_f64()),
        }
    }
}

/// A duration as `PnDTnHnMn.nS` in lower case; negative ones are refused as Kafka does.
fn iso_duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('p')?;
    let (days, time) = match rest.split_once('t') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    let mut number = |rest: &mut &str, unit: char, secs: u64, fraction: bool| -> Option<()> {
        let Some((count, after)) = rest.split_once(unit) else {
            return Some(());
        };
        let part = if fraction {
            let secs: f64 = count.parse().ok()?;
            Duration::try_from_secs_f64(secs).ok()?
        } else {
            Duration::from_secs(count.parse::<u64>().ok()?.checked_mul(secs)?)
        };
        total = total.checked_add(part)?;
        *rest = after;
        Some(())
    };
    let mut days = days;
    number(&mut days, 'd', 86_400, false)?;
    let mut time = time;
    number(&mut time, 'h', 3_600, false)?;
    number(&mut time, 'm', 60, false)?;
    number(&mut time, 's', 1, true)?;
    (days.is_empty() && time.is_empty()).then_some(total)
}

/// A choice whose values are plain names.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $variant:ident = $text:literal, )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $( $(#[$doc])* $variant, )* }

        impl $name {
            pub(super) const EXPECTED: &'static [&'static str] = &[$($text),*];

            pub(super) fn parse(text: &str) -> Option<Self> {
                $( if text.eq_ignore_ascii_case($text) { return Some(Self::$variant); } )*
                None
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $( Self::$variant => $text, )* })
            }
        }
    };
}

names! {
    /// `acks`: when a produced batch counts as written.
    Acks {
        /// At once; the offset is not known.
        None = "0",
        /// When the leader has it.
        Leader = "1",
        /// When all in-sync replicas have it.
        All = "all",
    }
}

names! {
    /// `compression.type` of a producer.
    CompressionType {
        /// Not compressed.
        None = "none",
        /// gzip.
        Gzip = "gzip",
        /// Snappy, framed as Kafka does.
        Snappy = "snappy",
        /// LZ4 frames.
        Lz4 = "lz4",
        /// Zstandard.
        Zstd = "zstd",
    }
}

names! {
    /// `metadata.recovery.strategy`: what to do when no known broker can be reached (KIP-899).
    RecoveryStrategy {
        /// Go on trying the known brokers.
        None = "none",
        /// Begin again with `bootstrap.servers`.
        Rebootstrap = "rebootstrap",
    }
}

names! {
    /// `kohort.runtime`: where the network task of a client runs.
    RuntimePlace {
        /// On the tokio runtime in which the client was built. A program that blocks all threads of that runtime for longer
        /// than `session.timeout.ms` loses its membership.
        Ambient = "ambient",
        /// On one background thread that all such clients of the process share: heartbeats go on whatever the program does.
        Own = "own",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_java_writes_them() {
        assert_eq!(
            iso_duration("p1dt2h3m4.5s"),
            Some(Duration::from_millis(93_784_500))
        );
        assert_eq!(iso_duration("pt30m"), Some(Duration::from_secs(1_800)));
        assert_eq!(iso_duration("p7d"), Some(Duration::from_secs(604_800)));
        for bad in ["p", "pt", "1d", "p-1d", "pt5x", "pt-3s", "p1h", "pt1s2h"] {
            assert_eq!(iso_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_reset_policies_have_kafkas_names() {
        assert_eq!(
            AutoOffsetReset::parse("earliest"),
            Some(AutoOffsetReset::Earliest)
        );
        assert_eq!(
            AutoOffsetReset::parse("by_duration:PT1H"),
            Some(AutoOffsetReset::ByDuration(Duration::from_secs(3_600)))
        );
        assert_eq!(AutoOffsetReset::parse("smallest"), None);
    }
}
