//! The types that decode themselves, in the encodings of Java's own deserializers.

use bytes::Bytes;
use thiserror::Error;

use super::{BoxError, Context, Deserializer, Payload};

/// A type with one natural reading of bytes, so that a consumer needs no deserializer for it.
///
/// | type | bytes | null |
/// | --- | --- | --- |
/// | `Bytes`, `Vec<u8>` | as they are | error |
/// | `String` | UTF-8 | error |
/// | `i16`, `i32`, `i64`, `f32`, `f64`, `u16`, `u32`, `u64` | big endian, exactly as long as the type | error |
/// | `bool` | one byte, 0 or 1 | error |
/// | `()` | anything; not looked at | `()` |
/// | [`Json<T>`](super::Json) | JSON | error |
/// | `Option<T>` | as `T` | `None` |
///
/// Implement it for a type of your own to use `Consumer<K, YourType>` everywhere:
///
/// ```
/// use kohort::deserialize::{BoxError, Context, Decode, Payload};
///
/// struct Celsius(f64);
///
/// impl Decode for Celsius {
///     fn decode(context: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError> {
///         Ok(Celsius(f64::decode(context, payload)?))
///     }
/// }
/// ```
pub trait Decode: Sized {
    /// Reads one key or value.
    ///
    /// # Errors
    /// Whatever makes the bytes unreadable.
    fn decode(context: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError>;

    /// The Java deserializers that read the same bytes; `None`: not checked.
    fn java_classes() -> Option<&'static [&'static str]> {
        None
    }
}

/// The [`Deserializer`] of every type that decodes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Native;

impl<T: Decode> Deserializer<T> for Native {
    fn deserialize(&self, context: &Context<'_>, payload: Payload<'_>) -> Result<T, BoxError> {
        T::decode(context, payload)
    }

    fn java_classes(&self) -> Option<&'static [&'static str]> {
        T::java_classes()
    }
}

/// Bytes that a built-in type cannot be read from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is nothing; `Option<T>` accepts it.
    #[error("it is null; use Option<_> if that is expected")]
    Null,
    /// The number of bytes is wrong.
    #[error("it has {len} bytes, not {expected}")]
    Length {
        /// Bytes that are there.
        len: usize,
        /// Bytes of the type.
        expected: usize,
    },
    /// A boolean that is neither 0 nor 1.
    #[error("a boolean is the byte 0 or 1, not {0}")]
    Bool(u8),
}

fn present<'a>(payload: &Payload<'a>) -> Result<&'a [u8], DecodeError> {
    payload.as_slice().ok_or(DecodeError::Null)
}

const BYTES: &[&str] = &[
    "org.apache.kafka.common.serialization.ByteArrayDeserializer",
    "org.apache.kafka.common.serialization.BytesDeserializer",
    "org.apache.kafka.common.serialization.ByteBufferDeserializer",
];

impl Decode for Bytes {
    /// Shares the record's batch: nothing is copied, and the batch stays in memory as long as the handle does.
    fn decode(_: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError> {
        Ok(payload.to_bytes().ok_or(DecodeError::Null)?)
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        Some(BYTES)
    }
}

impl Decode for Vec<u8> {
    fn decode(_: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError> {
        Ok(present(&payload)?.to_vec())
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        Some(BYTES)
    }
}

impl Decode for String {
    fn decode(_: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError> {
        Ok(core::str::from_utf8(present(&payload)?)?.to_owned())
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        Some(&["org.apache.kafka.common.serialization.StringDeserializer"])
    }
}

impl Decode for bool {
    fn decode(_: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError> {
        match present(&payload)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(DecodeError::Bool(*other).into()),
            other => Err(DecodeError::Length {
                len: other.len(),
                expected: 1,
            }
            .into()),
        }
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        Some(&["org.apache.kafka.common.serialization.BooleanDeserializer"])
    }
}

impl Decode for () {
    fn decode(_: &Context<'_>, _: Payload<'_>) -> Result<Self, BoxError> {
        Ok(())
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(context: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError> {
        match payload.is_null() {
            true => Ok(None),
            false => T::decode(context, payload).map(Some),
        }
    }

    fn java_classes() -> Option<&'static [&'static str]> {
        T::java_classes()
    }
}

macro_rules! numbers {
    ($($ty:ty: $classes:expr),*) => { $(
        impl Decode for $ty {
            fn decode(_: &Context<'_>, payload: Payload<'_>) -> Result<Self, BoxError> {
                let slice = present(&payload)?;
                let bytes = slice.try_into().map_err(|_| DecodeError::Length {
                    len: slice.len(),
                    expected: size_of::<Self>(),
                })?;
                Ok(Self::from_be_bytes(bytes))
            }

            fn java_classes() -> Option<&'static [&'static str]> {
                Some($classes)
            }
        }
    )* };
}

numbers!(
    i16: &["org.apache.kafka.common.serialization.ShortDeserializer"],
    i32: &["org.apache.kafka.common.serialization.IntegerDeserializer"],
    i64: &["org.apache.kafka.common.serialization.LongDeserializer"],
    f32: &["org.apache.kafka.common.serialization.FloatDeserializer"],
    f64: &["org.apache.kafka.common.serialization.DoubleDeserializer"],
    u16: &[],
    u32: &[],
    u64: &[]
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deserialize::{Json, Origin};

    fn decode<T: Decode>(slice: Option<&[u8]>) -> Result<T, BoxError> {
        let context = Context {
            topic: "t",
            headers: kohort_records::Headers::none(),
            origin: Origin::Value,
        };
        T::decode(&context, Payload::new(slice))
    }

    #[test]
    fn numbers_are_big_endian_as_in_java() {
        assert_eq!(decode::<i32>(Some(&[0, 0, 1, 2])).expect("four bytes"), 258);
        assert_eq!(decode::<i64>(Some(&[0xff; 8])).expect("eight bytes"), -1);
        assert_eq!(decode::<i16>(Some(&[0x7f, 0xff])).expect("two bytes"), i16::MAX);
        assert_eq!(
            decode::<f64>(Some(&[0x3f, 0xf8, 0, 0, 0, 0, 0, 0])).expect("eight bytes"),
            1.5
        );
    }

    #[test]
    fn a_number_of_the_wrong_length_says_both_lengths() {
        let error = decode::<i32>(Some(&[1, 2, 3])).expect_err("three bytes");
        assert_eq!(error.to_string(), "it has 3 bytes, not 4");
    }

    #[test]
    fn null_is_an_error_unless_an_option_expects_it() {
        assert!(decode::<String>(None).is_err());
        assert!(decode::<Bytes>(None).is_err());
        assert_eq!(decode::<Option<String>>(None).expect("nullable"), None);
        assert_eq!(
            decode::<Option<String>>(Some(b"")).expect("empty"),
            Some(String::new())
        );
        decode::<()>(None).expect("not looked at");
        decode::<()>(Some(b"x")).expect("not looked at");
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        assert!(decode::<String>(Some(&[0xff])).is_err());
    }

    #[test]
    fn json_is_read_by_serde() {
        let Json(numbers) = decode::<Json<Vec<u8>>>(Some(b"[1,2]")).expect("an array");
        assert_eq!(numbers, [1, 2]);
        assert!(decode::<Json<Vec<u8>>>(Some(b"[1,")).is_err());
    }
}
