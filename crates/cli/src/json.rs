//! A record as one line of JSON: kcat's envelope, with what kcat cannot say of bytes that are no text.
//!
//! Key and payload are strings, or null for null. Bytes that are not UTF-8 appear twice: in the string each wrong sequence is
//! U+FFFD, and a field of the same name with `_base64` after it has the bytes as they are. So `.payload == null` says
//! tombstone, always, and `._base64 // .` is exact.

use std::io::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use kohort::TimestampType;

use crate::format::Printed;

/// Writes `record` on a line of its own; fails only when `out` does.
pub(crate) fn write(out: &mut impl Write, record: &Printed<'_>) -> io::Result<()> {
    out.write_all(b"{\"topic\":")?;
    text(out, record.topic.as_bytes())?;
    write!(
        out,
        ",\"partition\":{},\"offset\":{}",
        record.partition, record.offset
    )?;
    // Kafka: RecordBatch.NO_TIMESTAMP
    if record.timestamp >= 0 {
        let clock = match record.timestamp_type {
            TimestampType::CreateTime => "create",
            TimestampType::LogAppendTime => "logappend",
        };
        write!(out, ",\"tstype\":\"{clock}\",\"ts\":{}", record.timestamp)?;
    }
    headers(out, record)?;
    field(out, "key", record.key)?;
    field(out, "payload", record.value)?;
    out.write_all(b"}\n")
}

/// kcat's flat list of name, value, name, value; none for a record without headers.
fn headers(out: &mut impl Write, record: &Printed<'_>) -> io::Result<()> {
    if record.headers.is_empty() {
        return Ok(());
    }
    let parts = || {
        record
            .headers
            .clone()
            .flat_map(|header| [Some(header.key), header.value])
    };
    list(out, "headers", parts(), text)?;
    if parts().flatten().any(|bytes| std::str::from_utf8(bytes).is_err()) {
        list(out, "headers_base64", parts(), base64)?;
    }
    Ok(())
}

fn list<'a, W: Write>(
    out: &mut W,
    name: &str,
    parts: impl Iterator<Item = Option<&'a [u8]>>,
    write: impl Fn(&mut W, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, ",\"{name}\":[")?;
    for (index, part) in parts.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        match part {
            Some(bytes) => write(out, bytes)?,
            None => out.write_all(b"null")?,
        }
    }
    out.write_all(b"]")
}

fn field(out: &mut impl Write, name: &str, bytes: Option<&[u8]>) -> io::Result<()> {
    write!(out, ",\"{name}\":")?;
    let Some(bytes) = bytes else {
        return out.write_all(b"null");
    };
    if let Ok(exact) = std::str::from_utf8(bytes) {
        return Ok(serde_json::to_writer(out, exact)?);
    }
    text(out, bytes)?;
    write!(out, ",\"{name}_base64\":")?;
    base64(out, bytes)
}

fn text(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    Ok(serde_json::to_writer(out, &String::from_utf8_lossy(bytes))?)
}

fn base64(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write!(out, "\"{}\"", Base64Display::new(bytes, &STANDARD))
}

#[cfg(test)]
mod tests {
    use kohort::Headers;

    use super::*;

    fn printed(record: &Printed<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, record).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Printed<'a> {
        Printed {
            topic: "t",
            partition: 3,
            offset: 42,
            timestamp: 1000,
            timestamp_type: TimestampType::CreateTime,
            key,
            value,
            headers: Headers::none(),
        }
    }

    #[test]
    fn the_envelope_is_kcats() {
        // What kcat 1.7.1 prints of such a record, but for `broker`.
        assert_eq!(
            printed(&record(Some(b"x"), Some("\"/é\n".as_bytes()))),
            concat!(
                r#"{"topic":"t","partition":3,"offset":42,"tstype":"create","ts":1000,"key":"x","payload":"\"/é\n"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn null_is_null_and_empty_is_empty() {
        assert!(printed(&record(None, Some(b""))).ends_with(",\"key\":null,\"payload\":\"\"}\n"));
    }

    #[test]
    fn bytes_that_are_no_text_are_there_in_base64() {
        // printf '\xff\x00A' | base64
        let line = printed(&record(Some(b"k"), Some(b"\xff\x00A")));
        assert!(
            line.ends_with(concat!(
                r#","key":"k","payload":""#,
                "\u{fffd}",
                r#"\u0000A","payload_base64":"/wBB"}"#,
                "\n"
            )),
            "{line}"
        );
    }

    #[test]
    fn a_record_without_a_timestamp_has_none() {
        let line = printed(&Printed {
            timestamp: -1,
            ..record(None, None)
        });
        assert!(!line.contains("ts"), "{line}");
    }
}
