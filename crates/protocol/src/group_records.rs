//! Keys and values of the records in `__consumer_offsets`. A key begins with the number of its record type, a value with
//! the version of its message. What the records mean is not here.

use bytes::{Bytes, BytesMut};

pub use crate::prefixed::{decode_versioned, encode_versioned};
use crate::wire::{DecodeError, EncodeError, Message, Reader, Writer};

include!(concat!(env!("OUT_DIR"), "/group_records.rs"));

impl GroupRecordKey {
    /// Reads a key; none where its record type is not known here, which a reader of the log skips.
    ///
    /// # Errors
    /// The bytes are no key of the type that they begin with.
    pub fn decode(bytes: Bytes) -> Result<Option<Self>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let record_type = reader.int16("GroupRecordKey")?;
        Self::read_of_type(record_type, &mut reader)
    }

    /// The record type, then the key.
    ///
    /// # Errors
    /// A string is too long.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let mut writer = Writer::contiguous(BytesMut::new());
        writer.int16(self.record_type());
        self.write_to(&mut writer)?;
        Ok(writer.into_bytes_mut().freeze())
    }
}
