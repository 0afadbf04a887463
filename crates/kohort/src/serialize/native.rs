//! The types that encode themselves, in the encodings of Java's own serializers.

use bytes::Bytes;
use kohort_records::Header;

use super::Serializer;
use crate::deserialize::BoxError;

/// A type with one natural writing as bytes: the reverse of [`Decode`](crate::deserialize::Decode), with the same table.
///
/// ```
/// use kohort::serialize::Encode;
///
/// assert_eq!(258_i32.encode("t", &mut Vec::new())?.as_deref(), Some(&[0, 0, 1, 2][..]));
/// # Ok::<(), kohort::deserialize::BoxError>(())
/// ```
pub trait Encode {
    /// Writes one key or value; `None` is null.
    ///
    /// # Errors
    /// Whatever makes the value unwritable.
    fn encode(&self, topic: &str, headers: &mut Vec<Header>) -> Result<Option<Bytes>, BoxError>;

    /// The Java serializers that write the same bytes; `None`: not checked.
    fn java_classes() -> Option<&'static [&'static str]> {
        None
    }
}

/// The [`Serializer`] of every type that encodes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Native;

impl<T: Encode> Serializer<T> for Native {
    fn serialize(
        &self,
        topic: &str,
        headers: &mut Vec<Header>,
        value: &T,
    ) -> Result<Option<Bytes>, BoxError> {
        value.encode(topic, headers)
    }

    fn java_classes(&self) -> Option<&'static [&'static str]> {
        T::java_classes()
    }
}

const BYTES: &[&str] = &[
    "org.apache.kafka.common.serialization.ByteArraySerializer",
    "org.apache.kafka.common.serialization.BytesSerializer",
    "org.apache.kafka.common.serialization.ByteBufferSerializer",
];
const STRING: &[&str] = &["org.apache.kafka.common.serialization.StringSerializer"];

macro_rules! encodes {
    ($($ty:ty, $value:ident => $bytes:expr, $classes:expr;)*) => { $(
        impl Encode for $ty {
            fn encode(&self, _: &str, _: &mut Vec<Header>) -> Result<Option<Bytes>, BoxError> {
                let $value = self;
                Ok(Some($bytes))
            }

            fn java_classes() -> Option<&'static [&'static str]> {
                Some($classes)
            }
        }
    )* };
}

encodes! {
    Bytes, value => value.clone(), BYTES;
    Vec<u8>, value => Bytes::copy_from_slice(value), BYTES;
    &'static [u8], value => Bytes::from_static(value), BYTES;
    String, value => Bytes::copy_from_slice(value.as_bytes()), STRING;
    &'static str, value => Bytes::from_static(value.as_bytes()), STRING;
    bool, value => Bytes::from_static(if *value { &[1] } else { &[0] }),
        &["org.apache.kafka.common.serialization.BooleanSerializer"];
    i16, value => Bytes::copy_from_slice(&value.to_be_bytes()), &["org.apache.kafka.common.serialization.ShortSerializer"];
    i32, value => Bytes::copy_from_slice(&value.to_be_bytes()), &["org.apache.kafka.common.serialization.IntegerSerializer"];
    i64, value => Bytes::copy_from_slice(&value.to_be_bytes()), &["org.apache.kafka.common.serialization.LongSerializer"];
    f32, value => Bytes::copy_from_slice(&value.to_be_bytes()), &["org.apache.kafka.common.serialization.FloatSerializer"];
    f64, value => Bytes::copy_from_slice(&value.to_be_bytes()), &["org.apache.kafka.common.serialization.DoubleSerializer"];
    u16, value => Bytes::copy_from_slice(&value.to_be_bytes()), &[];
    u32, value => Bytes::copy_from_slice(&value.to_be_bytes()), &[];
    u64, value => Bytes::copy_from_slice(&value.to_be_bytes()), &[];
}

impl Encode for () {
    fn encode(&self, _: &str, _: &mut Vec<Header>) -> Result<Option<Bytes>, BoxError> {
        Ok(None)
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        Some(&["org.apache.kafka.common.serialization.VoidSerializer"])
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, topic: &str, headers: &mut Vec<Header>) -> Result<Option<Bytes>, BoxError> {
        self.as_ref()
            .map_or(Ok(None), |value| value.encode(topic, headers))
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        T::java_classes()
    }
}
