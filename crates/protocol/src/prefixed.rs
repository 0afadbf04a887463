//! Messages that carry their version in front of them, two bytes: what members of a group exchange, and what
//! `__consumer_offsets` stores.

use bytes::{Bytes, BytesMut};

use crate::wire::{DecodeError, EncodeError, Message, Reader, Writer};

/// The version, then the message.
///
/// # Errors
/// As [`Message::write_to`].
pub fn encode_versioned<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::contiguous(BytesMut::new());
    writer.int16(version);
    message.write_to(&mut writer, version)?;
    Ok(writer.into_bytes_mut().freeze())
}

/// Reads the version, and the message in it; bytes after it are ignored, as Kafka does.
///
/// # Errors
/// The version does not exist, or the bytes are no such message.
pub fn decode_versioned<M: Message>(bytes: Bytes) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.int16(M::NAME)?;
    M::decode(&mut reader, version).map(|message| (version, message))
}
