//! What consumers of a classic group tell each other through the coordinator: subscriptions and assignments, each
//! with its version in front. How they are balanced is not here.

use bytes::Bytes;

pub use crate::prefixed::encode_versioned;
use crate::wire::{DecodeError, Message, Reader, Reason};

include!(concat!(env!("OUT_DIR"), "/consumer_protocol.rs"));

/// Reads the version and the message. A version newer than the newest known is read as that one, because later
/// versions only append; an older one than the oldest is an error.
///
/// # Errors
/// The version is negative, or the bytes are no such message.
// Kafka: ConsumerProtocol.deserializeSubscription, checkSubscriptionVersion
pub fn decode_versioned<M: Message>(bytes: Bytes) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.int16(M::NAME)?;
    if version < M::MIN_VERSION {
        return Err(reader.error(M::NAME, Reason::UnsupportedVersion { version }));
    }
    let version = version.min(M::MAX_VERSION);
    M::decode(&mut reader, version).map(|message| (version, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn a_newer_version_is_read_as_the_newest_known_and_a_negative_one_is_refused() {
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["t".into()],
            ..Default::default()
        };
        let bytes = encode_versioned(&subscription, 3).unwrap();
        assert_eq!(decode_versioned(bytes.clone()), Ok((3, subscription.clone())));
        let newer = [&[0, 9], &bytes[2..], b"later fields"].concat();
        assert_eq!(decode_versioned(newer.into()), Ok((3, subscription)));
        let negative = [&[0xff, 0xff], &bytes[2..]].concat();
        assert!(decode_versioned::<ConsumerProtocolSubscription>(negative.into()).is_err());
    }

    #[test]
    fn what_a_version_lacks_is_left_out_of_a_subscription() {
        let newest = ConsumerProtocolSubscription {
            generation_id: 4,
            rack_id: Some("r".into()),
            ..Default::default()
        };
        let (version, oldest) = decode_versioned(encode_versioned(&newest, 0).unwrap()).unwrap();
        assert_eq!((version, oldest), (0, ConsumerProtocolSubscription::default()));
    }
}
