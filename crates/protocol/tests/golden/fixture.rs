//! The messages as types, and the lines of golden.tsv that go with them.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kohort_protocol::{DecodeError, Message, Reader};

use crate::lines::lines;
use crate::list::all_messages;

/// One line of golden.tsv.
pub(crate) struct Golden {
    pub(crate) message: &'static str,
    pub(crate) version: i16,
    /// `default`, `full` or `null`.
    pub(crate) variant: &'static str,
    pub(crate) bytes: Bytes,
    /// What Kafka's JsonConverter made the bytes from; empty for `default`.
    pub(crate) json: &'static str,
}

pub(crate) fn golden() -> Vec<Golden> {
    let golden = |(message, version, variant, bytes, json)| Golden {
        message,
        version,
        variant,
        bytes,
        json,
    };
    lines().into_iter().map(golden).collect()
}

/// A message type, for tests that treat all alike.
pub(crate) struct AnyMessage {
    pub(crate) name: &'static str,
    pub(crate) min: i16,
    pub(crate) max: i16,
    /// Decodes the message: what it looks like, what it encodes to, and how many bytes were left.
    pub(crate) decode: fn(Bytes, i16) -> Result<Decoded, DecodeError>,
    /// The message as `Default` makes it.
    pub(crate) default: fn(i16) -> Decoded,
}

pub(crate) struct Decoded {
    pub(crate) debug: String,
    pub(crate) encoded: Bytes,
    pub(crate) left: usize,
}

fn any<M: Message + Debug + Default>() -> AnyMessage {
    AnyMessage {
        name: M::NAME,
        min: M::MIN_VERSION,
        max: M::MAX_VERSION,
        decode: |bytes, version| {
            let mut reader = Reader::new(bytes);
            let message = M::decode(&mut reader, version)?;
            Ok(show(&message, version, reader.remaining()))
        },
        default: |version| show(&M::default(), version, 0),
    }
}

fn show<M: Message + Debug>(message: &M, version: i16, left: usize) -> Decoded {
    let mut encoded = BytesMut::new();
    message.encode(version, &mut encoded).unwrap();
    Decoded {
        debug: format!("{message:?}"),
        encoded: encoded.freeze(),
        left,
    }
}

pub(crate) fn every_message() -> Vec<AnyMessage> {
    all_messages!(any)
}
