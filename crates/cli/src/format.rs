//! The argument of `-f`: a record as text, in kcat's notation. Parsed once, written per record without allocating. What a
//! backslash stands for is in `escape`.

use std::io::{self, Write};
use std::str::FromStr;

use kohort::{Headers, TimestampType};

use crate::escape::{Delimiter, escaped, push};

/// What can be printed of a record.
#[derive(Debug, Clone)]
pub(crate) struct Printed<'a> {
    /// The topic's name.
    pub(crate) topic: &'a str,
    /// The partition's number.
    pub(crate) partition: i32,
    /// The record's offset.
    pub(crate) offset: i64,
    /// Its timestamp, ms since 1970; −1 if it has none.
    pub(crate) timestamp: i64,
    /// Whose clock that is.
    pub(crate) timestamp_type: TimestampType,
    /// Its key, or none for null.
    pub(crate) key: Option<&'a [u8]>,
    /// Its value, or none for null.
    pub(crate) value: Option<&'a [u8]>,
    /// Its headers.
    pub(crate) headers: Headers<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    KeySize,
    Value,
    ValueSize,
    ValueSizeBinary,
    Headers,
}

/// A parsed format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
    null: &'static [u8],
}

impl Format {
    /// The value and `end`, after the key and `delimiter` if there is one.
    pub(crate) fn line(delimiter: Option<&Delimiter>, end: &Delimiter) -> Self {
        let mut pieces = Vec::new();
        if let Some(delimiter) = delimiter {
            pieces.push(Piece::Key);
            pieces.push(Piece::Text(delimiter.as_bytes().to_vec()));
        }
        pieces.push(Piece::Value);
        pieces.push(Piece::Text(end.as_bytes().to_vec()));
        Self { pieces, null: b"" }
    }

    /// Prints null keys and values as `NULL` rather than as nothing.
    pub(crate) fn show_null(self) -> Self {
        Self {
            null: b"NULL",
            ..self
        }
    }

    /// Writes `record`; fails only when `out` does.
    pub(crate) fn write(&self, out: &mut impl Write, record: &Printed<'_>) -> io::Result<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.write_all(text)?,
                Piece::Topic => out.write_all(record.topic.as_bytes())?,
                Piece::Partition => write!(out, "{}", record.partition)?,
                Piece::Offset => write!(out, "{}", record.offset)?,
                Piece::Timestamp => write!(out, "{}", record.timestamp)?,
                Piece::Key => out.write_all(record.key.unwrap_or(self.null))?,
                Piece::KeySize => write!(out, "{}", size(record.key))?,
                Piece::Value => out.write_all(record.value.unwrap_or(self.null))?,
                Piece::ValueSize => write!(out, "{}", size(record.value))?,
                Piece::ValueSizeBinary => out.write_all(&size(record.value).to_be_bytes())?,
                Piece::Headers => headers(out, record.headers.clone())?,
            }
        }
        Ok(())
    }
}

/// Bytes of a key or value, which Kafka bounds by an int32; −1 for null.
fn size(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

/// `name=value,name=value`; a null value is `NULL`.
fn headers(out: &mut impl Write, headers: Headers<'_>) -> io::Result<()> {
    for (index, header) in headers.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        out.write_all(header.key)?;
        out.write_all(b"=")?;
        out.write_all(header.value.unwrap_or(b"NULL"))?;
    }
    Ok(())
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            let piece = match next {
                '\\' => {
                    escaped(&mut rest, &mut plain)?;
                    continue;
                }
                '%' => match rest.next() {
                    Some('%') => {
                        plain.push(b'%');
                        continue;
                    }
                    Some('t') => Piece::Topic,
                    Some('p') => Piece::Partition,
                    Some('o') => Piece::Offset,
                    Some('T') => Piece::Timestamp,
                    Some('k') => Piece::Key,
                    Some('K') => Piece::KeySize,
                    Some('s') => Piece::Value,
                    Some('S') => Piece::ValueSize,
                    Some('R') => Piece::ValueSizeBinary,
                    Some('h') => Piece::Headers,
                    Some(other) => {
                        return Err(format!("%{other} is none of %t %p %o %T %k %K %s %S %R %h %%"));
                    }
                    None => return Err("a % at the end; write %% for a percent sign".to_owned()),
                },
                other => {
                    push(other, &mut plain);
                    continue;
                }
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces, null: b"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn printed(format: &Format, record: &Printed<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        format.write(&mut out, record).unwrap();
        out
    }

    #[test]
    fn every_piece_is_printed_and_null_prints_nothing() {
        let format: Format = "%t[%p]@%o %T %k=%s%% %K %S\\n\\t\\\\\\x41".parse().unwrap();
        assert_eq!(
            printed(&format, &record(Some(b"k"), None)),
            b"t[3]@42 1000 k=% 1 -1\n\t\\A"
        );
    }

    #[test]
    fn null_is_named_when_asked_for_and_differs_from_empty() {
        let format = "%k=%s".parse::<Format>().unwrap().show_null();
        assert_eq!(printed(&format, &record(None, Some(b""))), b"NULL=");
        assert_eq!(printed(&format, &record(Some(b""), None)), b"=NULL");
    }

    #[test]
    fn a_binary_size_has_four_bytes() {
        let format = "%R".parse::<Format>().unwrap();
        assert_eq!(printed(&format, &record(None, Some(&[0; 258]))), [0, 0, 1, 2]);
        assert_eq!(printed(&format, &record(None, None)), [255; 4]);
    }

    #[test]
    fn an_unknown_piece_is_named() {
        assert_eq!(
            "%q".parse::<Format>(),
            Err("%q is none of %t %p %o %T %k %K %s %S %R %h %%".to_owned())
        );
        assert!("%".parse::<Format>().is_err());
        assert!("\\".parse::<Format>().is_err());
    }

    #[test]
    fn a_line_is_the_value_or_key_delimiter_value() {
        let record = record(Some(b"k"), Some(b"v"));
        let end = Delimiter::line_end();
        assert_eq!(printed(&Format::line(None, &end), &record), b"v\n");
        let colon = ": ".parse().unwrap();
        assert_eq!(printed(&Format::line(Some(&colon), &end), &record), b"k: v\n");
    }
}
