//! Text of the command line that stands for bytes: delimiters and formats, with C's backslashes.

use std::str::{Chars, FromStr};

/// What stands between two things in a stream: `-K` and `-D`. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delimiter(Vec<u8>);

impl Delimiter {
    /// A line end.
    pub(crate) fn line_end() -> Self {
        Self(b"\n".to_vec())
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            match next {
                '\\' => escaped(&mut rest, &mut bytes)?,
                plain => push(plain, &mut bytes),
            }
        }
        match bytes.is_empty() {
            true => Err("a delimiter has at least one byte".to_owned()),
            false => Ok(Self(bytes)),
        }
    }
}

/// Appends what a backslash and the characters after it stand for.
pub(crate) fn escaped(rest: &mut Chars<'_>, bytes: &mut Vec<u8>) -> Result<(), String> {
    bytes.push(match rest.next() {
        Some('n') => b'\n',
        Some('t') => b'\t',
        Some('r') => b'\r',
        Some('0') => b'\0',
        Some('\\') => b'\\',
        Some('x') => match (digit(rest), digit(rest)) {
            (Some(high), Some(low)) => (high << 4) | low,
            _ => return Err("\\x takes two hexadecimal digits".to_owned()),
        },
        Some(other) => return Err(format!("\\{other} is none of \\n \\t \\r \\0 \\xHH \\\\")),
        None => return Err("a backslash at the end; write \\\\ for one".to_owned()),
    });
    Ok(())
}

/// Appends a character as it is.
pub(crate) fn push(plain: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
}

fn digit(rest: &mut Chars<'_>) -> Option<u8> {
    let digit = rest.next()?.to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backslashes_stand_for_bytes() {
        for (text, bytes) in [
            (":", &b":"[..]),
            ("\\t", b"\t"),
            ("a\\n\\r\\0\\\\", b"a\n\r\0\\"),
            ("\\x00\\xfF", b"\x00\xff"),
            ("é", "é".as_bytes()),
        ] {
            assert_eq!(
                text.parse::<Delimiter>().as_ref().map(Delimiter::as_bytes),
                Ok(bytes),
                "{text}"
            );
        }
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for text in ["", "\\", "\\q", "\\x1", "\\xg0"] {
            assert!(text.parse::<Delimiter>().is_err(), "{text}");
        }
    }
}
