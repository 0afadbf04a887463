//! What can go wrong between a message and its bytes.

use thiserror::Error;

/// Bytes that are no such message. Not retriable: the same bytes fail again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("cannot decode {field} at byte {at}: {reason}")]
pub struct DecodeError {
    /// `Struct.Field` as Kafka spells them, or the name of the message.
    pub field: &'static str,
    /// Position in bytes from the beginning of what the [`Reader`](crate::Reader) was made from.
    pub at: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// Why bytes could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// A value is longer than what is left.
    #[error("{needed} bytes are needed, {left} are left")]
    Truncated {
        /// Bytes that the value needs.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// An array announces more elements than the bytes left can hold.
    #[error("{announced} elements are announced, {left} bytes are left")]
    TooManyElements {
        /// Elements that the array says it has.
        announced: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// The arrays and tagged fields of the frame announce more elements than it may have, all together.
    #[error("the frame has more than {most} elements of arrays and tagged fields")]
    TooManyInFrame {
        /// Elements that a frame may have.
        most: usize,
    },
    /// Null in a version where the field is not nullable.
    #[error("null is not allowed in this version")]
    NullNotAllowed,
    /// A string that is not UTF-8.
    #[error("not valid UTF-8")]
    InvalidUtf8,
    /// A string longer than Kafka reads, in the compact form; in the other its length has 16 bits.
    #[error("a string of {len} bytes, at most 32767 are allowed")]
    StringTooLong {
        /// Bytes that the string says it has.
        len: usize,
    },
    /// A varint with more than 32 bits.
    #[error("the varint does not fit 32 bits")]
    VarintTooLong,
    /// A known tagged field whose content is shorter than its announced size. (Kafka would read on in its middle.)
    #[error("the tagged field announces {announced} bytes, its value has {read}")]
    TagSize {
        /// Bytes that the tagged field says it has.
        announced: usize,
        /// Bytes that its value had.
        read: usize,
    },
    /// The message does not have this version.
    #[error("version {version} does not exist")]
    UnsupportedVersion {
        /// The version asked for.
        version: i16,
    },
    /// This crate has no messages of the API.
    #[error("the API is not supported")]
    UnsupportedApi,
}

/// A message that cannot be written in a version. Not retriable: it is a mistake of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The message does not have this version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Kafka's name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A field has a value, the version does not have the field, and it may not be ignored.
    #[error("{field} is set, but version {version} does not have it")]
    NotInVersion {
        /// `Struct.Field` as Kafka spells them.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Null in a version where the field is not nullable.
    #[error("{field} must not be null in this version")]
    NullNotAllowed {
        /// `Struct.Field` as Kafka spells them.
        field: &'static str,
    },
    /// A value is longer than its length field can say.
    #[error("{field} is too long: {len}")]
    TooLong {
        /// `Struct.Field` as Kafka spells them, or `frame`.
        field: &'static str,
        /// Bytes of a string, byte field or frame; elements of an array.
        len: usize,
    },
}

impl EncodeError {
    /// A field that the version lacks must be at its default.
    pub(crate) fn unless_default(is_default: bool, field: &'static str, version: i16) -> Result<(), Self> {
        if is_default {
            Ok(())
        } else {
            Err(Self::NotInVersion { field, version })
        }
    }
}
