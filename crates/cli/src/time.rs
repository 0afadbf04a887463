//! Points in time and durations as they are typed, and points in time as they are shown.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// Milliseconds since 1970 of an RFC 3339 time, or of a date with or without a time, which is then UTC.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let utc = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => utc()?,
    };
    Some(time.as_millisecond()).filter(|millis| *millis >= 0)
}

/// Milliseconds of a duration, as Java writes it (`PT1H30M`) or in words (`1h 30m`, `2 days`); the sign is dropped. A day has 24
/// hours, as in Java's `Duration`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_millis()).ok()?.checked_abs()
}

/// Now, in ms since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time as RFC 3339 in UTC.
pub(crate) fn show(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| format!("{millis} ms"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_utc() {
        // 1,795,554,000 s after 1970 is 2026-11-24 21:00 UTC (date -u -d @1795554000).
        let millis = Some(1_795_554_000_000);
        for text in [
            "2026-11-24T21:00:00Z",
            "2026-11-24T22:00:00+01:00",
            "2026-11-24T21:00:00",
            "2026-11-24T21:00",
            "2026-11-24 21:00",
        ] {
            assert_eq!(parse(text), millis, "{text}");
        }
        // Kafka's own form, with milliseconds.
        assert_eq!(parse("2026-11-24T21:00:00.250"), Some(1_795_554_000_250));
        assert_eq!(parse("2026-11-24"), Some(1_795_478_400_000));
        assert_eq!(show(1_795_554_000_250), "2026-11-24T21:00:00.25Z");
        for text in ["soon", "1969-12-31", "2026-13-01", ""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_javas_or_in_words() {
        for (text, millis) in [
            ("PT1H30M", 5_400_000),
            ("P1D", 86_400_000),
            ("1h 30m", 5_400_000),
            ("2 days ago", 172_800_000),
            ("90s", 90_000),
        ] {
            assert_eq!(parse_duration(text), Some(millis), "{text}");
        }
        for text in ["", "soon", "7", "P1M"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
