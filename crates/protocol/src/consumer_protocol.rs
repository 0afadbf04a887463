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
