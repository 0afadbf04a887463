//! The argument of `-f`: a record as text, in kcat's notation. Parsed once, written per record without allocating.

use std::io::{self, Write};
use std::str::FromStr;

/// What a format can print of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printed<'a> {
    /// The topic's name.
    pub(crate) topic: &'a str,
    /// The partition's number.
    pub(crate) partition: i32,
    /// The record's offset.
    pub(crate) offset: i64,
    /// Its timestamp, ms since 1970.
    pub(crate) timestamp: i64,
    /// Its key; a null key prints nothing.
    pub(crate) key: Option<&'a [u8]>,
    /// Its value; a null value prints nothing.
    pub(crate) value: Option<&'a [u8]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Topic,
    Partition,
    Offset,
    Key,
    Value,
    Timestamp,
}

/// A parsed format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
}

impl Format {
    /// The value on a line of its own, after the key and `delimiter` if there is one.
    pub(crate) fn line(delimiter: Option<&str>) -> Self {
        let mut pieces = Vec::new();
        if let Some(delimiter) = delimiter {
            pieces.push(Piece::Key);
            pieces.push(Piece::Text(delimiter.to_owned()));
        }
        pieces.push(Piece::Value);
        pieces.push(Piece::Text("\n".to_owned()));
        Self { pieces }
    }

    /// Writes `record`; fails only when `out` does.
    pub(crate) fn write(&self, out: &mut impl Write, record: Printed<'_>) -> io::Result<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.write_all(text.as_bytes())?,
                Piece::Topic => out.write_all(record.topic.as_bytes())?,
                Piece::Partition => write!(out, "{}", record.partition)?,
                Piece::Offset => write!(out, "{}", record.offset)?,
                Piece::Timestamp => write!(out, "{}", record.timestamp)?,
                Piece::Key => out.write_all(record.key.unwrap_or_default())?,
                Piece::Value => out.write_all(record.value.unwrap_or_default())?,
            }
        }
        Ok(())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            let piece = match next {
                '\\' => {
                    plain.push(escaped(rest.next())?);
                    continue;
                }
                '%' => match rest.next() {
                    Some('%') => {
                        plain.push('%');
                        continue;
                    }
                    Some('t') => Piece::Topic,
                    Some('p') => Piece::Partition,
                    Some('o') => Piece::Offset,
                    Some('k') => Piece::Key,
                    Some('s') => Piece::Value,
                    Some('T') => Piece::Timestamp,
                    Some(other) => return Err(format!("%{other} is none of %t %p %o %k %s %T %%")),
                    None => return Err("a % at the end; write %% for a percent sign".to_owned()),
                },
                other => {
                    plain.push(other);
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
        Ok(Self { pieces })
    }
}

/// Replaces `\n`, `\t`, `\r`, `\0` and `\\`.
pub(crate) fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        plain.push(if next == '\\' { escaped(rest.next())? } else { next });
    }
    Ok(plain)
}

fn escaped(after_backslash: Option<char>) -> Result<char, String> {
    match after_backslash {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some('0') => Ok('\0'),
        Some('\\') => Ok('\\'),
        Some(other) => Err(format!("\\{other} is none of \\n \\t \\r \\0 \\\\")),
        None => Err("a backslash at the end; write \\\\ for one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: &str) -> String {
        let record = Printed {
            topic: "t",
            partition: 3,
            offset: 42,
            timestamp: 1000,
            key: Some(b"k"),
            value: None,
        };
        let mut out = Vec::new();
        format.parse::<Format>().unwrap().write(&mut out, record).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_piece_is_printed_and_null_prints_nothing() {
        assert_eq!(
            printed("%t[%p]@%o %T %k=%s%%\\n\\t\\\\"),
            "t[3]@42 1000 k=%\n\t\\"
        );
    }

    #[test]
    fn an_unknown_piece_is_named() {
        assert_eq!(
            "%q".parse::<Format>(),
            Err("%q is none of %t %p %o %k %s %T %%".to_owned())
        );
        assert!("%".parse::<Format>().is_err());
        assert!("\\".parse::<Format>().is_err());
    }

    #[test]
    fn a_line_is_the_value_or_key_delimiter_value() {
        let record = Printed {
            topic: "t",
            partition: 0,
            offset: 0,
            timestamp: 0,
            key: Some(b"k"),
            value: Some(b"v"),
        };
        let mut out = Vec::new();
        Format::line(None).write(&mut out, record).unwrap();
        Format::line(Some(": ")).write(&mut out, record).unwrap();
        assert_eq!(out, b"v\nk: v\n");
    }
}
