//! The primitives of the wire: what a message is, how its fields are read and written, what can go wrong. Which fields
//! a message has is not known here.

mod error;
mod reader;
mod writer;

pub use error::{DecodeError, EncodeError, Reason};
pub use reader::Reader;
pub use writer::{Segments, Writer};

use bytes::BytesMut;

/// What generated modules use.
pub(crate) mod prelude {
    pub(crate) use super::{DecodeError, EncodeError, Message, Reader, Writer};
    pub(crate) use crate::uuid::Uuid;
    pub(crate) use alloc::{string::String, vec::Vec};
    pub(crate) use bytes::Bytes;
}

/// A message with versions, without any header.
pub trait Message: Sized {
    /// Kafka's name of the message.
    const NAME: &'static str;
    /// The oldest version that Kafka 4.3.1 has.
    const MIN_VERSION: i16;
    /// The newest version that Kafka 4.3.1 has.
    const MAX_VERSION: i16;

    /// Writes the fields of a version in `MIN_VERSION..=MAX_VERSION`; use [`Message::write_to`], which checks that.
    fn write_fields(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;

    /// Reads the fields of a version in `MIN_VERSION..=MAX_VERSION`; use [`Message::decode`], which checks that.
    fn read_fields(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message.
    ///
    /// # Errors
    /// The version does not exist, a field is set that it lacks, is null where it must not be, or is too long.
    fn write_to(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version < Self::MIN_VERSION || version > Self::MAX_VERSION {
            return Err(EncodeError::UnsupportedVersion {
                message: Self::NAME,
                version,
            });
        }
        self.write_fields(writer, version)
    }

    /// Appends the message to `out`, which is left as it was on error.
    ///
    /// # Errors
    /// As [`Message::write_to`].
    fn encode(&self, version: i16, out: &mut BytesMut) -> Result<(), EncodeError> {
        append(out, |writer| self.write_to(writer, version))
    }

    /// Reads the message; bytes after it stay in the reader.
    ///
    /// # Errors
    /// The version does not exist, or the bytes are no such message.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        if version < Self::MIN_VERSION || version > Self::MAX_VERSION {
            return Err(reader.error(Self::NAME, Reason::UnsupportedVersion { version }));
        }
        Self::read_fields(reader, version)
    }
}

/// Appends what `write` writes to `out`, which is left as it was on error.
pub(crate) fn append(
    out: &mut BytesMut,
    write: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let before = out.len();
    let mut writer = Writer::contiguous(core::mem::take(out));
    let result = write(&mut writer);
    *out = writer.into_bytes_mut();
    if result.is_err() {
        out.truncate(before);
    }
    result
}
