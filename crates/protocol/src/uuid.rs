//! Kafka's 128-bit ids.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// An id, printed as Kafka prints it: 22 characters of URL-safe base64 without padding.
///
/// ```
/// use kohort_protocol::Uuid;
///
/// let id: Uuid = "MkU3OEVBNTcwNTJENDM2Qg".parse().unwrap();
/// assert_eq!(id.to_string(), "MkU3OEVBNTcwNTJENDM2Qg");
/// assert!(Uuid::ZERO.is_zero());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// No id: what a field has that names none.
    pub const ZERO: Self = Self([0; 16]);

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        let text: String = (0..22u32)
            .map(|i| {
                // 21 groups of six bits, then the last two bits padded with zeros.
                let group = if i < 21 {
                    value >> (122 - 6 * i)
                } else {
                    value << 4
                };
                let index = usize::try_from(group & 0x3f).unwrap_or_default();
                char::from(ALPHABET.get(index).copied().unwrap_or_default())
            })
            .collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no id: it must be 22 characters of URL-safe base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an id of Kafka: it must be 22 characters of URL-safe base64")]
pub struct InvalidUuid;

impl FromStr for Uuid {
    type Err = InvalidUuid;

    fn from_str(text: &str) -> Result<Self, InvalidUuid> {
        if text.len() != 22 {
            return Err(InvalidUuid);
        }
        let mut value = 0u128;
        for (i, byte) in text.bytes().enumerate() {
            let index = ALPHABET
                .iter()
                .position(|&known| known == byte)
                .ok_or(InvalidUuid)?;
            let bits = u128::try_from(index).map_err(|_| InvalidUuid)?;
            value = if i < 21 {
                value << 6 | bits
            } else {
                value << 2 | bits >> 4
            };
        }
        Ok(Self(value.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_text_comes_back_from_its_bytes() {
        for text in [
            "AAAAAAAAAAAAAAAAAAAAAA",
            "_____________________w",
            "-_-_-_-_-_-_-_-_-_-_-Q",
            "MkU3OEVBNTcwNTJENDM2Qg",
        ] {
            let id: Uuid = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
        assert_eq!("_____________________w".parse(), Ok(Uuid([0xff; 16])));
        assert_eq!("AAAAAAAAAAAAAAAAAAAAAQ".parse::<Uuid>().unwrap().0[15], 1);
    }

    #[test]
    fn a_text_of_other_length_or_alphabet_is_no_id() {
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAA+",
            "ééééééééééé",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(InvalidUuid), "{text}");
        }
    }
}
