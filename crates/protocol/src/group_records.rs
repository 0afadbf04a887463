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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_begins_with_its_record_type() {
        let key = OffsetCommitKey {
            group: "g".into(),
            topic: "t".into(),
            partition: 7,
        };
        let key = GroupRecordKey::OffsetCommit(key);
        let bytes = key.encode().unwrap();
        assert_eq!(bytes, [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 7][..]);
        assert_eq!(GroupRecordKey::decode(bytes), Ok(Some(key)));
    }

    // Kafka: CoordinatorLoaderImpl skips records of a type that it does not know.
    #[test]
    fn a_key_of_an_unknown_type_is_none_and_a_cut_one_an_error() {
        assert_eq!(
            GroupRecordKey::decode(Bytes::from_static(&[0, 99, 1, 2])),
            Ok(None)
        );
        assert!(GroupRecordKey::decode(Bytes::from_static(&[0, 2, 0, 9])).is_err());
        assert!(GroupRecordKey::decode(Bytes::from_static(&[0])).is_err());
    }

    #[test]
    fn a_value_begins_with_its_version_and_refuses_one_that_is_not_known() {
        let value = OffsetCommitValue {
            offset: 42,
            commit_timestamp: 1,
            ..Default::default()
        };
        for version in 0..=4 {
            let bytes = encode_versioned(&value, version).unwrap();
            assert_eq!(bytes[..2], version.to_be_bytes());
            assert_eq!(decode_versioned(bytes), Ok((version, value.clone())));
        }
        let bytes = Bytes::from_static(&[0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(decode_versioned::<OffsetCommitValue>(bytes).is_err());
    }
}
